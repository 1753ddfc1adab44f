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
    let own = out.join("recipe.toml");
    std::fs::write(&own, &other).unwrap();
    assert!(error(train(&out, &other, true, None)).contains("was changed after the run began"));
    std::fs::write(&own, RECIPE).unwrap();
    assert!(format!("{:#}", run::open(&out).err().unwrap()).contains("no weights yet"));
    let last = out.join("last.safetensors");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error(train(&out, RECIPE, true, None)).contains("damaged"));
}

#[test]
fn a_run_takes_the_place_of_no_file_of_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let own = out.join("recipe.toml");
    std::fs::write(&own, "# mine\n").unwrap();
    let error = train(out, RECIPE, false, None).unwrap_err().to_string();
    assert!(
        error.contains("would overwrite recipe.toml there"),
        "{error}"
    );
    assert_eq!(std::fs::read(&own).unwrap(), b"# mine\n");
    // The recipe itself may lie there.
    std::fs::write(&own, RECIPE).unwrap();
    std::fs::write(out.join("best.safetensors"), "").unwrap();
    let error = train(out, RECIPE, false, None).unwrap_err().to_string();
    assert!(error.contains("overwrite best.safetensors"), "{error}");
    std::fs::remove_file(out.join("best.safetensors")).unwrap();
    train(out, RECIPE, false, Some(1)).unwrap();
}

#[test]
fn a_run_killed_before_its_first_checkpoint_is_started_again_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let prepare = |recipe: &str| {
        let text = text(recipe);
        let inputs = RunInputs::new(RunKind::Student, &text, None);
        RunFolder::prepare(&out, &text, &inputs, false)
    };
    drop(prepare(RECIPE).unwrap());
    std::fs::write(out.join("log.jsonl"), "").unwrap();
    // The best weights of an epoch are saved before the state at its end.
    std::fs::write(out.join("best.safetensors"), "").unwrap();
    let error = train(&out, RECIPE, true, None).unwrap_err().to_string();
    assert!(error.contains("leave --resume away"), "{error}");
    let error = prepare(&RECIPE.replace("4e-3", "5e-3")).unwrap_err();
    assert!(error.to_string().contains("another recipe"), "{error}");
    train(&out, RECIPE, false, Some(3)).unwrap();
    assert!(!out.join("best.safetensors").exists());
    let error = train(&out, RECIPE, false, None).unwrap_err().to_string();
    assert!(error.contains("holds a run already"), "{error}");
    // A trained one that has lost its state keeps its weights.
    train(&out, RECIPE, true, None).unwrap();
    std::fs::remove_file(out.join("last.safetensors")).unwrap();
    for resume in [false, true] {
        let error = train(&out, RECIPE, resume, None).unwrap_err().to_string();
        assert!(error.contains("choose another --out"), "{error}");
    }
    assert!(out.join("best.safetensors").exists());
}

#[test]
fn a_recipe_keeps_the_folder_of_its_paths() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other, out) = (
        folder.path().join("one"),
        folder.path().join("other"),
        folder.path().join("run"),
    );
    let recipe = |at: &Path| {
        std::fs::create_dir(at).unwrap();
        std::fs::write(at.join("r.toml"), RECIPE).unwrap();
        run::read_recipe(&at.join("r.toml")).unwrap()
    };
    let prepare = |text: &RecipeText, resume: bool| {
        let inputs = RunInputs::new(RunKind::Student, text, None);
        RunFolder::prepare(&out, text, &inputs, resume).map(drop)
    };
    let (one_text, other_text) = (recipe(&one), recipe(&other));
    prepare(&one_text, false).unwrap();
    std::fs::write(out.join("last.safetensors"), "").unwrap();
    let error = prepare(&other_text, true).unwrap_err().to_string();
    assert!(error.contains("lead to other files"), "{error}");
    let kept = run::read_recipe(&out.join("recipe.toml")).unwrap();
    assert_eq!(kept.base, one_text.base);
    prepare(&kept, true).unwrap();
    // The project was moved.
    std::fs::remove_dir_all(&one).unwrap();
    prepare(&other_text, true).unwrap();
}

#[test]
fn a_run_goes_on_with_its_own_pictures_and_weights_only() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let text = text(RECIPE);
    let prepare = |pictures: Option<&str>, weights: &[&str], resume: bool| {
        let inputs = RunInputs {
            pictures: pictures.map(str::to_owned),
            loss_weights: weights.iter().map(|&hash| hash.to_owned()).collect(),
            ..RunInputs::new(RunKind::Student, &text, None)
        };
        RunFolder::prepare(&out, &text, &inputs, resume).map(drop)
    };
    prepare(Some("a"), &["v"], false).unwrap();
    std::fs::write(out.join("last.safetensors"), "").unwrap();
    prepare(Some("a"), &["v"], true).unwrap();
    for (pictures, weights, words) in [("b", "v", "other pictures"), ("a", "w", "other weights")] {
        let error = prepare(Some(pictures), &[weights], true).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    // One of an earlier version.
    std::fs::remove_file(out.join("last.safetensors")).unwrap();
    prepare(None, &[], false).unwrap();
    std::fs::write(out.join("last.safetensors"), "").unwrap();
    assert!(
        !std::fs::read_to_string(out.join("run.json"))
            .unwrap()
            .contains("pictures")
    );
    prepare(Some("b"), &["w"], true).unwrap();
}

#[test]
fn a_run_that_was_moved_opens_with_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, RECIPE, false, None).unwrap();
    let file = out.join("run.json");
    let inputs = std::fs::read_to_string(&file).unwrap();
    let moved = inputs.replace("\"base\": \"/\"", "\"base\": \"/gone/elsewhere\"");
    assert_ne!(inputs, moved);
    std::fs::write(&file, moved).unwrap();
    let base = run::open(&out).unwrap().text.base;
    assert_eq!(base, out.canonicalize().unwrap());
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
