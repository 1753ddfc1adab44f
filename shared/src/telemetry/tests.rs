use super::*;

fn message(sequence: u64) -> Message {
    Message {
        board: "north".into(),
        run: 7,
        sequence,
        state: BoardState {
            model: "Raspberry Pi 4 Model B Rev 1.4".into(),
            version: "0.1.0".into(),
            bundle: "mixed 1.0.0".into(),
            level: "medium".into(),
            phase: Phase::Live,
            degraded: false,
            fps: 29.97,
            age_p50_ms: 18.5,
            age_p99_ms: 31.25,
            engine_ms: 9.5,
            celsius: Some(61.5),
            throttled: false,
            frames: 30_000,
            dropped: 3,
            slates: 0,
            failed: 0,
            reconnects: 1,
            uptime_s: 1001,
            unsent: 2,
            notice: "live".into(),
        },
    }
}

fn read(bytes: &[u8]) -> Vec<Result<Message, FrameError>> {
    let mut got = Vec::new();
    Decoder::default().push(bytes, &mut |message| got.push(message));
    got
}

fn framed(body: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(body).to_le_bytes();
    let mut frame = cobs::encode_vec(&[body, &sum].concat());
    frame.push(0);
    frame
}

/// Boards in the field speak this: a change here needs a new version.
#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let golden = concat!(
        "4301056e6f72746807291e5261737062657272792050692034204d6f64656c20422052657620312e3405302e312e30",
        "0b6d6978656420312e302e30066d656469756d01058fc2ef41010394410103fa4101041841010103764205b0ea0103",
        "010e01e90702046c697665f54167fb00",
    );
    let frame = encode(&message(41)).unwrap();
    assert_eq!(crate::bundle::hex(&frame), golden);
    assert_eq!(read(&frame), [Ok(message(41))]);
}

#[test]
fn every_phase_and_absent_figure_comes_back() {
    for phase in [Phase::Starting, Phase::Live, Phase::Untouched, Phase::Dark] {
        let mut sent = message(u64::MAX);
        sent.state.phase = phase;
        sent.state.celsius = None;
        assert_eq!(read(&encode(&sent).unwrap()), [Ok(sent)]);
    }
}

#[test]
fn what_a_later_release_adds_is_ignored_and_another_version_is_named() {
    let body = [
        &[VERSION][..],
        &postcard::to_allocvec(&message(1)).unwrap(),
        b"added",
    ]
    .concat();
    assert_eq!(read(&framed(&body)), [Ok(message(1))]);
    let other = [&[9], &body[1..]].concat();
    let [Err(error)] = &read(&framed(&other))[..] else {
        panic!("taken");
    };
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn the_stream_may_come_in_any_pieces() {
    let stream: Vec<u8> = (0..20).flat_map(|n| encode(&message(n)).unwrap()).collect();
    for piece in [1, 2, 7, 100, 5000] {
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        for bytes in stream.chunks(piece) {
            decoder.push(bytes, &mut |m| got.push(m.unwrap().sequence));
        }
        assert_eq!(got, (0..20).collect::<Vec<_>>(), "pieces of {piece}");
    }
}

#[test]
fn after_damage_it_goes_on_with_the_next_frame() {
    let (one, two) = (encode(&message(1)).unwrap(), encode(&message(2)).unwrap());
    // The end of a frame whose beginning was missed.
    let cut = [&one[9..], &two].concat();
    assert!(matches!(&read(&cut)[..], [Err(_), Ok(m)] if *m == message(2)));
    let noise: Vec<u8> = (0..100_000_u32).map(|n| (n % 255 + 1) as u8).collect();
    let stream = [&noise[..], &[0], &two].concat();
    assert_eq!(read(&stream), [Err(FrameError::TooLong), Ok(message(2))]);
    assert_eq!(read(&[&[0, 0, 0], &one[..]].concat()), [Ok(message(1))]);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let frame = encode(&message(1)).unwrap();
    for bit in 0..(frame.len() - 1) * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged).iter().all(Result::is_err), "bit {bit}");
    }
}

#[test]
fn hostile_content_with_a_good_checksum_is_refused() {
    for change in [
        (|m| m.state.notice = "\x1b[2Jgone".into()) as fn(&mut Message),
        |m| m.board = String::new(),
        |m| m.board = "x".repeat(MAX_NAME + 1),
        |m| m.state.fps = f32::NAN,
        |m| m.state.celsius = Some(f32::INFINITY),
    ] {
        let mut hostile = message(1);
        change(&mut hostile);
        let body = [&[VERSION][..], &postcard::to_allocvec(&hostile).unwrap()].concat();
        let got = read(&framed(&body));
        assert!(matches!(&got[..], [Err(FrameError::Content(_))]), "{got:?}");
    }
    assert!(matches!(&read(&framed(&[]))[..], [Err(_)]));
    assert!(matches!(
        &read(&framed(&[VERSION, 255, 255, 255, 255, 15]))[..],
        [Err(_)]
    ));
}

#[test]
fn long_and_odd_texts_are_cut_when_sent() {
    let mut long = message(1);
    long.state.notice = format!("a\nb\x1b{}", "ü".repeat(400));
    long.board = "b".repeat(100);
    let sent = read(&encode(&long).unwrap()).pop().unwrap().unwrap();
    assert_eq!(sent.state.notice, format!("ab{}", "ü".repeat(94)));
    assert_eq!(sent.board.len(), MAX_NAME);
    let text = "\u{10ffff}".repeat(200);
    for part in [
        &mut long.state.model,
        &mut long.state.bundle,
        &mut long.state.level,
    ] {
        part.clone_from(&text);
    }
    assert_eq!(encode(&long), Err(FrameError::TooLong));
}

#[test]
fn addresses_are_read_and_written() {
    let carrier = |text: &str| text.parse::<Carrier>();
    for (given, written) in [
        ("serial:/dev/ttyS0", "serial:/dev/ttyS0@115200"),
        ("serial:/dev/ttyUSB0@921600", "serial:/dev/ttyUSB0@921600"),
        ("mqtt://broker", "mqtt://broker:1883/hone"),
        (
            "mqtts://b.example/site/north/",
            "mqtts://b.example:8883/site/north",
        ),
        (
            "mqtt://cam:s@cret@[::1]:99/x",
            "mqtt://cam:s@cret@[::1]:99/x",
        ),
    ] {
        let read = carrier(given).unwrap();
        assert_eq!(String::from(read.clone()), written);
        assert_eq!(carrier(written), Ok(read));
    }
    let Ok(Carrier::Broker(broker)) = carrier("mqtts://cam:secret@b/x") else {
        panic!("no broker");
    };
    assert_eq!(broker.to_string(), "mqtts://cam@b:8883/x");
    assert_eq!(broker.telemetry_topic("+"), "x/+/telemetry");
    for (wrong, word) in [
        ("serial:ttyS0", "no device"),
        ("serial:/dev/ttyS0@fast", "baud"),
        ("serial:/dev/ttyS0@1", "baud"),
        ("http://x", "carries no telemetry"),
        ("mqtt://", "host"),
        ("mqtt://x:0", "port"),
        ("mqtt://x:66000", "port"),
        ("mqtt://a b", "host"),
        ("mqtt://x/a/+", "topic"),
    ] {
        let error = carrier(wrong).unwrap_err().to_string();
        assert!(error.contains(word), "{wrong}: {error}");
    }
    let error = carrier("mqtt://cam:secret@x:0").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn fingerprints_are_read_as_openssl_prints_them() {
    let fingerprint = Fingerprint::of(b"certificate");
    let text = fingerprint.to_string();
    assert_eq!(text.parse(), Ok(fingerprint));
    let pairs: Vec<String> = text
        .as_bytes()
        .chunks(2)
        .map(|p| String::from_utf8_lossy(p).to_uppercase())
        .collect();
    assert_eq!(pairs.join(":").parse(), Ok(fingerprint));
    for wrong in [
        "",
        "abc",
        &text[1..],
        &format!("{text}00"),
        &text.replace('a', "g"),
    ] {
        if *wrong != text {
            assert_eq!(
                wrong.parse::<Fingerprint>(),
                Err(FingerprintError),
                "{wrong}"
            );
        }
    }
}

#[test]
fn a_list_names_each_place_once_and_the_last_word_counts() {
    let list =
        |texts: &[&str]| -> Vec<Carrier> { texts.iter().map(|t| t.parse().unwrap()).collect() };
    let apart = Carrier::apart(list(&[
        "mqtt://host/one",
        "serial:/dev/ttyS0@9600",
        "mqtt://host/two",
        "mqtt://user:secret@host/one",
        "serial:/dev/ttyS0",
        "mqtt://other/one",
        "serial:/dev/ttyS1",
    ]));
    let want = list(&[
        "mqtt://host/two",
        "mqtt://user:secret@host/one",
        "serial:/dev/ttyS0",
        "mqtt://other/one",
        "serial:/dev/ttyS1",
    ]);
    assert_eq!(apart, want);
    let id = |text: &str| text.parse::<BrokerAddress>().unwrap().client_id("north");
    assert_eq!(id("mqtt://host"), "hone-north");
    assert_ne!(id("mqtt://host/one"), id("mqtt://host/two"));
}
