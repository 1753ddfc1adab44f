//! Agreement with scikit-image, scipy and pytorch_msssim, whose figures lie in `expected.json`;
//! `ssim_gopro_3d` there is scipy's `convolve1d` along three axes with `mode="nearest"`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics")
}

fn pair(name: &str) -> (Picture, Picture) {
    let load = |kind| Picture::load(&fixtures().join(format!("{name}_{kind}.png"))).unwrap();
    (load("reference"), load("degraded"))
}

#[test]
fn every_metric_agrees_with_its_published_code() {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 3);
    for (name, figures) in &expected {
        let (reference, distorted) = pair(name);
        assert_eq!(figures.len(), METRICS.len());
        for (key, want) in figures {
            let got = Metric::named(key)
                .unwrap()
                .compute(&reference, &distorted)
                .unwrap();
            let tolerance = if key.starts_with("psnr") { 1e-3 } else { 1e-4 };
            assert!(
                (got - want).abs() < tolerance,
                "{name} {key}: {got}, not {want}"
            );
        }
    }
}

#[test]
fn equal_pictures_score_best() {
    let (a, _) = pair("quantised_176x176");
    assert_eq!(psnr(&a, &a), f64::INFINITY);
    assert!((ssim_gaussian(&a, &a).unwrap() - 1.0).abs() < 1e-6);
    assert!((ssim_gopro_3d(&a, &a).unwrap() - 1.0).abs() < 1e-6);
    assert_eq!(lab_l1(&a, &a), Ok(0.0));
}

#[test]
fn undefined_figures_say_why() {
    let (a, b) = pair("quantised_176x176");
    let crop = |p: &Picture, side| p.crop(0, 0, side, 31);
    let ms_ssim = Metric::named("ms_ssim_rgb").unwrap();
    let error = ms_ssim.compute(&crop(&a, 160), &crop(&b, 160)).unwrap_err();
    assert!(error.to_string().contains("at least 161 pixels"), "{error}");
    assert!(ssim_gaussian(&crop(&a, 10), &crop(&b, 10)).is_err());
    assert!(ssim_gaussian(&crop(&a, 11), &crop(&b, 11)).is_ok());
    assert!(ssim_gopro_3d(&crop(&a, 2), &crop(&b, 2)).is_ok());
    let error = Scores::measure(&[&METRICS[0]], &a, &crop(&b, 31)).unwrap_err();
    assert!(
        error.to_string().contains("176x176x3 against 31x31x3"),
        "{error}"
    );
    assert!(psnr(&a, &crop(&b, 31)).is_nan());
}

#[test]
fn json_names_what_is_undefined() {
    let (a, b) = pair("quantised_176x176");
    let (a, b) = (a.crop(0, 0, 40, 33), b.crop(0, 0, 40, 33));
    let all: Vec<_> = METRICS.iter().collect();
    let scores = Scores::measure(&all, &a, &b).unwrap();
    let json = serde_json::to_value(&scores).unwrap();
    assert!(json["psnr_rgb"].is_number() && json["ms_ssim_rgb"].is_null());
    assert!(
        json["undefined"]["ms_ssim_rgb"]
            .as_str()
            .unwrap()
            .contains("161")
    );
    assert_eq!(
        scores.get("ssim_gaussian_rgb"),
        scores.get("ssim_valid_window11_rgb")
    );
}

#[test]
fn blur_lowers_sharpness() {
    let (a, b) = pair("blur_192x224");
    let (a, b) = (sharpness(&a), sharpness(&b));
    assert!(a.tenengrad > b.tenengrad && a.laplacian_variance > 2.0 * b.laplacian_variance);
    let flat = sharpness(&Picture::new(1, 9, 9));
    assert_eq!((flat.tenengrad, flat.laplacian_variance), (0.0, 0.0));
}

#[test]
fn a_summary_is_mean_and_sample_deviation() {
    let summary = Summary::of([1.0, 3.0, f64::INFINITY]).unwrap();
    assert_eq!((summary.mean, summary.count), (2.0, 2));
    assert!((summary.deviation - 2.0f64.sqrt()).abs() < 1e-12);
    assert_eq!(Summary::of([]), None);
}

fn hashed(count: usize) -> Vec<f64> {
    let hash = |k: usize| (k as u64).wrapping_mul(2_654_435_761) % (1 << 32);
    (0..count)
        .map(|k| hash(k) as f64 / 4_294_967_296.0)
        .collect()
}

/// Weights that `host/python/lpips_reference.py` makes too.
fn lpips(folder: &std::path::Path, convs: &[(usize, [i64; 4])], widths: [i64; 5]) -> Lpips {
    use crate::train::checkpoint::Checkpoint;
    use tch::Tensor;
    let (mut backbone, mut linear) = (Checkpoint::default(), Checkpoint::default());
    for (index, size) in convs {
        let fan_in = size[1..].iter().product::<i64>();
        let bound = (6.0 / fan_in as f64).sqrt();
        let values = hashed((size[0] * fan_in) as usize);
        let values: Vec<f32> = values
            .iter()
            .map(|u| ((u * 2.0 - 1.0) * bound) as f32)
            .collect();
        let mut add = |name: &str, tensor: Tensor| {
            let name = format!("features.{index}.{name}");
            backbone.tensors.insert(name, tensor);
        };
        add("weight", Tensor::from_slice(&values).reshape(size));
        add("bias", Tensor::from_slice(&vec![0.01f32; size[0] as usize]));
    }
    for (i, width) in widths.into_iter().enumerate() {
        let values: Vec<f32> = hashed(width as usize).iter().map(|u| *u as f32).collect();
        let tensor = Tensor::from_slice(&values).reshape([1, width, 1, 1]);
        linear
            .tensors
            .insert(format!("lin{i}.model.1.weight"), tensor);
    }
    let paths = ["backbone", "linear"].map(|n| folder.join(format!("{n}.safetensors")));
    backbone.write(&paths[0]).unwrap();
    linear.write(&paths[1]).unwrap();
    let loaded = Lpips::load(&paths[1], &paths[0]).unwrap();
    // The two belong together, and neither is the other.
    let error = Lpips::load(&paths[0], &paths[1]).unwrap_err().to_string();
    assert!(error.contains("lin0.model.1.weight"), "{error}");
    loaded
}

fn lpips_pictures() -> [Picture; 2] {
    [37, 53].map(|factor| {
        let samples = (0..3 * 40 * 36).map(|k| (k * factor % 251) as f32 / 255.0);
        Picture {
            channels: 3,
            height: 40,
            width: 36,
            data: samples.collect(),
        }
    })
}

#[test]
fn lpips_agrees_with_its_definition_on_alexnet_and_vgg16() {
    let folder = tempfile::tempdir().unwrap();
    let alex = [
        (0, [64, 3, 11, 11]),
        (3, [192, 64, 5, 5]),
        (6, [384, 192, 3, 3]),
        (8, [256, 384, 3, 3]),
        (10, [256, 256, 3, 3]),
    ];
    let alex = lpips(folder.path(), &alex, [64, 192, 384, 256, 256]);
    let mut vgg = Vec::new();
    let (mut index, mut inputs) = (0, 3);
    for (count, width) in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)] {
        for _ in 0..count {
            vgg.push((index, [width, inputs, 3, 3]));
            inputs = width;
            index += 2;
        }
        index += 1;
    }
    let vgg = lpips(folder.path(), &vgg, [64, 128, 256, 512, 512]);
    let [a, b] = lpips_pictures();
    for (lpips, want) in [(&alex, 2.512_143), (&vgg, 1.866_343)] {
        let got = lpips.distance(&a, &b).unwrap();
        assert!((got - want).abs() < 1e-4, "{}: {got}", lpips.name());
        assert_eq!(lpips.distance(&a, &a), Ok(0.0));
    }
    let error = alex
        .distance(&a.crop(0, 0, 30, 36), &b.crop(0, 0, 30, 36))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("lpips_alex needs pictures of at least 31"),
        "{error}"
    );
    let set = MetricSet::all(None, Some(alex));
    let names = set.names();
    assert_eq!(names.last(), Some(&"lpips_alex"));
    let set = set.only(&["lpips_alex".into(), "l1".into()]).unwrap();
    let scores = set.measure(&a, &b).unwrap();
    assert_eq!(scores.0.len(), 2);
    assert!((scores.get("lpips_alex").unwrap() - 2.512_143).abs() < 1e-4);
    let error = set.only(&["vgg_l1".into()]).unwrap_err().to_string();
    assert!(error.contains("--vgg"), "{error}");
}

#[test]
fn vgg_distance_agrees_with_torchvision() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vgg");
    for (name, want) in [
        ("vgg16", [0.025_328_418, 0.018_762_494]),
        ("vgg19", [0.025_369_169, 0.018_238_461]),
    ] {
        let weights = root.join(format!("{name}_features_relu2_2.pth"));
        let io =
            crate::teacher::load::read_weights(&root.join(format!("{name}_io.safetensors")), None);
        let io = io.unwrap();
        let picture = |key: &str| {
            let (_, tensor) = io.iter().find(|(name, _)| name == key).unwrap();
            let size = tensor.size();
            Picture {
                channels: 3,
                height: size[2] as usize,
                width: size[3] as usize,
                data: Vec::try_from(tensor.flatten(0, -1)).unwrap(),
            }
        };
        let (a, b) = (picture("image_a"), picture("image_b"));
        let distance = |layers: &[&str]| {
            let layers: Vec<String> = layers.iter().map(|l| (*l).to_owned()).collect();
            VggDistance::load(&weights, &layers)
                .unwrap()
                .distance(&a, &b)
                .unwrap()
        };
        assert!((distance(&["relu1_2"]) - want[0]).abs() < 1e-6);
        let both = (want[0] + want[1]) / 2.0;
        assert!((distance(&["relu1_2", "relu2_2"]) - both).abs() < 1e-6);
        let deep = VggDistance::load(&weights, &["relu3_1".into()]).unwrap_err();
        assert!(deep.to_string().contains("features.10.weight"), "{deep}");
    }
}
