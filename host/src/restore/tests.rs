//! Students on a stand-in engine: a 3x3 sharpening whose halo is known.

use hone_device::engine::{self, Engine, EngineError, FrameView, FrameViewMut, StudentInfo};
use hone_shared::student::{Colour, Precision};
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageEncoder, ImageReader};

use super::*;

/// Moves each sample away from the mean of its four neighbours; border repeated.
struct Sharpen(StudentInfo);

impl Sharpen {
    fn student(colour: Colour) -> Student {
        let info = StudentInfo {
            colour,
            scale: 2,
            halo: Some(2),
            precision: Precision::F32,
            temporal: false,
            limited: false,
            macs_per_pixel: 5.0,
        };
        Student::new(Box::new(Self(info)), "sharpen".into())
    }
}

impl Engine for Sharpen {
    fn student(&self) -> &StudentInfo {
        &self.0
    }

    fn description(&self) -> String {
        "stand-in".into()
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        let (w, h, c) = (frame.width, frame.height, self.0.colour.channels());
        let (Some(input), Some(output)) = (&frame.planes[0], &mut out.planes[0]) else {
            return Err(EngineError::Run("no plane".into()));
        };
        let at = |y: usize, x: usize, k| f32::from(input.data[(y * w + x) * c + k]);
        for i in 0..w * h * c {
            let (y, x, k) = (i / c / w, i / c % w, i % c);
            let around = at(y.saturating_sub(1), x, k)
                + at((y + 1).min(h - 1), x, k)
                + at(y, x.saturating_sub(1), k)
                + at(y, (x + 1).min(w - 1), k);
            let value = at(y, x, k) + strength * (at(y, x, k) - around / 4.0);
            output.data[i] = value.round_ties_even().clamp(0.0, 255.0) as u8;
        }
        Ok(())
    }
}

fn noise(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn tiles_of_a_convolutional_student_equal_the_whole() {
    for colour in [Colour::Luma, Colour::Rgb] {
        let bytes = noise(131 * 150 * colour.channels());
        let whole = Sharpen::student(colour)
            .restore_planes(131, 150, &bytes)
            .unwrap();
        let mut tiled = Sharpen::student(colour).with_tile(64);
        assert_eq!(tiled.restore_planes(131, 150, &bytes).unwrap(), whole);
        assert_ne!(whole, bytes);
    }
}

#[test]
fn tiles_equal_the_whole_where_convolutions_are_computed_by_squares() {
    use crate::onnx::{Metadata, tests::float_chain, write_chain_f32};
    for (scale, kernels) in [(1, &[3, 3, 3, 3, 3][..]), (2, &[3, 5, 3])] {
        let chain = float_chain(Colour::Luma, scale, kernels, 4);
        let metadata = Metadata {
            scale,
            halo: Some(chain.halo()),
            ..Metadata::default()
        };
        let model = write_chain_f32(&chain, &metadata);
        let open = || Student::from_bytes(&model, "chain", engine::EngineOptions::default());
        let bytes = noise(250 * 190);
        let whole = open().unwrap().restore_planes(250, 190, &bytes).unwrap();
        let mut tiled = open().unwrap().with_tile(64);
        assert_eq!(tiled.restore_planes(250, 190, &bytes).unwrap(), whole);
    }
}

#[test]
fn strength_zero_changes_nothing_and_luma_keeps_chroma() {
    let picture = Picture::from_bytes(3, 20, 30, &noise(1800));
    let mut off = Sharpen::student(Colour::Luma).with_strength(0.0);
    assert_eq!(off.restore(&picture).unwrap(), picture);
    let bytes: Vec<u8> = noise(600).into_iter().flat_map(|b| [b; 3]).collect();
    let grey = Picture::from_bytes(3, 20, 30, &bytes);
    let sharp = Sharpen::student(Colour::Luma)
        .restore(&grey)
        .unwrap()
        .to_bytes();
    assert!(sharp.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    assert_ne!(sharp, grey.to_bytes());
    let plane = Picture::from_bytes(1, 20, 30, &noise(600));
    assert!(Sharpen::student(Colour::Rgb).restore(&plane).is_err());
}

/// What matters of a colour profile here.
pub(super) fn profile(space: &[u8; 4]) -> Vec<u8> {
    let mut profile = vec![7; 130];
    profile[16..20].copy_from_slice(space);
    profile
}

#[test]
fn photos_keep_bits_alpha_profile_and_exif() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.png");
    let samples: Vec<u16> = (0..4 * 24u16).map(|i| 30_000 + 101 * i).collect();
    let image = ImageBuffer::<image::Rgba<u16>, _>::from_raw(6, 4, samples.clone()).unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.set_icc_profile(profile(b"RGB ")).unwrap();
    encoder
        .set_exif_metadata(b"II*\0\x08\0\0\0\0\0".to_vec())
        .unwrap();
    DynamicImage::from(image)
        .write_with_encoder(encoder)
        .unwrap();

    let mut photo = Photo::load(&path).unwrap();
    let before = photo.rgb();
    let after: Vec<u8> = before.iter().map(|b| b + 2).collect();
    photo.apply(&before, &after);
    let out = folder.path().join("out.png");
    photo.save(&out).unwrap();

    let mut decoder = ImageReader::open(&out).unwrap().into_decoder().unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), Some(profile(b"RGB ")));
    assert!(decoder.exif_metadata().unwrap().is_some());
    let DynamicImage::ImageRgba16(image) = DynamicImage::from_decoder(decoder).unwrap() else {
        panic!("bit depth or alpha is lost");
    };
    for (i, (a, b)) in image.as_raw().iter().zip(&samples).enumerate() {
        assert_eq!(*a, if i % 4 == 3 { *b } else { b + 514 });
    }
}

#[test]
fn tiff_files_keep_bits_profile_camera_and_exif() {
    use tiff::encoder::{Rational, TiffEncoder, colortype::RGB16};
    use tiff::tags::Tag;
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.tif"), folder.path().join("b.tif"));
    let samples: Vec<u16> = (0..3 * 24u16).map(|i| 20_000 + 301 * i).collect();
    let mut file = TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap();
    let mut exif = file.extra_directory().unwrap();
    exif.write_tag(Tag::from_u16_exhaustive(33_434), Rational { n: 1, d: 250 })
        .unwrap();
    let exif = exif.finish_with_offsets().unwrap().offset;
    let mut picture = file.new_image::<RGB16>(6, 4).unwrap();
    picture.encoder().write_tag(Tag::Make, "Maker").unwrap();
    picture
        .encoder()
        .write_tag(Tag::ExifDirectory, exif)
        .unwrap();
    picture
        .encoder()
        .write_tag(Tag::IccProfile, &profile(b"RGB ")[..])
        .unwrap();
    picture.write_data(&samples).unwrap();
    drop(file);

    let mut photo = Photo::load(&path).unwrap();
    let before = photo.rgb();
    let after: Vec<u8> = before.iter().map(|b| b - 1).collect();
    photo.apply(&before, &after);
    photo.save(&out).unwrap();
    let fields = tiff_file::Fields::read(&out).unwrap();
    assert_eq!(format!("{fields:?}").matches("33434").count(), 1);
    assert_eq!(fields.icc, Some(profile(b"RGB ")));
    let decoder = ImageReader::open(&out).unwrap().into_decoder().unwrap();
    let DynamicImage::ImageRgb16(image) = DynamicImage::from_decoder(decoder).unwrap() else {
        panic!("bit depth is lost");
    };
    let moved: Vec<u16> = samples.iter().map(|s| s - 257).collect();
    assert_eq!(image.as_raw(), &moved);
    let bytes = std::fs::read(&out).unwrap();
    assert!(bytes.windows(6).any(|w| w == b"Maker\0"));
    // The profile goes into other formats as well.
    let other = folder.path().join("c.png");
    photo.save(&other).unwrap();
    let mut decoder = ImageReader::open(&other).unwrap().into_decoder().unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), Some(profile(b"RGB ")));
}

#[test]
fn webp_keeps_profile_and_exif() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.webp"), folder.path().join("b.webp"));
    let image = image::RgbImage::from_raw(8, 8, noise(192)).unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut file);
    encoder.set_icc_profile(profile(b"RGB ")).unwrap();
    let exif = b"II*\0\x08\0\0\0\0\0".to_vec();
    encoder.set_exif_metadata(exif.clone()).unwrap();
    DynamicImage::from(image)
        .write_with_encoder(encoder)
        .unwrap();
    Photo::load(&path).unwrap().save(&out).unwrap();
    let mut decoder = ImageReader::open(&out).unwrap().into_decoder().unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), Some(profile(b"RGB ")));
    assert_eq!(decoder.exif_metadata().unwrap(), Some(exif));
}

#[test]
fn folders_pair_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.png", "a/2.png", "b/1.jpg", "b/2.png"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Picture::new(3, 4, 4).save(&path).unwrap();
    }
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let pairs = paired_images(&a, &b).unwrap();
    assert_eq!(pairs[0].1, b.join("1.jpg"));
    std::fs::rename(b.join("2.png"), b.join("3.png")).unwrap();
    let error = format!("{:#}", paired_images(&a, &b).unwrap_err());
    assert!(error.contains("2.png has no partner"), "{error}");
    assert!(images_in(folder.path()).is_err());
}

#[test]
fn repeated_stems_pair_by_full_name_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    for place in [&a, &b] {
        std::fs::create_dir(place).unwrap();
        for name in ["rgb.bmp", "rgb.jpg", "rgb.png"] {
            std::fs::write(place.join(name), b"").unwrap();
        }
    }
    for (left, right) in paired_images(&a, &b).unwrap() {
        assert_eq!(left.file_name(), right.file_name());
    }
    std::fs::rename(b.join("rgb.jpg"), b.join("rgb.webp")).unwrap();
    let error = format!("{:#}", paired_images(&a, &b).unwrap_err());
    assert!(error.contains("are called 'rgb'"), "{error}");
}

#[test]
fn teachers_restore_whole_and_in_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = (
        folder.path().join("teacher.json"),
        folder.path().join("best.safetensors"),
    );
    std::fs::write(&config, r#"{"architecture": "unet", "width": 8}"#).unwrap();
    let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    let options = crate::teacher::config::read_file(&config).unwrap().config;
    crate::teacher::build(&options, &vs.root()).unwrap();
    vs.save(&weights).unwrap();
    let open = || TeacherRestorer::open(&config, &weights, tch::Device::Cpu).unwrap();

    let picture = Picture::from_bytes(3, 80, 150, &noise(36_000));
    let mut teacher = open();
    let whole = teacher.restore(&picture).unwrap();
    let macs = teacher.macs_per_pixel().unwrap();
    assert!(macs > 100.0);
    // Padding of a picture or a tile is no cost of the network.
    teacher.restore(&picture.crop(0, 0, 9, 9)).unwrap();
    assert_eq!(teacher.macs_per_pixel(), Some(macs));
    assert!(whole.data.iter().all(|v| (0.0..=1.0).contains(v)));
    let tiled = open().with_tile(64).restore(&picture).unwrap();
    let distance = crate::metric::l1(&whole, &tiled).unwrap();
    assert!(distance < 0.01, "{distance}");
    let off = open().with_strength(0.0).restore(&picture).unwrap();
    assert_eq!(off, picture);
    std::fs::remove_file(&weights).unwrap();
    assert!(TeacherRestorer::open(&config, &weights, tch::Device::Cpu).is_err());
}
