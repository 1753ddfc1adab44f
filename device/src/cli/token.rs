//! `honed token`: who is let in by the page and its API.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hone_shared::config::PAGE_FOLDER;

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
        let mut tokens = Tokens::read(&self.folder)?;
        match self.action {
            Action::Create { name } => {
                let token = tokens.create(&self.folder, &name)?;
                tokens.write(&self.folder)?;
                println!("{token}");
            }
            Action::List { json: true } => {
                let list: Vec<_> = tokens
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
                for token in &tokens.tokens {
                    table.add_row([&token.name, &format!("hone_{}", token.id)]);
                }
                println!("{table}");
            }
            Action::Revoke { name } => {
                if !tokens.revoke(&name) {
                    bail!(
                        "there is no token '{name}' in {}: see honed token list",
                        Tokens::path(&self.folder).display()
                    );
                }
                tokens.write(&self.folder)?;
            }
        }
        Ok(())
    }
}
