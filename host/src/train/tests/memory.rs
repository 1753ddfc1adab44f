//! Trainings that run out of memory.

use super::*;

#[test]
fn a_batch_too_large_for_the_gpu_is_cut_with_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    train(&whole, RECIPE, false, None).unwrap();
    train_within(&cut, RECIPE, 1).unwrap();
    let worst = difference(&whole, &cut, "best.safetensors");
    assert!(worst < 1e-3, "{worst}");
    let none = train_within(&folder.path().join("none"), RECIPE, 0);
    let error = none.unwrap_err().to_string();
    assert!(
        error.contains("single patch") && error.contains("crop"),
        "{error}"
    );
}

#[test]
fn a_resumed_training_keeps_its_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    let recipe = &RECIPE.replace("batch = 3", "batch = 2");
    train_within(&whole, recipe, 1).unwrap();
    let stopped = Trouble {
        memory: 1,
        stop_after: Some(5),
        ..Trouble::default()
    };
    assert!(
        train_through(&resumed, recipe, false, stopped)
            .unwrap()
            .interrupted
    );
    // Where there is room for whole batches, whose sums are rounded otherwise.
    train(&resumed, recipe, true, None).unwrap();
    assert_eq!(difference(&whole, &resumed, "best.safetensors"), 0.0);
}

#[test]
fn memory_that_fails_later_costs_no_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&whole, RECIPE, false, None).unwrap();
    let fails = |trouble, resume| {
        let error = train_through(&parts, RECIPE, resume, trouble).unwrap_err();
        format!("{error:#}")
    };
    // Two batches make a step, six steps an epoch.
    let in_a_step = Trouble {
        trained: |batch, restored| match batch {
            0..=4 => restored,
            _ => panic!("CUDA out of memory"),
        },
        ..Trouble::default()
    };
    let error = fails(in_a_step, false);
    assert!(
        error.starts_with("stopped in epoch 1, step 2; the state is saved")
            && error.contains("single patch"),
        "{error}"
    );
    assert_eq!(place(&parts), (0, 2));
    let while_validating = Trouble {
        restored: |_, _| panic!("CUDA out of memory"),
        ..Trouble::default()
    };
    let error = fails(while_validating, true);
    assert!(
        error.contains("does not hold the validation pictures")
            && error.contains("validation_crop"),
        "{error}"
    );
    assert_eq!(place(&parts), (0, 6));
    train(&parts, RECIPE, true, None).unwrap();
    // Nor are batches cut for ever that the memory did not hold for once.
    assert_eq!(difference(&whole, &parts, "best.safetensors"), 0.0);
}
