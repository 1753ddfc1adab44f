//! Contact sheets: what a degradation does to one's own pictures.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::degrade::Degradation;
use super::photo::Photo;
use super::random::stream;
use super::read;
use crate::picture::Picture;

/// Pixels between tiles.
const GAP: usize = 4;

/// One row for each photo: its middle, then `variants` drawn camera pictures of it, tiles of `side` pixels.
/// `told` hears the number of rows done.
///
/// # Errors
/// When a photo cannot be read or a codec fails.
pub fn contact_sheet(
    photos: &[&Path],
    degradation: &Degradation,
    variants: usize,
    side: usize,
    seed: u64,
    told: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<Picture> {
    let width = (variants + 1) * (side + GAP) - GAP;
    let height = (photos.len() * (side + GAP)).saturating_sub(GAP);
    let mut sheet = Picture::new(3, height, width);
    sheet.data.fill(1.0);
    let finished = AtomicUsize::new(0);
    let rows: Vec<Vec<Picture>> = photos
        .par_iter()
        .enumerate()
        .map(|(row, path)| {
            let tiles = row_of(
                &read::photo(path)?,
                degradation,
                variants,
                side,
                &[seed, row as u64],
            )?;
            told(finished.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(tiles)
        })
        .collect::<anyhow::Result<_>>()?;
    for (row, tiles) in rows.iter().enumerate() {
        for (column, tile) in tiles.iter().enumerate() {
            place(&mut sheet, tile, row * (side + GAP), column * (side + GAP));
        }
    }
    Ok(sheet)
}

fn row_of(
    photo: &Photo,
    degradation: &Degradation,
    variants: usize,
    side: usize,
    name: &[u64; 2],
) -> anyhow::Result<Vec<Picture>> {
    let window = |margin: usize| {
        let outer = side + 2 * margin;
        let middle = |size: usize| (size as isize - outer as isize) / 2;
        photo.window(middle(photo.height), middle(photo.width), outer, outer)
    };
    let mut tiles = vec![window(0)];
    for variant in 1..=variants {
        let mut rng = stream(&[name[0], name[1], variant as u64]);
        let camera = degradation.draw(&mut rng);
        tiles.push(camera.apply(window(camera.margin()), &mut rng)?);
    }
    Ok(tiles)
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
        let sheet = contact_sheet(&[&path, &path], &degradation, 2, 32, 0, &|_| {}).unwrap();
        assert_eq!(
            (sheet.width, sheet.height),
            (3 * 32 + 2 * GAP, 2 * 32 + GAP)
        );
        let first = sheet.crop(0, 0, 32, 32);
        assert_eq!(first.to_bytes(), scene.crop(16, 16, 32, 32).to_bytes());
        assert_ne!(first, sheet.crop(0, 32 + GAP, 32, 32));
    }
}
