use super::*;

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    bench: BenchArgs,
}

#[test]
fn the_largest_is_measured_in_whatever_order_the_bundle_was_packed() {
    let flags = |more: &[&str]| {
        let line = [&["bench", "--bundle", "x.hone"], more].concat();
        <Flags as clap::Parser>::parse_from(line).bench
    };
    let mut manifest = crate::shipped::bundle().unwrap().manifest().clone();
    for _ in 0..2 {
        manifest.models.reverse();
        let names = |more: &[&str]| -> Vec<String> {
            let found = flags(more).entries(&manifest, |_| true).unwrap();
            found.iter().map(|m| m.name.clone()).collect()
        };
        assert_eq!(names(&[]), ["large", "large"]);
        assert_eq!(names(&["--precision", "f32"]), ["large"]);
        assert_eq!(names(&["--level", "nano"]), ["nano", "nano"]);
    }
    let huge = flags(&["--level", "huge"]);
    let error = huge.entries(&manifest, |_| true).unwrap_err();
    assert!(error.contains("no student huge in it, only "), "{error}");
}

#[test]
fn one_student_has_no_levels_to_choose_from() {
    for flags in [&["--level", "large"][..], &["--choose"]] {
        let line = [&["bench", "--model", "x.onnx"][..], flags].concat();
        let error = <Flags as clap::Parser>::try_parse_from(line).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_the_flags_is_told() {
    let error = |line: &[&str]| {
        <Flags as clap::Parser>::try_parse_from(line)
            .unwrap_err()
            .to_string()
    };
    let told = error(&["bench"]);
    assert!(
        told.contains("--model") && told.contains("--bundle"),
        "{told}"
    );
    let told = error(&["bench", "--bundle", "x.hone", "--threads", "100000"]);
    assert!(told.contains("256"), "{told}");
    error(&["bench", "--bundle", "x.hone", "--model", "x.onnx"]);
}

#[test]
fn sizes_are_parsed() {
    assert_eq!(size("640x360"), Ok((640, 360)));
    for bad in ["640", "0x5", "x", "99999x2", "1920x1080x3"] {
        assert!(size(bad).is_err(), "{bad}");
    }
}
