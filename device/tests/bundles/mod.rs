//! Small bundles for tests that drive the real honed.

use std::path::Path;

use hone_shared::bundle::{
    Bundle, Manifest, ModelEntry, Part, PartKind, Provenance, SecretKey, write,
};
use hone_shared::student::{Colour, Precision};

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// A bundle of the small luma student, unsigned.
pub fn street(release: &str) -> Bundle {
    let student = ModelEntry {
        name: "small".into(),
        precision: Precision::F32,
        colour: Colour::Luma,
        scale: 2,
        halo: None,
        macs_per_pixel: 1.0,
        part: 0,
        metrics: Vec::new(),
    };
    let manifest = Manifest {
        name: "street".into(),
        release: release.parse().unwrap(),
        models: vec![student],
        parts: Vec::new(),
        provenance: Provenance::default(),
    };
    let part = Part {
        name: "small.f32.onnx".into(),
        kind: PartKind::Model,
        bytes: include_bytes!("../data/luma.onnx").to_vec(),
    };
    Bundle::new(manifest, vec![part]).unwrap()
}

pub fn save(folder: &Path, name: &str, bundle: &Bundle) {
    let mut bytes = Vec::new();
    write(bundle, &mut bytes).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}
