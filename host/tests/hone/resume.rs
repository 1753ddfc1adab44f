//! The real binary, killed without warning and resumed, ends with the bits of an uninterrupted run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hone_host::train::checkpoint::Checkpoint;

use super::{command, toy};

/// Five epochs of six updates, with an average of the weights and two workers.
fn recipe() -> String {
    let training = "[training]\nema = 0.9\nworkers = 2\n";
    toy::recipe("killed", 4, 6, training).replace("epochs = 1", "epochs = 5")
}

fn distill(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut hone = command(folder);
    hone.args(["distill", "r.toml", "--device", "cpu", "--out", out])
        .args(more)
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    hone
}

#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.toml"), recipe()).unwrap();
    assert!(
        distill(folder.path(), "whole", &[])
            .status()
            .unwrap()
            .success()
    );

    let mut child = distill(folder.path(), "parts", &[]).spawn().unwrap();
    let first = folder.path().join("parts/last.safetensors");
    let patience = Instant::now() + Duration::from_secs(120);
    while !first.exists() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert!(
        !child.wait().unwrap().success(),
        "the run ended before it was killed"
    );
    let again = distill(folder.path(), "parts", &["--resume"])
        .status()
        .unwrap();
    assert!(again.success());

    for file in ["last.safetensors", "best.safetensors"] {
        let read = |out: &str| Checkpoint::read(&folder.path().join(out).join(file)).unwrap();
        let (whole, parts) = (read("whole"), read("parts"));
        assert!(!whole.tensors.is_empty());
        assert_eq!(whole.tensors.len(), parts.tensors.len());
        for (name, tensor) in &whole.tensors {
            assert_eq!(tensor, parts.get(name).unwrap(), "{file}: {name}");
        }
    }
}

#[test]
fn a_run_is_trained_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), recipe()).unwrap();
    let refusal = |out: &str, more: &[&str]| {
        let output = distill(at, out, more).stderr(Stdio::piped()).output();
        let output = output.unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };

    let mut child = distill(at, "one", &[]).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while !at.join("one/run.json").exists() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Stopped, it lives for as long as the others need.
    let stop = ["-STOP", &child.id().to_string()];
    assert!(Command::new("kill").args(stop).status().unwrap().success());
    let refusals = [refusal("one", &[]), refusal("one", &["--resume"])];
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ended, None, "the run ended before it was stopped");
    for (success, error) in refusals {
        assert!(
            !success && error.contains("one is being trained by another process"),
            "{error}"
        );
    }
    let one = std::fs::File::open(at.join("one")).unwrap();
    one.try_lock()
        .expect("a killed process lets go of its folder");

    // Before it has written a file, too.
    std::fs::create_dir(at.join("two")).unwrap();
    let two = std::fs::File::open(at.join("two")).unwrap();
    two.lock().unwrap();
    let (success, error) = refusal("two", &[]);
    assert!(!success && error.contains("another process"), "{error}");
    assert_eq!(std::fs::read_dir(at.join("two")).unwrap().count(), 0);
}
