//! Where pairs come from: two folders, a tree of pictures, an index, or a video.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use super::learnt::training;
use super::{Camera, Item, Learnt, PairSet, Take};
use crate::data::clips::container;
use crate::data::config::Layout;
use crate::data::index::{self, Index, Problem, Split};
use crate::data::photo::Photo;
use crate::data::read::is_picture;
use crate::restore::{paired_images, video};

/// Most bytes of a video's frames, which are all kept in memory.
const MOST_BYTES: usize = 4_000_000_000;

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
    /// A sentence on pictures that a run was trained on.
    pub note: Option<String>,
}

impl PairSet {
    /// Pairs the pictures of two folders by file stem.
    ///
    /// # Errors
    /// When a folder cannot be read or a picture has no partner.
    pub fn folders(input: &Path, truth: &Path, take: Take) -> anyhow::Result<Self> {
        let items = paired_images(input, truth)?.into_iter().zip(0..);
        let items = items.map(|((input, truth), place)| Item::Files {
            name: stem(&input),
            input: Some(input),
            truth,
            place,
        });
        Ok(Self::new(take.of(items.collect()), None))
    }

    /// Opens `data`: a folder, an index file, or a video whose frames are the truth.
    ///
    /// A folder is read as `hone data index` reads it: its test pictures, else its validation pictures,
    /// else all of them; the folder that one of the `runs` was trained on as that run read it. What a run was trained on is
    /// left out, unless nothing else is there. Sharp pictures are degraded by `camera`. Of a video, the first frames are taken.
    ///
    /// # Errors
    /// When there is nothing to evaluate on, when sharp pictures come without a camera, or with one that nobody asked for
    /// beside degraded pictures that match none of them, or when a video's frames take more than 4 GB.
    pub fn open(
        data: &Path,
        camera: Option<&Camera>,
        take: Take,
        runs: &[Learnt],
    ) -> anyhow::Result<Opened> {
        if data.is_file() && video::is_video(data) {
            let evaluated = Self::video(data, camera, take.count())?;
            return Ok(Opened {
                evaluated,
                split: None,
                training: None,
                problems: Vec::new(),
                note: None,
            });
        }
        ensure!(
            !data.is_file() || !is_picture(data),
            "{} is a picture: name its folder",
            data.display()
        );
        let own = runs.iter().find(|run| run.is_in(data));
        let lying = data.join(index::FILE_NAME);
        let (root, index, indexed) = if data.is_file() {
            let root = data.parent().unwrap_or(Path::new("."));
            (root.to_owned(), Index::load(data)?, true)
        } else if let Some(run) = own {
            let (root, index) = run.index()?;
            (root, index, run.is_indexed())
        } else if lying.is_file() {
            (data.to_owned(), Index::load(&lying)?, true)
        } else {
            let index = index::scan(data, Layout::Auto, 0, 0.0, false)
                .with_context(|| format!("cannot use {} as data", data.display()))?;
            (data.to_owned(), index, false)
        };
        let sharp_said = own.is_some_and(|run| run.data.layout == Layout::Sharp);
        if !indexed
            && !sharp_said
            && !camera.is_some_and(|camera| camera.asked_for)
            && let Some(path) = index.degraded_alone()
        {
            bail!(
                "{} holds degraded pictures, as {path}, and none is a pair with a sharp one: name the two alike, or say with \
                 --degrade what the camera does",
                data.display()
            );
        }
        // Runs that read the same find the same: a large folder takes a while to scan.
        let pictures = |run: &Learnt| match own == Some(run) {
            true => training(&root, &index),
            false => run.pictures(&root),
        };
        let learnt = runs.iter().flat_map(pictures).collect();
        let mut opened = Self::indexed(&index, &root, camera, take, &learnt)?;
        if !indexed {
            opened.problems = index.problems;
        }
        if let (None, Some(_), Some(split)) = (&opened.note, own, opened.split) {
            opened.note = Some(format!(
                "a run was trained in {}: its {split} pictures are evaluated",
                data.display()
            ));
        }
        Ok(opened)
    }

    fn indexed(
        index: &Index,
        root: &Path,
        camera: Option<&Camera>,
        take: Take,
        learnt: &BTreeSet<PathBuf>,
    ) -> anyhow::Result<Opened> {
        let set = |wanted: Option<Split>| -> anyhow::Result<Vec<Item>> {
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
                camera.degradation.for_single_pictures()?;
            }
            Ok(items)
        };
        let used = [Split::Test, Split::Validation];
        let used = used.into_iter().find(|split| index.count(*split) > 0);
        let evaluated = set(used)?;
        ensure!(
            !evaluated.is_empty(),
            "{} holds no picture to evaluate on",
            root.display()
        );
        let (known, new): (Vec<Item>, Vec<Item>) =
            evaluated.into_iter().partition(|item| item.is_of(learnt));
        let note = match (known.len(), new.len()) {
            (0, _) => None,
            (known, 0) => Some(format!(
                "a run was trained on all {known} of these pictures: the figures say nothing of others"
            )),
            (known, new) => Some(format!(
                "left out {known} pictures that a run was trained on, kept {new}"
            )),
        };
        let evaluated = if new.is_empty() { known } else { new };
        let training = (used.is_some() && index.count(Split::Train) > 0)
            .then(|| set(Some(Split::Train)))
            .transpose()?;
        Ok(Opened {
            evaluated: Self::new(take.of(evaluated), camera.cloned()),
            split: used,
            training: training.map(|items| Self::new(items, camera.cloned())),
            problems: Vec::new(),
            note,
        })
    }

    fn video(path: &Path, camera: Option<&Camera>, limit: usize) -> anyhow::Result<Self> {
        let camera = camera.with_context(|| {
            format!(
                "the frames of {} are the truth: say with --degrade what the camera does",
                path.display()
            )
        })?;
        camera.degradation.for_single_pictures()?;
        let mut reader = video::Reader::open_stored(path)?;
        let format = reader.format();
        if let Some(frames) = container::announced(path)? {
            bounded(path, &format, limit.min(frames as usize))?;
        }
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(frame) = reader.next_frame()?
        {
            bounded(path, &format, items.len() + 1)?;
            items.push(Item::Frame {
                name: format!("frame {}", items.len()),
                truth: Arc::new(Photo::from_picture(&frame.to_picture(&format))),
                place: items.len() as u64,
            });
        }
        if items.len() == limit {
            // The film's end, where its damage is told, was not reached.
            reader.tell_damage();
        }
        ensure!(!items.is_empty(), "{} holds no frame", path.display());
        Ok(Self::new(items, Some(camera.clone())).as_sequence())
    }
}

/// Refuses more frames than may be kept at once.
pub(super) fn bounded(path: &Path, format: &video::Format, frames: usize) -> anyhow::Result<()> {
    let (width, height) = (format.width, format.height);
    let most = MOST_BYTES / (3 * width * height);
    ensure!(
        frames <= most,
        "{frames} frames of {}, {width}x{height} each, take {:.2} GB of memory, more than {:.2}: give --limit {most}, or \
         name a folder of its frames (`hone data frames`)",
        path.display(),
        (3 * width * height) as f64 * frames as f64 / 1e9,
        MOST_BYTES as f64 / 1e9
    );
    Ok(())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
