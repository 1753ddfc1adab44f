//! Which stage, epoch and step a training is in.

use crate::recipe::Stage;

/// All stages laid end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    stages: Vec<Stage>,
}

/// Where an epoch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Number of the stage, from 0.
    pub index: usize,
    /// The stage.
    pub stage: &'a Stage,
    /// Updates before this epoch in the same stage.
    pub stage_step: u64,
    /// Updates before this epoch in the whole training.
    pub step: u64,
}

impl Plan {
    /// Lays out stages.
    pub fn new(stages: &[Stage]) -> Self {
        Self {
            stages: stages.to_vec(),
        }
    }

    /// Epochs of all stages.
    pub fn epochs(&self) -> u64 {
        self.stages.iter().map(|s| s.epochs).sum()
    }

    /// Updates of all stages.
    pub fn steps(&self) -> u64 {
        self.stages.iter().map(|s| s.epochs * s.steps).sum()
    }

    /// The place of `epoch` (from 0); none after the last.
    pub fn place(&self, epoch: u64) -> Option<Place<'_>> {
        let (mut first, mut step) = (0, 0);
        for (index, stage) in self.stages.iter().enumerate() {
            if epoch < first + stage.epochs {
                let stage_step = (epoch - first) * stage.steps;
                return Some(Place {
                    index,
                    stage,
                    stage_step,
                    step: step + stage_step,
                });
            }
            first += stage.epochs;
            step += stage.epochs * stage.steps;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_fall_into_their_stages() {
        let stage = |epochs, steps| Stage {
            epochs,
            steps,
            batch: 2,
            crop: 32,
        };
        let plan = Plan::new(&[stage(2, 10), stage(3, 5)]);
        assert_eq!((plan.epochs(), plan.steps()), (5, 35));
        let at = |epoch| plan.place(epoch).map(|p| (p.index, p.stage_step, p.step));
        assert_eq!(at(1), Some((0, 10, 10)));
        assert_eq!(at(2), Some((1, 0, 20)));
        assert_eq!(at(4), Some((1, 10, 30)));
        assert_eq!(at(5), None);
    }
}
