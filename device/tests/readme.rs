//! The commands that documents and `--help` show are those that `honed` takes.
#![cfg(feature = "camera")]
#![allow(clippy::panic)] // the lint's exception for tests does not reach what they share

mod commands;

use clap::{CommandFactory, Parser};
use hone_device::camera::source::SourceSpec;
use hone_device::cli::Cli;
use hone_shared::config::DEFAULT;

/// Has every command of `honed` in `text` parsed; there are `least` or more.
fn parse(place: &str, text: &str, least: usize) {
    let shown = commands::of("honed", text);
    for words in &shown {
        let line = words.join(" ");
        let error = Cli::try_parse_from(words).err().map(|e| e.to_string());
        assert_eq!(error, None, "{place} says `{line}`");
        let has = |flag: &str| words.iter().any(|word| word == flag);
        assert!(
            !has("--bundle") || has("--trusted-key"),
            "{place} says `{line}`, but a fresh machine trusts nobody"
        );
    }
    let seen = shown.len();
    assert!(seen >= least, "{place} shows only {seen} commands of honed");
}

#[test]
fn every_honed_command_of_the_documents_parses() {
    parse("README.md", include_str!("../../README.md"), 9);
    let cross = include_str!("../../cross/README.md").replace("target/release/honed ", "honed ");
    parse("cross/README.md", &cross, 2);
    parse(
        "models/README.md",
        include_str!("../../models/README.md"),
        0,
    );
}

#[test]
fn every_example_of_the_help_parses() {
    parse("--help", &commands::examples(&Cli::command()), 24);
}

#[test]
fn every_kind_of_address_is_listed() {
    let help = commands::examples(&Cli::command());
    for scheme in ["rtsp", "rtsps", "http", "https", "srt"] {
        let address = format!("{scheme}://");
        assert!(format!("{address}10.0.0.7/").parse::<SourceSpec>().is_ok());
        for text in [&help, DEFAULT] {
            assert!(text.contains(&address), "{address} is not in: {text}");
        }
    }
}
