use hone_shared::bundle::{Bundle, Part, PartEntry};
use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
use tract_onnx::pb::type_proto::Value;

use super::*;
use crate::onnx::tests::{SHAPES, float_chain};
use crate::onnx::{Attribute, Format, Metadata, simplify, write_chain_f32, write_graph};
use crate::quantise::{QuantiseConfig, quantise};
use crate::student::{StudentConfig, build};

fn metadata(scale: usize, halo: Option<usize>) -> Metadata {
    Metadata {
        name: "test".into(),
        recipe_sha256: None,
        scale,
        halo,
    }
}

/// The names of those that agreed.
fn agreed(report: &Report) -> Vec<&str> {
    assert!(report.passed(), "{report:?}");
    report.agreements.iter().map(|a| a.with.as_str()).collect()
}

#[test]
fn exported_chains_pass_on_engine_tract_onnx_runtime_and_opencv() {
    for (seed, (colour, scale, kernels)) in SHAPES.into_iter().enumerate() {
        let chain = float_chain(colour, scale, kernels, seed as u64);
        let metadata = metadata(scale, Some(chain.halo()));
        let frame = Tensor::rand([1, colour.channels() as i64, 32, 32], tch::kind::FLOAT_CPU);
        let int8 = quantise(&chain, &[frame], &QuantiseConfig::default()).unwrap();
        let float = write_chain_f32(&chain, &metadata);
        let python = seed == 0;
        for format in [Format::Qdq, Format::Qoperator] {
            let bytes = int8.write(format, &metadata);
            let against = Against {
                other: Some(&float),
                python,
                ..Against::default()
            };
            let report = check(&bytes, against).unwrap();
            assert_eq!(agreed(&report).contains(&"OpenCV DNN"), python);
            assert_eq!((report.scale, report.halo), (scale, Some(chain.halo())));
            let cost = chain.macs_per_pixel();
            assert!((report.macs_per_pixel / cost - 1.0).abs() < 1e-9);
        }
        let against = Against {
            python,
            ..Against::default()
        };
        let report = check(&float, against).unwrap();
        assert_eq!(agreed(&report).contains(&"OpenCV DNN"), python);
    }
}

#[test]
fn a_temporal_student_agrees_on_the_second_frame_everywhere() {
    tch::manual_seed(12);
    let text = "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 3\ntemporal = true";
    let config: StudentConfig = toml::from_str(text).unwrap();
    for colour in [Colour::Luma, Colour::Rgb] {
        let store = tch::nn::VarStore::new(tch::Device::Cpu);
        let student = build(&config, colour, &store.root()).unwrap();
        let chain = student.fold().unwrap();
        let metadata = metadata(2, Some(chain.halo()));
        let planes = 2 * colour.channels() as i64;
        let frame = Tensor::rand([1, planes, 32, 32], tch::kind::FLOAT_CPU);
        let int8 = quantise(&chain, &[frame], &QuantiseConfig::default()).unwrap();
        let float = write_chain_f32(&chain, &metadata);
        let python = colour == Colour::Luma;
        for model in [&float, &simplify(&float).unwrap()] {
            let against = Against {
                checkpoint: Some(student.as_ref()),
                python,
                ..Against::default()
            };
            let report = check(model, against).unwrap();
            assert!(report.engine.contains("fused"), "{}", report.engine);
            assert!(agreed(&report).contains(&CHECKPOINT));
            assert_eq!(agreed(&report).contains(&"ONNX Runtime"), python);
        }
        for format in [Format::Qdq, Format::Qoperator] {
            let against = Against {
                other: Some(&float),
                python,
                ..Against::default()
            };
            let report = check(&int8.write(format, &metadata), against).unwrap();
            let ort = report.agreements.iter().find(|a| a.with == "ONNX Runtime");
            // ONNX Runtime is given the board's bytes for the frame before.
            assert!(ort.is_none_or(|a| a.worst == 0 || format == Format::Qoperator));
            agreed(&report);
        }
    }
}

#[test]
fn students_that_are_no_chain_export_simplify_and_agree_with_torch() {
    let recipes = [
        "architecture = 'dsunet'\nwidth = 8\ndepth = 2",
        "architecture = 'nafnet-lite'\nwidth = 8\nencoder = [1, 1]\nmiddle = 1\ndecoder = [1, 1]\ngroups = 2",
    ];
    for (i, text) in recipes.into_iter().enumerate() {
        tch::manual_seed(11);
        let config: StudentConfig = toml::from_str(text).unwrap();
        let store = tch::nn::VarStore::new(tch::Device::Cpu);
        let student = build(&config, Colour::Rgb, &store.root()).unwrap();
        tch::no_grad(|| {
            for mut variable in store.trainable_variables() {
                // Factors that start at 0 would hide a branch.
                let noise = variable.randn_like() * 0.05;
                variable += noise;
            }
        });
        let graph = student.graph().unwrap();
        // A halo where the student is local, none where pooling sees the whole frame.
        assert_eq!(graph.halo().is_some(), i == 0, "{text}");
        let metadata = metadata(graph.multiple, graph.halo());
        let model = write_graph(graph, None, Colour::Rgb, &metadata).unwrap();
        let simple = simplify(&model).unwrap();
        assert!(i == 0 || simple.len() < model.len());
        for bytes in [&model, &simple] {
            let against = Against {
                checkpoint: Some(student.as_ref()),
                python: true,
                ..Against::default()
            };
            let report = check(bytes, against).unwrap();
            for with in ["tract", CHECKPOINT, "ONNX Runtime"] {
                assert!(agreed(&report).contains(&with), "{with}: {report:?}");
            }
            let whole = |halo: usize| halo.next_multiple_of(graph.multiple);
            assert_eq!(report.halo.map(whole), graph.halo(), "{text}");
            let cost = graph.macs_per_pixel();
            assert!((report.macs_per_pixel / cost - 1.0).abs() < 1e-9, "{text}");
        }
    }
}

#[test]
fn dsunet_fits_the_size_it_may_have() {
    let config: StudentConfig = toml::from_str("architecture = 'dsunet'").unwrap();
    let store = tch::nn::VarStore::new(tch::Device::Cpu);
    let student = build(&config, Colour::Rgb, &store.root()).unwrap();
    let graph = student.graph().unwrap();
    let metadata = metadata(graph.multiple, graph.halo());
    let model = write_graph(graph, None, Colour::Rgb, &metadata).unwrap();
    assert!(model.len() < 5_000_000, "{} bytes", model.len());
    // No chain: the refusal says what takes it instead.
    let error = student.fold().unwrap_err().to_string();
    assert!(
        error.contains("'dsunet'") && error.contains("hone export"),
        "{error}"
    );
}

#[test]
fn what_is_no_student_is_refused() {
    let refused = |bytes: &[u8]| format!("{:#}", check(bytes, Against::default()).unwrap_err());
    let error = refused(b"no model at all");
    assert!(error.contains("no ONNX file"), "{error}");
    // An operator that nobody knows.
    let mut graph = crate::onnx::Graph::new();
    let residual = graph.node("Sharpen", &["frame"], "residual", &[]);
    let strange = graph.finish(&residual, Colour::Luma, &metadata(1, Some(1)));
    let error = refused(&strange);
    assert!(error.contains("Sharpen"), "{error}");
    let chain = float_chain(Colour::Luma, 2, &[3, 3], 1);
    // What a training that diverged leaves behind.
    let mut diverged = chain.clone();
    diverged.layers[0].weights[0] = f32::NAN;
    let error = refused(&write_chain_f32(&diverged, &metadata(2, None)));
    assert!(error.contains("not finite"), "{error}");
    let rgb = write_chain_f32(&float_chain(Colour::Rgb, 2, &[3, 3], 1), &metadata(2, None));
    let luma = write_chain_f32(&chain, &metadata(2, None));
    let against = Against {
        other: Some(&rgb),
        ..Against::default()
    };
    let error = format!("{:#}", check(&luma, against).unwrap_err());
    assert!(error.contains("restores rgb, this one luma"), "{error}");
}

#[test]
fn every_student_of_a_bundle_is_checked_and_must_be_what_the_manifest_says() {
    let chain = float_chain(Colour::Luma, 2, &[3, 3], 3);
    let frame = Tensor::rand([1, 1, 32, 32], tch::kind::FLOAT_CPU);
    let int8 = quantise(&chain, &[frame], &QuantiseConfig::default()).unwrap();
    let metadata = metadata(2, Some(chain.halo()));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        ("small".to_owned(), path)
    };
    let content = crate::bundle::Content {
        name: "test".into(),
        models: vec![
            write("f32.onnx", write_chain_f32(&chain, &metadata)),
            write("int8.onnx", int8.write(Format::Qdq, &metadata)),
        ],
        ..Default::default()
    };
    let bundle = crate::bundle::pack(&content, "1.0.0".parse().unwrap()).unwrap();
    let mut through = 0;
    let reports = check_bundle(&bundle, false, || through += 1).unwrap();
    assert_eq!((reports.len(), through), (2, 2));
    for PartReport { student, report } in &reports {
        let int8 = student == "small.int8";
        assert_eq!(agreed(report).contains(&OTHER), int8, "{student}");
    }

    let mut manifest = bundle.manifest().clone();
    manifest.models[1].halo = Some(3);
    let bytes = |(entry, bytes): (&PartEntry, &[u8])| Part {
        name: entry.name.clone(),
        kind: entry.kind,
        bytes: bytes.to_vec(),
    };
    let parts = bundle.parts().map(bytes).collect();
    let wrong = Bundle::new(manifest, parts).unwrap();
    let error = format!("{:#}", check_bundle(&wrong, false, || ()).unwrap_err());
    assert!(error.contains("small.int8: the manifest says"), "{error}");
}

#[test]
fn a_size_that_a_runtime_refuses_is_remarked() {
    let mut graph = crate::onnx::Graph::new();
    let one = [0, 0, 1, 1, 0, 0, 1, 1];
    let pads = graph.longs("pads", &[8], &one);
    let reflect = [("mode", Attribute::Text("reflect"))];
    let padded = graph.node("Pad", &["frame", &pads], "padded", &reflect);
    let weight = graph.floats("w", &[1, 1, 3, 3], &[0.0537; 9]);
    let residual = graph.node("Conv", &[&padded, &weight], "residual", &[]);
    let model = graph.finish(&residual, Colour::Luma, &metadata(1, Some(1)));
    let against = Against {
        python: true,
        ..Against::default()
    };
    let report = check(&model, against).unwrap();
    assert!(agreed(&report).contains(&"ONNX Runtime"));
    let refused = "ONNX Runtime refuses frames of 1x1,";
    let remarked = |r: &String| r.starts_with(refused);
    assert!(report.remarks.iter().any(remarked), "{:?}", report.remarks);
    assert!(!report.remarks.iter().any(|r| r.contains("OpenCV")));
    assert_eq!(report.macs_per_pixel, 9.0);
}

#[test]
fn a_model_of_one_size_is_compared_at_that_size() {
    let chain = float_chain(Colour::Luma, 2, &[3, 3], 3);
    let bytes = write_chain_f32(&chain, &metadata(2, Some(chain.halo())));
    let sized = |height: i64| {
        let mut proto = ModelProto::decode(bytes.as_slice()).unwrap();
        let graph = proto.graph.as_mut().unwrap();
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            let kind = value.r#type.as_mut().unwrap().value.as_mut().unwrap();
            let Value::TensorType(tensor) = kind;
            let dims = &mut tensor.shape.as_mut().unwrap().dim;
            dims[2].value = Some(DimValue(height));
            dims[3].value = Some(DimValue(24));
        }
        let against = Against {
            python: true,
            ..Against::default()
        };
        check(&proto.encode_to_vec(), against)
    };
    let report = sized(16).unwrap();
    assert!(agreed(&report).contains(&"ONNX Runtime"));
    let remark = &report.remarks[0];
    assert!(remark.contains("width 24 and height 16"), "{remark}");
    let error = sized(15).unwrap_err().to_string();
    assert!(error.contains("no multiple of 2"), "{error}");
}
