//! What a training computes in.

use super::*;

#[test]
fn half_precision_trains_too_and_keeps_f32_weights() {
    let folder = tempfile::tempdir().unwrap();
    for precision in ["bf16", "f16"] {
        let out = folder.path().join(precision);
        let recipe = RECIPE
            .replace("steps = 6", "steps = 30")
            .replace("accumulate = 2", &format!("precision = \"{precision}\""));
        let outcome = train(&out, &recipe, false, None).unwrap();
        let gain = outcome.best.unwrap().1.psnr - outcome.input.psnr;
        assert!(gain > 0.5, "{precision}: {gain}");
        let best = Checkpoint::read(&out.join("best.safetensors")).unwrap();
        assert!(best.tensors.values().all(|t| t.kind() == Kind::Float));
    }
}

#[test]
fn an_overflow_makes_no_update_and_halves_the_loss_scale() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE
        .replace("weight = 1.0", "weight = 1e4")
        .replace("epochs = 2", "epochs = 1")
        .replace("accumulate = 2", "precision = \"f16\"");
    train(&out, &recipe, false, None).unwrap();
    let state = run::state(&out).unwrap().unwrap();
    assert!(state.loss_scale < 65_536.0, "{}", state.loss_scale);
    assert!(state.updates < 10, "{}", state.updates);
}

#[test]
fn a_gradient_that_never_fits_half_precision_ends_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = RECIPE
        .replace("steps = 6", "steps = 30")
        .replace("accumulate = 2", "precision = \"f16\"");
    let trouble = Trouble {
        trained: |_, restored| without_slope(restored),
        ..Trouble::default()
    };
    let error = train_through(&folder.path().join("r"), &recipe, false, trouble)
        .unwrap_err()
        .to_string();
    // The loss scale begins at 2^16.
    assert!(
        error.contains("half precision in epoch 1, step 17") && error.contains("bf16"),
        "{error}"
    );
}
