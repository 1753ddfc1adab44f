//! Packing students into a bundle, from ONNX files.

pub mod key;
mod remarks;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hone_device::engine::{self, EngineOptions, StudentInfo};
use hone_shared::bundle::{
    Bundle, MAX_PART, Manifest, Metric, ModelEntry, Part, PartKind, Provenance, Release, unhex32,
};
use hone_shared::student::{META_COLOUR, META_HALO, META_RECIPE, META_SCALE};
use prost::Message;
use tract_onnx::pb::ModelProto;

pub use remarks::remarks;

use crate::data::index;

/// What goes into a bundle.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Name of the family of students.
    pub name: String,
    /// Level of the ladder and ONNX file of each student.
    pub models: Vec<(String, PathBuf)>,
    /// Model card, Markdown.
    pub card: Option<PathBuf>,
    /// Measurements: a JSON object of `LEVEL/PRECISION` to an object of numbers.
    pub metrics: Option<PathBuf>,
    /// Small pictures, PNG.
    pub thumbnails: Vec<PathBuf>,
    /// Weights of the teacher, whose SHA-256 is kept.
    pub teacher: Option<PathBuf>,
}

/// Packs `content`, unsigned. Every model is loaded by the board's engine first, so that a bundle
/// holds nothing but students that run.
///
/// # Errors
/// A file that cannot be read, a model that is no student or contradicts its own metadata, the same
/// level and number format twice, metrics of a model that is not packed.
pub fn pack(content: &Content, release: Release) -> Result<Bundle> {
    let mut students = content
        .models
        .iter()
        .map(|(level, path)| student(level, path))
        .collect::<Result<Vec<_>>>()?;
    students.sort_by(|(a, _), (b, _)| {
        let key = |m: &ModelEntry| (m.name.clone(), m.precision as u8);
        b.macs_per_pixel
            .total_cmp(&a.macs_per_pixel)
            .then_with(|| key(a).cmp(&key(b)))
    });
    let recipe_sha256 = shared_recipe(students.iter().map(|(_, file)| file.recipe));
    let mut parts = Vec::new();
    let mut models = Vec::new();
    for (at, (mut entry, file)) in students.into_iter().enumerate() {
        entry.part = u32::try_from(at)?;
        parts.push(Part {
            name: format!("{}.{}.onnx", entry.name, entry.precision),
            kind: PartKind::Model,
            bytes: file.bytes,
        });
        models.push(entry);
    }
    if let Some(path) = &content.card {
        parts.push(text_part("card.md", PartKind::Card, path)?);
    }
    if let Some(path) = &content.metrics {
        let part = text_part("report.json", PartKind::Report, path)?;
        add_metrics(&mut models, &part.bytes)
            .with_context(|| format!("cannot use the metrics of {}", path.display()))?;
        parts.push(part);
    }
    for (at, path) in content.thumbnails.iter().enumerate() {
        let bytes = read(path)?;
        ensure!(
            bytes.starts_with(b"\x89PNG"),
            "{} is no PNG file",
            path.display()
        );
        parts.push(Part {
            name: format!("thumbnail-{at}.png"),
            kind: PartKind::Thumbnail,
            bytes,
        });
    }
    let teacher_sha256 = match &content.teacher {
        // Of any size: it does not go into the bundle.
        Some(path) => unhex32(&index::sha256(path)?),
        None => None,
    };
    let manifest = Manifest {
        name: content.name.clone(),
        release,
        models,
        parts: Vec::new(),
        provenance: Provenance {
            tool: format!("hone {}", env!("CARGO_PKG_VERSION")),
            recipe_sha256,
            teacher_sha256,
        },
    };
    Ok(Bundle::new(manifest, parts)?)
}

/// Reads a bundle; digests and signature are checked, trust is not.
///
/// # Errors
/// What [`hone_shared::bundle::read`] says, with the file named.
pub fn open(path: &Path) -> Result<Bundle> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    hone_shared::bundle::read(std::io::BufReader::new(file))
        .with_context(|| format!("cannot use {}", path.display()))
}

/// Writes a bundle, whole or not at all.
///
/// # Errors
/// The I/O error, with the file named.
pub fn save(bundle: &Bundle, path: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    hone_shared::bundle::write(bundle, &mut bytes)?;
    Ok(hone_device::atomic::write_bytes(path, &bytes)?)
}

struct ModelFile {
    bytes: Vec<u8>,
    recipe: Option<[u8; 32]>,
}

fn student(level: &str, path: &Path) -> Result<(ModelEntry, ModelFile)> {
    let bytes = read(path)?;
    let options = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let engine = engine::load(&bytes, options)
        .with_context(|| format!("{} cannot go into a bundle", path.display()))?;
    let info = engine.student();
    let meta = Metadata(ModelProto::decode(bytes.as_slice())?);
    check_metadata(&meta, info)
        .with_context(|| format!("{} contradicts itself", path.display()))?;
    let recipe = meta.get(META_RECIPE).and_then(unhex32);
    let entry = ModelEntry {
        name: level.to_owned(),
        precision: info.precision,
        colour: info.colour,
        scale: u32::try_from(info.scale)?,
        halo: info.halo.map(u32::try_from).transpose()?,
        macs_per_pixel: info.macs_per_pixel,
        part: 0,
        metrics: Vec::new(),
    };
    Ok((entry, ModelFile { bytes, recipe }))
}

struct Metadata(ModelProto);

impl Metadata {
    fn get(&self, key: &str) -> Option<&str> {
        let props = &self.0.metadata_props;
        props
            .iter()
            .find(|p| p.key == key)
            .map(|p| p.value.as_str())
    }
}

fn check_metadata(meta: &Metadata, info: &StudentInfo) -> Result<()> {
    let mut told = vec![
        (META_COLOUR, Some(info.colour.to_string())),
        (META_SCALE, Some(info.scale.to_string())),
    ];
    // Files tell halos in pixels or in whole blocks.
    let blocks = info
        .halo
        .map(|h| h.next_multiple_of(info.scale).to_string());
    if meta.get(META_HALO) != blocks.as_deref() {
        told.push((META_HALO, info.halo.map(|h| h.to_string())));
    }
    for (key, found) in told {
        if let (Some(says), Some(is)) = (meta.get(key), found) {
            ensure!(says == is, "its {key} says {says}, its graph has {is}");
        }
    }
    Ok(())
}

/// The recipe that all students come from, if it is one and the same.
fn shared_recipe(mut recipes: impl Iterator<Item = Option<[u8; 32]>>) -> Option<[u8; 32]> {
    let first = recipes.next()??;
    recipes.all(|r| r == Some(first)).then_some(first)
}

fn add_metrics(models: &mut [ModelEntry], json: &[u8]) -> Result<()> {
    let table: std::collections::BTreeMap<String, std::collections::BTreeMap<String, f64>> =
        serde_json::from_slice(json)
            .context("they must be a JSON object of LEVEL/PRECISION to an object of numbers")?;
    for (label, numbers) in table {
        let found = models
            .iter_mut()
            .find(|m| format!("{}/{}", m.name, m.precision) == label);
        let Some(model) = found else {
            bail!("'{label}' is none of the models packed");
        };
        model.metrics = numbers
            .into_iter()
            .map(|(name, value)| Metric { name, value })
            .collect();
    }
    Ok(())
}

fn text_part(name: &str, kind: PartKind, path: &Path) -> Result<Part> {
    let bytes = read(path)?;
    ensure!(
        std::str::from_utf8(&bytes).is_ok(),
        "{} is not UTF-8 text",
        path.display()
    );
    Ok(Part {
        name: name.to_owned(),
        kind,
        bytes,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let context = || format!("cannot read {}", path.display());
    let length = std::fs::metadata(path).with_context(context)?.len();
    ensure!(
        length <= MAX_PART,
        "{} takes {length} bytes, {MAX_PART} are the most a bundle's part may have",
        path.display()
    );
    std::fs::read(path).with_context(context)
}
