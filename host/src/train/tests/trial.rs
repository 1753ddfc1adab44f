//! Single steps outside of a run.

use super::*;
use crate::train::distill::Apprentice;
use crate::train::guide::Guidance;
use crate::train::trial::Trial;

/// The recipe's student and loss, which compares with a teacher's map of four channels.
fn apprentice(recipe: &Recipe) -> Apprentice {
    tch::manual_seed(7);
    let network = VarStore::new(Device::Cpu);
    let student = student::build(&recipe.student, recipe.colour, &network.root()).unwrap();
    let shapes = FeatureShapes {
        student: [("conv1".to_owned(), 8)].into(),
        teacher: [("latent".to_owned(), 4)].into(),
    };
    let adaptors = VarStore::new(Device::Cpu);
    let loss = Loss::new(
        &recipe.losses,
        &recipe.weighting,
        &shapes,
        &adaptors.root(),
        "/".as_ref(),
    );
    Apprentice {
        student: student.into(),
        network,
        adaptors,
        guide: None,
        teacher: None,
        loss: loss.unwrap(),
    }
}

#[test]
fn gradients_are_balanced_over_the_network_alone() {
    let recipe = RECIPE.replace(
        "{ kind = \"mse\", weight = 0.5 }",
        "{ kind = \"feature\", weight = 0.5, pairs = [[\"conv1\", \"latent\"]] }",
    );
    let recipe = format!("{recipe}teacher = {{}}\nweighting = {{ kind = \"gradient-norm\" }}\n");
    let recipe = Recipe::from_text(&text(&recipe)).unwrap();
    let factors = |frozen: bool| {
        let mut parts = apprentice(&recipe);
        if frozen {
            parts.adaptors.freeze();
        }
        let (input, truth) = pair(1, 2, 32);
        let guidance = Guidance {
            output: truth.shallow_clone(),
            features: vec![("latent".to_owned(), truth.repeat([1, 4, 1, 1]))],
        };
        let batch = TrainBatch {
            input,
            truth,
            guidance: Some(guidance),
        };
        let mut trial = Trial::new(&recipe, parts);
        trial.step(&batch).unwrap();
        let adaptors = trial.into_parts().adaptors.variables();
        Vec::<f32>::try_from(adaptors["weighting.factors"].copy()).unwrap()
    };
    // An adaptor that learns is none of the student's parameters.
    assert_eq!(factors(false), factors(true));
    assert_ne!(factors(false), [1.0, 0.5]);
}

#[test]
fn a_trial_sees_every_frame_of_a_sequence() {
    let recipe = RECIPE
        .replace("luma", "rgb")
        .replace("convs = 3", "convs = 3, temporal = true");
    let recipe = Recipe::from_text(&text(&recipe)).unwrap();
    let frames = recipe.student.unrolled() as i64;
    let sequence = |x: Tensor| x.repeat([1, 3 * frames, 1, 1]);
    let (input, truth) = pair(1, 2, 32);
    let batch = TrainBatch {
        input: sequence(input),
        truth: sequence(truth),
        guidance: None,
    };
    let mut trial = Trial::new(&recipe, apprentice(&recipe));
    assert!(trial.step(&batch).unwrap() > 0.0);
}
