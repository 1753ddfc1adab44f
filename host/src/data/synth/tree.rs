//! A data set of scenes on disk, in the layout that [`crate::data::index`] reads.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use hone_shared::student::Colour;
use rayon::prelude::*;

use super::{Sequence, SequenceOptions, scene};
use crate::data::degrade::Degradation;
use crate::data::random::stream;
use crate::picture::Picture;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeOptions {
    /// Still scenes: `{train,val}/{blur,sharp}/NNNNN.png`.
    pub images: usize,
    /// Moving scenes: `sequences/{train,val}/SSS/{blur,sharp}/NNNN.png`.
    pub sequences: usize,
    /// Frames of each moving scene.
    pub frames: usize,
    /// Width and height.
    pub size: (usize, usize),
    /// Names the data set.
    pub seed: u64,
    /// Part kept for validation (at least one of each kind when there are two).
    pub validation: f32,
    /// The camera for still scenes, and after the motion blur of moving ones.
    pub degradation: Degradation,
    /// RGB files, or grey ones that hold the luma: the bytes a luma student sees.
    pub colour: Colour,
    /// How moving scenes move.
    pub motion: SequenceOptions,
}

/// Draws the data set; `done` is called with the number of pictures finished.
///
/// # Errors
/// When a file cannot be written or a codec fails.
pub fn write(
    folder: &Path,
    options: &TreeOptions,
    done: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<()> {
    let (width, height) = options.size;
    let colour = options.colour;
    let finished = AtomicUsize::new(0);
    let tick = || done(finished.fetch_add(1, Ordering::Relaxed) + 1);
    let split = |i: usize, count: usize| {
        if i < held_out(count, options.validation) {
            "val"
        } else {
            "train"
        }
    };
    // Of the first and the last one, which between them know all splits.
    for i in [0, options.images.wrapping_sub(1)] {
        if i < options.images {
            places(folder, &[split(i, options.images)])?;
        }
    }
    (0..options.images).into_par_iter().try_for_each(|i| {
        let sharp = scene(options.seed, i as u64, width, height);
        let mut rng = stream(&[options.seed, i as u64, 0x7374_696c]);
        let blur = options.degradation.apply(&sharp, &mut rng)?;
        let base = folder.join(split(i, options.images));
        let name = format!("{i:05}.png");
        save(&sharp, colour, base.join("sharp").join(&name))?;
        save(&blur, colour, base.join("blur").join(&name))?;
        tick();
        anyhow::Ok(())
    })?;
    for s in 0..options.sequences {
        let sequence = Sequence::new(options.seed, s as u64, width, height, options.motion);
        let number = format!("{s:03}");
        let base = places(folder, &["sequences", split(s, options.sequences), &number])?;
        (0..options.frames).into_par_iter().try_for_each(|k| {
            let frame = sequence.frame(k);
            let mut rng = stream(&[options.seed, s as u64, k as u64, 0x6d6f_7665]);
            let blur = options.degradation.apply(&frame.blur, &mut rng)?;
            let name = format!("{k:04}.png");
            save(&frame.sharp, colour, base.join("sharp").join(&name))?;
            save(&blur, colour, base.join("blur").join(&name))?;
            tick();
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

fn held_out(count: usize, validation: f32) -> usize {
    if count < 2 || validation <= 0.0 {
        return 0;
    }
    ((count as f32 * validation).round() as usize).clamp(1, count - 1)
}

/// Makes the places for sharp and blurred pictures at `below` in `folder`, which is there: it is not made again after Ctrl-C took
/// it away.
fn places(folder: &Path, below: &[&str]) -> anyhow::Result<PathBuf> {
    let make = |place: &Path| match std::fs::create_dir(place) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", place.display()))
        }
        _ => Ok(()),
    };
    let mut base = folder.to_owned();
    for name in below {
        base.push(name);
        make(&base)?;
    }
    make(&base.join("sharp"))?;
    make(&base.join("blur"))?;
    Ok(base)
}

fn save(picture: &Picture, colour: Colour, path: PathBuf) -> anyhow::Result<()> {
    match colour {
        Colour::Luma => picture.luma().save(&path),
        Colour::Rgb => picture.save(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::config::{DataConfig, Layout};

    #[test]
    fn the_tree_is_read_back_as_pairs() {
        let folder = tempfile::tempdir().unwrap();
        let options = TreeOptions {
            images: 4,
            sequences: 2,
            frames: 2,
            size: (48, 40),
            seed: 3,
            validation: 0.25,
            colour: Colour::Rgb,
            degradation: "disc:radius=1.5".parse().unwrap(),
            motion: SequenceOptions::default(),
        };
        let count = AtomicUsize::new(0);
        write(folder.path(), &options, &|n| {
            count.fetch_max(n, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(count.into_inner(), 8);
        assert!(
            folder
                .path()
                .join("sequences/val/000/blur/0001.png")
                .is_file()
        );
        let config = DataConfig {
            root: Some(folder.path().to_owned()),
            layout: Layout::Auto,
            ..DataConfig::default()
        };
        let source = crate::data::open(&config, Path::new("")).unwrap();
        assert_eq!(
            (source.pictures(), source.validation().unwrap().len()),
            (5, 3)
        );
        let pair = source.patch(1, 0, 32).unwrap();
        assert_ne!(pair.input, pair.truth);
        let still = Picture::load(&folder.path().join("train/sharp/00002.png")).unwrap();
        assert_eq!(still.to_bytes(), scene(3, 2, 48, 40).to_bytes());
    }
}
