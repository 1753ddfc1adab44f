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
pub struct Unfinished {
    part: PathBuf,
    whole: PathBuf,
}

impl Unfinished {
    /// From now on SIGINT and SIGTERM remove `part` before they end the program; `whole` is its name in
    /// what is said then.
    #[must_use]
    pub fn new(part: &Path, whole: &Path) -> Self {
        listen();
        unfinished().push((part.to_owned(), whole.to_owned()));
        Self {
            part: part.to_owned(),
            whole: whole.to_owned(),
        }
    }

    /// Gives it the name of what is whole. A signal comes before that or after it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut all = unfinished();
        std::fs::rename(&self.part, &self.whole)?;
        all.retain(|(part, _)| *part != self.part);
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = unfinished();
        if let Some(at) = all.iter().position(|(part, _)| *part == self.part) {
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
    tell(&all, &mut told);
    std::process::exit(128 + signal);
}

/// Takes away what is unfinished, and says so.
fn tell(all: &[(PathBuf, PathBuf)], told: &mut impl Write) {
    // What is not there any more was given up, or is whole.
    for (part, whole) in all.iter().filter(|(part, _)| part.exists()) {
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

    #[test]
    fn what_became_whole_is_not_said_to_be_missing() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        let all = [(at("a.part"), at("a")), (at("b.part"), at("b"))];
        for (part, _) in &all {
            std::fs::write(part, b"1").unwrap();
        }
        std::fs::rename(at("a.part"), at("a")).unwrap();
        let mut told = Vec::new();
        tell(&all, &mut told);
        let words = format!("error: stopped; {} was not written\n", at("b").display());
        assert_eq!(String::from_utf8(told).unwrap(), words);
        assert!(at("a").exists() && !at("b.part").exists());
    }

    #[test]
    fn a_finished_one_has_its_name_and_is_forgotten_at_once() {
        let base = tempfile::tempdir().unwrap();
        let (part, whole) = (base.path().join("part"), base.path().join("whole"));
        let one = Unfinished::new(&part, &whole);
        assert!(one.finish().is_err());
        std::fs::write(&part, b"1").unwrap();
        one.finish().unwrap();
        assert!(whole.exists() && !unfinished().iter().any(|(known, _)| *known == part));
    }
}
