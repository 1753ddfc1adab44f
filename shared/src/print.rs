//! `hone ... | head`, `honed status > full-disk`: printing that fails is no panic.

use std::fmt::Display;
use std::io::Write as _;

/// What shells report of a program that a closed pipe ended: 128 and SIGPIPE's number.
const CLOSED_PIPE: i32 = 141;

/// Ends the process without a word when printing finds that the reader has left, and with a sentence when it fails
/// otherwise; other panics are reported as before. The signal itself stays ignored: an `ssh` or a viewer that leaves must
/// not take the program along.
pub fn end_when_it_fails() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>();
        match said.and_then(|said| said.strip_prefix("failed printing to ")) {
            Some(said) if said.contains("Broken pipe") => std::process::exit(CLOSED_PIPE),
            Some(said) => {
                // Standard error may be what cannot be written: then there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "error: cannot print to {said}");
                std::process::exit(1)
            }
            None => report(info),
        }
    }));
}

/// Prints a line on standard error. Where that cannot be written, on a full disk or to a reader that has left, what runs
/// goes on: a camera matters more than its log.
pub fn tell(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
