//! Terms that look at the output alone: how far it is from the truth, or from the teacher's.

use anyhow::{Result, bail};
use tch::Tensor;

use super::measure::Measure;
use super::{Term, View};

/// A term that compares the output with the truth only.
struct TruthTerm<F>(F);

/// The term of a distance to the truth.
pub(super) fn to_truth<F>(distance: F) -> Box<dyn Term>
where
    F: Fn(&Tensor, &Tensor) -> Tensor + Send + 'static,
{
    Box::new(TruthTerm(distance))
}

impl<F: Fn(&Tensor, &Tensor) -> Tensor + Send> Term for TruthTerm<F> {
    fn value(&self, view: &View) -> Result<Tensor> {
        Ok((self.0)(view.restored, view.truth))
    }
}

/// Distance to the teacher's output.
pub(super) struct TeacherTerm(pub Measure);

impl Term for TeacherTerm {
    fn value(&self, view: &View) -> Result<Tensor> {
        match view.teacher {
            Some(teacher) => Ok(self.0.between(view.restored, teacher)),
            None => bail!("the loss compares with a teacher, but the recipe has none"),
        }
    }
}
