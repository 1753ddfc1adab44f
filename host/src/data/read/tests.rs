use std::path::PathBuf;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, Rgba};

use super::*;
use crate::data::synth::scene;
use crate::picture::Picture;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pictures")
        .join(name)
}

fn fixture_photo(name: &str) -> Photo {
    decode(&fixture(name)).unwrap()
}

/// Mean absolute difference in byte values.
fn difference(a: &Photo, b: &Photo) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let total: u64 = a
        .rgb
        .iter()
        .zip(&b.rgb)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    total as f64 / a.rgb.len() as f64
}

fn jpeg(picture: &Picture) -> Vec<u8> {
    picture.encode(ImageFormat::Jpeg).unwrap()
}

/// Writes `bytes` and says why they are refused.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jpg");
    std::fs::write(&path, bytes).unwrap();
    let error = decode(&path).unwrap_err().to_string();
    assert_eq!(check(&path).unwrap_err().to_string(), error);
    error
}

#[test]
fn files_of_other_programs_show_the_same_picture() {
    // Written by Pillow: tests/fixtures/pictures/make.py.
    let plain = fixture_photo("plain.png");
    for (name, most) in [
        ("palette.png", 6.0),
        ("progressive.jpg", 6.0),
        ("subsampled.jpg", 8.0),
        ("cmyk.jpg", 6.0),
        ("cmyk.tif", 1.0),
        ("opaque.png", 0.0),
        ("opaque.webp", 0.0),
    ] {
        let found = difference(&fixture_photo(name), &plain);
        assert_eq!(check(&fixture(name)).unwrap(), (plain.width, plain.height));
        assert!(found <= most, "{name}: {found}");
    }
    let grey = fixture_photo("grey.jpg");
    assert!(grey.rgb.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    assert!(difference(&grey, &fixture_photo("grey.png")) < 4.0);
    assert!(matches!(
        decode(&fixture("transparent.png")),
        Err(Unusable::Transparent)
    ));
}

#[test]
fn every_orientation_comes_out_upright() {
    let plain = fixture_photo("plain.png");
    for number in 1..=8 {
        let path = fixture(&format!("orientation{number}.jpg"));
        let photo = decode(&path).unwrap();
        assert!(difference(&photo, &plain) < 6.0, "{number}");
        assert_eq!(size(&path).unwrap(), (plain.width, plain.height));
        assert_eq!(check(&path).unwrap(), (plain.width, plain.height));
    }
}

#[test]
fn sixteen_bits_become_eight() {
    let folder = tempfile::tempdir().unwrap();
    let sharp = scene(3, 0, 40, 30);
    let bytes = Photo::from_picture(&sharp);
    let deep: Vec<u16> = bytes.rgb.iter().map(|&v| u16::from(v) * 257).collect();
    let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_raw(40, 30, deep).unwrap();
    let deep = DynamicImage::ImageRgb16(deep);
    for name in ["deep.png", "deep.tif"] {
        let path = folder.path().join(name);
        deep.save(&path).unwrap();
        assert_eq!(decode(&path).unwrap(), bytes, "{name}");
    }
    let grey: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(9, 7, Luma([257 * 80]));
    let path = folder.path().join("grey.png");
    DynamicImage::ImageLuma16(grey).save(&path).unwrap();
    assert!(decode(&path).unwrap().rgb.iter().all(|&v| v == 80));
}

#[test]
fn transparency_is_refused_only_where_something_shows_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let mut image = ImageBuffer::from_pixel(8, 8, Rgba([9_u8, 8, 7, 255]));
    image.save(&path).unwrap();
    assert_eq!(decode(&path).unwrap().rgb[..3], [9, 8, 7]);
    image.put_pixel(3, 3, Rgba([9, 8, 7, 254]));
    image.save(&path).unwrap();
    assert!(matches!(decode(&path), Err(Unusable::Transparent)));
}

#[test]
fn cut_off_and_damaged_files_are_never_half_used() {
    let whole = jpeg(&scene(1, 0, 128, 96));
    for part in [2, 20, 50, 90, 99] {
        let reason = refusal(&whole[..whole.len() * part / 100]);
        assert!(
            reason == "is damaged or cut off" || reason.contains("known format"),
            "{part} %: {reason}"
        );
    }
    // All pixels are there, only the end is not: nothing tells that from a cut.
    assert_eq!(refusal(&whole[..whole.len() - 2]), "is damaged or cut off");
    let mut overwritten = whole.clone();
    let middle = whole.len() / 2;
    overwritten[middle..middle + 400].fill(0xff);
    assert_eq!(refusal(&overwritten), "is damaged or cut off");
    let png = scene(1, 0, 64, 48).encode(ImageFormat::Png).unwrap();
    assert_eq!(refusal(&png[..png.len() / 2]), "is damaged or cut off");
    let mut flipped = png.clone();
    flipped[png.len() / 2] ^= 0x40;
    assert_eq!(refusal(&flipped), "is damaged or cut off");
    assert_eq!(refusal(b""), "is empty");
    assert_eq!(
        refusal(b"a text that is no picture"),
        "is no picture of a known format"
    );
}

#[test]
fn what_would_not_fit_is_refused_by_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    let image: ImageBuffer<Rgba<u16>, _> = ImageBuffer::from_pixel(1, 1, Rgba([u16::MAX; 4]));
    image.save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The header says 32768x32768 of eight bytes each.
    bytes[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let sum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(size(&path), Err(Unusable::TooLarge)));
    assert!(matches!(decode(&path), Err(Unusable::TooLarge)));
}

#[test]
fn an_error_names_the_file() {
    let error = format!("{:#}", photo(Path::new("/nowhere/a.png")).unwrap_err());
    assert!(
        error.contains("/nowhere/a.png") && error.contains("cannot be opened"),
        "{error}"
    );
}

#[test]
fn sixteen_bits_are_compared_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    let image: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_fn(2, 1, |x, _| {
        Rgb([1000, 2000, 3000].map(|v: u16| v + x as u16))
    });
    image.save(&path).unwrap();
    let picture = deep(&path).unwrap();
    let values: Vec<f32> = [1000, 1001, 2000, 2001, 3000, 3001]
        .map(|v| v as f32 / 65_535.0)
        .to_vec();
    assert_eq!((picture.channels, picture.height, picture.width), (3, 1, 2));
    assert_eq!(picture.data, values);
    // Eight bits are as they were.
    let eight = fixture("grey.png");
    assert_eq!(deep(&eight).unwrap(), decode(&eight).unwrap().picture());
}
