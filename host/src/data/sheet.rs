//! Contact sheets: what a degradation does to one's own pictures.

use std::path::Path;

use super::degrade::Degradation;
use super::photo::Photo;
use super::random::stream;
use super::read;
use crate::picture::Picture;

/// Pixels between tiles.
const GAP: usize = 4;

/// One row for each photo: its middle, then `variants` drawn camera pictures of it, tiles of `side` pixels.
///
/// # Errors
/// When a photo cannot be read or a codec fails.
pub fn contact_sheet(
    photos: &[&Path],
    degradation: &Degradation,
    variants: usize,
    side: usize,
    seed: u64,
) -> anyhow::Result<Picture> {
    let width = (variants + 1) * (side + GAP) - GAP;
    let height = (photos.len() * (side + GAP)).saturating_sub(GAP);
    let mut sheet = Picture::new(3, height, width);
    sheet.data.fill(1.0);
    let margin = degradation.margin();
    let outer = side + 2 * margin;
    for (row, path) in photos.iter().enumerate() {
        let photo: Photo = read::photo(path)?;
        let middle = |size: usize| (size as isize - outer as isize) / 2;
        let window = photo.window(middle(photo.height), middle(photo.width), outer, outer);
        for column in 0..=variants {
            let tile = if column == 0 {
                window.crop(margin, margin, side, side)
            } else {
                let mut rng = stream(&[seed, row as u64, column as u64]);
                degradation
                    .apply(&window, &mut rng)?
                    .crop(margin, margin, side, side)
            };
            place(&mut sheet, &tile, row * (side + GAP), column * (side + GAP));
        }
    }
    Ok(sheet)
}

fn place(sheet: &mut Picture, tile: &Picture, top: usize, left: usize) {
    for c in 0..3 {
        for y in 0..tile.height {
            let target = (c * sheet.height + top + y) * sheet.width + left;
            let source = (c * tile.height + y) * tile.width;
            sheet.data[target..target + tile.width]
                .copy_from_slice(&tile.data[source..source + tile.width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_the_photo_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let scene = crate::data::synth::scene(1, 0, 64, 64);
        scene.save(&path).unwrap();
        let degradation: Degradation = "jpeg:quality=10".parse().unwrap();
        let sheet = contact_sheet(&[&path, &path], &degradation, 2, 32, 0).unwrap();
        assert_eq!(
            (sheet.width, sheet.height),
            (3 * 32 + 2 * GAP, 2 * 32 + GAP)
        );
        let first = sheet.crop(0, 0, 32, 32);
        assert_eq!(first.to_bytes(), scene.crop(16, 16, 32, 32).to_bytes());
        assert_ne!(first, sheet.crop(0, 32 + GAP, 32, 32));
    }
}
