//! `hone sweep` and `hone prune` as a user drives them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::{command, fails, toy, works};

#[test]
fn a_grid_is_trained_by_shards_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    let sweep = "sweep r.toml --grid student.channels=4,8 --grid seed=1,2 --out s --json";
    let count = |text: &str| {
        let rows: serde_json::Value = serde_json::from_str(text).unwrap();
        rows.as_array().unwrap().len()
    };
    assert_eq!(count(&works(at, &format!("{sweep} --shard 2/2"))), 2);
    let before = std::fs::metadata(at.join("s/002/log.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    let all = works(at, sweep);
    assert_eq!(count(&all), 4);
    let rows: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(rows[2]["settings"][0], "student.channels=8");
    assert!(rows[3]["best"][1]["psnr"].as_f64().unwrap() > 10.0);
    // What is finished is left alone.
    let after = std::fs::metadata(at.join("s/002/log.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    let table = std::fs::read_to_string(at.join("s/sweep.csv")).unwrap();
    assert_eq!(table.lines().count(), 5);
    let error = fails(at, "sweep r.toml --grid seed=1,2 --out s");
    assert!(error.contains("another sweep"), "{error}");
    let error = fails(at, &format!("{sweep} --set optimizer.learning_rate=1e-4"));
    assert!(error.contains("another recipe"), "{error}");
    // A finished run that has lost its state keeps its weights.
    std::fs::remove_file(at.join("s/002/last.safetensors")).unwrap();
    let error = fails(at, sweep);
    assert!(error.contains("started again"), "{error}");
    assert!(at.join("s/002/best.safetensors").exists());
    // Killed before its first checkpoint: there is nothing to go on from, so it starts again.
    std::fs::remove_file(at.join("s/002/curves.svg")).unwrap();
    std::fs::write(at.join("s/002/log.jsonl"), "cut off").unwrap();
    assert_eq!(count(&works(at, sweep)), 4);
    let log = std::fs::read_to_string(at.join("s/002/log.jsonl")).unwrap();
    assert!(!log.contains("cut off"), "{log}");
    let held = std::fs::File::open(at.join("s/003")).unwrap();
    held.lock().unwrap();
    std::fs::remove_file(at.join("s/003/last.safetensors")).unwrap();
    let error = fails(at, sweep);
    assert!(error.contains("another process"), "{error}");
    assert!(at.join("s/003/run.json").exists());
    // The same sweep started twice by mistake: the second trains nothing beside the first.
    let out = at.join("twice/001");
    std::fs::create_dir_all(&out).unwrap();
    let held = std::fs::File::open(&out).unwrap();
    held.lock().unwrap();
    let error = fails(at, "sweep r.toml --grid seed=1,2 --out twice");
    assert!(error.contains("another --shard"), "{error}");
    assert!(!at.join("twice/002").exists());
    for set in ["seed=3", "student={}", "student.channels=4"] {
        let key = set.split(['.', '=']).next().unwrap();
        let grid = format!("sweep r.toml --grid {key}=1 --set {set} --out t");
        let error = fails(at, &grid);
        assert!(error.contains("--set and --grid both"), "{error}");
    }
}

#[test]
fn a_sweep_checks_every_combination_first_and_sums_up_after_each_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    for (grid, key) in [
        ("student.channels=4,-8", "student.channels=-8"),
        ("data.jitter=0,7", "data.jitter=7"),
    ] {
        let error = fails(at, &format!("sweep r.toml --grid {grid} --out s"));
        assert!(error.contains(key), "{error}");
        assert!(!at.join("s").exists(), "{grid}: a run was begun");
    }
    // The second run finds a file where its folder should be.
    std::fs::create_dir(at.join("s")).unwrap();
    std::fs::write(at.join("s/002"), "").unwrap();
    fails(at, "sweep r.toml --grid seed=1,2 --out s");
    let table = std::fs::read_to_string(at.join("s/sweep.csv")).unwrap();
    assert_eq!(table.lines().count(), 2, "{table}");
}

#[test]
fn a_run_of_a_sweep_that_diverges_keeps_no_other_from_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    let error = fails(at, "sweep r.toml --grid loss.0.weight=1e39,1.0 --out s");
    assert!(error.contains("1 of the runs failed"), "{error}");
    assert!(error.contains("001 (loss.0.weight="), "{error}");
    let table = std::fs::read_to_string(at.join("s/sweep.csv")).unwrap();
    assert!(
        table.contains("002,") && table.contains(",true,"),
        "{table}"
    );
}

#[test]
fn a_student_is_pruned_trained_on_and_exported_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    works(at, "distill r.toml --out wide");
    let pruned = works(at, "prune wide --keep 0.5 --out narrow --json");
    let pruned: serde_json::Value = serde_json::from_str(&pruned).unwrap();
    assert_eq!(pruned["after"], serde_json::json!([4, 4]));
    let size = |run: &str| {
        works(at, &format!("export {run} --out {run}.onnx"));
        let file = std::fs::metadata(at.join(format!("{run}.onnx")));
        file.unwrap().len()
    };
    assert!(size("narrow") < size("wide"));
    let error = fails(
        at,
        "prune wide --keep 0.5 --out no --set student.channels=16",
    );
    assert!(error.contains("--set student.channels"), "{error}");
    let error = fails(at, "prune wide --keep 1.5 --out no");
    assert!(error.contains("at most 1"), "{error}");
    assert!(!at.join("no").exists());
    let error = fails(at, "prune wide --keep 0.5 --out wide");
    assert!(error.contains("wide holds a run already"), "{error}");
    assert!(!at.join("wide/start").exists());
}

#[test]
fn shards_started_at_once_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    let sweep = "sweep r.toml --grid seed=1,2,3,4 --out s";
    std::thread::scope(|shards| {
        for number in 1..=4 {
            shards.spawn(move || works(at, &format!("{sweep} --shard {number}/4")));
        }
    });
    let table = std::fs::read_to_string(at.join("s/sweep.csv")).unwrap();
    assert_eq!(table.matches(",true,").count(), 4, "{table}");
}

#[test]
fn a_prune_writes_nothing_into_a_folder_that_it_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    works(at, "distill r.toml --out wide");
    std::fs::create_dir(at.join("busy")).unwrap();
    let held = std::fs::File::open(at.join("busy")).unwrap();
    held.lock().unwrap();
    let error = fails(at, "prune wide --keep 0.5 --out busy");
    assert!(error.contains("another process"), "{error}");
    assert_eq!(std::fs::read_dir(at.join("busy")).unwrap().count(), 0);
    let error = fails(at, "prune wide --keep 0.5 --out nothere --resume");
    assert!(error.contains("no run to resume"), "{error}");
    assert!(!at.join("nothere").exists());

    works(at, "prune wide --keep 0.5 --out narrow");
    let start = || std::fs::read(at.join("narrow/start/best.safetensors")).unwrap();
    let before = start();
    // As in the first epoch.
    std::fs::remove_file(at.join("narrow/last.safetensors")).unwrap();
    fails(
        at,
        "prune wide --keep 0.25 --multiple 1 --out narrow --resume",
    );
    assert!(start() == before);
}

#[test]
fn a_sweep_says_that_it_waits_and_ctrl_c_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), toy::recipe("s", 4, 3, "")).unwrap();
    std::fs::create_dir(at.join("s")).unwrap();
    let held = std::fs::File::open(at.join("s")).unwrap();
    held.lock().unwrap();
    let sweep = "sweep r.toml --grid seed=1,2 --out s";
    let mut waiting = command(at)
        .args(sweep.split(' '))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(waiting.stderr.take().unwrap());
    let mut said = said.lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("waiting for another process that holds s")));
    let pid = waiting.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    assert!(said.any(|line| line.contains("stopped while another process held s")));
    assert_eq!(waiting.wait().unwrap().code(), Some(130));
    std::fs::write(at.join("s/run.json"), "{}").unwrap();
    let error = fails(at, sweep);
    assert!(error.contains("s is a run, not a sweep"), "{error}");
}
