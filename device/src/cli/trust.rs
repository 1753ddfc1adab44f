//! Flags that say whose bundles are taken; the same for every command that opens one.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use hone_shared::bundle::Policy;
use hone_shared::config::StudentConfig;
use hone_shared::config::edit::{self, Change};

use crate::journal::Journal;
use crate::trust;

/// Whose bundles are taken, beyond what the configuration says.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Public key whose bundles are taken besides, or a folder of *.pub files; may be given several times.
    #[arg(long, value_name = "KEY.pub")]
    trusted_key: Vec<PathBuf>,
    /// Take unsigned bundles and those of unknown keys as well.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    allow_unsigned: Option<bool>,
}

impl TrustArgs {
    /// Whether any of the flags was given.
    pub fn given(&self) -> bool {
        self.allow_unsigned.is_some() || !self.trusted_key.is_empty()
    }

    /// The flags on top of the configuration; `journal` hears which keys are left out.
    ///
    /// # Errors
    /// The key file that cannot be read or is none.
    pub fn policy(&self, config: &StudentConfig, journal: &Journal) -> anyhow::Result<Policy> {
        let configured = config.trusted_keys.iter().map(PathBuf::from);
        let places: Vec<PathBuf> = configured.chain(self.trusted_key.iter().cloned()).collect();
        let allow_unsigned = self.allow_unsigned.unwrap_or(config.allow_unsigned);
        Ok(trust::policy(&places, allow_unsigned, journal)?)
    }

    /// The flags as changes of a configuration that says `config`: none without flags.
    ///
    /// # Errors
    /// When a path is not UTF-8 or cannot be made absolute.
    pub fn as_configured(&self, config: &StudentConfig) -> anyhow::Result<Vec<Change>> {
        let mut keys = config.trusted_keys.clone();
        for key in &self.trusted_key {
            let key = std::path::absolute(key)?;
            let key = key
                .to_str()
                .context("a key's path is not UTF-8: rename it")?;
            if !keys.iter().any(|known| known == key) {
                keys.push(key.into());
            }
        }
        let mut changes = Vec::new();
        if !self.trusted_key.is_empty() {
            changes.push(("student", "trusted_keys", edit::list(&keys)));
        }
        if let Some(allow) = self.allow_unsigned {
            changes.push(("student", "allow_unsigned", allow.into()));
        }
        Ok(changes)
    }
}

#[cfg(all(test, feature = "camera"))]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_log_of_a_run_tells_which_keys_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.pub"), "no key").unwrap();
        let keys = folder.path().to_str().unwrap();
        let flags = ["--source", "test", "--sink", "null", "--trusted-key", keys];
        let words = [&["honed", "run", "--bundle", "x.hone"], flags.as_slice()].concat();
        let Command::Run(run) = Cli::parse_from(words).command else {
            panic!("it is no run");
        };
        let journal = Journal::default();
        run.job(journal.clone()).unwrap();
        let said = journal.newest().unwrap();
        assert!(
            said.contains("a.pub") && said.ends_with("; it is left out"),
            "{said}"
        );
    }
}
