//! What a board will make of a bundle, where that is not what one may expect.

use hone_device::engine::{self, is_fused};
use hone_shared::bundle::{Bundle, ModelEntry};
use hone_shared::student::Precision;

/// One sentence each.
pub fn remarks(bundle: &Bundle) -> Vec<String> {
    let mut remarks: Vec<String> = bundle
        .manifest()
        .models
        .iter()
        .flat_map(|model| of_student(bundle, model))
        .collect();
    let taken = bundle.ladder(None, None, is_fused).unwrap_or_default();
    if let Some(odd) = taken.iter().find(|m| m.colour != taken[0].colour) {
        let (first, other) = (taken[0], odd);
        remarks.push(format!(
            "{} restores {}, {} {}: they make no one ladder, so boards need the name of one (honed run --level, or \
             student.level in the configuration)",
            first.name, first.colour, other.name, other.colour
        ));
    }
    remarks
}

fn of_student(bundle: &Bundle, model: &ModelEntry) -> Vec<String> {
    let name = format!("{} in {}", model.name, model.precision);
    let found = match engine::describe(bundle.model_bytes(model)) {
        Ok(found) => found,
        Err(reason) => return vec![format!("{name} runs on no board: {reason}")],
    };
    let mut remarks = Vec::new();
    if let (Precision::Int8, Err(reason)) = (model.precision, &found.layers) {
        let instead = match bundle.manifest().model(&model.name, Precision::F32) {
            Some(_) => "boards take the f32 one, unless --precision or student.precision is int8",
            None => "pack the f32 one too, which boards then take",
        };
        remarks.push(format!(
            "{name} runs through tract ({reason}), slower than in f32: {instead}"
        ));
    }
    if !found.cost_is_known {
        remarks.push(format!(
            "{name}: its {:.0} MAC/pixel, by which levels are ordered, are a guess, for it multiplies behind operations \
             that are not followed",
            model.macs_per_pixel
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use hone_shared::student::Colour;
    use tch::Tensor;

    use super::*;
    use crate::bundle::{Content, pack};
    use crate::onnx::tests::float_chain;
    use crate::onnx::{Format, Metadata, write_chain_f32};
    use crate::quantise::{QuantiseConfig, quantise};
    use crate::restore::{Restore, Student};

    #[test]
    fn boards_and_the_workstation_take_f32_where_int8_is_slower() {
        let chain = float_chain(Colour::Luma, 2, &[3, 3], 3);
        let frame = Tensor::rand([1, 1, 32, 32], tch::kind::FLOAT_CPU);
        let int8 = quantise(&chain, &[frame], &QuantiseConfig::default()).unwrap();
        let metadata = Metadata {
            scale: 2,
            halo: Some(chain.halo()),
            ..Metadata::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let packed = |name: &str, files: &[Vec<u8>]| {
            let write = |(i, bytes): (usize, &Vec<u8>)| {
                let path = folder.path().join(format!("{name}{i}.onnx"));
                std::fs::write(&path, bytes).unwrap();
                ("small".to_owned(), path)
            };
            let content = Content {
                name: "test".into(),
                models: files.iter().enumerate().map(write).collect(),
                ..Content::default()
            };
            let bundle = pack(&content, "1.0.0".parse().unwrap()).unwrap();
            let path = folder.path().join(name);
            crate::bundle::save(&bundle, &path).unwrap();
            let restored = Student::from_bundle(&path, None, None, Default::default()).unwrap();
            (remarks(&bundle), restored.name())
        };
        let float = || write_chain_f32(&chain, &metadata);
        let (said, taken) = packed("fast", &[float(), int8.write(Format::Qdq, &metadata)]);
        assert_eq!((said.len(), taken.as_str()), (0, "small int8"));
        let slow = || int8.write(Format::Qoperator, &metadata);
        let (said, taken) = packed("slow", &[float(), slow()]);
        assert_eq!(taken, "small f32");
        assert!(said[0].contains("boards take the f32 one"), "{said:?}");
        let (said, taken) = packed("alone", &[slow()]);
        assert_eq!(taken, "small int8");
        assert!(said[0].contains("pack the f32 one too"), "{said:?}");
        assert_eq!(packed("float", &[float()]).1, "small f32");
    }
}
