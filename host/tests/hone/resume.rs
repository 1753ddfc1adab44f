//! The real binary, killed without warning and resumed, ends with the bits of an uninterrupted run.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
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

#[test]
fn a_reader_of_its_progress_that_leaves_costs_a_training_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), recipe()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = distill(at, "run", &[]).stderr(writer).status().unwrap();
    assert!(status.success());
    let log = std::fs::read_to_string(at.join("run/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 5);
    assert!(at.join("run/curves.svg").exists());
}

/// A training that treats SIGHUP as `signal` says, and what it says after it has begun.
fn begun(folder: &Path, signal: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new("env")
        .args([signal, env!("CARGO_BIN_EXE_hone"), "distill", "r.toml"])
        .args(["--device", "cpu", "--out", "run"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = lines.any(|line| line.unwrap().contains("untouched input"));
    assert!(begun, "{:?}", child.wait());
    (child, lines)
}

fn hang_up(child: &Child) {
    let sent = ["-HUP", &child.id().to_string()];
    assert!(Command::new("kill").args(sent).status().unwrap().success());
}

#[test]
fn a_training_whose_terminal_closes_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("hup", 4, 1_000_000, "")).unwrap();
    let (mut child, lines) = begun(at, "--default-signal=HUP");
    // The shell may tell of it after the system.
    hang_up(&child);
    hang_up(&child);
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(129), "{said:?}");
    let says = |words: &str| said.iter().any(|line| line.contains(words));
    assert!(says("stopped in epoch 1"), "{said:?}");
    assert!(at.join("run/last.safetensors").exists());
}

#[test]
fn a_training_under_nohup_does_not_hear_of_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), recipe()).unwrap();
    let (mut child, lines) = begun(at, "--ignore-signal=HUP");
    hang_up(&child);
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
}
