//! The README's commands are those that `honed` takes.
#![cfg(feature = "camera")]

use clap::Parser;
use hone_device::cli::Cli;

#[test]
fn every_honed_command_of_the_readme_parses() {
    let readme = include_str!("../../README.md").replace("\\\n", " ");
    let mut seen = 0;
    for line in readme
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("honed "))
    {
        let line = line.split(" #").next().unwrap_or(line);
        let words = line
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("README says `{line}`, but: {error}");
        }
        seen += 1;
    }
    assert!(seen >= 2, "README shows only {seen} commands of honed");
}
