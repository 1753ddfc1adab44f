//! Ctrl-C while something is half written: what is there of it is taken away, and one sentence says so.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What is half written, and what it is to become.
static UNFINISHED: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());

/// A half-written file or folder; forgotten when this is dropped, be it finished or given up.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// From now on SIGINT and SIGTERM remove `part` before they end the program; `whole` is its name in
    /// what is said then.
    #[must_use]
    pub fn new(part: &Path, whole: &Path) -> Self {
        listen();
        unfinished().push((part.to_owned(), whole.to_owned()));
        Self(part.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = unfinished();
        if let Some(at) = all.iter().position(|(part, _)| *part == self.0) {
            all.swap_remove(at);
        }
    }
}

fn unfinished() -> MutexGuard<'static, Vec<(PathBuf, PathBuf)>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that waits for the signals. Where the system refuses it, they kill as they did.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let impatient = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Registered first: it only acts once the first signal is being dealt with.
            let again = Arc::clone(&impatient);
            let _ = signal_hook::flag::register_conditional_default(signal, again);
        }
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
            return;
        };
        std::thread::spawn(move || {
            for signal in signals.forever() {
                stop(signal, &impatient);
            }
        });
    });
}

fn stop(signal: i32, impatient: &AtomicBool) {
    let all = unfinished();
    if all.is_empty() {
        // Nothing to take away (any more): as if nobody had listened.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return;
    }
    impatient.store(true, Ordering::Relaxed);
    // Kept until the end: those who find their folder gone meanwhile are not heard.
    let mut told = std::io::stderr().lock();
    if told.is_terminal() {
        // A progress bar stands in this line.
        let _ = writeln!(told);
    }
    for (part, whole) in all.iter() {
        let gone = take_away(part);
        let _ = match gone {
            true => writeln!(told, "error: stopped; {} was not written", whole.display()),
            false => writeln!(
                told,
                "error: stopped; {} was not written, and {} is left: remove it",
                whole.display(),
                part.display()
            ),
        };
    }
    std::process::exit(128 + signal);
}

/// Removes a file or folder into which others may still be writing; whether it is gone.
fn take_away(part: &Path) -> bool {
    for _ in 0..50 {
        let _ = match part.is_dir() {
            true => std::fs::remove_dir_all(part),
            false => std::fs::remove_file(part),
        };
        if !part.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_is_forgotten_and_the_rest_can_be_taken_away() {
        let base = tempfile::tempdir().unwrap();
        let (file, folder) = (base.path().join("part.mp4"), base.path().join("part"));
        std::fs::write(&file, b"1").unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("000000.png"), b"1").unwrap();
        let known = |path: &Path| unfinished().iter().any(|(part, _)| part == path);
        let one = Unfinished::new(&file, Path::new("a.mp4"));
        let two = Unfinished::new(&folder, Path::new("a"));
        assert!(known(&file) && known(&folder));
        drop(one);
        assert!(!known(&file) && known(&folder));
        drop(two);
        assert!(!known(&folder));
        assert!(take_away(&file) && take_away(&folder));
        assert!(!file.exists() && !folder.exists());
    }
}
