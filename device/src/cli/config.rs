//! `honed config`: the configuration file.

#[cfg(feature = "camera")]
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
#[cfg(feature = "camera")]
use anyhow::bail;
use clap::{ArgGroup, Args};
#[cfg(feature = "camera")]
use hone_shared::config::KEYS_FOLDER;
use hone_shared::config::{Config, DEFAULT};

#[cfg(feature = "camera")]
use crate::camera::sink::{SinkKind, SinkSpec};
use crate::journal::Journal;
#[cfg(feature = "page")]
use crate::page;
#[cfg(feature = "camera")]
use crate::{systemd, trust};

const EXAMPLES: &str = "\
Examples:
  honed config --print-default > honed.toml
  honed config --check honed.toml
  honed run --config honed.toml";

/// Prints or checks a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("action").args(["print_default", "check"]).required(true))]
pub struct ConfigArgs {
    /// Print the default configuration, every key explained.
    #[arg(long)]
    print_default: bool,
    /// Check a configuration file.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl ConfigArgs {
    /// Prints or checks.
    ///
    /// # Errors
    /// The file that cannot be read, or its line or key at fault.
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(path) = self.check {
            let config = read(&path)?;
            #[cfg(feature = "camera")]
            for note in
                judge(&config, Flagged::default()).with_context(|| path.display().to_string())?
            {
                eprintln!("note: {}: {note}", path.display());
            }
            let unused = unused(&config);
            #[cfg(feature = "camera")]
            let unused = unused.chain(super::specs::unused(&config)?);
            for unused in unused {
                eprintln!("warning: {}: {unused}", path.display());
            }
            println!("{} is a configuration of honed", path.display());
        } else {
            print!("{DEFAULT}");
        }
        Ok(())
    }
}

/// Reads a configuration file.
///
/// # Errors
/// The file that cannot be read, or its line or key at fault.
pub fn read(path: &std::path::Path) -> anyhow::Result<Config> {
    Config::parse(&text(path)?).with_context(|| path.display().to_string())
}

/// Reads a configuration that may be of a later version: what this one does not know is left out and told.
///
/// # Errors
/// As [`read`], for everything else that is wrong.
pub(super) fn read_known(path: &std::path::Path, journal: &Journal) -> anyhow::Result<Config> {
    let (config, left_out) =
        Config::parse_known(&text(path)?).with_context(|| path.display().to_string())?;
    for key in left_out {
        journal.say(format_args!(
            "warning: {}: this version of honed does not know {key} and goes on without it",
            path.display()
        ));
    }
    Ok(config)
}

/// Reads a configuration as `honed run` does: a service must not go dark, or stay as it was, for a key of the version that
/// it went back from; at a terminal such a key is a mistake.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "camera")]
pub(super) fn read_for_run(path: &std::path::Path, journal: &Journal) -> anyhow::Result<Config> {
    match systemd::is_service() {
        true => read_known(path, journal),
        false => read(path),
    }
}

/// Which flags stand in for keys, so that those cannot be judged by themselves.
#[cfg(feature = "camera")]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flagged {
    /// Where frames go.
    pub sinks: bool,
    /// How the page is served.
    pub page: bool,
    /// Where frames come from.
    pub source: bool,
    /// A student that nobody has to sign.
    pub model: bool,
}

/// Checks what only `honed run` would find otherwise, as far as that can be told without a camera and a network; returns
/// what a person should know of a configuration that is sound.
///
/// # Errors
/// The key, source, sink, page, certificate or port at fault.
#[cfg(feature = "camera")]
pub(super) fn judge(config: &Config, flagged: Flagged) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    super::specs::check(config)?;
    if !flagged.source {
        super::specs::check_source(config)?;
    }
    if !flagged.model {
        let keys = config.student.trusted_keys.iter().map(PathBuf::from);
        let (there, missing): (Vec<PathBuf>, Vec<PathBuf>) = keys.partition(|key| key.exists());
        trust::policy(&there, false, &Journal::default()).context("student.trusted_keys")?;
        // They may come with the deploy that asks, or lie on the board that this is for.
        let missing = missing.iter().filter(|key| !key.starts_with(KEYS_FOLDER));
        notes.extend(missing.map(|key| {
            let key = key.display();
            format!("student.trusted_keys: {key} is not there, and honed run wants it")
        }));
    }
    if !flagged.sinks {
        let page = config.page.address().filter(|_| !flagged.page);
        ports_apart(&super::specs::sinks(config)?, page)?;
    }
    #[cfg(feature = "telemetry")]
    crate::telemetry::check(&config.telemetry).context("telemetry.authorities")?;
    #[cfg(feature = "page")]
    if let Some(settings) = page::Settings::new(&config.page, &config.slots.folder)
        && !flagged.page
    {
        notes.extend(settings.judge()?);
    }
    Ok(notes)
}

/// Sees that no two streams, nor one and the page at `page`, are served on one port.
///
/// # Errors
/// Both of them.
#[cfg(feature = "camera")]
pub(super) fn ports_apart(sinks: &[SinkSpec], page: Option<SocketAddr>) -> anyhow::Result<()> {
    // Port 0 is whichever is free.
    let page = page.filter(|page| page.port() > 0);
    let page = page.map(|page| {
        (
            format!("the page on {page}"),
            page.ip().to_string(),
            page.port(),
        )
    });
    let mut taken: Vec<_> = page.into_iter().collect();
    for sink in sinks {
        let SinkKind::Rtsp(address) = &sink.kind else {
            continue;
        };
        let (host, port) = (&address.host, address.port);
        if let Some((first, ..)) = taken.iter().find(|t| t.2 == port && meet(&t.1, host)) {
            bail!(
                "{first} and {} cannot both listen on port {port}: give each a port of its own",
                sink.name
            );
        }
        taken.push((sink.name.clone(), host.clone(), port));
    }
    Ok(())
}

/// Whether who listens on `one` is in the way of who listens on the same port of `other`.
#[cfg(feature = "camera")]
fn meet(one: &str, other: &str) -> bool {
    let address = |host: &str| match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        host => host.parse::<IpAddr>().ok(),
    };
    // [::] takes IPv4's too.
    let all =
        |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other || all(one, other) || all(other, one),
        // A name is some address of this machine.
        (Some(all), None) | (None, Some(all)) => all.is_unspecified(),
        (None, None) => one == other,
    }
}

/// What `config` sets without effect.
pub(super) fn unused(config: &Config) -> impl Iterator<Item = &'static str> {
    let (gpio, page) = (config.gpio.unused(), config.page.unused());
    gpio.into_iter()
        .chain(page)
        .chain(config.telemetry.unused())
}

fn text(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))
}

#[cfg(all(test, feature = "camera"))]
mod tests;
