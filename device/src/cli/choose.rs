//! `honed bench --choose`: measures a bundle's students and writes the best one into the
//! configuration.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use comfy_table::{Table, presets};
use hone_shared::bundle::{Bundle, ModelEntry, hex};
use hone_shared::config::edit::{self, Change};
use hone_shared::config::{Config, DEFAULT};
use hone_shared::student::Precision;
use indicatif::ProgressBar;

use super::trust::TrustArgs;
use crate::atomic;
use crate::bench::choose::{Candidate, best, thread_counts};
use crate::bench::{BenchOptions, measure};
use crate::journal::Journal;
use crate::slots::{FolderDisk, Slot, Slots};
use crate::trust;

/// Frames timed for each candidate.
const FRAMES: usize = 18;

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// The students.
    pub bundle: &'a Path,
    /// Whose bundles are taken: it is written too, for `honed run` opens the bundle next.
    pub trust: &'a TrustArgs,
    /// The file to write.
    pub config: &'a Path,
    /// Frames a second to hold.
    pub fps: f64,
    /// Whether to print JSON.
    pub json: bool,
}

/// Measures, writes and prints.
///
/// # Errors
/// When a student does not run, none holds the frame rate, or the configuration cannot be changed.
pub(super) fn run(
    wanted: &Wanted<'_>,
    wants: impl Fn(Precision) -> bool,
    options: BenchOptions,
) -> anyhow::Result<()> {
    // What is wrong with any of these is told before minutes of measuring.
    let (_, config) = read(wanted.config)?;
    may_be_written(wanted.config)?;
    let policy = wanted.trust.policy(&config.student, &Journal::default())?;
    let bundle = trust::open(wanted.bundle, &policy)?;
    wanted.trust.as_configured(&config.student)?;
    let path = std::path::absolute(wanted.bundle)?;
    let path = path
        .to_str()
        .context("the bundle's path is not UTF-8: rename it")?;
    let (chosen, measured) = search(&bundle, wanted.fps, wants, options)?;
    let Some(chosen) = chosen else {
        let fastest = measured
            .iter()
            .min_by(|a, b| a.median_ms.total_cmp(&b.median_ms));
        let fastest = fastest.context("the bundle holds no such student")?;
        bail!(
            "no student holds {} frames a second at {}x{} here with a fifth of the time to spare: the fastest, {} in \
             {} on {} threads, takes {:.1} ms; ask for fewer --fps or a smaller --size ({} is as it was)",
            wanted.fps,
            options.width,
            options.height,
            fastest.level,
            fastest.precision,
            fastest.threads,
            fastest.median_ms,
            wanted.config.display()
        );
    };
    // Again: what was saved in the meantime stays.
    let (text, config) = read(wanted.config)?;
    let mut changes: Vec<Change> = vec![
        ("student", "level", chosen.level.as_str().into()),
        ("student", "precision", chosen.precision.name().into()),
        ("student", "threads", (chosen.threads as i64).into()),
    ];
    let slot = slot_with(&bundle, &config);
    if slot.is_none() {
        changes.push(("student", "bundle", path.into()));
    }
    changes.extend(wanted.trust.as_configured(&config.student)?);
    let text =
        edit::change(&text, &changes).with_context(|| wanted.config.display().to_string())?;
    atomic::write_bytes(wanted.config, text.as_bytes())?;
    if wanted.json {
        let json = serde_json::json!({
            "chosen": chosen,
            "fps_wanted": wanted.fps,
            "config": wanted.config,
            "slot": slot,
            "measured": measured,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{}", table(&measured, wanted.fps));
        println!(
            "{} in {} on {} threads: written to {}",
            chosen.level,
            chosen.precision,
            chosen.threads,
            wanted.config.display()
        );
        match slot {
            Some(slot) => println!("student.bundle stays empty: slot {slot} runs this very bundle"),
            None => println!(
                "student.bundle names the bundle now: `hone deploy` wants it empty, and then the slot runs what is deployed"
            ),
        }
    }
    Ok(())
}

/// The slot that `config` runs, if `bundle` is what lies in it. Named as well, the bundle would stay when an update comes.
fn slot_with(bundle: &Bundle, config: &Config) -> Option<Slot> {
    if !config.student.bundle.is_empty() {
        return None;
    }
    // Slots that cannot be read are none that run here.
    let state = Slots::new(FolderDisk::new(&config.slots.folder)).state();
    let state = state.ok()?;
    let same = state.running()?.sha256 == hex(bundle.digest());
    state.active.filter(|_| same)
}

/// Whether `path` can be replaced, which takes a folder that new files may be made in.
fn may_be_written(path: &Path) -> anyhow::Result<()> {
    let whole = path.canonicalize().unwrap_or(std::path::absolute(path)?);
    let folder = whole.parent().unwrap_or(Path::new("/"));
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)
        .with_context(|| format!("cannot write {}; use sudo, or --config", path.display()))
}

/// The configuration as it is, or the default one: its text, and what it says.
fn read(path: &Path) -> anyhow::Result<(String, Config)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => DEFAULT.into(),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let config = Config::parse(&text).with_context(|| path.display().to_string())?;
    Ok((text, config))
}

/// Level by level, largest first, until one holds.
fn search(
    bundle: &Bundle,
    fps: f64,
    wants: impl Fn(Precision) -> bool,
    options: BenchOptions,
) -> anyhow::Result<(Option<Candidate>, Vec<Candidate>)> {
    let mut entries: Vec<&ModelEntry> = bundle.manifest().models.iter().collect();
    entries.retain(|m| wants(m.precision));
    entries.sort_by(|a, b| {
        b.macs_per_pixel
            .total_cmp(&a.macs_per_pixel)
            .then(a.name.cmp(&b.name))
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut measured = Vec::new();
    for level in entries.chunk_by(|a, b| a.name == b.name) {
        let first = measured.len();
        for entry in level {
            for threads in thread_counts(cores) {
                bar.set_message(format!(
                    "{} in {} on {threads} threads",
                    entry.name, entry.precision
                ));
                let mut options = BenchOptions {
                    frames: FRAMES,
                    ..options
                };
                options.engine.threads = threads;
                let report = measure(bundle.model_bytes(entry), options, None)?;
                measured.push(Candidate {
                    level: entry.name.clone(),
                    precision: entry.precision,
                    threads,
                    median_ms: report.median_ms,
                });
            }
        }
        if let Some(best) = best(&measured[first..], fps) {
            bar.finish_and_clear();
            return Ok((Some(best.clone()), measured));
        }
    }
    bar.finish_and_clear();
    Ok((None, measured))
}

fn table(measured: &[Candidate], fps: f64) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["student", "precision", "threads", "median", "holds"]);
    for c in measured {
        table.add_row([
            c.level.clone(),
            c.precision.to_string(),
            c.threads.to_string(),
            format!("{:.2} ms", c.median_ms),
            if c.holds(fps) { "yes" } else { "no" }.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::engine::EngineOptions;

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        trust: TrustArgs,
    }

    #[test]
    fn a_bundle_that_a_slot_runs_is_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let slots = folder.path().join("slots");
        let bundle = crate::shipped::bundle().unwrap();
        let mut config = Config::default();
        config.slots.folder = slots.display().to_string();
        assert_eq!(slot_with(&bundle, &config), None);
        let mut bytes = Vec::new();
        hone_shared::bundle::write(&bundle, &mut bytes).unwrap();
        let update = crate::slots::Update {
            bundle: &bytes,
            program: None,
        };
        let anyone = hone_shared::bundle::Policy {
            trusted: Vec::new(),
            allow_unsigned: true,
        };
        let slots = Slots::new(FolderDisk::new(&slots));
        slots.install(update, &anyone, false).unwrap();
        assert_eq!(slot_with(&bundle, &config), Some(Slot::A));
        config.student.bundle = "x.hone".into();
        assert_eq!(slot_with(&bundle, &config), None);
    }

    #[test]
    fn the_configuration_is_asked_first_and_says_whom_to_trust() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("honed.toml");
        let refused = |text: &str, words: &str| {
            std::fs::write(&config, text).unwrap();
            let wanted = Wanted {
                bundle: Path::new("gone.hone"),
                trust: &Flags::parse_from(["bench"]).trust,
                config: &config,
                fps: 25.0,
                json: false,
            };
            let options = BenchOptions {
                width: 64,
                height: 48,
                frames: 1,
                engine: EngineOptions::default(),
            };
            let error = format!("{:#}", run(&wanted, |_| true, options).unwrap_err());
            assert!(error.contains(words), "{error}");
        };
        refused("student.strength = 7.0", "student.strength");
        refused(
            "student.trusted_keys = ['/gone/release.pub']",
            "/gone/release.pub",
        );
        refused("student.trusted_keys = []", "gone.hone");
    }
}
