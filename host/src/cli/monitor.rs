//! `hone monitor`: many boards at once.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hone_device::telemetry::tls::Authorities;
use hone_shared::telemetry::{BrokerAddress, Fingerprint, SerialAddress};

use crate::monitor::{self, Board, Entry, Fleet, Page, Sources, Tokens};

/// A page, its token, and the fingerprint that is known of its certificate alone.
type Asked = (Page, Option<String>, Option<Fingerprint>);

const EXAMPLES: &str = "\
Examples:
  hone monitor --token-file boards
  hone monitor north.local --token-file token --fingerprint 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
  hone monitor --mqtt mqtts://broker.example
  hone monitor --serial /dev/ttyUSB0@115200
  hone monitor --mqtt mqtt://localhost --json

Boards are asked at https://HOST:8443, this machine at http://localhost:8080. honed prints the fingerprint of a
certificate it made itself. Each board has tokens of its own, made there by `honed token create NAME`: for several
boards the token file has a line for each, HOST[:PORT] TOKEN [FINGERPRINT], and those that begin with # say nothing.
Keys: s and r sort, arrows select a board, Home the first row, q quits.";

/// Shows many boards in one live table: rate, age, temperature, drops, what is wrong.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MonitorArgs {
    /// Boards whose page is served, as HOST, HOST:PORT or https://HOST:PORT; without one, all that the token file has.
    #[arg(value_name = "HOST")]
    boards: Vec<Page>,
    /// Serial line with a board at its other end; may be given several times.
    #[arg(long, value_name = "PATH[@BAUD]")]
    serial: Vec<SerialAddress>,
    /// Broker that boards publish to; may be given several times.
    #[arg(long, value_name = "mqtt[s]://[USER:PASSWORD@]BROKER[:PORT][/TOPIC]")]
    mqtt: Vec<BrokerAddress>,
    /// File with the token of a board's page, or with lines of `HOST[:PORT] TOKEN [FINGERPRINT]` for several.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// SHA-256 of a certificate to take, for those that no authority signed; may be given several times.
    #[arg(long, value_name = "HEX")]
    fingerprint: Vec<Fingerprint>,
    /// Certificates (PEM) of the authorities to trust, in place of the system's.
    #[arg(long, value_name = "FILE.pem")]
    authorities: Option<PathBuf>,
    /// Print every message as a line of JSON.
    #[arg(long)]
    json: bool,
}

impl MonitorArgs {
    /// Shows the boards until a person ends it.
    ///
    /// # Errors
    /// The file at fault, or that there is no terminal to show a table in.
    pub fn run(self) -> Result<()> {
        let tokens = self.token_file.as_deref().map(Tokens::read).transpose()?;
        let asked = self.asked(tokens)?;
        if asked.is_empty() && self.serial.is_empty() && self.mqtt.is_empty() {
            bail!("name boards, a serial line or a broker: see hone monitor --help");
        }
        ensure!(
            self.json || std::io::stdout().is_terminal(),
            "a table needs a terminal: use --json for a pipe or a file"
        );
        ensure!(
            self.fingerprint.is_empty()
                || asked.iter().any(|(page, ..)| page.speaks_tls())
                || self.mqtt.iter().any(|broker| broker.tls),
            "--fingerprint is for boards and brokers that speak TLS, and none of these does: say https:// or mqtts://, or leave it \
             out"
        );
        let authorities = Authorities::read(self.authorities.as_deref())?;
        let tls = authorities.client(&self.fingerprint)?;
        let mut fleet = Fleet::default();
        let mut pages = Vec::new();
        for (page, token, fingerprint) in asked {
            fleet.expect(&page.address(), false);
            let tls = match fingerprint {
                Some(own) => authorities.client(&[own])?,
                None => tls.clone(),
            };
            pages.push(Board {
                page,
                token,
                tls,
                listed: fingerprint.is_some(),
            });
        }
        for line in &self.serial {
            fleet.expect(&line.path, false);
        }
        for broker in &self.mqtt {
            fleet.expect(&broker.place(), true);
        }
        let sources = Sources {
            pages,
            lines: self.serial,
            brokers: self.mqtt,
        };
        let events = monitor::follow(sources, tls)?;
        if self.json {
            return monitor::stream(events, &mut std::io::stdout().lock());
        }
        monitor::show(events, fleet)
    }

    /// The boards to ask, each with its token and the fingerprint of its own.
    fn asked(&self, tokens: Option<Tokens>) -> Result<Vec<Asked>> {
        let given = self.boards.iter().cloned();
        let entries = match tokens {
            None => return Ok(given.map(|page| (page, None, None)).collect()),
            Some(Tokens::Shared(token)) => {
                return Ok(given
                    .map(|page| (page, Some(token.clone()), None))
                    .collect());
            }
            Some(Tokens::Each(entries)) => entries,
        };
        let asked = |entry: &Entry| {
            let token = Some(entry.token.clone());
            (entry.page.clone(), token, entry.fingerprint)
        };
        if self.boards.is_empty() {
            return Ok(entries.iter().map(asked).collect());
        }
        let own = |page: Page| {
            let entry = entries.iter().find(|entry| entry.page == page);
            let lacks = || format!("{} has no line in the token file", page.address());
            entry.map(asked).with_context(lacks)
        };
        given.map(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        monitor: MonitorArgs,
    }

    /// Whom `hone monitor ARGUMENTS` asks: addresses and tokens.
    fn asked(arguments: &[&str], tokens: Option<Tokens>) -> Result<Vec<(String, String)>> {
        let words = [&["monitor"], arguments].concat();
        let monitor = Line::try_parse_from(words)?.monitor;
        let asked = monitor.asked(tokens)?.into_iter();
        let told = asked.map(|(page, token, _)| (page.address(), token.unwrap_or_default()));
        Ok(told.collect())
    }

    #[test]
    fn each_board_is_asked_with_its_own_token() {
        let entry = |page: &str, token: &str| Entry {
            page: page.parse().unwrap(),
            token: token.into(),
            fingerprint: None,
        };
        let each = || {
            Some(Tokens::Each(vec![
                entry("north", "n"),
                entry("south:99", "s"),
            ]))
        };
        let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            all.iter()
                .map(|(a, t)| ((*a).into(), (*t).into()))
                .collect()
        };
        let (north, south) = (("north:8443", "n"), ("south:99", "s"));
        assert_eq!(asked(&[], each()).unwrap(), pairs(&[north, south]));
        assert_eq!(asked(&["south:99"], each()).unwrap(), pairs(&[south]));
        let error = asked(&["north", "west"], each()).unwrap_err().to_string();
        assert_eq!(error, "west:8443 has no line in the token file");
        let shared = Some(Tokens::Shared("x".into()));
        assert_eq!(
            asked(&["a", "b"], shared).unwrap(),
            pairs(&[("a:8443", "x"), ("b:8443", "x")])
        );
        assert_eq!(asked(&["a"], None).unwrap(), pairs(&[("a:8443", "")]));
    }
}
