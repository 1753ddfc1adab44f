//! Pictures that a command goes on without.

use anyhow::ensure;
use hone_shared::printable::printable;

use crate::data::index::Problem;

/// Names on standard error what is left out and why, and counts it; `kept` pictures or pairs remain.
///
/// # Errors
/// When nothing is left.
pub fn tell(problems: &[Problem], kept: usize) -> anyhow::Result<()> {
    for Problem { path, reason } in problems {
        eprintln!("{}", printable(format_args!("left out {path}: {reason}")));
    }
    if !problems.is_empty() {
        eprintln!("left out {}, kept {kept}", problems.len());
    }
    ensure!(kept > 0, "no picture that can be used is left");
    Ok(())
}
