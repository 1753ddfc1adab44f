//! `hone` as a user runs it: the real binary, real files.
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

mod bundle;
mod data;
mod eval;
mod measure;
mod recipes;
mod restore;
mod resume;
mod road;
mod sweep_prune;
mod teacher;
mod teacher_cache;
mod teacher_colour;
mod teacher_pairs;
mod toy;

use std::path::Path;
use std::process::{Command, Output};

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hone"));
    command.current_dir(folder);
    command
}

fn hone(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

/// The same with words between blanks.
fn told(folder: &Path, words: &str) -> Output {
    hone(folder, &words.split_whitespace().collect::<Vec<_>>())
}

/// What it said on standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a run that must succeed prints.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What `hone` with these words, which must succeed, prints.
fn works(folder: &Path, words: &str) -> String {
    let output = told(folder, words);
    assert!(output.status.success(), "hone {words}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What `hone` with these words, which must be refused, complains about.
fn fails(folder: &Path, words: &str) -> String {
    let output = told(folder, words);
    let error = said(&output);
    // 2 is for words that are no command; a panic has another.
    let refused = matches!(output.status.code(), Some(1 | 2));
    assert!(refused, "hone {words}: {error}");
    error
}
