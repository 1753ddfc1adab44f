//! What a run leaves behind.

use super::*;

#[test]
fn folders_of_other_runs_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let error = |result: Result<Outcome>| format!("{:#}", result.unwrap_err());
    assert!(error(train(&out, RECIPE, true, None)).contains("no run to resume"));
    assert!(train(&out, RECIPE, false, Some(3)).unwrap().interrupted);
    assert!(error(train(&out, RECIPE, false, None)).contains("--resume"));
    let other = RECIPE.replace("4e-3", "5e-3");
    assert!(error(train(&out, &other, true, None)).contains("another recipe"));
    assert!(format!("{:#}", run::open(&out).err().unwrap()).contains("no weights yet"));
    let last = out.join("last.safetensors");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error(train(&out, RECIPE, true, None)).contains("damaged"));
}

#[test]
fn a_training_without_progress_stops_early_and_leaves_its_logs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE
        .replace("4e-3", "1e-30")
        .replace("epochs = 2, steps = 6", "epochs = 9, steps = 1")
        .replace(
            "accumulate = 2",
            "early_stopping = 2, checkpoint_every = 2, samples_every = 3",
        )
        .replace(
            "kind = \"cosine\", warmup = 3",
            "kind = \"plateau\", patience = 0",
        );
    let outcome = train(&out, &recipe, false, None).unwrap();
    assert_eq!((outcome.epochs, outcome.best.unwrap().0), (3, 1));
    for file in [
        "epoch-0002.safetensors",
        "samples/epoch-0003.png",
        "curves.svg",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    let rates: Vec<f64> = log::read(&out.join("log.jsonl"))
        .unwrap()
        .iter()
        .map(|l| l.learning_rate)
        .collect();
    assert_eq!(rates[0], rates[1]);
    assert!((rates[2] / rates[1] - 0.1).abs() < 1e-9, "{rates:?}");
    let table = std::fs::read_to_string(out.join("log.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(
        table.starts_with("epoch,step,seconds,best,loss/total,loss/l1,"),
        "{table}"
    );
    assert_eq!(
        std::fs::read_dir(out.join("tensorboard")).unwrap().count(),
        1
    );
}
