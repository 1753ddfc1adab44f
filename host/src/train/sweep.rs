//! `hone sweep`: one distillation for every combination of a grid of overrides.

mod grid;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hone_shared::print::tell;
use serde::Serialize;

use super::cache::Shard;
use super::distill::{self, DistillOptions};
use super::interrupt::Interrupt;
use super::run::{HeldElsewhere, RunFolder, read_inputs, state, take_turn};
use super::state::Scores;
use crate::recipe::{Recipe, RecipeText};
pub use grid::{Axis, Setting, combinations};

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepRow {
    /// Folder under the sweep's.
    pub run: String,
    /// What was set.
    pub settings: Setting,
    /// Whether it ended.
    pub finished: bool,
    /// Best epoch and its scores.
    pub best: Option<(u64, Scores)>,
    /// Seconds of training.
    pub seconds: f64,
}

/// What a sweep leaves.
#[derive(Debug)]
pub struct SweepOutcome {
    /// All runs there are.
    pub rows: Vec<SweepRow>,
    /// The shard's runs that failed, each with its reason: the same command tries them again.
    pub failed: Vec<String>,
}

/// Trains what is missing of the shard's runs in `options.out`, then reads all runs there are. A run that fails, as one
/// that diverges does, keeps no other from its turn.
///
/// # Errors
/// When a combination's recipe is refused, another process trains one of the shard's runs, or the user ends the sweep;
/// finished runs stay.
pub fn run(options: &DistillOptions, grid: &[Axis], shard: Shard) -> Result<SweepOutcome> {
    let settings = combinations(grid)?;
    let out = &options.out;
    let recipe =
        |setting: &Setting| checked(&options.text, setting).with_context(|| setting.join(" "));
    let recipes = settings.iter().map(recipe).collect::<Result<Vec<_>>>()?;
    let list = settings.iter().map(|s| s.join(" ")).collect::<Vec<_>>();
    let interrupt = &options.interrupt;
    let grid_text = sources(options) + &list.join("\n") + "\n";
    claim(out, &grid_text, interrupt)?;
    for (number, text) in recipes.iter().enumerate() {
        same_recipe(&out.join(name(number)), text)?;
    }
    let mut failed = Vec::new();
    for (number, text) in recipes.into_iter().enumerate() {
        let path = out.join(name(number));
        let begun = state(&path)?;
        if !shard.takes(number) || begun.as_ref().is_some_and(|state| state.finished) {
            continue;
        }
        tell(format_args!(
            "-- run {} of {}: {}",
            number + 1,
            settings.len(),
            list[number]
        ));
        let one = DistillOptions {
            text,
            out: path,
            resume: begun.is_some(),
            ..options.clone()
        };
        let outcome = distill::run(&one);
        if interrupt.is_set() && !outcome.as_ref().is_ok_and(|o| !o.interrupted) {
            bail!("stopped in run {}; the same command goes on", number + 1);
        }
        if let Err(error) = outcome {
            // The same sweep, started twice.
            if error.is::<HeldElsewhere>() {
                return Err(error);
            }
            let reason = format!("{} ({}): {error:#}", name(number), list[number]);
            tell(format_args!("run {reason}"));
            failed.push(reason);
        }
        // The sweep may be ended at any time; what is known by then is worth a table.
        sum_up(out, &settings, interrupt)?;
    }
    let rows = sum_up(out, &settings, interrupt)?;
    Ok(SweepOutcome { rows, failed })
}

/// The recipe of a combination, seen to be one: a mistake in the last is told before the first is trained.
fn checked(text: &RecipeText, setting: &Setting) -> Result<RecipeText> {
    let mut text = text.clone();
    text.set(setting)?;
    Recipe::from_text(&text)?;
    Ok(text)
}

/// All runs there are, written to `sweep.csv` too.
fn sum_up(out: &Path, settings: &[Setting], interrupt: &Interrupt) -> Result<Vec<SweepRow>> {
    let _turn = take_turn(out, interrupt)?;
    let rows = read(out, settings)?;
    hone_device::atomic::write_bytes(&out.join("sweep.csv"), table(&rows).as_bytes())?;
    Ok(rows)
}

fn name(number: usize) -> String {
    format!("{:03}", number + 1)
}

/// Refuses a run of an earlier call that was begun from another recipe: its scores must not stand beside others.
fn same_recipe(run: &Path, text: &RecipeText) -> Result<()> {
    if state(run)?.is_none() && !RunFolder::is_run(run) {
        return Ok(());
    }
    ensure!(
        read_inputs(run)?.recipe_sha256 == text.hash(),
        "{} was begun from another recipe: choose another --out, or remove that run",
        run.display()
    );
    Ok(())
}

/// What the recipe does not say of where runs learn from, as a line of the grid.
fn sources(options: &DistillOptions) -> String {
    let named = [("teacher", &options.teacher), ("cache", &options.cache)];
    let named = named.into_iter().filter_map(|(what, path)| {
        let path = path.as_ref()?;
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        Some(format!("# {what} {}\n", path.display()))
    });
    named.collect()
}

/// Refuses the folder of a single run.
fn no_run(out: &Path) -> Result<()> {
    ensure!(
        !RunFolder::is_run(out),
        "{} is a run, not a sweep: name another folder",
        out.display()
    );
    Ok(())
}

/// Makes `out` the place of this grid, unless it is another grid's or a run's.
fn claim(out: &Path, grid: &str, interrupt: &Interrupt) -> Result<()> {
    // A run holds its folder until its training ends.
    no_run(out)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let _turn = take_turn(out, interrupt)?;
    // One that had only just begun.
    no_run(out)?;
    let path: PathBuf = out.join("grid.txt");
    match std::fs::read_to_string(&path) {
        Ok(old) if old == grid => Ok(()),
        Ok(_) => bail!(
            "{} holds another sweep: choose another --out",
            out.display()
        ),
        Err(_) => Ok(hone_device::atomic::write_bytes(&path, grid.as_bytes())?),
    }
}

fn read(out: &Path, settings: &[Setting]) -> Result<Vec<SweepRow>> {
    let mut rows = Vec::new();
    for (number, setting) in settings.iter().enumerate() {
        let Some(state) = state(&out.join(name(number)))? else {
            continue;
        };
        rows.push(SweepRow {
            run: name(number),
            settings: setting.clone(),
            finished: state.finished,
            best: state.best,
            seconds: state.seconds,
        });
    }
    Ok(rows)
}

fn table(rows: &[SweepRow]) -> String {
    let mut text = String::from("run,settings,finished,epoch,psnr,ssim,seconds\n");
    for row in rows {
        let settings = row.settings.join(" ").replace('"', "\"\"");
        let _ = write!(text, "{},\"{settings}\",{}", row.run, row.finished);
        match row.best {
            Some((epoch, scores)) => {
                let _ = write!(text, ",{epoch},{},{}", scores.psnr, scores.ssim);
            }
            None => text.push_str(",,,"),
        }
        let _ = writeln!(text, ",{}", row.seconds);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::run::{RunInputs, RunKind};
    use super::*;

    #[test]
    fn shards_write_the_files_that_they_share_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("s");
        let shard = || -> Result<()> {
            let interrupt = Interrupt::default();
            for _ in 0..20 {
                claim(&out, "seed=1\n", &interrupt)?;
                sum_up(&out, &[], &interrupt)?;
            }
            Ok(())
        };
        std::thread::scope(|threads| {
            let shards: Vec<_> = (0..8).map(|_| threads.spawn(shard)).collect();
            for shard in shards {
                shard.join().unwrap().unwrap();
            }
        });
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    }

    #[test]
    fn a_run_is_refused_at_once_and_ctrl_c_ends_the_wait_for_a_turn() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let held = std::fs::File::open(out).unwrap();
        held.lock().unwrap();
        let interrupt = Interrupt::default();
        interrupt.set();
        let refusal = || claim(out, "seed=1\n", &interrupt).unwrap_err().to_string();
        assert!(refusal().contains("stopped while another process held"));
        std::fs::write(out.join("run.json"), "{}").unwrap();
        assert!(refusal().ends_with("is a run, not a sweep: name another folder"));
        assert!(!out.join("grid.txt").exists());
    }

    #[test]
    fn the_beginning_of_a_run_of_another_recipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let text = |text: &str| RecipeText::new("r.toml".as_ref(), text.into(), "/".as_ref());
        let (own, other) = (text("seed = 1\n"), text("seed = 2\n"));
        let run = folder.path().join("001");
        same_recipe(&run, &own).unwrap();
        let inputs = RunInputs::new(RunKind::Student, &own, None);
        RunFolder::prepare(&run, &own, &inputs, false).unwrap();
        same_recipe(&run, &own).unwrap();
        let error = same_recipe(&run, &other).unwrap_err().to_string();
        assert!(
            error.contains("001 was begun from another recipe"),
            "{error}"
        );
    }
}
