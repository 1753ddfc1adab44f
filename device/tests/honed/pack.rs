//! Packs bundles of the small luma student.

use std::path::Path;

use hone_shared::bundle::{Bundle, Manifest, ModelEntry, Part, PartKind, Provenance, write};
use hone_shared::student::{Colour, Precision};

/// An unsigned bundle of that student under each name, as if it cost so many multiplications a pixel.
pub fn bundle(release: &str, levels: &[(&str, f64)]) -> Bundle {
    let entry = |(part, &(name, macs_per_pixel)): (u32, &(&str, f64))| ModelEntry {
        name: name.into(),
        precision: Precision::F32,
        colour: Colour::Luma,
        scale: 2,
        halo: None,
        macs_per_pixel,
        part,
        metrics: Vec::new(),
    };
    let part = |(name, _): &(&str, f64)| Part {
        name: format!("{name}.f32.onnx"),
        kind: PartKind::Model,
        bytes: include_bytes!("../data/luma.onnx").to_vec(),
    };
    let manifest = Manifest {
        name: "street".into(),
        release: release.parse().unwrap(),
        models: (0..).zip(levels).map(entry).collect(),
        parts: Vec::new(),
        provenance: Provenance::default(),
    };
    Bundle::new(manifest, levels.iter().map(part).collect()).unwrap()
}

pub fn save(folder: &Path, name: &str, bundle: &Bundle) {
    let mut bytes = Vec::new();
    write(bundle, &mut bytes).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}
