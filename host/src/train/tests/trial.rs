//! Single steps outside of a run.

use super::*;
use crate::student::StudentOutput;
use crate::train::distill::Apprentice;
use crate::train::guide::Guidance;
use crate::train::trial::Trial;
use hone_shared::student::ConvChain;

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

/// A student on a device whose memory holds one patch.
struct Large(Box<dyn Student>);

impl Student for Large {
    fn forward_in(&self, frame: &Tensor, train: bool, kind: Kind) -> StudentOutput {
        assert!(frame.size()[0] <= 1, "CUDA out of memory");
        self.0.forward_in(frame, train, kind)
    }

    fn multiple(&self) -> usize {
        self.0.multiple()
    }

    fn fold(&self) -> Result<ConvChain> {
        self.0.fold()
    }

    fn unfold(&self, chain: &ConvChain) -> Result<()> {
        self.0.unfold(chain)
    }
}

#[test]
fn a_trial_cuts_what_the_memory_does_not_hold() {
    let recipe = Recipe::from_text(&text(RECIPE)).unwrap();
    let mut parts = apprentice(&recipe);
    parts.network = VarStore::new(Device::Cpu);
    let student = student::build(&recipe.student, recipe.colour, &parts.network.root());
    parts.student = Rc::new(Large(student.unwrap()));
    let (input, truth) = pair(1, 3, 32);
    let batch = TrainBatch {
        input,
        truth,
        guidance: None,
    };
    let mut trial = Trial::new(&recipe, parts);
    assert!(trial.step(&batch).unwrap() > 0.0);
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
