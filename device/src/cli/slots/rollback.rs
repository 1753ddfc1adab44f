//! `honed rollback`: back to the slot before.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use hone_shared::bundle::Policy;
use hone_shared::config::{Config, SLOTS_FOLDER};

use super::{FolderArgs, summary};
use crate::cli::config;
use crate::cli::trust::TrustArgs;
use crate::journal::Journal;

/// What the service of a board reads.
const BOARD_CONFIG: &str = "/etc/honed.toml";
/// Asks for no signature.
const ANYONE: Policy = Policy {
    trusted: Vec::new(),
    allow_unsigned: true,
};

/// Goes back to the slot before.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo honed rollback && sudo systemctl restart honed")]
pub struct RollbackArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Configuration file that names the trusted keys [default: /etc/honed.toml, for the slots in /var/lib/honed].
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
}

impl RollbackArgs {
    /// Changes the active slot.
    ///
    /// # Errors
    /// When there is nothing to go back to.
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(missing) = self.folder.missing() {
            bail!("{missing}");
        }
        let policy = match self.policy() {
            Ok(policy) => policy,
            // Going back may be the way out of a configuration that this honed cannot read.
            Err(error) if self.config.is_none() && !self.trust.given() => {
                eprintln!("warning: {error:#}; whose bundle it is will be asked at the next start");
                ANYONE
            }
            Err(error) => return Err(error),
        };
        println!("{}", summary(&self.folder.own_slots()?.roll_back(&policy)?));
        Ok(())
    }

    /// Whom the service trusts; slots elsewhere are asked about keys only when some are named.
    fn policy(&self) -> anyhow::Result<Policy> {
        let board = Path::new(BOARD_CONFIG);
        let is_board = self.folder.folder == Path::new(SLOTS_FOLDER) && board.exists();
        let config = match self.config.as_deref().or(is_board.then_some(board)) {
            Some(path) => config::read_known(path, &Journal::default())?,
            None if self.trust.given() => Config::default(),
            None => return Ok(ANYONE),
        };
        self.trust.policy(&config.student, &Journal::default())
    }
}
