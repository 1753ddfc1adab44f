//! `honed slots` and `honed status`: what is installed on this board.

mod rollback;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hone_shared::bundle::FORMAT_VERSION;
use hone_shared::config::{Config, SLOTS_FOLDER};
use serde_json::json;

pub use rollback::RollbackArgs;

use super::owner::become_owner;
use super::trust::TrustArgs;
use crate::journal::Journal;
use crate::slots::{FolderDisk, Slot, Slots, State, Update};

/// How often a waiting command looks at the slots.
const LOOK: Duration = Duration::from_millis(100);

/// Where the slots are.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// Folder of the slots.
    #[arg(long, value_name = "DIR", default_value = SLOTS_FOLDER)]
    folder: PathBuf,
}

impl FolderArgs {
    /// What a person should know who looks at a folder that is not there.
    fn missing(&self) -> Option<String> {
        let folder = self.folder.display();
        let missing = !self.folder.exists();
        missing.then(|| format!("there is no folder {folder}: nothing was ever installed there"))
    }

    fn slots(&self) -> Slots<FolderDisk> {
        Slots::new(FolderDisk::new(&self.folder))
    }

    /// The slots to write to, as the user whose folder they are, for everyone to read.
    fn own_slots(&self) -> anyhow::Result<Slots<FolderDisk>> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        become_owner(&self.folder, &Slot::ALL.map(Slot::name))
            .with_context(|| format!("cannot write to {}", self.folder.display()))?;
        Ok(self.slots())
    }
}

/// Arguments of `honed slots`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo honed slots install x.hone")]
pub struct SlotsArgs {
    #[command(subcommand)]
    command: SlotsCommand,
}

#[derive(Debug, Subcommand)]
enum SlotsCommand {
    /// Put a bundle, and a program if one is given, into the slot that is not in use
    #[command(
        after_help = "Example:\n  sudo honed slots install x.hone --program honed-new\n\n\
        The slot becomes active, on trial, when honed starts again; see [slots] in `honed config --print-default`."
    )]
    Install(InstallArgs),
    /// Wait until a trial has ended; fail when the update was given up
    #[command(after_help = "Example:\n  honed slots wait --seconds 60")]
    Wait {
        #[command(flatten)]
        folder: FolderArgs,
        /// Give up waiting after so long.
        #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=86_400))]
        seconds: u64,
    },
}

#[derive(Debug, Args)]
struct InstallArgs {
    /// The bundle.
    bundle: PathBuf,
    /// The program that runs it; without one, that of the active slot.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Configuration file that names the trusted keys.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Take a release older than the one in use.
    #[arg(long)]
    force: bool,
}

impl SlotsArgs {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// One sentence with the file or slot named.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            SlotsCommand::Install(args) => args.run(),
            SlotsCommand::Wait { folder, seconds } => wait(&folder.slots(), seconds),
        }
    }
}

impl InstallArgs {
    fn run(self) -> anyhow::Result<()> {
        let config = match &self.config {
            Some(path) => super::config::read_known(path, &Journal::default())?,
            None => Config::default(),
        };
        let policy = self.trust.policy(&config.student, &Journal::default())?;
        let bundle = read(&self.bundle)?;
        let program = match &self.program {
            Some(path) => Some((read(path)?, version(path)?)),
            None => None,
        };
        let update = Update {
            bundle: &bundle,
            program: program.as_ref().map(|(b, v)| (b.as_slice(), v.as_str())),
        };
        let state = self
            .folder
            .own_slots()?
            .install(update, &policy, self.force)
            .with_context(|| format!("{} was not installed", self.bundle.display()))?;
        println!("{}", summary(&state));
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a program says to `--version`: proof that it starts here, libraries and all.
fn version(path: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(path)?;
    let output = Command::new(&path)
        .arg("--version")
        .output()
        .with_context(|| format!("{} does not start on this board", path.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} does not start on this board: {}",
        path.display(),
        error.lines().next().unwrap_or("it says nothing")
    );
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match text.strip_prefix("honed ") {
        Some(version) if version.len() <= 64 && !version.contains('\n') => Ok(version.to_owned()),
        _ => bail!("{} is no honed", path.display()),
    }
}

fn wait(slots: &Slots<FolderDisk>, seconds: u64) -> anyhow::Result<()> {
    let state = slots.state()?;
    let tried = state.active.context("no update was ever installed here")?;
    // It may have been given up before anyone came to wait.
    let other = state.installed(tried.other());
    ensure!(
        state.trial.is_some() || other.is_none_or(|o| !o.failed),
        "{}",
        state.last
    );
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let state = slots.state()?;
        ensure!(state.active == Some(tried), "{}", state.last);
        let Some(trial) = &state.trial else {
            println!("{}", summary(&state));
            return Ok(());
        };
        ensure!(!trial.bad, "{}", state.last);
        ensure!(
            Instant::now() < end,
            "still on trial after {seconds} s: honed has not sharpened enough frames; is a camera there, and \
             its picture not passed as it comes (bypass, strength 0, split 1)?"
        );
        std::thread::sleep(LOOK);
    }
}

/// Shows the slots of this board.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  honed status --json")]
pub struct StatusArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    /// Prints.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn run(self) -> anyhow::Result<()> {
        let state = self.folder.slots().state()?;
        if self.json {
            let json = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "architecture": std::env::consts::ARCH,
                "bundle_format": FORMAT_VERSION,
                "slots": state,
            });
            println!("{}", serde_json::to_string(&json)?);
            return Ok(());
        }
        println!(
            "honed {}, {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        );
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["slot", "bundle", "program", "signed by", ""]);
        for slot in Slot::ALL {
            let Some(installed) = state.installed(slot) else {
                table.add_row([slot.name(), "empty", "", "", ""]);
                continue;
            };
            let program = installed
                .program
                .as_ref()
                .map_or("this one", |p| &p.version);
            let mark = match (state.active == Some(slot), &state.trial) {
                (true, Some(trial)) => format!("active, on trial, started {} times", trial.starts),
                (true, None) => "active".into(),
                (false, _) if installed.failed => "failed".into(),
                (false, _) => "ready to go back to".into(),
            };
            table.add_row([
                slot.name(),
                &format!("{} {}", installed.bundle, installed.release),
                program,
                installed.signed_by.as_deref().unwrap_or("no one"),
                &mark,
            ]);
        }
        println!("{table}");
        if !state.last.is_empty() {
            println!("last: {}", state.last);
        }
        if let Some(missing) = self.folder.missing() {
            eprintln!("note: {missing}");
        }
        Ok(())
    }
}

/// One line on what runs at the next start.
fn summary(state: &State) -> String {
    match (state.active, state.running()) {
        (Some(slot), Some(running)) => format!(
            "slot {slot}: {} {}{}",
            running.bundle,
            running.release,
            if state.trial.is_some() {
                ", on trial"
            } else {
                ""
            }
        ),
        _ => "no slot is in use".into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn nobody_waits_longer_than_a_day() {
        let parsed = |seconds| {
            Cli::try_parse_from(["honed", "slots", "wait", "--seconds", seconds]).map(|_| ())
        };
        assert!(parsed("0").is_ok() && parsed("86400").is_ok());
        let error = parsed("18446744073709551615").unwrap_err().to_string();
        assert!(error.contains("86400"), "{error}");
    }
}
