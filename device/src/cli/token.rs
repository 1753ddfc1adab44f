//! `honed token`: who is let in by the page and its API.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hone_shared::config::PAGE_FOLDER;

use super::owner::become_owner;
use crate::page::Tokens;

const EXAMPLES: &str = "\
Examples:
  honed token create phone
  honed token list
  honed token revoke phone

A running honed sees the change at once. Run as root, the file goes to the user that owns /var/lib/honed.";

/// Makes, lists and revokes the page's tokens.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    #[command(subcommand)]
    action: Action,
    /// Folder of the page's tokens, as in `honed run --page-folder`.
    #[arg(long, global = true, value_name = "DIR", default_value = PAGE_FOLDER)]
    folder: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a token and prints it: the only time that it can be seen.
    Create {
        /// What to call it, such as phone or prometheus.
        #[arg(value_parser = name)]
        name: String,
    },
    /// Lists the tokens by name.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes a token back; whoever used it must show another.
    Revoke {
        /// Its name.
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=40).contains(&text.len()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 40 letters, digits, dots, dashes and underscores".into())
    }
}

impl TokenArgs {
    /// Makes, lists or revokes.
    ///
    /// # Errors
    /// The file that cannot be read or written, or the name that is taken or unknown.
    pub fn run(self) -> anyhow::Result<()> {
        let folder = &self.folder;
        // The service makes and reads them as the owner of the folder around.
        let place = std::path::absolute(folder)?;
        if let (Some(around), Some(name)) = (place.parent(), place.file_name()) {
            become_owner(around, &[&*name.to_string_lossy()])
                .with_context(|| format!("cannot write to {}", folder.display()))?;
        }
        match self.action {
            Action::Create { name } => {
                let _lock = Tokens::lock(folder)?;
                let mut tokens = Tokens::read(folder)?;
                let token = tokens.create(folder, &name)?;
                tokens.write(folder)?;
                println!("{token}");
            }
            Action::List { json: true } => {
                let list: Vec<_> = Tokens::read(folder)?
                    .tokens
                    .iter()
                    .map(|t| serde_json::json!({"name": t.name, "id": t.id, "created": t.created}))
                    .collect();
                println!("{}", serde_json::to_string_pretty(&list)?);
            }
            Action::List { json: false } => {
                let mut table = Table::new();
                table.load_preset(presets::NOTHING);
                table.set_header(["name", "begins with"]);
                for token in &Tokens::read(folder)?.tokens {
                    table.add_row([&token.name, &format!("hone_{}", token.id)]);
                }
                println!("{table}");
                if !folder.exists() {
                    eprintln!("note: there is no folder {}", folder.display());
                }
            }
            Action::Revoke { name } => {
                let path = Tokens::path(folder);
                // Where nothing is to be taken back, nothing is made either.
                let lock = path.exists().then(|| Tokens::lock(folder)).transpose()?;
                let mut tokens = Tokens::read(folder)?;
                if lock.is_none() || !tokens.revoke(&name) {
                    bail!(
                        "there is no token '{name}' in {}: see honed token list",
                        path.display()
                    );
                }
                tokens.write(folder)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("page");
        let run = |action| {
            let folder = place.clone();
            TokenArgs { action, folder }.run().unwrap();
        };
        let create = |name: String| run(Action::Create { name });
        let revoke = |name: String| run(Action::Revoke { name });
        for n in 0..4 {
            create(format!("old{n}"));
        }
        std::thread::scope(|threads| {
            for n in 0..4 {
                threads.spawn(move || create(format!("new{n}")));
                threads.spawn(move || revoke(format!("old{n}")));
            }
        });
        let tokens = Tokens::read(&place).unwrap().tokens;
        let mut names: Vec<_> = tokens.iter().map(|token| token.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["new0", "new1", "new2", "new3"]);
    }

    #[test]
    fn a_token_that_is_not_there_makes_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("page");
        let action = Action::Revoke {
            name: "phone".into(),
        };
        let folder = place.clone();
        let error = TokenArgs { action, folder }.run().unwrap_err();
        assert!(error.to_string().contains("no token 'phone'"), "{error}");
        assert!(!place.exists());
    }
}
