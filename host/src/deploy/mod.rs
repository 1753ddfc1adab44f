//! From the workstation to boards: over the system's ssh, only what changed, tried before it stays.
//!
//! ```text
//!  hone deploy                                board
//!  look    -- ssh: probe.sh ----------------> machine, versions, slots, SHA-256 of files
//!  plan       what differs, or a refusal
//!  send    -- ssh: receive.sh + tar --------> stage -> checked -> files, `honed slots install`, restart
//!  wait   <-- `honed slots wait` ------------ proved itself, or the slot before came back
//! ```
//!
//! A board that has everything costs the first connection only. One that refuses is left as it was.

mod elf;
mod facts;
mod goods;
mod payload;
mod plan;
mod service;
mod settings;
mod ssh;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

pub use facts::{Facts, Root, Status};
pub use goods::{BoardFile, Goods, Program};
pub use plan::Plan;
pub use service::roll_back;
pub use ssh::{Answer, Ssh};

const RECEIVE: &str = include_str!("receive.sh");
/// Boards served at one time.
const AT_ONCE: usize = 8;
/// Longest that a board may take to put what it received in its place, its service's stop and start among it.
const APPLY: Duration = Duration::from_secs(600);
/// Bytes a second that come through the thinnest link.
const THIN_LINK: u64 = 8_000;

/// How to deploy.
#[derive(Debug, Clone)]
pub struct Options {
    /// How boards are reached.
    pub ssh: Ssh,
    /// Folder of the board to install below, empty for `/`.
    pub root: String,
    /// Whether an older release is taken.
    pub force: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Seconds to wait for a trial's end; 0 does not wait.
    pub wait: u64,
}

/// What became of one board; one row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The board as the user named it.
    pub board: String,
    /// Its machine, once known.
    pub machine: String,
    /// Bundle and release that ran before.
    pub before: String,
    /// Bytes given to ssh and taken from it.
    pub bytes: u64,
    /// Time taken.
    pub seconds: f64,
    /// Whether all is as it should be.
    pub good: bool,
    /// What was done, or why not.
    pub outcome: String,
}

/// What is told of a board while others may be under way.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// What is being done.
    Doing(&'a str),
    /// Nothing more: this is what became of it.
    Done(&'a Row),
}

/// Hears of a board's index what is happening there.
pub type Report<'a> = dyn Fn(usize, Step<'_>) + Sync + 'a;

/// Checks names of boards before any of them reaches ssh's command line.
///
/// # Errors
/// The name that could be taken for an option, or that is there twice.
pub fn check_boards(boards: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for board in boards {
        let odd = board.is_empty() || board.starts_with('-') || board.contains(char::is_whitespace);
        ensure!(
            !odd,
            "'{board}' is no board: name it as ssh does, USER@BOARD"
        );
        ensure!(seen.insert(board), "'{board}' is named twice");
    }
    Ok(())
}

/// Brings the goods to every board, the first `canary` ones alone if asked for: the others are left
/// as they are unless all of those prove the update.
pub fn deploy(
    boards: &[String],
    goods: &Goods,
    options: &Options,
    canary: usize,
    report: &Report<'_>,
) -> Vec<Row> {
    let work = |index: usize| {
        let doing = |text: &str| report(index, Step::Doing(text));
        let row = one(&boards[index], goods, options, &doing);
        report(index, Step::Done(&row));
        row
    };
    let canary = canary.min(boards.len());
    let mut rows = on_each(0..canary, &work);
    if let Some(bad) = rows.iter().find(|row| !row.good) {
        let outcome = format!("left as it is: {} did not take the update", bad.board);
        for (at, board) in boards.iter().enumerate().skip(canary) {
            let outcome = outcome.clone();
            let row = Row {
                outcome,
                ..Row::of(board)
            };
            report(at, Step::Done(&row));
            rows.push(row);
        }
        return rows;
    }
    rows.extend(on_each(canary..boards.len(), &work));
    rows
}

/// Does `work` for each index, some at a time, and keeps the order.
pub fn on_each<T: Send>(
    indices: std::ops::Range<usize>,
    work: &(dyn Fn(usize) -> T + Sync),
) -> Vec<T> {
    let next = Mutex::new(indices.clone());
    let take = || next.lock().ok().and_then(|mut next| next.next());
    let mut done: Vec<(usize, T)> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..AT_ONCE.min(indices.len()))
            .map(|_| {
                threads.spawn(|| {
                    let mut mine = Vec::new();
                    while let Some(index) = take() {
                        mine.push((index, work(index)));
                    }
                    mine
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Row {
    fn of(board: &str) -> Self {
        Self {
            board: board.to_owned(),
            machine: String::new(),
            before: String::new(),
            bytes: 0,
            seconds: 0.0,
            good: false,
            outcome: String::new(),
        }
    }
}

fn one(board: &str, goods: &Goods, options: &Options, report: &(dyn Fn(&str) + Sync)) -> Row {
    let start = Instant::now();
    let mut row = Row::of(board);
    match steps(board, goods, options, report, &mut row) {
        Ok(outcome) => {
            row.good = true;
            row.outcome = outcome;
        }
        Err(error) => row.outcome = format!("{error:#}"),
    }
    row.seconds = start.elapsed().as_secs_f64();
    row
}

fn steps(
    board: &str,
    goods: &Goods,
    options: &Options,
    report: &(dyn Fn(&str) + Sync),
    row: &mut Row,
) -> Result<String> {
    report("looking");
    let (facts, answer) = Facts::ask(&options.ssh, board, &options.root, &goods.paths())?;
    row.bytes = answer.bytes;
    row.machine.clone_from(&facts.machine);
    row.before = running(&facts);
    let plan = Plan::make(&facts, goods, options.force)?;
    if plan.bundle && options.wait > 0 {
        let config = goods.config.as_ref().or(facts.config.as_ref());
        config.map_or(Ok(()), settings::provable)?;
    }
    if options.dry_run {
        return Ok(plan.lines().join("\n"));
    }
    if plan.is_empty() {
        if facts.service == "active" {
            return Ok("unchanged".into());
        }
        report("starting the service");
        service::start(&options.ssh, board)?;
        return Ok(format!(
            "unchanged, but the service was {}: started",
            facts.service
        ));
    }
    let mut arguments = vec![options.root.clone(), options.wait.to_string()];
    if options.force {
        arguments.push("--force".into());
    }
    let sending = |bytes: u64| report(&format!("sent {:.1} MB", bytes as f64 / 1e6));
    let ssh = options.ssh.within(patience(plan.bytes(), options.wait));
    let answer = ssh.run(board, RECEIVE, &arguments, |out| {
        payload::write(&plan, goods, out, &sending)?;
        report("waiting until the update proves itself");
        Ok(())
    })?;
    row.bytes += answer.bytes;
    let notes = notes(&answer.text);
    if !plan.bundle {
        return Ok(format!("settings updated{notes}"));
    }
    let slot = slot_line(&answer.text, options.wait == 0)
        .context("its honed says nothing of a slot: give a honed with --program")?;
    Ok(match options.wait {
        0 => format!("installed, not waited for: {slot}{notes}"),
        _ => format!("proved itself: {slot}{notes}"),
    })
}

/// How long a deploy of so many `bytes` may take that waits `wait` seconds for a trial's end.
fn patience(bytes: u64, wait: u64) -> Duration {
    APPLY + Duration::from_secs(wait + bytes / THIN_LINK)
}

/// What the board's honed noted about the configuration, each on a line of its own.
fn notes(text: &str) -> String {
    let notes = text.lines().filter(|line| line.starts_with("note: "));
    notes.map(|note| format!("\n{note}")).collect()
}

/// The last word on a slot; one on trial is none unless that is enough.
fn slot_line(text: &str, on_trial_is_enough: bool) -> Option<&str> {
    let line = text.lines().rfind(|line| line.starts_with("slot "))?;
    (on_trial_is_enough || !line.ends_with(", on trial")).then_some(line)
}

/// What runs on a board, in a few words.
pub fn running(facts: &Facts) -> String {
    let Some(status) = &facts.status else {
        let starts = facts.broken.is_empty();
        return if starts {
            "no honed"
        } else {
            "honed does not start"
        }
        .into();
    };
    match (status.slots.running(), &status.slots.trial) {
        (None, _) => "no bundle".into(),
        (Some(running), None) => format!("{} {}", running.bundle, running.release),
        (Some(running), Some(_)) => format!("{} {}, on trial", running.bundle, running.release),
    }
}

/// A folder of a board as the scripts take it: empty for `/`.
///
/// # Errors
/// The folder is not absolute.
pub fn root_of(folder: &str) -> Result<String> {
    ensure!(folder.starts_with('/'), "'{folder}' is no absolute folder");
    Ok(folder.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;
