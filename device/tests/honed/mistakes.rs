//! What is wrong is said in one sentence, and nothing is left behind.

use super::{honed, names, refused, run};

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.mp4"), "no video at all").unwrap();
    std::fs::write(folder.path().join("words.hone"), "no bundle at all").unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    std::fs::write(pictures.join("a.jpg"), [0xff, 0xd8, 0xff, 0xd9]).unwrap();
    std::fs::write(pictures.join("b.png"), "").unwrap();
    let cases: [(&[&str], &[&str]); 10] = [
        (
            &["--source", "images:pictures", "--sink", "null"],
            &["b.png", "keep one type"],
        ),
        (
            &["--source", "test", "--sink", "a.mkv", "--sink", "./a.mkv"],
            &["a.mkv", "two sinks write it"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=9",
                "--every-frame",
                "--sink",
                "gst:filesink location=/dev/full",
            ],
            &["No space left"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=9 ! video/x-raw,width=65,height=48",
                "--every-frame",
                "--sink",
                "odd.mp4",
            ],
            &["odd.mp4", "even sides", "65x48"],
        ),
        (
            &["--source", "none.mp4", "--sink", "null"],
            &["none.mp4", "No such file"],
        ),
        (
            &["--source", "v4l2:/dev/video99", "--sink", "null"],
            &["/dev/video99", "honed sources"],
        ),
        (&["--source", "words.mp4", "--sink", "null"], &["words.mp4"]),
        (
            &["--source", "test", "--sink", "words.mp4/out.mp4"],
            &["words.mp4/out.mp4", "words.mp4 is no folder"],
        ),
        (
            &["--source", "gst:nvarguscamerasrc", "--sink", "null"],
            &["nvarguscamerasrc", "install nvidia-l4t-gstreamer"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=0",
                "--sink",
                "x.mp4",
            ],
            &["holds no picture"],
        ),
    ];
    for (arguments, words) in cases {
        refused(&run(folder.path(), arguments), words);
    }
    let arguments = [
        "run",
        "--bundle",
        "words.hone",
        "--source",
        "test",
        "--sink",
        "null",
    ];
    refused(&honed(folder.path(), &arguments), &["words.hone"]);
    assert_eq!(
        names(folder.path()),
        ["pictures", "words.hone", "words.mp4"]
    );
}

#[test]
fn the_printed_configuration_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = |arguments: &[&str]| honed(folder.path(), &[&["config"], arguments].concat());
    let printed = config(&["--print-default"]).stdout;
    std::fs::write(folder.path().join("honed.toml"), &printed).unwrap();
    assert!(config(&["--check", "honed.toml"]).status.success());
    let wrong = String::from_utf8(printed)
        .unwrap()
        .replace("split = 0.0", "split = 7.0");
    std::fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    refused(
        &config(&["--check", "wrong.toml"]),
        &["wrong.toml", "student.split is 7"],
    );
}
