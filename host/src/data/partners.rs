//! A folder of sharp pictures and their degraded partners, written once: fixed pairs to evaluate on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use hone_shared::student::Colour;
use rayon::prelude::*;

use super::degrade::Degradation;
use super::random::stream;
use super::read;
use crate::picture::Picture;

/// How partners are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PartnerOptions {
    /// The camera; its parameters are drawn anew for every picture.
    pub degradation: Degradation,
    /// Names the draws: photo `i` of those to be written draws from (seed, i).
    pub seed: u64,
    /// RGB files, or grey ones that hold the luma: the bytes a luma student sees.
    pub colour: Colour,
    /// Width and height to cut from the middle; larger than a picture means all of it.
    pub crop: Option<(usize, usize)>,
}

/// Writes `folder/{sharp,blur}/STEM.png` for every photo; `done` hears the number finished.
///
/// # Errors
/// When two photos share a name, one cannot be read, a codec fails or a file cannot be written.
pub fn write(
    photos: &[PathBuf],
    folder: &Path,
    options: &PartnerOptions,
    done: &(dyn Fn(usize) + Sync),
) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for photo in photos {
        let stem = photo.file_stem().unwrap_or_default();
        if !names.insert(stem) {
            bail!(
                "two pictures are called '{}': their partners would overwrite each other",
                stem.to_string_lossy()
            );
        }
    }
    let places = ["sharp", "blur"].map(|role| folder.join(role));
    for place in &places {
        std::fs::create_dir_all(place)
            .with_context(|| format!("cannot make {}", place.display()))?;
    }
    let [sharp_folder, blur_folder] = &places;
    let finished = AtomicUsize::new(0);
    photos.par_iter().enumerate().try_for_each(|(i, path)| {
        let sharp = middle(read::photo(path)?.picture(), options.crop);
        let mut rng = stream(&[options.seed, i as u64, 0x7061_6972]);
        let blur = options.degradation.apply(&sharp, &mut rng)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.png");
        for (picture, place) in [(&sharp, sharp_folder), (&blur, blur_folder)] {
            match options.colour {
                Colour::Luma => picture.luma().save(&place.join(&name))?,
                Colour::Rgb => picture.save(&place.join(&name))?,
            }
        }
        done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    })
}

fn middle(picture: Picture, crop: Option<(usize, usize)>) -> Picture {
    let Some((width, height)) = crop else {
        return picture;
    };
    let (height, width) = (height.min(picture.height), width.min(picture.width));
    let (top, left) = ((picture.height - height) / 2, (picture.width - width) / 2);
    picture.crop(top, left, height, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synth::scene;

    #[test]
    fn partners_depend_on_the_seed_and_name_clashes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let photos: Vec<PathBuf> = (0..2)
            .map(|i| {
                let path = folder.path().join(format!("{i}.png"));
                scene(1, i, 40, 32).save(&path).unwrap();
                path
            })
            .collect();
        let make = |name: &str, seed| {
            let options = PartnerOptions {
                degradation: "gaussian:sigma=0.8..1.8".parse().unwrap(),
                seed,
                colour: Colour::Luma,
                crop: Some((24, 99)),
            };
            let out = folder.path().join(name);
            write(&photos, &out, &options, &|_| {}).unwrap();
            let load = |role| Picture::load(&out.join(role).join("1.png")).unwrap();
            (load("sharp"), load("blur"))
        };
        let (first, again, other) = (make("a", 1), make("b", 1), make("c", 2));
        assert_eq!(first, again);
        assert_eq!(first.0, other.0);
        assert_ne!(first.1, other.1);
        assert_eq!((first.0.height, first.0.width), (32, 24));

        let clash = vec![photos[0].clone(), folder.path().join("elsewhere/0.png")];
        let options = PartnerOptions {
            degradation: Degradation::default(),
            seed: 0,
            colour: Colour::Rgb,
            crop: None,
        };
        let error = write(&clash, folder.path(), &options, &|_| {}).unwrap_err();
        assert!(error.to_string().contains("called '0'"), "{error}");
    }
}
