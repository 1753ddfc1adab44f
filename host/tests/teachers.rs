//! The published networks' arithmetic: random weights as torch.save writes them, and the outputs of
//! the authors' forward passes.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hone_host::checkpoint;
use hone_host::teacher::config::read_file;
use hone_host::teacher::layer::computing_in;
use hone_host::teacher::{LoadOptions, Taps, Teacher, TeacherConfig, infer, load, load_with};
use tch::{Device, Kind, Tensor};

const NETWORKS: [&str; 8] = [
    "mprnet_tiny",
    "nafnet_tiny",
    "restormer_tiny",
    "restormer_tiny_biasfree",
    "swinir_tiny_denoise",
    "swinir_tiny_jpeg",
    "swinir_tiny_light_x2",
    "swinir_tiny_x2",
];

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/teachers")
        .join(name)
        .join(file)
}

fn io(name: &str, tensor: &str) -> Tensor {
    let entries = checkpoint::read(&fixture(name, "io.safetensors"), None)
        .unwrap()
        .entries;
    load::tensor(entries.iter().find(|e| e.name == tensor).unwrap()).unwrap()
}

fn open(name: &str, kind: Kind) -> (TeacherConfig, Box<dyn Teacher>) {
    let file = read_file(&fixture(name, "config.json")).unwrap();
    let options = LoadOptions {
        device: Device::Cpu,
        kind,
        key: file.checkpoint_key,
    };
    let teacher = load_with(&file.config, &fixture(name, "weights.pth"), &options).unwrap();
    (file.config, teacher)
}

/// Every stage's output, the final one first.
fn outputs(teacher: &dyn Teacher, x: &Tensor) -> Vec<Tensor> {
    teacher.run_padded(x, &mut Taps::closed())
}

fn error(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn outputs_are_the_publications() {
    for name in NETWORKS {
        let (_, teacher) = open(name, Kind::Float);
        let output = teacher.forward(&io(name, "input"));
        let error = error(&output, &io(name, "output"));
        assert!(error < 1e-4, "{name}: {error}");
    }
}

#[test]
fn mprnets_stages_are_the_publications() {
    let (_, teacher) = open("mprnet_tiny", Kind::Float);
    let outputs = outputs(teacher.as_ref(), &io("mprnet_tiny", "input"));
    let names = ["stage3", "stage2", "stage1"];
    for (output, name) in outputs.iter().zip(names) {
        let error = error(output, &io("mprnet_tiny", name));
        assert!(error < 1e-4, "{name}: {error}");
    }
    assert_eq!(outputs.len(), 3);
}

#[test]
fn shapes_tell_the_configuration() {
    for name in NETWORKS {
        let (expected, _) = open(name, Kind::Float);
        let checkpoint = checkpoint::read(&fixture(name, "weights.pth"), None).unwrap();
        let mut got = infer::infer(&checkpoint.entries).unwrap();
        if let (TeacherConfig::SwinIr(got), TeacherConfig::SwinIr(expected)) = (&mut got, &expected)
        {
            got.img_range = expected.img_range;
        }
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn reduced_precision_stays_close_and_features_are_named() {
    for name in [
        "restormer_tiny",
        "swinir_tiny_denoise",
        "mprnet_tiny",
        "nafnet_tiny",
    ] {
        let (_, teacher) = open(name, Kind::BFloat16);
        let (output, maps) = teacher.features(&io(name, "input"));
        let expected = io(name, "output");
        let relative = error(&output, &expected) / expected.abs().max().double_value(&[]);
        assert!(relative < 0.1, "{name}: {relative}");
        assert!(
            maps.len() >= 2 && maps.iter().all(|(_, m)| m.dim() == 4),
            "{name}"
        );
    }
}

#[test]
fn any_size_is_padded_and_cropped() {
    for name in NETWORKS {
        let (_, teacher) = open(name, Kind::Float);
        let x = Tensor::rand([2, teacher.channels(), 9, 21], (Kind::Float, Device::Cpu));
        let scale = teacher.scale();
        assert_eq!(
            teacher.forward(&x).size(),
            [2, teacher.channels(), 9 * scale, 21 * scale]
        );
        let both = teacher.forward(&x);
        let first = teacher.forward(&x.narrow(0, 1, 1));
        assert!(error(&both.narrow(0, 1, 1), &first) < 1e-4, "{name}");
    }
}

/// From the mean square of all stages' outputs.
fn backward(outputs: &[Tensor]) {
    let losses = outputs.iter().map(|y| y.square().mean(Kind::Float));
    losses.reduce(|a, b| a + b).unwrap().backward();
}

#[test]
fn gradients_reach_every_parameter() {
    for name in NETWORKS {
        let config = read_file(&fixture(name, "config.json")).unwrap().config;
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let teacher = hone_host::teacher::build(&config, &vs.root()).unwrap();
        let x = Tensor::rand([1, teacher.channels(), 16, 16], (Kind::Float, Device::Cpu));
        backward(&outputs(teacher.as_ref(), &x));
        for (parameter, value) in vs.variables() {
            assert!(
                value.grad().defined(),
                "{name}: {parameter} has no gradient"
            );
        }
    }
}

#[test]
fn training_in_bf16_keeps_f32_weights_gradients_and_sums_with_the_picture() {
    for name in NETWORKS {
        let config = read_file(&fixture(name, "config.json")).unwrap().config;
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let teacher = hone_host::teacher::build(&config, &vs.root()).unwrap();
        let x = Tensor::rand([1, teacher.channels(), 16, 16], (Kind::Float, Device::Cpu));
        let exact = tch::no_grad(|| teacher.forward(&x));
        let outputs = computing_in(Kind::BFloat16, || outputs(teacher.as_ref(), &x));
        let relative = error(&outputs[0], &exact) / exact.abs().max().double_value(&[]);
        assert!(relative > 1e-6 && relative < 0.05, "{name}: {relative}");
        if teacher.scale() == 1 {
            assert_eq!(outputs[0].kind(), Kind::Float, "{name}");
        }
        backward(&outputs);
        for (parameter, value) in vs.variables() {
            let gradient = value.grad();
            assert!(gradient.defined(), "{name}: {parameter} has no gradient");
            assert_eq!(gradient.kind(), Kind::Float, "{name}: {parameter}");
        }
        assert_eq!(teacher.forward(&x).kind(), Kind::Float);
    }
}
