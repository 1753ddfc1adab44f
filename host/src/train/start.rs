//! Starting a training from weights that are there, instead of random ones: an earlier run's, or a student's that was exported.

use std::path::Path;

use anyhow::{Context, Result, bail};
use hone_device::engine::convolutions;
use hone_shared::student::Precision;
use tch::nn::VarStore;

use super::checkpoint::Checkpoint;
use super::run::BEST;
use crate::bundle;
use crate::data::index;
use crate::recipe::sha256;
use crate::student::{Student, shape};

/// Fills `network`, which `student` computes with, from the best weights of a run's folder, an f32 ONNX file or the f32 student
/// of the same shape in a bundle; gives the SHA-256 of the weights or of the ONNX file.
///
/// # Errors
/// When there are no weights, or those of a network of another shape.
pub(super) fn fill(
    network: &VarStore,
    student: &dyn Student,
    from: Option<&Path>,
) -> Result<Option<String>> {
    let Some(from) = from else {
        return Ok(None);
    };
    let filled = match from.extension().and_then(|e| e.to_str()) {
        Some("onnx") => of_onnx(student, from),
        Some("hone") => of_bundle(student, from),
        _ => of_run(network, from),
    };
    filled
        .with_context(|| format!("cannot start from {}", from.display()))
        .map(Some)
}

/// Fills `network` from weights in memory; gives the SHA-256 of their file.
///
/// # Errors
/// When they are of a network of another shape.
pub(super) fn of_weights(network: &VarStore, weights: &Checkpoint) -> Result<String> {
    weights.fill("", network)?;
    Ok(sha256(&weights.to_bytes()?))
}

fn of_run(network: &VarStore, run: &Path) -> Result<String> {
    let weights = run.join(BEST);
    let checkpoint = Checkpoint::read(&weights)
        .context("it is no run's folder with weights, no .onnx and no .hone file")?;
    checkpoint
        .fill("", network)
        .context("its network is not the recipe's")?;
    index::sha256(&weights)
}

fn of_onnx(student: &dyn Student, file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).context("it cannot be read")?;
    student.unfold(&convolutions(&bytes)?)?;
    Ok(sha256(&bytes))
}

fn of_bundle(student: &dyn Student, file: &Path) -> Result<String> {
    let bundle = bundle::open(file)?;
    let own = shape(&student.fold()?);
    let mut others = Vec::new();
    for model in &bundle.manifest().models {
        if model.precision != Precision::F32 {
            continue;
        }
        let bytes = bundle.model_bytes(model);
        match convolutions(bytes) {
            Ok(chain) if shape(&chain) == own => {
                student.unfold(&chain)?;
                return Ok(sha256(bytes));
            }
            Ok(chain) => others.push(format!("{} is {}", model.name, shape(&chain))),
            Err(error) => others.push(format!("{}: {error}", model.name)),
        }
    }
    if others.is_empty() {
        bail!("it holds no f32 student, and INT8 is not trained on");
    }
    let others = others.join("; ");
    bail!("the recipe's student is {own}, and none of its f32 students is: {others}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::onnx::{Metadata, write_chain_f32};
    use crate::student::{StudentConfig, build};
    use hone_shared::student::Colour;
    use tch::Device;

    fn project(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    fn network(shape: &str) -> (VarStore, Box<dyn Student>) {
        let config = format!("architecture = 'plain'\nscale = 2\n{shape}");
        let config: StudentConfig = toml::from_str(&config).unwrap();
        let store = VarStore::new(Device::Cpu);
        let student = build(&config, Colour::Luma, &store.root()).unwrap();
        (store, student)
    }

    fn refusal(shape: &str, from: &Path) -> String {
        let (store, student) = network(shape);
        format!(
            "{:#}",
            fill(&store, student.as_ref(), Some(from)).unwrap_err()
        )
    }

    #[test]
    fn an_earlier_runs_weights_are_taken_over_and_another_shape_is_refused() {
        tch::manual_seed(1);
        let shape = "channels = 8\nconvs = 3";
        let ((old, _), (new, student)) = (network(shape), network(shape));
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::default();
        checkpoint.add("", &old);
        checkpoint
            .write(&folder.path().join("best.safetensors"))
            .unwrap();
        assert_eq!(fill(&new, student.as_ref(), None).unwrap(), None);
        let sha256 = fill(&new, student.as_ref(), Some(folder.path())).unwrap();
        assert_eq!(sha256.unwrap().len(), 64);
        let variables = new.variables();
        assert!(old.variables().iter().all(|(k, v)| variables[k] == *v));

        let error = refusal("channels = 4\nconvs = 3", folder.path());
        assert!(error.contains("is not the recipe's"), "{error}");
        let error = refusal(shape, &folder.path().join("none"));
        assert!(error.contains("no run's folder"), "{error}");
    }

    #[test]
    fn a_bundles_student_of_the_recipes_shape_is_found_and_its_file_does_as_well() {
        tch::manual_seed(2);
        let bundle = project("models/motion.hone");
        let opened = bundle::open(&bundle).unwrap();
        let level = opened.manifest().model("small", Precision::F32).unwrap();
        let small = opened.model_bytes(level);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("small.onnx");
        std::fs::write(&file, small).unwrap();
        let want = convolutions(small).unwrap();
        for from in [&bundle, &file] {
            let (store, student) = network("channels = 8\nconvs = 6");
            let hash = fill(&store, student.as_ref(), Some(from)).unwrap();
            assert_eq!(hash, Some(sha256(small)));
            let got = student.fold().unwrap();
            for (a, b) in got.layers.iter().zip(&want.layers) {
                let weights = a.weights.iter().zip(&b.weights);
                assert!(weights.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
                assert_eq!(a.bias, b.bias);
            }
        }
        let error = refusal("channels = 7\nconvs = 3", &bundle);
        assert!(
            error.contains("; medium is luma, SpaceToDepth 2, 4-16 3x3 ReLU, ")
                && error
                    .contains("the recipe's student is luma, SpaceToDepth 2, 4-7 3x3 ReLU, 7-7"),
            "{error}"
        );
    }

    #[test]
    fn a_temporal_students_file_brings_its_channels_back_in_order() {
        tch::manual_seed(3);
        let shape = "channels = 8\nconvs = 3\ntemporal = true";
        let chain = network(shape).1.fold().unwrap();
        let metadata = Metadata {
            scale: 2,
            ..Metadata::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("temporal.onnx");
        std::fs::write(&file, write_chain_f32(&chain, &metadata)).unwrap();
        let (store, student) = network(shape);
        fill(&store, student.as_ref(), Some(&file)).unwrap();
        let got = student.fold().unwrap();
        for (a, b) in got.layers.iter().zip(&chain.layers) {
            let mut weights = a.weights.iter().zip(&b.weights);
            assert!(weights.all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn int8_and_damaged_files_are_refused() {
        let shape = "channels = 8\nconvs = 3";
        let error = refusal(shape, &project("device/tests/data/luma.int8.onnx"));
        assert!(error.contains("its weights are INT8"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        for name in ["damaged.onnx", "damaged.hone"] {
            let file = folder.path().join(name);
            std::fs::write(&file, b"nothing of the kind").unwrap();
            let error = refusal(shape, &file);
            assert!(error.contains(name), "{error}");
        }
    }
}
