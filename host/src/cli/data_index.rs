//! `hone data index` and `hone data verify`: what lies in a folder, and whether it is still that.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::Args;

use super::data_frames;
use super::progress;
use crate::data::clips;
use crate::data::config::Layout;
use crate::data::index::{self, Index, Split};

/// Files named for each reason to leave some out; all are in the index.
const NAMED: usize = 5;

/// Arguments of `hone data index`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone data index ~/GoPro
  hone data index clips --frames frames --every 5

Known trees: GoPro and REDS, {train,val}/{blur,sharp}, {input,target}, {lq,gt}, RealBlur's list files, DIV2K,
folders of sharp photographs, and with --frames a video or a folder of videos.")]
pub struct IndexArgs {
    /// Folder with the pictures; with --frames a video or a folder of videos.
    root: PathBuf,
    /// Index file [default: ROOT/hone-index.toml].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Take the frames of the videos under ROOT to this folder first, and index that.
    #[arg(long, value_name = "FOLDER")]
    frames: Option<PathBuf>,
    /// Keep every N-th frame.
    #[arg(long, requires = "frames", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// How to read the folder.
    #[arg(long, value_enum, default_value_t = Layout::Auto)]
    layout: Layout,
    /// Part kept for validation where the folder has no such split.
    #[arg(long, default_value_t = 0.1)]
    validation: f32,
    /// Seed of that split.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl IndexArgs {
    /// Writes the index and says what is in it.
    ///
    /// # Errors
    /// When the folder cannot be read or holds nothing that can be used.
    pub fn run(self) -> anyhow::Result<()> {
        if !(0.0..=0.9).contains(&self.validation) {
            bail!("--validation must lie in 0..0.9, got {}", self.validation);
        }
        if self.layout == Layout::Scenes {
            bail!("scenes are drawn by code and have no index: drop --layout or choose another");
        }
        if let Some(out) = &self.out {
            refuse_other_than_index(out)?;
        }
        let root = match self.frames {
            Some(folder) => {
                let found = clips::under(&self.root)?;
                data_frames::take(&found, &folder, self.every, self.json)?;
                folder
            }
            None => self.root,
        };
        let out = self.out.unwrap_or_else(|| root.join(index::FILE_NAME));
        let bar = progress::count("pictures");
        let index = index::scan_told(
            &root,
            self.layout,
            self.seed,
            self.validation,
            true,
            &|done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            },
        )?;
        bar.finish_and_clear();
        if index.entries.is_empty() {
            told(&index, &mut std::io::stderr())?;
            bail!("{} holds no picture that can be used", root.display());
        }
        index.save(&out)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&index)?);
            return Ok(());
        }
        let paired = index.layout == Layout::Pairs;
        println!(
            "{}: {} {} (train {}, validation {}, test {})",
            out.display(),
            index.entries.len(),
            if paired { "pairs" } else { "sharp pictures" },
            index.count(Split::Train),
            index.count(Split::Validation),
            index.count(Split::Test)
        );
        told(&index, &mut std::io::stdout())
    }
}

/// A picture or a recipe does not become an index; one of another version does, and is made anew.
fn refuse_other_than_index(out: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(out).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    ensure!(
        !out.exists() || (table.contains_key("version") && table.contains_key("layout")),
        "{} is there and is no index of hone: name another file with --out",
        out.display()
    );
    Ok(())
}

/// Lists what was left out, by reason.
fn told(index: &Index, to: &mut dyn std::io::Write) -> anyhow::Result<()> {
    for (reason, count) in index.problem_counts() {
        writeln!(to, "  left out {count}: {reason}")?;
        let of_reason = index.problems.iter().filter(|p| p.reason == reason);
        for problem in of_reason.take(NAMED) {
            writeln!(to, "    {}", problem.path)?;
        }
        if count > NAMED {
            writeln!(to, "    ... {} more", count - NAMED)?;
        }
    }
    Ok(())
}

/// Arguments of `hone data verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hone data verify ~/GoPro")]
pub struct VerifyArgs {
    /// Folder with the pictures.
    root: PathBuf,
    /// Index file [default: ROOT/hone-index.toml].
    #[arg(long)]
    index: Option<PathBuf>,
    /// Print the differences as JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    /// Says what changed.
    ///
    /// # Errors
    /// When something did, or the index cannot be read.
    pub fn run(self) -> anyhow::Result<()> {
        let path = self
            .index
            .unwrap_or_else(|| self.root.join(index::FILE_NAME));
        let index = Index::load(&path)?;
        let changes = index::verify(&index, &self.root)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&changes)?);
        } else {
            for change in &changes {
                println!("{}: {}", change.what, change.path);
            }
        }
        if !changes.is_empty() {
            bail!("{} files differ from {}", changes.len(), path.display());
        }
        if !self.json {
            println!("{} entries are as indexed", index.entries.len());
        }
        Ok(())
    }
}
