//! The commands that documents, recipes and `--help` show are those that `hone` takes.
#![allow(clippy::panic)] // the lint's exception for tests does not reach what they share

#[path = "../../device/tests/commands/mod.rs"]
mod commands;

use std::path::Path;

use clap::{CommandFactory, Parser};
use hone_host::cli::Cli;

/// Has every command of `hone` in `text` parsed; there are `least` or more.
fn parse(place: &str, text: &str, least: usize) {
    let shown = commands::of("hone", text);
    for words in &shown {
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{place} says `{}`, but: {error}", words.join(" "));
        }
    }
    let seen = shown.len();
    assert!(seen >= least, "{place} shows only {seen} commands of hone");
}

#[test]
fn every_hone_command_of_the_documents_parses() {
    parse("README.md", include_str!("../../README.md"), 32);
    let cross = include_str!("../../cross/README.md");
    parse("cross/README.md", cross, 2);
    let models = include_str!("../../models/README.md");
    parse("models/README.md", models, 8);
}

#[test]
fn every_hone_command_of_the_recipes_parses() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/recipes");
    let mut all = String::new();
    for entry in std::fs::read_dir(recipes).expect("models/recipes") {
        let path = entry.expect("models/recipes").path();
        let text = std::fs::read_to_string(&path).expect("a recipe is text");
        let header = text.lines().take_while(|line| line.starts_with('#'));
        all.extend(header.map(|line| format!("{}\n", line.trim_start_matches('#'))));
    }
    parse("models/recipes", &all, 20);
}

#[test]
fn every_example_of_the_help_parses() {
    parse("--help", &commands::examples(&Cli::command()), 75);
}
