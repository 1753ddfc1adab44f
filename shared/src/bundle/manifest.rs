//! What a bundle says of its content.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{BundleError, MAX_MODELS, MAX_PARTS};
use crate::student::{Colour, Precision};

/// Version of a bundle's content, `MAJOR.MINOR.PATCH`; a board takes an older one only when forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Release {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl std::str::FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self {
                major,
                minor,
                patch,
            }),
            _ => Err(format!("'{text}' is no version: write it as 1.2.3")),
        }
    }
}

/// What a part of a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PartKind {
    /// A student as ONNX.
    Model,
    /// The model card, Markdown.
    Card,
    /// Measurements, JSON.
    Report,
    /// A small picture, PNG.
    Thumbnail,
}

impl PartKind {
    /// The word used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Card => "card",
            Self::Report => "report",
            Self::Thumbnail => "thumbnail",
        }
    }
}

/// One part: bytes that lie after the manifest, in the manifest's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// A file name: 1 to 64 of `a-z A-Z 0-9 . _ -`, unique within the bundle, no leading dot.
    pub name: String,
    /// What the bytes are.
    pub kind: PartKind,
    /// Number of bytes.
    pub length: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What was measured, with its unit, such as `psnr_db`; no control characters.
    pub name: String,
    /// The number, finite.
    pub value: f64,
}

/// One student: a level of the ladder in one number format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Level of the ladder, such as `small`; together with `precision` unique within the bundle.
    pub name: String,
    /// Number format of the convolutions.
    pub precision: Precision,
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor: frame sides are padded to multiples of it.
    pub scale: u32,
    /// How far an output pixel looks, in full-resolution pixels; `None` when the whole frame counts.
    pub halo: Option<u32>,
    /// Multiply-accumulates per full-resolution pixel.
    pub macs_per_pixel: f64,
    /// Index of the part that holds the ONNX file.
    pub part: u32,
    /// What was measured of this student, in order of name.
    pub metrics: Vec<Metric>,
}

/// Where the students come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program that packed the bundle, such as `hone 0.1.0`; no control characters.
    pub tool: String,
    /// SHA-256 of the recipe.
    pub recipe_sha256: Option<[u8; 32]>,
    /// SHA-256 of the teacher's weights.
    pub teacher_sha256: Option<[u8; 32]>,
}

/// Everything a bundle says of itself; [`super`] has the bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the family of students, by the rule of [`PartEntry::name`].
    pub name: String,
    /// Version of the content.
    pub release: Release,
    /// The students, largest first.
    pub models: Vec<ModelEntry>,
    /// The parts, in the order in which they follow.
    pub parts: Vec<PartEntry>,
    /// Where the students come from.
    pub provenance: Provenance,
}

impl Manifest {
    /// The student of a level and number format.
    pub fn model(&self, name: &str, precision: Precision) -> Option<&ModelEntry> {
        self.models
            .iter()
            .find(|m| m.name == name && m.precision == precision)
    }

    /// The students of a level and number format: one of each name, the most costly first. `None` for the level takes all of
    /// them. `None` for the format takes INT8 where it is the only one, or where `in_integers` says that this student is
    /// computed so: an INT8 student that is computed in f32 is slower than the f32 one.
    ///
    /// # Errors
    /// What the bundle has instead.
    pub fn ladder(
        &self,
        level: Option<&str>,
        precision: Option<Precision>,
        in_integers: impl Fn(&ModelEntry) -> bool,
    ) -> Result<Vec<&ModelEntry>, String> {
        let either = |name| {
            let int8 = self.model(name, Precision::Int8);
            match self.model(name, Precision::F32) {
                Some(float) if !int8.is_some_and(&in_integers) => Some(float),
                _ => int8,
            }
        };
        let pick = |name| precision.map_or_else(|| either(name), |p| self.model(name, p));
        let mut names: Vec<&str> = self.models.iter().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut found: Vec<&ModelEntry> = names
            .into_iter()
            .filter(|name| level.is_none_or(|wanted| wanted == *name))
            .filter_map(pick)
            .collect();
        found.sort_by(|a, b| b.macs_per_pixel.total_cmp(&a.macs_per_pixel));
        if !found.is_empty() {
            return Ok(found);
        }
        let have: Vec<String> = self
            .models
            .iter()
            .map(|m| format!("{} ({})", m.name, m.precision))
            .collect();
        let precision = precision.map_or(String::new(), |p| format!(" in {p}"));
        Err(format!(
            "there is no student {}{precision} in it, only {}",
            level.unwrap_or("of any name"),
            have.join(", ")
        ))
    }

    /// Checks everything that the types leave open; readers and writers both refuse what fails here.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] with what is wrong.
    pub fn validate(&self) -> Result<(), BundleError> {
        self.faults().map_err(BundleError::Manifest)
    }

    fn faults(&self) -> Result<(), String> {
        check_name(&self.name)?;
        check_words(&self.provenance.tool)?;
        if self.parts.len() > MAX_PARTS || self.models.len() > MAX_MODELS {
            return Err(format!(
                "it lists {} parts and {} models; {MAX_PARTS} and {MAX_MODELS} are the most allowed",
                self.parts.len(),
                self.models.len()
            ));
        }
        if self.models.is_empty() {
            return Err("it lists no model".into());
        }
        let mut seen = HashSet::new();
        let mut used = HashSet::new();
        for model in &self.models {
            check_name(&model.name)?;
            let label = format!("{} {}", model.name, model.precision);
            if !seen.insert((&model.name, model.precision)) {
                return Err(format!("it lists {label} twice"));
            }
            let part = self.parts.get(model.part as usize);
            if part.is_none_or(|p| p.kind != PartKind::Model) || !used.insert(model.part) {
                return Err(format!("{label} has no ONNX part of its own"));
            }
            if !(1..=64).contains(&model.scale) || model.halo.is_some_and(|h| h > 1 << 16) {
                return Err(format!("{label} has an impossible scale or halo"));
            }
            for metric in &model.metrics {
                check_words(&metric.name)?;
            }
            let numbers = model.metrics.iter().map(|m| m.value);
            if !numbers.chain([model.macs_per_pixel]).all(f64::is_finite) {
                return Err(format!("{label} carries a number that is not finite"));
            }
        }
        let mut names = HashSet::new();
        for part in &self.parts {
            check_name(&part.name)?;
            if !names.insert(&part.name) {
                return Err(format!("two parts are named '{}'", part.name));
            }
        }
        Ok(())
    }
}

/// Words that go to terminals as they are.
fn check_words(words: &str) -> Result<(), String> {
    match words.contains(char::is_control) {
        true => Err(format!("{words:?} holds control characters")),
        false => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) && !name.starts_with(['.', '-'])
    {
        return Ok(());
    }
    Err(format!(
        "the name {name:?} is not made of 1 to 64 letters, digits, '.', '_' and '-'"
    ))
}
