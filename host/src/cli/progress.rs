//! Progress bars of one look; silent when standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` steps, labelled `what`.
pub fn bar(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix:>16} [{bar:32}] {pos}/{len} {per_sec} eta {eta} {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("=> ");
    ProgressBar::new(length)
        .with_style(style)
        .with_prefix(what.to_owned())
}

/// A count of `what`, where nobody knows how many there are.
pub fn count(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>16} {spinner} {pos} {per_sec} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length()
        .with_style(style)
        .with_prefix(what.to_owned())
}
