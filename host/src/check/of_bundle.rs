//! All students of a bundle.

use anyhow::{Context, Result, ensure};
use hone_shared::bundle::{Bundle, ModelEntry};
use hone_shared::student::Precision;
use serde::Serialize;

use super::{Against, Report, check};

/// What was found of one student of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartReport {
    /// Level of the ladder and number format.
    pub student: String,
    /// What was found.
    #[serde(flatten)]
    pub report: Report,
}

/// [`check`]s every student, INT8 ones against the f32 one of their level as well, and that each is
/// what the manifest says of it. `python` asks ONNX Runtime and OpenCV; `told` hears of each student
/// that is through.
///
/// # Errors
/// As [`check`], with the student named; when the manifest says something else of a student.
pub fn check_bundle(
    bundle: &Bundle,
    python: bool,
    mut told: impl FnMut(),
) -> Result<Vec<PartReport>> {
    let manifest = bundle.manifest();
    let mut reports = Vec::new();
    for model in &manifest.models {
        let student = format!("{}.{}", model.name, model.precision);
        let float = match model.precision {
            Precision::Int8 => manifest.model(&model.name, Precision::F32),
            Precision::F32 => None,
        };
        let against = Against {
            other: float.map(|float| bundle.model_bytes(float)),
            checkpoint: None,
            python,
        };
        let report = check(bundle.model_bytes(model), against).with_context(|| student.clone())?;
        agrees(model, &report).with_context(|| student.clone())?;
        reports.push(PartReport { student, report });
        told();
    }
    Ok(reports)
}

/// Fails unless the manifest says of a student what it is.
fn agrees(entry: &ModelEntry, report: &Report) -> Result<()> {
    let (said, is) = (entry.precision.name(), report.precision.as_str());
    ensure!(said == is, "the manifest says {said}, the model is {is}");
    let (said, is) = (entry.colour, report.colour);
    ensure!(
        said == is,
        "the manifest says {said}, the model restores {is}"
    );
    let said = (entry.scale as usize, entry.halo.map(|halo| halo as usize));
    let is = (report.scale, report.halo);
    ensure!(
        said == is,
        "the manifest says SpaceToDepth factor and halo {said:?}, the model has {is:?}"
    );
    Ok(())
}
