//! Feature distillation: maps inside the student are drawn to maps inside the teacher.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use super::measure::FeatureMode;
use super::{Term, View};

/// Channels of the maps that student and teacher offer.
#[derive(Debug, Clone, Default)]
pub struct FeatureShapes {
    /// Student's map name to channels.
    pub student: BTreeMap<String, i64>,
    /// Teacher's map name to channels.
    pub teacher: BTreeMap<String, i64>,
}

impl FeatureShapes {
    /// Reads the channels off maps of one forward pass.
    pub fn of(student: &[(String, Tensor)], teacher: &[(String, Tensor)]) -> Self {
        let channels = |maps: &[(String, Tensor)]| {
            maps.iter()
                .map(|(name, map)| (name.clone(), map.size()[1]))
                .collect()
        };
        Self {
            student: channels(student),
            teacher: channels(teacher),
        }
    }
}

/// See [`FeatureMode`]. The value is the mean over the pairs.
#[derive(Debug)]
pub struct FeatureTerm {
    pairs: Vec<FeaturePair>,
}

#[derive(Debug)]
struct FeaturePair {
    student: String,
    teacher: String,
    /// 1x1 kernel `[T,S,1,1]` from student to teacher channels; none for attention transfer.
    adaptor: Option<Tensor>,
}

impl FeatureTerm {
    /// Builds the adaptors as variables under `path`.
    ///
    /// # Errors
    /// When a named map does not exist; the message lists those that do.
    pub fn new(
        pairs: &[(String, String)],
        mode: FeatureMode,
        shapes: &FeatureShapes,
        path: &Path,
    ) -> Result<Self> {
        let channels = |side: &str, maps: &BTreeMap<String, i64>, name: &str| {
            maps.get(name).copied().with_context(|| {
                let known: Vec<_> = maps.keys().map(String::as_str).collect();
                format!(
                    "the {side} has no map '{name}' for the feature loss; it has {}",
                    known.join(", ")
                )
            })
        };
        let build = |(student, teacher): &(String, String)| {
            let from = channels("student", &shapes.student, student)?;
            let to = channels("teacher", &shapes.teacher, teacher)?;
            let adaptor = (mode == FeatureMode::Adaptor).then(|| {
                let bound = (3.0 / from as f64).sqrt();
                let init = Init::Uniform {
                    lo: -bound,
                    up: bound,
                };
                // A dot parts the names of variables, and teachers' maps have some.
                let name = format!("{student}_{teacher}").replace('.', "_");
                path.var(&name, &[to, from, 1, 1], init)
            });
            Ok(FeaturePair {
                student: student.clone(),
                teacher: teacher.clone(),
                adaptor,
            })
        };
        let pairs = pairs.iter().map(build).collect::<Result<Vec<_>>>()?;
        Ok(Self { pairs })
    }
}

impl Term for FeatureTerm {
    fn value(&self, view: &View) -> Result<Tensor> {
        let find = |maps: &[(String, Tensor)], name: &str| {
            let found = maps.iter().find(|(n, _)| n == name);
            found.map(|(_, map)| map.to_kind(Kind::Float))
        };
        let mut sum = Tensor::zeros([], (Kind::Float, view.restored.device()));
        for pair in &self.pairs {
            let (Some(student), Some(teacher)) = (
                find(view.student_features, &pair.student),
                find(view.teacher_features, &pair.teacher),
            ) else {
                bail!(
                    "maps '{}' and '{}' were not computed",
                    pair.student,
                    pair.teacher
                );
            };
            sum += match &pair.adaptor {
                Some(adaptor) => adapted_distance(&student, &teacher, adaptor),
                None => attention_distance(&student, &teacher),
            };
        }
        Ok(sum / self.pairs.len() as f64)
    }
}

/// Mean squared difference after the adaptor, in units of the teacher map's mean square, so that
/// one weight serves teachers of any scale.
fn adapted_distance(student: &Tensor, teacher: &Tensor, adaptor: &Tensor) -> Tensor {
    let (student, teacher) = same_size(student, teacher);
    let adapted = student.conv2d(adaptor, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let unit = teacher.square().mean(None) + 1e-6;
    adapted.mse_loss(&teacher, tch::Reduction::Mean) / unit
}

fn attention_distance(student: &Tensor, teacher: &Tensor) -> Tensor {
    let (student, teacher) = same_size(student, teacher);
    let attention = |x: &Tensor| {
        let energy = x
            .square()
            .mean_dim([1i64].as_slice(), false, Kind::Float)
            .flatten(1, -1);
        let norm = energy
            .square()
            .sum_dim_intlist([1i64].as_slice(), true, None);
        energy / (norm + 1e-12).sqrt()
    };
    let difference = attention(&student) - attention(&teacher);
    difference
        .square()
        .sum_dim_intlist([1i64].as_slice(), false, None)
        .mean(None)
}

/// Averages the larger map down to the smaller one's height and width.
fn same_size(a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    let (sa, sb) = (a.size(), b.size());
    let target = [sa[2].min(sb[2]), sa[3].min(sb[3])];
    (a.adaptive_avg_pool2d(target), b.adaptive_avg_pool2d(target))
}
