//! `hone restore`: images, folders and videos through a student, as the board would show them, or a teacher.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use hone_shared::print::tell;

use super::overwrite;
use super::restorer::RestorerSource;
use crate::data::index::Problem;
use crate::picture::Picture;
use crate::restore::{Photo, Restore, sorted_out, video};

/// Restores an image, a folder of images or a video.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone restore blurred.jpg --model student.int8.onnx --output sharp.jpg
  hone restore frames/ --bundle street.hone --level small --output restored/
  hone restore frames/ --model temporal.onnx --sequence --output restored/
  hone restore clip.mp4 --model student.int8.onnx --output half.mp4 --split 0.5")]
pub struct RestoreArgs {
    /// An image, a folder of images, or a video. Of a video, pictures only: sound is left out, interlaced pictures
    /// become progressive, and a raw stream that says no frame rate is written at 30 frames a second.
    input: PathBuf,
    #[command(flatten)]
    source: RestorerSource,
    /// Where the result goes: a file of the input's kind, or a folder, in which it has the input's name. H.264 wants even sides: of a video with
    /// odd ones the last column or row is left out.
    #[arg(long, short)]
    output: PathBuf,
    /// Share of the student's residual that is added, 0 (off) to 1.
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    strength: f32,
    /// Show the input left of this share of the width, and a line between.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    split: Option<f32>,
    /// Side of the tiles that large pictures are cut into, in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = side)]
    tile: Option<usize>,
    /// The folder's pictures are consecutive frames, in order of name: a temporal student also sees what it gave for
    /// the one before. A video's always are.
    #[arg(long)]
    sequence: bool,
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("give a number from 0 to 1".into()),
    }
}

/// Smaller tiles are mostly the overlap that is thrown away.
fn side(text: &str) -> Result<usize, String> {
    let side = text.parse().ok().filter(|side| *side >= 64);
    side.ok_or_else(|| "give a number of pixels, 64 or more".into())
}

fn left_out(path: &Path, reason: String) -> Problem {
    Problem {
        path: path.display().to_string(),
        reason,
    }
}

/// Where the result for `input` goes: where `output` is a folder, or is written as one, into it.
fn in_folder(output: PathBuf, input: &Path) -> anyhow::Result<PathBuf> {
    let written = output.as_os_str().as_bytes().ends_with(b"/");
    if !written && !output.is_dir() {
        return Ok(output);
    }
    std::fs::create_dir_all(&output)
        .with_context(|| format!("cannot create the folder {}", output.display()))?;
    Ok(output.join(input.file_name().unwrap_or_default()))
}

impl RestoreArgs {
    /// Restores and writes.
    ///
    /// # Errors
    /// When the input or the model cannot be read or the output cannot be written.
    pub fn run(mut self) -> anyhow::Result<()> {
        if !self.input.is_dir() {
            self.output = in_folder(self.output, &self.input)?;
            ensure!(
                !self.sequence || video::is_video(&self.input),
                "{} is a single picture: --sequence is for a folder of them",
                self.input.display()
            );
            overwrite::refuse(&self.output, [self.input.as_path()])?;
        }
        let mut restorer = self.source.open(self.strength, self.tile)?;
        let restorer = restorer.as_mut();
        if self.input.is_dir() {
            self.folder(restorer)
        } else if video::is_video(&self.input) {
            self.video(restorer)
        } else {
            let photo = Photo::load(&self.input)?;
            if let Some(lost) = self.image(restorer, photo, &self.output)? {
                tell(lost);
            }
            Ok(())
        }
    }

    fn folder(&self, restorer: &mut dyn Restore) -> anyhow::Result<()> {
        let (paths, others) = sorted_out(&self.input)?;
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot create the folder {}", self.output.display()))?;
        if self.output.canonicalize()? == self.input.canonicalize()? {
            bail!("the output folder is the input folder; give another --output");
        }
        let mut problems: Vec<Problem> = others
            .iter()
            .map(|path| left_out(path, "is no image of a type that is read".into()))
            .collect();
        restorer.follow(self.sequence);
        if restorer.is_temporal() && !self.sequence {
            tell(
                "note: each picture is restored by itself; if they are consecutive frames, say --sequence",
            );
        }
        let bar = super::progress::bar(paths.len() as u64, "restoring");
        let (mut restored, mut lost) = (0, Vec::new());
        for path in &paths {
            match Photo::load(path) {
                Ok(photo) => {
                    let name = path.file_name().unwrap_or_default();
                    lost.extend(self.image(restorer, photo, &self.output.join(name))?);
                    restored += 1;
                }
                Err(error) => problems.push(left_out(path, format!("{error:#}"))),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        match lost.split_first() {
            Some((first, [])) => tell(first),
            Some((first, more)) => tell(format_args!("{first}; so are {} more", more.len())),
            None => {}
        }
        super::left_out::tell(&problems, restored)
    }

    /// Restores and writes a picture; says what of it could not be kept.
    fn image(
        &self,
        restorer: &mut dyn Restore,
        mut photo: Photo,
        output: &Path,
    ) -> anyhow::Result<Option<String>> {
        let before = photo.rgb();
        let mut after = restorer.restore_bytes(3, photo.width(), photo.height(), &before)?;
        self.wipe(&before, &mut after, 3 * photo.width(), 3, [255; 3]);
        photo.apply(&before, &after);
        photo.save(output)
    }

    fn video(&self, restorer: &mut dyn Restore) -> anyhow::Result<()> {
        let mut reader = video::Reader::open(&self.input)?;
        let format = reader.format();
        let (w, h) = (format.width, format.height);
        let mut writer = video::Writer::create(&self.output, format)?;
        let bar = super::progress::count("restoring");
        let mut frames = 0u64;
        restorer.follow(true);
        while let Some(mut frame) = reader.next_delivered()? {
            if restorer.takes_luma() {
                // Y as the film delivers it, chroma untouched, as the board does; the colours that are written come after.
                let mut after = restorer.restore_bytes(1, w, h, &frame.y)?;
                self.wipe(&frame.y, &mut after, w, 1, [235]);
                frame.y = after;
                frame = reader.studio(frame);
            } else {
                frame = reader.studio(frame);
                let before = frame.to_picture(&format).to_bytes();
                let mut after = restorer.restore_bytes(3, w, h, &before)?;
                self.wipe(&before, &mut after, 3 * w, 3, [255; 3]);
                frame = video::Frame::from_picture(&Picture::from_bytes(3, h, w, &after));
            }
            writer.push(&frame)?;
            frames += 1;
            bar.set_position(frames);
        }
        bar.finish_and_clear();
        if frames == 0 {
            bail!("{} holds no frame", self.input.display());
        }
        writer.finish()
    }

    /// Puts `before` left of the split and a line of two pixels at it; rows of `stride` bytes.
    fn wipe<const N: usize>(
        &self,
        before: &[u8],
        after: &mut [u8],
        stride: usize,
        channels: usize,
        line: [u8; N],
    ) {
        let Some(split) = self.split else { return };
        let columns = stride / channels;
        let border = (split * columns as f32).round() as usize;
        for (before, after) in before.chunks(stride).zip(after.chunks_mut(stride)) {
            let bytes = border * channels;
            after[..bytes].copy_from_slice(&before[..bytes]);
            for pixel in after[bytes.saturating_sub(channels)..]
                .chunks_mut(channels)
                .take(2)
            {
                pixel.copy_from_slice(&line[..channels]);
            }
        }
    }
}
