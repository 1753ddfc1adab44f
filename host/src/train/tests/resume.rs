//! Trainings that go on where they stopped.

use super::*;

#[test]
fn a_stopped_and_resumed_training_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let outcome = train(&whole, RECIPE, false, None).unwrap();
    assert!(!outcome.interrupted && outcome.epochs == 4);
    // Stops inside the first epoch, inside a later one, and in the second stage.
    assert!(train(&parts, RECIPE, false, Some(4)).unwrap().interrupted);
    assert!(train(&parts, RECIPE, true, Some(11)).unwrap().interrupted);
    assert!(train(&parts, RECIPE, true, Some(10)).unwrap().interrupted);
    let resumed = train(&parts, RECIPE, true, None).unwrap();
    assert_eq!((resumed.best, resumed.epochs), (outcome.best, 4));
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
    let lines = |out: &Path| log::read(&out.join("log.jsonl")).unwrap();
    let losses = |out: &Path| {
        lines(out)
            .into_iter()
            .map(|l| (l.epoch, l.loss))
            .collect::<Vec<_>>()
    };
    assert_eq!(losses(&whole), losses(&parts));
}

#[test]
fn data_that_fail_cost_no_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&whole, RECIPE, false, None).unwrap();
    let fails_at = |batch| Trouble {
        fails_at: Some(batch),
        ..Trouble::default()
    };
    // The second batch of the fifth step, and of the ninth; six make an epoch.
    for (batch, place) in [(9, "epoch 1, step 4"), (17, "epoch 2, step 2")] {
        let error = train_through(&parts, RECIPE, batch > 9, fails_at(batch)).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains(place) && error.contains("the disk is gone"),
            "{error}"
        );
    }
    train(&parts, RECIPE, true, None).unwrap();
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
}

/// A training that ends in the middle of its work, as by SIGKILL.
fn killed(out: &Path, resume: bool, trouble: Trouble) {
    let training = || train_through(out, RECIPE, resume, trouble);
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(training));
    assert!(end.is_err(), "it was not killed");
}

#[test]
fn a_killed_training_loses_little_and_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&whole, RECIPE, false, None).unwrap();
    // Two batches make a step, six steps an epoch.
    let in_a_step = Trouble {
        trained: |batch, restored| match batch {
            0..=8 => restored,
            _ => std::panic::panic_any(()),
        },
        save_every: Duration::ZERO,
        ..Trouble::default()
    };
    killed(&parts, false, in_a_step);
    assert_eq!(place(&parts), (0, 4));
    let while_validating = Trouble {
        restored: |epoch, restored| match epoch {
            1 => restored,
            _ => std::panic::panic_any(()),
        },
        ..Trouble::default()
    };
    killed(&parts, true, while_validating);
    assert_eq!(place(&parts), (1, 6));
    train(&parts, RECIPE, true, None).unwrap();
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
    // What an epoch's line says of its steps does not depend on who closes it.
    let lines = |out: &Path| {
        let lines = log::read(&out.join("log.jsonl")).unwrap().into_iter();
        let lines = lines.map(|l| (l.epoch, l.learning_rate, l.loss, l.terms, l.validation));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(lines(&whole), lines(&parts));
}

#[test]
fn a_temporal_training_learns_from_what_it_gave_and_resumes_with_the_same_bits() {
    let recipe = RECIPE.replace("convs = 3", "convs = 3, temporal = true");
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let outcome = train(&whole, &recipe, false, None).unwrap();
    assert!(train(&parts, &recipe, false, Some(5)).unwrap().interrupted);
    assert!(train(&parts, &recipe, true, Some(10)).unwrap().interrupted);
    let resumed = train(&parts, &recipe, true, None).unwrap();
    assert_eq!((resumed.best, resumed.epochs), (outcome.best, 4));
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
    let run = run::open(&whole).unwrap();
    let chain = run.student.fold().unwrap();
    assert!(chain.is_temporal());
    // The weights for the frame before have moved: it matters.
    let (input, _) = pair(5, 1, 32);
    let student = run.student.as_ref();
    let alone = student::restore(student, &input);
    let earlier = [input.roll([2], [3])];
    assert_ne!(alone, student::restore_after(student, &earlier, &input));

    let single = [
        (
            "loss = [",
            "loss = [{ kind = \"temporal\", weight = 1.0 }, ",
            "sees sequences",
        ),
        (
            "training = {",
            "quantise = { qat = true }\ntraining = {",
            "qat",
        ),
    ];
    for (from, to, words) in single {
        let error = Recipe::from_text(&text(&recipe.replace(from, to))).unwrap_err();
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
}

#[test]
fn balanced_weights_and_second_looks_resume_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let temporal = "{ kind = \"temporal\", weight = 0.3 }, { kind = \"l1\"";
    for (i, kind) in ["uncertainty", "gradient-norm", "static"]
        .iter()
        .enumerate()
    {
        let recipe = format!("{RECIPE}weighting = {{ kind = \"{kind}\" }}\n");
        let recipe = recipe.replace("{ kind = \"l1\"", temporal);
        let at = |name: &str| folder.path().join(format!("{name}{i}"));
        train(&at("whole"), &recipe, false, None).unwrap();
        assert!(
            train(&at("parts"), &recipe, false, Some(9))
                .unwrap()
                .interrupted
        );
        train(&at("parts"), &recipe, true, None).unwrap();
        let worst = difference(&at("whole"), &at("parts"), "last.safetensors");
        assert_eq!(worst, 0.0, "{kind}");
    }
}
