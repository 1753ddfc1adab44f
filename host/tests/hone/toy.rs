//! A toy recipe.

/// A luma student of three convolutions, trained for `steps` updates on `count` drawn scenes, with
/// further tables at its end.
pub fn recipe(name: &str, count: usize, steps: usize, tables: &str) -> String {
    format!(
        r#"name = "{name}"
seed = 2
colour = "luma"

[data]
layout = "scenes"
count = {count}
size = [96, 80]
degradation = "gaussian:sigma=0.9..1.4"
validation_images = 2
validation_crop = 64

[student]
architecture = "plain"
scale = 2
channels = 8
convs = 3

[[loss]]
kind = "l1"
weight = 1.0

[optimizer]
learning_rate = 2e-3

[[stage]]
epochs = 1
steps = {steps}
batch = 2
crop = 32

{tables}"#
    )
}
