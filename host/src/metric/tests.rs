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
    assert!((ssim(&a, &a) - 1.0).abs() < 1e-6);
    assert!((ssim_gopro_3d(&a, &a).unwrap() - 1.0).abs() < 1e-6);
    assert_eq!(lab_l1(&a, &a), Ok(0.0));
}

#[test]
fn undefined_figures_say_why() {
    let (a, b) = pair("quantised_176x176");
    let crop = |p: &Picture, side| p.crop(0, 0, side, 31);
    let error = ms_ssim(&crop(&a, 160), &crop(&b, 160)).unwrap_err();
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
