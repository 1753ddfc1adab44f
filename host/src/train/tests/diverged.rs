//! Trainings that leave the finite numbers.

use super::*;
use crate::teacher::{Taps, Teacher};

#[test]
fn a_loss_that_explodes_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let wild = RECIPE.replace("4e-3", "1.0").replace(
        "{ kind = \"l1\", weight = 1.0 }",
        "{ kind = \"mse\", weight = 1e39 }, { kind = \"mse\", weight = 1e39 }",
    );
    let error = train(&folder.path().join("r"), &wild, false, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no longer a finite number"), "{error}");
}

/// A teacher whose answers are no numbers.
#[derive(Debug)]
struct Senseless;

impl Teacher for Senseless {
    fn name(&self) -> &'static str {
        "senseless"
    }

    fn channels(&self) -> i64 {
        1
    }

    fn multiple(&self) -> i64 {
        1
    }

    fn stages(&self, x: &Tensor, _: &mut Taps) -> Vec<Tensor> {
        vec![x * f64::NAN]
    }
}

#[test]
fn a_teacher_whose_answer_is_no_number_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE.replace("\"mse\"", "\"teacher\"") + "teacher = {}\n";
    let guide = Guide::new(Box::new(Senseless), false, Colour::Luma, &[]).unwrap();
    let trouble = Trouble {
        guide: Some(guide),
        ..Trouble::default()
    };
    let error = fails(&out, &recipe, trouble);
    let sentence = "in epoch 1, step 1 the teacher's answer is no picture";
    assert!(error.starts_with(sentence), "{error}");
    keeps_nothing(&out, &error);
}

fn fails(out: &Path, recipe: &str, trouble: Trouble) -> String {
    let error = train_through(out, recipe, false, trouble).unwrap_err();
    error.to_string()
}

/// That the run in `out` broke off with `error` and kept nothing.
fn keeps_nothing(out: &Path, error: &str) {
    let advice = format!("no good weights yet: remove {}", out.display());
    assert!(error.contains(&advice), "{error}");
    for file in ["last.safetensors", "best.safetensors"] {
        assert!(!out.join(file).exists(), "{file}");
    }
    assert!(log::read(&out.join("log.jsonl")).unwrap().is_empty());
}

/// That the run in `out` broke off with `error` in its second epoch, and that what it kept of the first, and so many steps
/// after it, is sound: from there it ends with the bits of the run in `whole`.
fn keeps_its_first_epoch(out: &Path, whole: &Path, steps: u64, error: &str) {
    let advice = format!("the last good weights are in {}", out.display());
    assert!(error.contains(&advice), "{error}");
    assert_eq!(place(out), (1, steps));
    assert_eq!(log::read(&out.join("log.jsonl")).unwrap().len(), 1);
    train(out, RECIPE, true, None).unwrap();
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(whole, out, file), 0.0, "{file}");
    }
}

#[test]
fn a_gradient_that_is_no_number_makes_no_update() {
    let folder = tempfile::tempdir().unwrap();
    for precision in ["f32", "bf16"] {
        let out = folder.path().join(precision);
        let with = format!("accumulate = 2, precision = \"{precision}\"");
        let trouble = Trouble {
            trained: |_, restored| without_slope(restored),
            ..Trouble::default()
        };
        let error = fails(&out, &RECIPE.replace("accumulate = 2", &with), trouble);
        assert!(
            error.contains("the gradient is no longer a finite number in epoch 1, step 1:"),
            "{error}"
        );
        keeps_nothing(&out, &error);
    }
}

#[test]
fn what_diverges_later_leaves_the_epochs_before_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    train(&at("whole"), RECIPE, false, None).unwrap();
    let gradient = Trouble {
        // Twelve batches make an epoch.
        trained: |batch, restored| match batch {
            0..=12 => restored,
            _ => without_slope(restored),
        },
        ..Trouble::default()
    };
    let no_number = Trouble {
        restored: |epoch, restored| match epoch {
            2 => restored * f64::NAN,
            _ => restored,
        },
        ..Trouble::default()
    };
    // What is clamped to 0..1 has scores, but its residual has no size.
    let infinite = Trouble {
        restored: |epoch, restored| match epoch {
            2 => restored + f64::INFINITY,
            _ => restored,
        },
        ..Trouble::default()
    };
    let cases = [
        ("gradient", gradient, "the gradient", 1, 0),
        ("no-number", no_number, "a validation score", 6, 6),
        ("infinite", infinite, "a validation score", 6, 6),
    ];
    for (name, trouble, what, step, kept) in cases {
        let error = fails(&at(name), RECIPE, trouble);
        let sentence = format!("{what} is no longer a finite number in epoch 2, step {step}:");
        assert!(error.contains(&sentence), "{error}");
        keeps_its_first_epoch(&at(name), &at("whole"), kept, &error);
    }
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let one_step = RECIPE.replace("steps = 6", "steps = 1");
    // At the end of an epoch, and at Ctrl-C after the first step of one, which takes two batches.
    for (name, recipe, stop_after) in [("end", &*one_step, None), ("stop", RECIPE, Some(2))] {
        let out = folder.path().join(name);
        let trouble = Trouble {
            stop_after,
            learning_rate: Some(1e60),
            ..Trouble::default()
        };
        let error = fails(&out, recipe, trouble);
        let sentence = "a weight is no longer a finite number in epoch 1, step 1:";
        assert!(error.contains(sentence), "{error}");
        keeps_nothing(&out, &error);
    }
}

#[test]
fn a_checkpoint_that_diverged_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    assert!(train(&out, RECIPE, false, Some(4)).unwrap().interrupted);
    let file = out.join("last.safetensors");
    let mut last = Checkpoint::read(&file).unwrap();
    let average = last.tensors.get_mut("average").unwrap();
    let _ = average.fill_(f64::NAN);
    last.write(&file).unwrap();
    let error = format!("{:#}", train(&out, RECIPE, true, None).unwrap_err());
    assert!(error.contains("had diverged before"), "{error}");
}
