//! What a person names by a flag is done as named, or what is wrong with it is said.

use super::{honed, refused, said};

/// A configuration with `rest`, whose slots are in the folder.
fn configure(folder: &std::path::Path, rest: &str) {
    let slots = folder.join("slots");
    let text = format!("slots.folder = '{}'\n{rest}\n", slots.display());
    std::fs::write(folder.join("c.toml"), text).unwrap();
}

#[test]
fn nothing_stands_in_for_a_student_that_a_flag_names_or_a_film_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let camera = "gst:videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48";
    configure(
        at,
        &format!("source.name = '{camera}'\noutput.sinks = ['null']"),
    );
    let run = |flags: &[&str]| honed(at, &[&["run", "--config", "c.toml"], flags].concat());
    refused(&run(&["--bundle", "typo.hone"]), &["typo.hone"]);
    let output = run(&["--level", "tiny"]);
    let error = said(&output);
    assert!(
        !output.status.success() && error.contains("tiny"),
        "{error}"
    );
    configure(
        at,
        &format!("source.name = '{camera}'\noutput.sinks = ['null']\nstudent.bundle = 'typo.hone'"),
    );
    // A camera's service goes on.
    let output = run(&["--every-frame"]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::write(at.join("a.png"), b"").unwrap();
    refused(&run(&["--source", "images:."]), &["a.png"]);
    super::launch(&format!(
        "videotestsrc num-buffers=1 ! video/x-raw,width=64,height=48 ! pngenc ! filesink location={}",
        at.join("a.png").display()
    ));
    refused(&run(&["--source", "images:."]), &["typo.hone"]);
}

#[test]
fn a_flag_takes_back_what_the_configuration_switches_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let camera = "gst:videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48";
    configure(
        at,
        &format!("source.name = '{camera}'\noutput.sinks = ['null']\nstudent.bypass = true"),
    );
    let model = super::student("luma");
    let model = model.to_str().unwrap();
    for (flag, sharpened) in [("--bypass=false", 3), ("--bypass", 0), ("--bypass=true", 0)] {
        let arguments = [
            "run",
            "--config",
            "c.toml",
            "--model",
            model,
            "--every-frame",
            "--json",
            flag,
        ];
        let report = super::report(&honed(at, &arguments));
        assert_eq!(report["sharpened"], sharpened, "{flag}: {report}");
    }
}

#[test]
fn a_look_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let none = at.join("none");
    let none = none.to_str().unwrap();
    for arguments in [
        &["status", "--folder", none][..],
        &["token", "list", "--folder", none],
        &["rollback", "--folder", none],
    ] {
        let told = said(&honed(at, arguments));
        assert!(told.contains("there is no folder"), "{arguments:?}: {told}");
    }
    let source = "gst:videotestsrc num-buffers=1 ! video/x-raw,width=64,height=48";
    std::fs::write(
        at.join("c.toml"),
        format!("slots.folder = '{none}'\nsource.name = '{source}'\noutput.sinks = ['null']"),
    )
    .unwrap();
    let output = honed(at, &["run", "--config", "c.toml", "--every-frame"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(super::names(at), ["c.toml"]);
}
