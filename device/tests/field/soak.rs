//! Long tests of `honed`: `make soak`. `HONE_SOAK_MINUTES` shortens or lengthens the first.

use std::time::{Duration, Instant};

use super::honed::{Honed, PATIENCE, Viewer, free_port, until};

/// Growth of resident memory that is taken for flat.
const FLAT_KIB: u64 = 2048;

fn minutes() -> u64 {
    std::env::var("HONE_SOAK_MINUTES")
        .map(|text| text.parse().unwrap())
        .unwrap_or(30)
}

/// The number behind `name` in a status line.
fn number(line: &str, name: &str) -> f64 {
    let rest = line.split(name).nth(1).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "half an hour: make soak"]
fn memory_stays_flat_and_frames_stay_young() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let arguments = [
        "--source",
        "test",
        "--size",
        "640x480",
        "--fps",
        "30",
        "--status",
        "10",
        "--sink",
        "null",
        "--sink",
        "record:clips,segment=10,quota=1",
        "--sink",
        &address,
    ];
    let honed = Honed::start(folder.path(), &arguments);
    honed.wait_for(1, "live");
    // Threads of the start are gone by then; those of encoders have not come.
    std::thread::sleep(Duration::from_secs(2));
    let alone = honed.threads();
    // Viewers come and go all the while. Each brings an encoder, so memory is what is left without one.
    let mut memory = Vec::new();
    let end = Instant::now() + Duration::from_secs(60 * minutes());
    while Instant::now() < end {
        let viewer = Viewer::new(&format!(
            "rtspsrc location={address} protocols=tcp latency=0 ! application/x-rtp,media=video"
        ));
        for _ in 0..100 {
            assert!(viewer.frame().is_some(), "{:#?}", honed.log());
        }
        drop(viewer);
        until("the encoder's end", || honed.threads() <= alone);
        std::thread::sleep(Duration::from_secs(5));
        memory.push(honed.resident() as f64);
    }
    let log = honed.log();
    let status: Vec<&String> = log.iter().filter(|l| l.starts_with("status: ")).collect();
    let age: Vec<f64> = status.iter().map(|line| number(line, "age p50 ")).collect();
    // The first fifth is for buffers, caches and the allocator to settle.
    let ends = |values: &[f64]| {
        let values = &values[values.len() / 5..];
        let part = (values.len() / 4).max(1);
        let median = |part: &[f64]| {
            let mut sorted = part.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        (
            median(&values[..part]),
            median(&values[values.len() - part..]),
        )
    };
    let ((m0, m1), (a0, a1)) = (ends(&memory), ends(&age));
    println!(
        "{} minutes: resident {m0} -> {m1} KiB, age p50 {a0} -> {a1} ms",
        minutes()
    );
    println!("{}", honed.stop());
    assert!(m1 < m0 + FLAT_KIB as f64, "memory grew: {memory:?}");
    assert!(a1 < 1.5 * a0 + 5.0, "frames grew older: {age:?}");
}

#[test]
#[ignore = "minutes: make soak"]
fn a_network_camera_that_dies_fifty_times_is_there_again_fifty_times() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let camera = || {
        let arguments = [
            "--source", "test", "--size", "96x64", "--fps", "30", "--sink", &address,
        ];
        let camera = Honed::start(folder.path(), &arguments);
        camera.wait_for(1, "live");
        camera
    };
    let first = camera();
    let arguments = ["--source", &address, "--stall", "20", "--sink", "null"];
    let honed = Honed::start(folder.path(), &arguments);
    honed.wait_for(1, "live");
    first.kill();
    let mut settled = 0;
    for time in 1..=50 {
        let next = camera();
        honed.wait_for(time + 1, "live");
        if time == 10 {
            settled = honed.resident();
        }
        next.kill();
    }
    let grown = honed.resident().saturating_sub(settled);
    println!("fifty outages: {grown} KiB more than after ten");
    let report = honed.stop();
    assert!(report["reconnects"].as_u64().unwrap() >= 50, "{report}");
    assert!(grown < 4 * FLAT_KIB, "{grown} KiB more");
}

#[test]
#[ignore = "half a minute: make soak"]
fn a_network_camera_that_is_away_for_twenty_seconds_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let arguments = [
        "--source", "test", "--size", "96x64", "--fps", "30", "--sink", &address,
    ];
    let camera = Honed::start(folder.path(), &arguments);
    camera.wait_for(1, "live");
    let honed = Honed::start(
        folder.path(),
        &["--source", &address, "--stall", "20", "--sink", "null"],
    );
    honed.wait_for(1, "live");
    camera.kill();
    std::thread::sleep(Duration::from_secs(20));
    let back = Instant::now();
    let _camera = Honed::start(folder.path(), &arguments);
    honed.wait_for(2, "live");
    println!(
        "back {:.1} s after the camera",
        back.elapsed().as_secs_f64()
    );
    assert!(back.elapsed() < PATIENCE);
    let report = honed.stop();
    assert!(report["slates"].as_u64().unwrap() > 100, "{report}");
}
