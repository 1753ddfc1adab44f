//! Where pairs come from: two folders, a tree of pictures, an index, or a video.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::{Camera, Item, PairSet, spread};
use crate::data::config::Layout;
use crate::data::index::{self, Index, Problem, Split};
use crate::data::photo::Photo;
use crate::restore::{paired_images, video};

/// The pictures to evaluate on, and those for tuning a baseline, where the data tell them apart.
#[derive(Debug)]
pub struct Opened {
    /// Evaluated.
    pub evaluated: PairSet,
    /// Which pictures of the data those are, where it has several kinds.
    pub split: Option<Split>,
    /// Training pictures.
    pub training: Option<PairSet>,
    /// Files that were left out because their headers already tell that they cannot be used.
    pub problems: Vec<Problem>,
}

impl PairSet {
    /// Pairs the pictures of two folders by file stem; at most `limit`, spread evenly.
    ///
    /// # Errors
    /// When a folder cannot be read or a picture has no partner.
    pub fn folders(input: &Path, truth: &Path, limit: usize) -> anyhow::Result<Self> {
        let items = paired_images(input, truth)?.into_iter().zip(0..);
        let items = items.map(|((input, truth), place)| Item::Files {
            name: stem(&input),
            input: Some(input),
            truth,
            place,
        });
        Ok(Self::new(spread(items.collect(), limit), None))
    }

    /// Opens `data`: a folder, an index file, or a video whose frames are the truth.
    ///
    /// In a folder, `val/{blur,sharp}` (or `{input,target}`, `{lq,gt}`) is evaluated and `train` is
    /// for tuning; any other tree is read as `hone data index` reads it: its test pictures, else its
    /// validation pictures, else all of them. Sharp pictures are degraded by `camera`. At most
    /// `limit` pictures, spread evenly; of a video, its first frames.
    ///
    /// # Errors
    /// When there is nothing to evaluate on, or sharp pictures come without a camera.
    pub fn open(data: &Path, camera: Option<&Camera>, limit: usize) -> anyhow::Result<Opened> {
        if data.is_file() && video::is_video(data) {
            let evaluated = Self::video(data, camera, limit)?;
            return Ok(Opened {
                evaluated,
                split: None,
                training: None,
                problems: Vec::new(),
            });
        }
        let lying = data.join(index::FILE_NAME);
        let (index, root) = if data.is_file() {
            let root = data.parent().unwrap_or(Path::new("."));
            (Index::load(data)?, root.to_owned())
        } else if lying.is_file() {
            (Index::load(&lying)?, data.to_owned())
        } else {
            let split = |name: &str| {
                let (input, truth) = split_folders(data, name)?;
                Some(Self::folders(&input, &truth, limit))
            };
            if let Some(evaluated) = split("val") {
                return Ok(Opened {
                    evaluated: evaluated?,
                    split: None,
                    training: split("train").transpose()?,
                    problems: Vec::new(),
                });
            }
            let index = index::scan(data, Layout::Auto, 0, 0.0, false)
                .with_context(|| format!("cannot use {} as data", data.display()))?;
            let opened = Self::indexed(&index, data, camera, limit)?;
            return Ok(Opened {
                problems: index.problems,
                ..opened
            });
        };
        Self::indexed(&index, &root, camera, limit)
    }

    fn indexed(
        index: &Index,
        root: &Path,
        camera: Option<&Camera>,
        limit: usize,
    ) -> anyhow::Result<Opened> {
        let set = |wanted: Option<Split>| -> anyhow::Result<Self> {
            let entries = index.entries.iter();
            let entries = entries.filter(|e| wanted.is_none_or(|split| e.split == split));
            let items: Vec<Item> = entries
                .zip(0..)
                .map(|(e, place)| Item::Files {
                    name: stem(Path::new(&e.truth.path)),
                    input: e.input.as_ref().map(|i| root.join(&i.path)),
                    truth: root.join(&e.truth.path),
                    place,
                })
                .collect();
            let sharp = |item: &Item| matches!(item, Item::Files { input: None, .. });
            if items.iter().any(sharp) {
                let camera = camera.with_context(|| {
                    format!(
                        "{} holds sharp pictures only: say with --degrade what the camera does",
                        root.display()
                    )
                })?;
                check(camera)?;
            }
            Ok(Self::new(spread(items, limit), camera.cloned()))
        };
        let used = [Split::Test, Split::Validation];
        let used = used.into_iter().find(|split| index.count(*split) > 0);
        let evaluated = set(used)?;
        ensure!(
            !evaluated.items.is_empty(),
            "{} holds no picture to evaluate on",
            root.display()
        );
        let training = (used.is_some() && index.count(Split::Train) > 0)
            .then(|| set(Some(Split::Train)))
            .transpose()?;
        Ok(Opened {
            evaluated,
            split: used,
            training,
            problems: Vec::new(),
        })
    }

    fn video(path: &Path, camera: Option<&Camera>, limit: usize) -> anyhow::Result<Self> {
        let camera = camera.with_context(|| {
            format!(
                "the frames of {} are the truth: say with --degrade what the camera does",
                path.display()
            )
        })?;
        check(camera)?;
        let mut reader = video::Reader::open_stored(path)?;
        let format = reader.format();
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(frame) = reader.next_frame()?
        {
            items.push(Item::Frame {
                name: format!("frame {}", items.len()),
                truth: Photo::from_picture(&frame.to_picture(&format)),
                place: items.len() as u64,
            });
        }
        ensure!(!items.is_empty(), "{} holds no frame", path.display());
        Ok(Self::new(items, Some(camera.clone())).as_sequence())
    }
}

fn check(camera: &Camera) -> anyhow::Result<()> {
    ensure!(
        camera.degradation.frames().is_none(),
        "averaging frames is for training data: evaluate on the pairs that `hone data synth` writes"
    );
    Ok(())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `ROOT/SPLIT/{blur,sharp}`, or `ROOT/{blur,sharp}` for `val`; `input` and `target` (GoPro as MPRNet
/// packs it) or `lq` and `gt` do as well.
fn split_folders(root: &Path, split: &str) -> Option<(PathBuf, PathBuf)> {
    let bare = (split == "val").then(|| root.to_owned());
    for base in std::iter::once(root.join(split)).chain(bare) {
        for (input, truth) in [("blur", "sharp"), ("input", "target"), ("lq", "gt")] {
            let (input, truth) = (base.join(input), base.join(truth));
            if input.is_dir() && truth.is_dir() {
                return Some((input, truth));
            }
        }
    }
    None
}
