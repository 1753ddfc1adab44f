use super::*;

#[test]
fn one_port_is_for_one_stream() {
    let apart = |names: [&str; 2], page: Option<&str>| {
        let sinks = names.map(|name| name.parse().unwrap());
        let result = ports_apart(&sinks, page.map(|page| page.parse().unwrap()));
        result.map_err(|error| error.to_string())
    };
    for names in [
        ["rtsp", "rtsp://0.0.0.0:8554/b"],
        ["rtsp://10.0.0.1:8554/a", "rtsp://[::]:8554/b"],
        ["rtsp://localhost:1/a", "rtsp://127.0.0.1:1/b"],
        ["rtsp://board:1/a", "rtsp://0.0.0.0:1/b"],
    ] {
        let error = apart(names, None).unwrap_err();
        assert!(error.contains(names[1]), "{error}");
    }
    for names in [
        ["rtsp", "rtsp://0.0.0.0:8555/live"],
        ["rtsp://127.0.0.1:1/a", "rtsp://10.0.0.1:1/a"],
        ["rtsp://0.0.0.0:1/a", "rtsp://[::1]:1/a"],
        ["null", "null"],
    ] {
        assert_eq!(apart(names, Some("127.0.0.1:8080")), Ok(()), "{names:?}");
    }
    let error = apart(["null", "rtsp"], Some("127.0.0.1:8554")).unwrap_err();
    assert!(
        error.starts_with("the page on 127.0.0.1:8554 and "),
        "{error}"
    );
    assert_eq!(apart(["null", "rtsp"], Some("127.0.0.1:0")), Ok(()));
}

#[cfg(feature = "page")]
#[test]
fn what_run_refuses_is_refused_before() {
    let judged = |text: &str, flagged| {
        let config = Config::parse(text).unwrap();
        judge(&config, flagged).map_err(|error| format!("{error:#}"))
    };
    let flagged = |page, sinks| Flagged {
        sinks,
        page,
        ..Flagged::default()
    };
    let open = "page.listen = '0.0.0.0:8199'";
    let error = judged(open, Flagged::default()).unwrap_err();
    assert!(error.contains("without TLS"), "{error}");
    // --page-tls may have been given.
    assert_eq!(judged(open, flagged(true, false)), Ok(vec![]));
    let twice = "output.sinks = ['rtsp', 'rtsp://0.0.0.0:8554/b']";
    assert!(judged(twice, Flagged::default()).is_err());
    assert_eq!(judged(twice, flagged(false, true)), Ok(vec![]));
    let none = "telemetry.to = ['mqtts://broker.example']\ntelemetry.authorities = '/none.pem'";
    let error = judged(none, Flagged::default()).unwrap_err();
    assert!(error.contains("/none.pem"), "{error}");
    for (text, told) in [
        ("student.trusted_keys = ['/etc/hostname']", "/etc/hostname"),
        ("source = { name = 'test', size = '1x1' }", "1 pixel wide"),
        ("source.name = '/none.mkv'", "/none.mkv"),
    ] {
        let error = judged(text, Flagged::default()).unwrap_err();
        assert!(error.contains(told), "{error}");
        // Flags may stand in for both.
        let flagged = Flagged {
            source: true,
            model: true,
            ..Flagged::default()
        };
        assert_eq!(judged(text, flagged), Ok(vec![]));
    }
    let keys = "student.trusted_keys = ['/etc/honed/trusted-keys/none.pub', '/none']";
    let notes = judged(keys, Flagged::default()).unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains(": /none is"),
        "{notes:?}"
    );
    assert_eq!(judged("", Flagged::default()), Ok(vec![]));
}

#[test]
fn what_has_no_effect_is_told() {
    let told = |text: &str| -> Vec<&str> {
        let config = Config::parse(text).unwrap();
        let source = crate::cli::specs::unused(&config).unwrap();
        unused(&config).chain(source).collect()
    };
    for (text, key) in [
        ("source = { name = 'a.mkv', size = '64x48' }", "source.size"),
        ("source = { name = 'a.mkv', fps = 30 }", "source.fps"),
        ("telemetry.authorities = '/a.pem'", "telemetry.authorities"),
        ("page.tls = true", "page.tls"),
    ] {
        assert!(
            told(text)[0].starts_with(&format!("{key} has no effect")),
            "{text}"
        );
    }
    for text in [
        "",
        "source = { name = 'images:a', fps = 30 }",
        "source = { name = 'v4l2', size = '64x48', fps = 30 }",
        "telemetry = { to = ['mqtts://broker.example'], authorities = '/a.pem' }",
    ] {
        assert!(told(text).is_empty(), "{text}: {:?}", told(text));
    }
}
