//! Outputs of many files in a folder: the segments of recordings, and playlists.

use std::time::{Duration, Instant};

use super::outputs::{SMALL, count};
use super::running::Running;
use super::{names, run, said};

#[test]
fn a_quota_holds_however_short_the_runs_are() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("clips/1700000000000-00000.mkv");
    std::fs::create_dir(folder.path().join("clips")).unwrap();
    let file = std::fs::File::create(&old).unwrap();
    // A hole: it takes no space.
    file.set_len(2 << 30).unwrap();
    let source = format!("gst:videotestsrc num-buffers=5 ! {SMALL},framerate=10/1");
    let sink = "record:clips,quota=1";
    count(folder.path(), &["--source", &source, "--sink", sink]);
    assert!(!old.exists());
    assert_eq!(names(&folder.path().join("clips")).len(), 1);
}

#[test]
fn no_segment_takes_the_whole_quota() {
    let folder = tempfile::tempdir().unwrap();
    let clips = folder.path().join("clips");
    let source = format!("gst:videotestsrc is-live=true ! {SMALL},framerate=100/1");
    let sink = "record:clips,segment=86400,quota=1";
    let honed = Running::start(folder.path(), &["--source", &source, "--sink", sink]);
    let start = Instant::now();
    let wait_for = |number: usize| loop {
        let entries = std::fs::read_dir(&clips).into_iter().flatten();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let name = format!("-0000{number}.mkv");
        if let Some(path) = paths.find(|path| path.to_string_lossy().ends_with(&name)) {
            break path;
        }
        let patient = start.elapsed() < Duration::from_secs(120);
        assert!(patient, "no {name}: {:#?}", honed.log());
        std::thread::sleep(Duration::from_millis(20));
    };
    let first = std::fs::File::options().write(true).open(wait_for(0));
    // A hole: it takes no space.
    first.unwrap().set_len(200 << 20).unwrap();
    wait_for(1);
}

#[test]
fn a_stream_that_is_started_again_goes_on_in_its_playlist() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("gst:videotestsrc num-buffers=5 ! {SMALL},framerate=10/1");
    let playlist = || {
        count(folder.path(), &["--source", &source, "--sink", "hls:www"]);
        std::fs::read_to_string(folder.path().join("www/live.m3u8")).unwrap()
    };
    let (first, second) = (playlist(), playlist());
    for (text, number, breaks) in [(first, 0, 0), (second, 1, 1)] {
        let want = [
            format!("#EXT-X-MEDIA-SEQUENCE:{number}\n"),
            format!("live0000{number}.ts\n"),
            "#EXT-X-ENDLIST\n".into(),
        ];
        assert!(want.iter().all(|line| text.contains(line)), "{text}");
        let told = text.matches("#EXT-X-DISCONTINUITY\n").count();
        assert_eq!(told, breaks, "{text}");
    }
    let left = names(&folder.path().join("www"));
    assert_eq!(left, ["live.m3u8", "live00000.ts", "live00001.ts"]);
}

#[test]
fn an_old_segment_that_stays_is_no_reason_not_to_record() {
    let folder = tempfile::tempdir().unwrap();
    // Root too cannot delete it as a file.
    let stuck = folder.path().join("clips/1700000000000-00000.mkv");
    std::fs::create_dir_all(&stuck).unwrap();
    let large = std::fs::File::create(folder.path().join("clips/1700000000000-00001.mkv")).unwrap();
    large.set_len(2 << 30).unwrap();
    let source = format!("gst:videotestsrc num-buffers=5 ! {SMALL},framerate=10/1");
    let sink = "record:clips,quota=1";
    let output = run(folder.path(), &["--source", &source, "--sink", sink]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    let note = format!("note: {sink}: old segments cannot be deleted");
    assert!(told.contains(&note), "{told}");
    assert_eq!(told.matches("old segments").count(), 1, "{told}");
    let left = names(&folder.path().join("clips"));
    assert!(
        left.len() == 2 && left[0] == "1700000000000-00000.mkv",
        "{left:?}"
    );
}

#[test]
fn a_playlist_that_viewers_do_not_see_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("www/live.m3u8")).unwrap();
    let source = format!("gst:videotestsrc num-buffers=5 ! {SMALL},framerate=10/1");
    let output = run(folder.path(), &["--source", &source, "--sink", "hls:www"]);
    let error = said(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot write www/live.m3u8"), "{error}");
}
