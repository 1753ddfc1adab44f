use std::fs::File;

use image::{ImageBuffer, Luma, Rgb};
use tiff::encoder::{TiffEncoder, colortype::Gray8};
use tiff::tags::Tag;

use super::super::tests::profile;
use super::*;

fn refusal(path: &Path) -> String {
    format!("{:#}", Photo::load(path).unwrap_err())
}

fn png(path: &Path, image: impl Into<DynamicImage>, icc: Vec<u8>) {
    let mut encoder = PngEncoder::new(File::create(path).unwrap());
    encoder.set_icc_profile(icc).unwrap();
    image.into().write_with_encoder(encoder).unwrap();
}

#[test]
fn a_profile_of_other_colours_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let grey = ImageBuffer::from_pixel(9, 7, Luma([90u8]));
    let colour = ImageBuffer::from_pixel(9, 7, Rgb([90u8, 80, 70]));
    png(&at("grey.png"), grey, profile(b"GRAY"));
    png(&at("colour.png"), colour, profile(b"CMYK"));
    for (input, output, kept) in [
        ("grey.png", "a.png", true),
        ("grey.png", "a.jpg", true),
        // WebP has no grey.
        ("grey.png", "a.webp", false),
        ("colour.png", "b.png", false),
        ("colour.png", "b.tif", false),
    ] {
        let said = Photo::load(&at(input)).unwrap().save(&at(output)).unwrap();
        assert_eq!(said.is_none(), kept, "{output}: {said:?}");
        assert!(said.is_none_or(|said| said.contains("without the colour profile")));
        let written = Photo::load(&at(output)).unwrap();
        assert_eq!(written.icc.is_some(), kept, "{output}");
    }
}

#[test]
fn pictures_come_out_upright_whatever_the_file_can_say() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let mut file = TiffEncoder::new(File::create(at("side.tif")).unwrap()).unwrap();
    let mut page = file.new_image::<Gray8>(2, 1).unwrap();
    page.encoder().write_tag(Tag::Orientation, 6u16).unwrap();
    page.write_data(&[20, 220]).unwrap();
    drop(file);
    let all = ["a.tif", "a.bmp", "a.png", "a.jpg", "a.webp"];
    for input in [
        fixtures.join("orientation6.jpg"),
        fixtures.join("orientation7.jpg"),
        at("side.tif"),
    ] {
        let wanted = read::photo(&input).unwrap();
        for output in all.map(at) {
            Photo::load(&input).unwrap().save(&output).unwrap();
            let found = read::photo(&output).unwrap();
            let sides = (found.width, found.height);
            assert_eq!(sides, (wanted.width, wanted.height), "{}", output.display());
            let pairs = found.rgb.iter().zip(&wanted.rgb);
            let apart: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(apart < 8 * wanted.rgb.len() as u64, "{}", output.display());
        }
    }
}

#[test]
fn more_exif_than_a_jpeg_has_place_for_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("a.png"), folder.path().join("a.jpg"));
    // One field: turned by a quarter.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    for (length, kept) in [(MOST_EXIF_OF_JPEG, true), (MOST_EXIF_OF_JPEG + 1, false)] {
        exif.resize(length, 0);
        let mut encoder = PngEncoder::new(File::create(&input).unwrap());
        encoder.set_exif_metadata(exif.clone()).unwrap();
        let image = DynamicImage::from(ImageBuffer::from_pixel(9, 7, Rgb([90u8, 80, 70])));
        image.write_with_encoder(encoder).unwrap();
        let said = Photo::load(&input).unwrap().save(&output).unwrap();
        assert_eq!(said.is_none(), kept, "{said:?}");
        assert!(said.is_none_or(|said| said.contains("without the EXIF")));
        assert_eq!(Photo::load(&output).unwrap().exif.is_some(), kept);
        assert_eq!(read::size(&output).unwrap(), (7, 9));
    }
}

#[test]
fn a_cut_off_jpeg_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let scene = crate::data::synth::scene(1, 0, 128, 96);
    let whole = scene.encode(ImageFormat::Jpeg).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = refusal(&path);
    assert!(error.contains("a.jpg: is damaged or cut off"), "{error}");
    std::fs::write(&path, &whole).unwrap();
    let photo = Photo::load(&path).unwrap();
    assert_eq!((photo.width(), photo.height()), (128, 96));
}

#[test]
fn further_pages_are_refused_and_thumbnails_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    for (kinds, told) in [
        (&[0u32, 0, 0][..], Some("holds 3 pictures")),
        (&[0, 1, 4], None),
        (&[0, 2], Some("holds 2 pictures")),
    ] {
        let mut file = TiffEncoder::new(File::create(&path).unwrap()).unwrap();
        for kind in kinds {
            let mut page = file.new_image::<Gray8>(6, 4).unwrap();
            page.encoder()
                .write_tag(Tag::NewSubfileType, *kind)
                .unwrap();
            page.write_data(&[50; 24]).unwrap();
        }
        drop(file);
        match told {
            Some(told) => {
                assert!(refusal(&path).contains(told));
                let error = read::check(&path).unwrap_err().to_string();
                assert!(error.contains(told), "{error}");
            }
            None => assert_eq!(Photo::load(&path).unwrap().width(), 6),
        }
    }
}

#[test]
fn animations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let still = crate::data::synth::scene(1, 0, 16, 12)
        .encode(ImageFormat::Png)
        .unwrap();
    for (frames, refused) in [(1u8, false), (2, true)] {
        // After the signature and the header; readers that know no animation pass it over unchecked.
        let mut bytes = still[..33].to_vec();
        bytes.extend([0, 0, 0, 8]);
        bytes.extend(b"acTL");
        bytes.extend([0, 0, 0, frames, 0, 0, 0, 0]);
        bytes.extend([0; 4]);
        bytes.extend(&still[33..]);
        std::fs::write(&path, bytes).unwrap();
        // By who restores, and by who measures and trains.
        assert_eq!(
            refused,
            matches!(read::decode(&path), Err(Unusable::Animated))
        );
        assert_eq!(refused, read::size(&path).is_err());
        assert_eq!(refused, refusal_or_none(&path).contains("is animated"));
    }
    let path = folder.path().join("a.webp");
    std::fs::write(&path, b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0").unwrap();
    assert!(refusal(&path).contains("is animated"));
    let path = folder.path().join("a.gif");
    std::fs::write(&path, b"GIF89a\x01\0\x01\0\0\0\0;").unwrap();
    assert!(refusal(&path).contains("is a GIF"));
}

fn refusal_or_none(path: &Path) -> String {
    Photo::load(path).map_or_else(|error| format!("{error:#}"), |_| String::new())
}
