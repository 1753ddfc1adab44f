//! `hone monitor`: many boards at once.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hone_device::telemetry::tls;
use hone_shared::telemetry::{BrokerAddress, Fingerprint, SerialAddress};

use crate::monitor::{self, Fleet, Page, Sources};

const EXAMPLES: &str = "\
Examples:
  hone monitor north.local south.local --token-file token --fingerprint 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
  hone monitor --mqtt mqtts://broker.example
  hone monitor --serial /dev/ttyUSB0@115200
  hone monitor --mqtt mqtt://localhost --json

Boards are asked at https://HOST:8443, this machine at http://localhost:8080. honed prints the fingerprint of a
certificate it made itself. Keys: s and r sort, arrows scroll, q quits.";

/// Shows many boards in one live table: rate, age, temperature, drops, what is wrong.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MonitorArgs {
    /// Boards whose page is served, as HOST, HOST:PORT or https://HOST:PORT.
    #[arg(value_name = "HOST")]
    boards: Vec<Page>,
    /// Serial line with a board at its other end; may be given several times.
    #[arg(long, value_name = "PATH[@BAUD]")]
    serial: Vec<SerialAddress>,
    /// Broker that boards publish to; may be given several times.
    #[arg(long, value_name = "mqtt[s]://[USER:PASSWORD@]BROKER[:PORT][/TOPIC]")]
    mqtt: Vec<BrokerAddress>,
    /// File with the token of the boards' pages, made by `honed token`.
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
        if self.boards.is_empty() && self.serial.is_empty() && self.mqtt.is_empty() {
            bail!("name boards, a serial line or a broker: see hone monitor --help");
        }
        ensure!(
            self.json || std::io::stdout().is_terminal(),
            "a table needs a terminal: use --json for a pipe or a file"
        );
        ensure!(
            self.fingerprint.is_empty() || self.speaks_tls(),
            "--fingerprint is for boards and brokers that speak TLS, and none of these does: say https:// or mqtts://, or leave it \
             out"
        );
        let tls = tls::client(self.authorities.as_deref(), &self.fingerprint)?;
        let token = self.token_file.as_deref().map(token).transpose()?;
        let mut fleet = Fleet::default();
        for page in &self.boards {
            fleet.expect(&page.address(), false);
        }
        for line in &self.serial {
            fleet.expect(&line.path, false);
        }
        for broker in &self.mqtt {
            fleet.expect(&broker.place(), true);
        }
        let sources = Sources {
            pages: self.boards,
            lines: self.serial,
            brokers: self.mqtt,
            token,
        };
        let events = monitor::follow(sources, tls)?;
        if self.json {
            return monitor::stream(events, &mut std::io::stdout().lock());
        }
        monitor::show(events, fleet)
    }

    /// Whether a certificate is looked at anywhere.
    fn speaks_tls(&self) -> bool {
        let mut pages = self.boards.iter();
        // A page by TLS is the one that https:// names at its address.
        pages.any(|page| format!("https://{}", page.address()).parse().as_ref() == Ok(page))
            || self.mqtt.iter().any(|broker| broker.tls)
    }
}

fn token(path: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the token {}", path.display()))?;
    let token = text.trim();
    let plain =
        !token.is_empty() && token.len() <= 1024 && token.chars().all(|c| c.is_ascii_graphic());
    ensure!(plain, "{} holds no token", path.display());
    Ok(token.to_owned())
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

    fn speaks_tls(arguments: &[&str]) -> bool {
        let words = [&["monitor"], arguments].concat();
        Line::try_parse_from(words).unwrap().monitor.speaks_tls()
    }

    #[test]
    fn a_fingerprint_is_for_those_who_show_a_certificate() {
        for by_tls in [
            &["north"][..],
            &["http://north", "https://[::1]:9000"],
            &["--mqtt", "mqtts://broker"],
        ] {
            assert!(speaks_tls(by_tls), "{by_tls:?}");
        }
        for plain in [
            &["localhost"][..],
            &["http://north", "--mqtt", "mqtt://broker"],
            &["--serial", "/dev/ttyS0"],
        ] {
            assert!(!speaks_tls(plain), "{plain:?}");
        }
    }
}
