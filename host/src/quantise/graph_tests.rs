//! Graph students in INT8: one arithmetic in torch, ONNX Runtime and tract.

use clap::ValueEnum;
use hone_device::engine::{self, EngineOptions, FrameView, FrameViewMut, PixelFormat};
use hone_shared::student::{Colour, Precision};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::graph::convolutions;
use super::of_graph::quantise_graph_after;
use super::sensitivity::sensitivity_of_graph;
use super::tests::{bytes, frames};
use super::{Before, Calibration, QuantiseConfig, quantise_graph};
use crate::check::second_opinion::{Runtime, SecondOpinion};
use crate::onnx::{Metadata, parameters, write_graph};
use crate::student::{Graph, Student, StudentConfig, build};

const DSUNET: &str = "architecture = 'dsunet'\nwidth = 8\ndepth = 2";
const NAFNET: &str = "architecture = 'nafnet-lite'\nwidth = 8\nencoder = [1, 1]\nmiddle = 1\ndecoder = [1, 1]\ngroups = 2";

fn student(text: &str) -> (VarStore, Box<dyn Student>) {
    tch::manual_seed(11);
    let config: StudentConfig = toml::from_str(text).unwrap();
    let store = VarStore::new(Device::Cpu);
    let student = build(&config, Colour::Rgb, &store.root()).unwrap();
    tch::no_grad(|| {
        for mut variable in store.trainable_variables() {
            // Factors that start at 0 would hide a branch.
            let noise = variable.randn_like() * 0.05;
            variable += noise;
        }
    });
    (store, student)
}

fn metadata(graph: &Graph) -> Metadata {
    Metadata {
        name: "test".into(),
        scale: graph.multiple,
        halo: graph.halo(),
        ..Metadata::default()
    }
}

/// RGB bytes `[3,H,W]` that the board's engine makes of a frame.
fn on_the_board(model: &[u8], frame: &Tensor) -> Vec<u8> {
    let (height, width) = (frame.size()[2] as usize, frame.size()[3] as usize);
    let mut engine = engine::load(model, EngineOptions::default()).unwrap();
    assert_eq!(engine.student().precision, Precision::Int8);
    assert!(engine.description().contains("but slower"));
    let pixels = bytes(&frame.permute([0, 2, 3, 1]));
    let mut restored = vec![0; pixels.len()];
    let view = FrameView::packed(PixelFormat::Rgb8, width, height, &pixels).unwrap();
    let mut out = FrameViewMut::packed(PixelFormat::Rgb8, width, height, &mut restored).unwrap();
    engine.run(&view, &mut out, 1.0).unwrap();
    let restored = Tensor::from_slice(&restored).reshape([height as i64, width as i64, 3]);
    Vec::try_from(restored.permute([2, 0, 1]).contiguous().flatten(0, -1)).unwrap()
}

#[test]
fn torch_onnx_runtime_and_tract_agree_on_int8_graphs() {
    for text in [DSUNET, NAFNET] {
        let (_store, student) = student(text);
        let graph = student.graph().unwrap();
        let frames = frames(Colour::Rgb, 64, 3);
        let int8 = quantise_graph(
            graph,
            Colour::Rgb,
            &frames,
            &QuantiseConfig::default(),
            |_| (),
        )
        .unwrap();
        let model = int8.write(&metadata(graph)).unwrap();
        let float = write_graph(graph, None, Colour::Rgb, &metadata(graph)).unwrap();
        assert_eq!(parameters(&model), parameters(&float));
        let opinion = SecondOpinion::new(&model).unwrap();
        opinion.expect_integer().unwrap();
        let frame = &frames[1];
        let restored = tch::no_grad(|| int8.restore(frame));
        let want = bytes(&restored);
        let half = ((restored - frame).abs() - 0.5).abs().lt(1e-6);
        let halves = Vec::<bool>::try_from(half.flatten(0, -1)).unwrap();
        assert!(halves.iter().filter(|half| **half).count() < want.len() / 5);
        let exact = bytes(&tch::no_grad(|| student.forward(frame, false).restored));
        assert_ne!(want, exact, "nothing was rounded");
        let floats = Vec::<f32>::try_from(frame.contiguous().flatten(0, -1)).unwrap();
        let others = [Runtime::Ort, Runtime::OrtPlain].map(|runtime| {
            let restored = opinion.run(runtime, &floats, [3, 64, 64]).unwrap();
            bytes(&Tensor::from_slice(&restored))
        });
        let [ort, plain] = others;
        for (who, got) in [
            ("ORT", ort),
            ("ORT plain", plain),
            ("tract", on_the_board(&model, frame)),
        ] {
            let apart = got.iter().zip(&want).map(|(a, b)| a.abs_diff(*b));
            assert!(
                apart.clone().all(|d| d <= 1),
                "{who} is off by more than 1: {text}"
            );
            // 255 times a residual of a half lies between two bytes, and each may take either.
            let surprising = apart.zip(&halves).filter(|(d, half)| *d > 0 && !**half);
            let off = surprising.count();
            assert_eq!(off, 0, "{who}, of {} bytes: {text}", want.len());
        }
    }
}

#[test]
fn every_calibration_stays_near_f32() {
    for text in [DSUNET, NAFNET] {
        let (_store, student) = student(text);
        let graph = student.graph().unwrap();
        let frames = frames(Colour::Rgb, 32, 3);
        let restored = |frame: &Tensor| tch::no_grad(|| student.forward(frame, false).restored);
        let size = |x: Tensor| x.square().mean(Kind::Double).sqrt().double_value(&[]);
        let change = size(restored(&frames[0]) - &frames[0]);
        for &calibration in Calibration::value_variants() {
            let config = QuantiseConfig {
                calibration,
                ..QuantiseConfig::default()
            };
            let int8 = quantise_graph(graph, Colour::Rgb, &frames, &config, |_| ()).unwrap();
            let error = tch::no_grad(|| size(int8.restore(&frames[0]) - restored(&frames[0])));
            assert!(
                error < 0.2 * change,
                "{calibration:?}: {error} of {change}: {text}"
            );
        }
    }
}

#[test]
fn layers_kept_in_f32_and_the_table_of_layers() {
    let (_store, student) = student(DSUNET);
    let graph = student.graph().unwrap();
    let pictures = frames(Colour::Rgb, 32, 2);
    let with = |keep_float| QuantiseConfig {
        keep_float,
        ..QuantiseConfig::default()
    };
    let quantised = |config| quantise_graph(graph, Colour::Rgb, &pictures, &config, |_| ());
    let layers = convolutions(graph).len();
    let none = quantised(with((0..layers).collect())).unwrap();
    assert!(none.convs.is_empty());
    let float = tch::no_grad(|| student.forward(&pictures[0], false).restored);
    assert_eq!(tch::no_grad(|| none.restore(&pictures[0])), float);
    let without_ends = quantised(with(vec![0, layers - 1])).unwrap();
    let model = without_ends.write(&metadata(graph)).unwrap();
    let want = bytes(&tch::no_grad(|| without_ends.restore(&pictures[0])));
    let got = on_the_board(&model, &pictures[0]);
    assert!(got.iter().zip(&want).all(|(a, b)| a.abs_diff(*b) <= 1));

    let every = with(vec![]);
    let every = quantise_graph_after(graph, Colour::Rgb, &pictures, &every, Before::Float, |_| ());
    let every = every.unwrap();
    for layer in [0, 1, layers - 1] {
        let others = (0..layers).filter(|other| *other != layer).collect();
        let node = convolutions(graph)[layer];
        assert_eq!(
            quantised(with(others)).unwrap().convs[&node],
            every.convs[&node]
        );
    }
    let truth = (&float + 0.02, float.shallow_clone());
    let pairs = [(pictures[0].shallow_clone(), truth.0)];
    let mut seen = 0;
    let rows = sensitivity_of_graph(&without_ends, &every, &pairs, |done| seen = done);
    assert_eq!((rows.len(), seen), (layers + 1, layers as u64));
    assert_eq!(rows[1].what, "3x3 8 to 8, depthwise");
    assert!(rows.iter().all(|row| row.loss_db().abs() < 3.0));
    assert!(rows[..layers].iter().any(|row| row.loss_db() != 0.0));

    let refused = quantised(with(vec![layers])).unwrap_err().to_string();
    assert!(refused.contains(&format!("no layer {layers}")), "{refused}");
    let luma = frames(Colour::Luma, 32, 1);
    let refused = quantise_graph(graph, Colour::Rgb, &luma, &with(vec![]), |_| ()).unwrap_err();
    assert!(refused.to_string().contains("1 planes"));
    let odd = frames(Colour::Rgb, 18, 1);
    let refused = quantise_graph(graph, Colour::Rgb, &odd, &with(vec![]), |_| ()).unwrap_err();
    assert!(refused.to_string().contains("multiples of 4"));
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let (store, student) = student(DSUNET);
    let mut kernel = store.variables().remove("tail.kernel").unwrap();
    tch::no_grad(|| {
        let _ = kernel.fill_(f64::NAN);
    });
    let graph = student.graph().unwrap();
    let frames = frames(Colour::Rgb, 32, 1);
    let refused = quantise_graph(
        graph,
        Colour::Rgb,
        &frames,
        &QuantiseConfig::default(),
        |_| (),
    );
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(
        refused.contains("layer 17") && refused.contains("not a finite number"),
        "{refused}"
    );
}

#[test]
fn int8_files_of_graphs_are_a_third_of_f32_and_less() {
    for (architecture, limit) in [("dsunet", 1_250_000), ("nafnet-lite", 4_000_000)] {
        let (_store, student) = student(&format!("architecture = '{architecture}'"));
        let graph = student.graph().unwrap();
        let frames = frames(Colour::Rgb, 32, 1);
        let config = QuantiseConfig::default();
        let int8 = quantise_graph(graph, Colour::Rgb, &frames, &config, |_| ()).unwrap();
        let size = int8.write(&metadata(graph)).unwrap().len();
        assert!(size < limit, "{architecture}: {size} bytes");
    }
}
