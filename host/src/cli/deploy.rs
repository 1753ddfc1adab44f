//! `hone deploy`, `hone status` and `hone rollback`: boards over ssh.

mod shown;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use hone_shared::printable::printable;

use shown::{Shown, say};

use crate::deploy::{self, Facts, Goods, Options, Row, Ssh};

/// How boards are reached; the same for every command that does.
#[derive(Debug, Args)]
struct SshArgs {
    /// The ssh program with options, such as "ssh -F my_config".
    #[arg(long, value_name = "COMMAND", default_value = "ssh")]
    ssh: String,
    /// Folder of the board to install below.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: String,
}

impl SshArgs {
    /// The connection; with several boards, or no one there to answer, ssh must not ask.
    fn connect(&self, boards: &[String]) -> Result<(Ssh, String)> {
        deploy::check_boards(boards)?;
        let batch = boards.len() > 1 || !std::io::stdin().is_terminal();
        Ok((Ssh::new(&self.ssh, batch)?, deploy::root_of(&self.root)?))
    }
}

/// Brings a bundle to boards, tries it there, and lets the one before come back if it does not sharpen.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone deploy pi@camera x.hone --program target/arm/honed-raspberry-pi --trusted-key release.key.pub   (the first time)
  hone deploy pi@camera x.hone
  hone deploy pi@north pi@south pi@west x.hone --canary 1
  hone deploy pi@camera x.hone --dry-run

Keys, jump hosts and ports are those of your ssh configuration. On the board, files of root are
written by sudo, which must not ask for a password.")]
pub struct DeployArgs {
    /// Boards as ssh names them, and last the bundle.
    #[arg(value_name = "USER@BOARD... X.hone", required = true)]
    boards_and_bundle: Vec<String>,
    /// A honed compiled for the boards (cross/build.sh); needed the first time. May be given once for
    /// each kind of machine.
    #[arg(long, value_name = "FILE")]
    program: Vec<PathBuf>,
    /// Public key whose bundles the boards shall take; may be given several times.
    #[arg(long, value_name = "KEY.pub")]
    trusted_key: Vec<PathBuf>,
    /// Configuration for the boards; without it, theirs stays, or the default is written.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Try this many boards first, and go on only when all of them proved the update.
    #[arg(long, value_name = "N", default_value_t = 0)]
    canary: usize,
    /// Take a release older than the one that runs.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Seconds to wait until an update has proved itself; 0 does not wait.
    #[arg(long, value_name = "S", default_value_t = 90, value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
    #[command(flatten)]
    ssh: SshArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl DeployArgs {
    /// Deploys, and prints each board's row of a table when it is done.
    ///
    /// # Errors
    /// The file at fault, or how many boards did not take the update.
    pub fn run(self) -> Result<()> {
        let Some((bundle, boards)) = self.boards_and_bundle.split_last() else {
            bail!("name at least one board and the bundle");
        };
        ensure!(
            !boards.is_empty(),
            "name at least one board before the bundle {bundle}"
        );
        ensure!(
            self.canary == 0 || self.wait > 0,
            "--canary goes on when the first boards have proved the update, which --wait 0 does not wait for: leave \
             one of them out"
        );
        let (ssh, root) = self.ssh.connect(boards)?;
        let goods = Goods::read(
            Path::new(bundle),
            &self.program,
            &self.trusted_key,
            self.config.as_deref(),
            &root,
        )?;
        let options = Options {
            ssh,
            root,
            force: self.force,
            dry_run: self.dry_run,
            wait: self.wait,
        };
        let shown = Shown::new(boards, !self.json)?;
        let rows = deploy::deploy(boards, &goods, &options, self.canary, &|at, step| {
            shown.tell(at, step);
        });
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
        }
        let bad: Vec<&Row> = rows.iter().filter(|row| !row.good).collect();
        match bad.as_slice() {
            [] => Ok(()),
            [row] if rows.len() == 1 => bail!("{}: {}", row.board, row.outcome),
            _ => bail!("{} of {} boards did not take it", bad.len(), rows.len()),
        }
    }
}

/// Shows what runs on boards.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hone status pi@north pi@south")]
pub struct StatusArgs {
    /// Boards as ssh names them.
    #[arg(value_name = "USER@BOARD", required = true)]
    boards: Vec<String>,
    #[command(flatten)]
    ssh: SshArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    /// Asks every board and prints a table.
    ///
    /// # Errors
    /// How many boards do not answer.
    pub fn run(self) -> Result<()> {
        let (ssh, root) = self.ssh.connect(&self.boards)?;
        let answers = deploy::on_each(0..self.boards.len(), &|at| {
            Facts::ask(&ssh, &self.boards[at], &root, &[]).map(|(facts, _)| facts)
        });
        let silent = answers.iter().filter(|answer| answer.is_err()).count();
        if self.json {
            let rows = self.boards.iter().zip(&answers);
            let rows: Vec<_> = rows.map(|(board, answer)| json(board, answer)).collect();
            println!("{}", serde_json::to_string_pretty(&rows)?);
        } else {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING);
            table.set_header(["board", "machine", "honed", "service", "runs", "last"]);
            for (board, answer) in self.boards.iter().zip(&answers) {
                table.add_row(row(board, answer));
            }
            println!("{}", printable(table));
        }
        ensure!(
            silent == 0,
            "{silent} of {} boards do not answer",
            answers.len()
        );
        Ok(())
    }
}

fn row(board: &str, answer: &Result<Facts>) -> [String; 6] {
    match answer {
        Ok(facts) => {
            let status = facts.status.as_ref();
            let runs = deploy::running(facts);
            [
                board.to_owned(),
                facts.machine.clone(),
                facts.version().unwrap_or("none").to_owned(),
                facts.service.clone(),
                runs,
                status.map_or(facts.broken.clone(), |s| s.slots.last.clone()),
            ]
        }
        Err(error) => {
            let error = format!("{error:#}");
            let mut row = [const { String::new() }; 6];
            board.clone_into(&mut row[0]);
            row[5] = error;
            row
        }
    }
}

fn json(board: &str, answer: &Result<Facts>) -> serde_json::Value {
    match answer {
        Ok(facts) => serde_json::json!({
            "board": board,
            "machine": facts.machine,
            "system": facts.system,
            "libc": facts.libc,
            "service": facts.service,
            "honed": facts.version(),
            "slots": facts.status.as_ref().map(|s| &s.slots),
        }),
        Err(error) => serde_json::json!({ "board": board, "error": format!("{error:#}") }),
    }
}

/// Brings the slot before back on boards, and starts them again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hone rollback pi@camera")]
pub struct RollbackArgs {
    /// Boards as ssh names them.
    #[arg(value_name = "USER@BOARD", required = true)]
    boards: Vec<String>,
    #[command(flatten)]
    ssh: SshArgs,
}

impl RollbackArgs {
    /// Rolls back every board, and prints what runs there when it is done.
    ///
    /// # Errors
    /// How many boards did not go back.
    pub fn run(self) -> Result<()> {
        let (ssh, root) = self.ssh.connect(&self.boards)?;
        let answers = deploy::on_each(0..self.boards.len(), &|at| {
            let board = &self.boards[at];
            let answer = deploy::roll_back(&ssh, board, &root);
            match &answer {
                Ok(line) => say(format_args!("{board}: {line}")),
                Err(error) if self.boards.len() > 1 => say(format_args!("{board}: {error:#}")),
                Err(_) => {}
            }
            answer
        });
        let errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        match errors.as_slice() {
            [] => Ok(()),
            [error] if self.boards.len() == 1 => bail!("{}: {error:#}", self.boards[0]),
            left => bail!(
                "{} of {} boards do not run what they ran before: see above",
                left.len(),
                self.boards.len()
            ),
        }
    }
}
