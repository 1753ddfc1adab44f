//! Two runs that write to one place: the second is refused, and the first loses nothing.

use super::running::Running;
use super::{names, refused, run, said};

const LIVE: &str = "gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=10/1";
const FILM: &str = "gst:videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48";

#[test]
fn a_second_run_spares_what_the_first_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = ["k.mkv", "raw:k.raw", "frames:f", "hls:www", "record:clips"];
    let mut arguments = vec!["--source", LIVE];
    for sink in sinks {
        arguments.extend(["--sink", sink]);
    }
    let mut first = Running::start(folder.path(), &arguments);
    first.wait_for("live");
    // Segments have names of their own: recorders share a folder.
    let alone = sinks.iter().filter(|sink| !sink.starts_with("record:"));
    for sink in alone {
        for source in [
            &["--source", LIVE][..],
            &["--source", FILM, "--every-frame"],
        ] {
            let second = [source, &["--sink", sink, "--frames", "3"]].concat();
            let second = run(folder.path(), &second);
            refused(&second, &["another honed writes it"]);
        }
    }
    first.signal(&["INT"]);
    assert_eq!(first.end(), Some(0), "{:?}", first.log());
    let left = names(folder.path());
    assert_eq!(left, ["clips", "f", "k.mkv", "k.raw", "www"]);
    assert!(folder.path().join("f/000000.png").exists());
    // The place is free when the first one has gone.
    let sinks = ["--sink", "k.mkv", "--sink", "record:clips"];
    let again = [&["--source", FILM, "--every-frame"][..], &sinks].concat();
    let again = run(folder.path(), &again);
    assert!(again.status.success(), "{}", said(&again));
    let clips = names(&folder.path().join("clips"));
    let segments = clips.iter().filter(|clip| clip.ends_with(".mkv"));
    assert_eq!((segments.count(), clips.len()), (2, 2), "{clips:?}");
}
