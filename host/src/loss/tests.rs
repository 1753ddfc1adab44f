//! Losses against published implementations' numbers.

use std::path::PathBuf;

use tch::{Device, Kind, Tensor, nn::VarStore};

use super::*;
use crate::picture::Picture;

pub(super) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn tensor(name: &str) -> Tensor {
    let p = Picture::load(&fixture(name)).unwrap();
    Tensor::from_slice(&p.data).reshape([1, 3, p.height as i64, p.width as i64])
}

fn expected() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixture("metrics/expected.json")).unwrap()).unwrap()
}

#[test]
fn ssim_and_ms_ssim_agree_with_pytorch_msssim() {
    let expected = expected();
    let mut seen = 0;
    for (pair, values) in expected.as_object().unwrap() {
        let a = tensor(&format!("metrics/{pair}_reference.png"));
        let b = tensor(&format!("metrics/{pair}_degraded.png"));
        if let Some(want) = values["ssim_valid_window11_rgb"].as_f64() {
            assert!(
                (ssim(&a, &b).double_value(&[]) - want).abs() < 1e-4,
                "{pair}"
            );
            seen += 1;
        }
        if let Some(want) = values["ms_ssim_rgb"].as_f64() {
            assert!(
                (ms_ssim(&a, &b).double_value(&[]) - want).abs() < 1e-4,
                "{pair}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} values compared");
}

#[test]
fn missing_decibels_are_counted_patch_by_patch() {
    let truth = Tensor::zeros([2, 1, 4, 4], tch::kind::FLOAT_CPU);
    // One patch at 20 dB, 20 below a floor of 40 less what the floor itself adds, and a perfect one.
    let worse = Tensor::full([1, 1, 4, 4], 0.1, tch::kind::FLOAT_CPU);
    let picture = Tensor::cat(&[worse, truth.narrow(0, 1, 1)], 0);
    let found = missing_decibels(&picture, &truth, 1e-4).double_value(&[]);
    let want = 10.0 * 101f64.log10() / 2.0;
    assert!((found - want).abs() < 1e-4, "{found}, expected {want}");
}

#[test]
fn edge_lab_and_charbonnier_agree_with_scikit_image() {
    for (pair, values) in expected().as_object().unwrap() {
        let a = tensor(&format!("metrics/{pair}_reference.png"));
        let b = tensor(&format!("metrics/{pair}_degraded.png"));
        let weights = Tensor::from_slice(&[0.299f32, 0.587, 0.114]).reshape([1, 3, 1, 1]);
        let luma = |x: &Tensor| (x * &weights).sum_dim_intlist([1i64].as_slice(), true, None);
        let between = |a: Tensor, b: Tensor| Measure::L1.between(&a, &b).double_value(&[]);
        let measured = [
            ("lab_l1", between(lab(&a), lab(&b)), 2e-3),
            (
                "sobel_magnitude_l1_gray",
                between(sobel_magnitude(&luma(&a)), sobel_magnitude(&luma(&b))),
                1e-4,
            ),
            (
                "charbonnier_eps1e_3",
                charbonnier(&a, &b, 1e-3).double_value(&[]),
                1e-6,
            ),
        ];
        for (name, got, tolerance) in measured {
            let want = values[name].as_f64().unwrap();
            assert!(
                (got - want).abs() < tolerance,
                "{pair} {name}: {got} against {want}"
            );
        }
    }
}

#[test]
fn only_what_leaves_the_truths_range_is_overshoot() {
    // A step from 0.2 to 0.8 between the third and the fourth column.
    let row = |values: [f32; 6]| Tensor::from_slice(&values).reshape([1, 1, 1, 6]);
    let truth = row([0.2, 0.2, 0.2, 0.8, 0.8, 0.8]);
    let of = |picture: &Tensor, window| overshoot(picture, &truth, window).double_value(&[]);
    let soft = row([0.2, 0.2, 0.4, 0.6, 0.8, 0.8]);
    assert_eq!(of(&truth, 3), 0.0);
    assert_eq!(of(&soft, 3), 0.0);
    let halos = row([0.2, 0.2, 0.1, 0.9, 0.8, 0.8]);
    assert!((of(&halos, 3) - 0.2 / 6.0).abs() < 1e-6);
    // Two pixels away from the step, three pixels see one side of it only, five see both.
    let far = row([0.2, 0.5, 0.2, 0.8, 0.8, 0.8]);
    assert!((of(&far, 3) - 0.3 / 6.0).abs() < 1e-6);
    assert_eq!(of(&far, 5), 0.0);
}

#[test]
fn white_and_a_primary_have_their_lab_values() {
    let rgb = Tensor::from_slice(&[1.0f32, 1.0, 0.0, 1.0, 0.0, 1.0]);
    let rgb = rgb.reshape([1, 3, 1, 2]);
    let lab = lab(&rgb);
    // Pixel 0 is red, pixel 1 white.
    let white = |c| lab.double_value(&[0, c, 0, 1]);
    assert!((white(0) - 100.0).abs() < 0.1 && white(1).abs() < 0.1);
    // sRGB red: L 53.24, a 80.09, b 67.20.
    let red = super::lab(&Tensor::from_slice(&[1.0f32, 0.0, 0.0]).reshape([1, 3, 1, 1]));
    for (c, want) in [(0, 53.24), (1, 80.09), (2, 67.20)] {
        assert!((red.double_value(&[0, c, 0, 0]) - want).abs() < 0.05);
    }
}

#[test]
fn a_feature_term_names_the_maps_there_are() {
    let maps = |name: &str| {
        vec![(
            name.to_owned(),
            Tensor::rand([1, 4, 8, 8], tch::kind::FLOAT_CPU),
        )]
    };
    let shapes = FeatureShapes::of(&maps("conv1"), &maps("enc1"));
    let store = VarStore::new(Device::Cpu);
    let config = LossConfig::Feature {
        weight: 1.0,
        pairs: vec![("conv9".into(), "enc1".into())],
        mode: FeatureMode::Adaptor,
    };
    let error = Loss::new(
        &[config],
        &WeightingConfig::Static {},
        &shapes,
        &store.root(),
        "/".as_ref(),
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("conv9") && error.contains("it has conv1"),
        "{error}"
    );
}

#[test]
fn an_adaptor_learns_and_terms_are_reported_apart() {
    tch::manual_seed(2);
    let student = [(
        "conv1".to_owned(),
        Tensor::rand([1, 4, 4, 4], tch::kind::FLOAT_CPU),
    )];
    let teacher = [(
        "layers.0".to_owned(),
        Tensor::rand([1, 6, 8, 8], tch::kind::FLOAT_CPU),
    )];
    let shapes = FeatureShapes::of(&student, &teacher);
    let store = VarStore::new(Device::Cpu);
    let pairs = vec![("conv1".to_owned(), "layers.0".to_owned())];
    let mode = FeatureMode::Adaptor;
    let configs = [
        LossConfig::L1 { weight: 2.0 },
        LossConfig::Feature {
            weight: 0.5,
            pairs,
            mode,
        },
    ];
    let loss = Loss::new(
        &configs,
        &WeightingConfig::Static {},
        &shapes,
        &store.root(),
        "/".as_ref(),
    )
    .unwrap();
    assert_eq!(loss.names(), ["l1", "feature"]);
    assert!(store.variables().contains_key("feature.conv1_layers_0"));
    let truth = Tensor::zeros([1, 1, 8, 8], tch::kind::FLOAT_CPU);
    let restored = &truth + 0.25;
    let view = View {
        restored: &restored,
        truth: &truth,
        teacher: None,
        student_features: &student,
        teacher_features: &teacher,
        second: None,
        parameters: &[],
        scale: 1.0,
    };
    let (total, values) = loss.evaluate(&view).unwrap();
    let (l1, feature) = (values.double_value(&[0]), values.double_value(&[1]));
    assert!((l1 - 0.25).abs() < 1e-6);
    assert!((total.double_value(&[]) - (2.0 * l1 + 0.5 * feature)).abs() < 1e-6);
    total.backward();
    let gradient = store.trainable_variables()[0].grad().abs().sum(Kind::Float);
    assert!(gradient.double_value(&[]) > 0.0);
}

#[test]
fn vgg_maps_and_distances_agree_with_torchvision() {
    // Mean L1 and MSE of relu1_2 and relu2_2, printed by torchvision's layers in Python.
    let cases = [
        (
            VggKind::Vgg16,
            "vgg16",
            [0.025_328_418, 0.018_762_493],
            [0.001_898_037_6, 0.001_183_689_7],
        ),
        (
            VggKind::Vgg19,
            "vgg19",
            [0.025_369_169, 0.018_238_461],
            [0.001_920_876_9, 0.001_154_948_3],
        ),
    ];
    let wanted = ["relu1_2".to_owned(), "relu2_2".to_owned()];
    for (kind, name, l1, mse) in cases {
        let weights = fixture(&format!("vgg/{name}_features_relu2_2.pth"));
        let vgg = Vgg::load(kind, &weights, &wanted, Device::Cpu).unwrap();
        let io = fixture(&format!("vgg/{name}_io.safetensors"));
        let io: std::collections::HashMap<String, Tensor> =
            Tensor::read_safetensors(&io).unwrap().into_iter().collect();
        let a = vgg.maps(&io["image_a"], &wanted);
        let b = vgg.maps(&io["image_b"], &wanted);
        for (i, layer) in wanted.iter().enumerate() {
            let error = (&a[i] - &io[&format!("{layer}_a")]).abs().max();
            assert!(error.double_value(&[]) < 1e-4, "{name} {layer}");
            let found = Measure::L1.between(&a[i], &b[i]).double_value(&[]);
            assert!((found - l1[i]).abs() < 1e-6, "{name} {layer}: {found}");
            let found = Measure::Mse.between(&a[i], &b[i]).double_value(&[]);
            assert!((found - mse[i]).abs() < 1e-6, "{name} {layer}: {found}");
        }
        let error = Vgg::load(kind, &weights, &["relu9_1".into()], Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("relu9_1"));
        let deeper = Vgg::load(kind, &weights, &["relu3_1".into()], Device::Cpu).unwrap_err();
        assert!(
            format!("{deeper:#}").contains("features.10.weight"),
            "{deeper:#}"
        );
    }
}
