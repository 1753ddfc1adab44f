//! Pictures that a command goes on without.

use anyhow::ensure;
use hone_shared::print;
use hone_shared::printable::printable;

use crate::data::index::Problem;

/// Names on standard error what is left out and why, and counts it; `kept` pictures or pairs remain.
///
/// # Errors
/// When nothing is left.
pub fn tell(problems: &[Problem], kept: usize) -> anyhow::Result<()> {
    for Problem { path, reason } in problems {
        let line = format_args!("left out {path}: {reason}");
        print::tell(printable(line));
    }
    if !problems.is_empty() {
        print::tell(format_args!("left out {}, kept {kept}", problems.len()));
    }
    ensure!(kept > 0, "no picture that can be used is left");
    Ok(())
}
