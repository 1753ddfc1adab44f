//! What is half written: one process writes it, and where it is given up, be it by Ctrl-C or with its terminal, what is there of it is taken away.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::lock;
use crate::train::interrupt::ignored;

/// What is half written, and what it is to become.
static UNFINISHED: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());

/// A half-written file or folder, locked; taken away when this is dropped before it is finished.
#[derive(Debug)]
pub struct Unfinished {
    part: PathBuf,
    whole: PathBuf,
    /// Last, so that the lock goes when all is done.
    _held: File,
}

impl Unfinished {
    /// Begins the file `part`, to be written over. From now on SIGINT, SIGTERM and SIGHUP remove it before they end the program;
    /// `whole` is the name that it is to have, and has in what is said.
    ///
    /// # Errors
    /// When another process writes it, or it cannot be made.
    pub fn file(part: &Path, whole: &Path) -> anyhow::Result<Self> {
        let open = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(false).open(part)
        };
        let cannot = || format!("cannot write {}", whole.display());
        Ok(Self::begin(part, whole, hold(part, whole, open, cannot)?))
    }

    /// As [`Self::file`], of a folder, which is empty: what a killed run left in it is removed.
    ///
    /// # Errors
    /// As said.
    pub fn folder(part: &Path, whole: &Path) -> anyhow::Result<Self> {
        let open = || std::fs::create_dir_all(part).and_then(|()| File::open(part));
        let cannot = || format!("cannot make {}", part.display());
        loop {
            let held = hold(part, whole, open, cannot)?;
            if std::fs::read_dir(part)
                .with_context(cannot)?
                .next()
                .is_none()
            {
                return Ok(Self::begin(part, whole, held));
            }
            std::fs::remove_dir_all(part)
                .with_context(|| format!("cannot remove {}", part.display()))?;
        }
    }

    fn begin(part: &Path, whole: &Path, held: File) -> Self {
        listen();
        unfinished().push((part.to_owned(), whole.to_owned()));
        Self {
            part: part.to_owned(),
            whole: whole.to_owned(),
            _held: held,
        }
    }

    /// Gives it the name of what is whole. A signal comes before that or after it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish(self) -> io::Result<()> {
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
            // Why it was given up is what counts, and the next run tries again.
            take_away(&self.part);
            all.swap_remove(at);
        }
    }
}

/// Opens `part` and locks it.
fn hold(
    part: &Path,
    whole: &Path,
    open: impl Fn() -> io::Result<File>,
    cannot: impl Fn() -> String,
) -> anyhow::Result<File> {
    let mut tries = 0;
    loop {
        let file = open().with_context(&cannot)?;
        ensure!(
            lock::take(&file),
            "{} is being written by another process: wait for it, or choose another name",
            whole.display()
        );
        // Who held it until now may have given this very file the name of what is whole, or removed it. Where it is never
        // the same, the file system does not number its files.
        let held = file.metadata().with_context(&cannot)?;
        let same =
            |there: std::fs::Metadata| (there.dev(), there.ino()) == (held.dev(), held.ino());
        tries += 1;
        if tries == 10 || std::fs::metadata(part).is_ok_and(same) {
            return Ok(file);
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
        let mut ending = vec![SIGINT, SIGTERM];
        for &signal in &ending {
            // Registered first: it only acts once the first signal is being dealt with.
            let again = Arc::clone(&impatient);
            let _ = signal_hook::flag::register_conditional_default(signal, again);
        }
        // A terminal that closes may tell so twice, and under `nohup` it is not to be heard.
        if !ignored(SIGHUP) {
            ending.push(SIGHUP);
        }
        let Ok(mut signals) = Signals::new(ending) else {
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
    let mut told = io::stderr().lock();
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

    fn known(path: &Path) -> bool {
        unfinished().iter().any(|(part, _)| part == path)
    }

    #[test]
    fn what_is_given_up_is_forgotten_and_taken_away() {
        let base = tempfile::tempdir().unwrap();
        let (file, folder) = (base.path().join("part.mp4"), base.path().join("part"));
        let one = Unfinished::file(&file, Path::new("a.mp4")).unwrap();
        let two = Unfinished::folder(&folder, Path::new("a")).unwrap();
        std::fs::write(folder.join("000000.png"), b"1").unwrap();
        assert!(known(&file) && known(&folder));
        drop(one);
        assert!(!known(&file) && known(&folder) && !file.exists());
        drop(two);
        assert!(!known(&folder) && !folder.exists());
        assert!(take_away(&file) && take_away(&folder));
    }

    #[test]
    fn a_second_writer_is_refused_and_touches_nothing() {
        let base = tempfile::tempdir().unwrap();
        let (part, whole) = (base.path().join("part"), base.path().join("whole"));
        for begin in [Unfinished::file, Unfinished::folder] {
            let one = begin(&part, &whole).unwrap();
            let inside = match part.is_dir() {
                true => part.join("000000.png"),
                false => part.clone(),
            };
            std::fs::write(&inside, b"1").unwrap();
            let error = begin(&part, &whole).unwrap_err().to_string();
            assert!(error.contains("whole is being written"), "{error}");
            assert_eq!(std::fs::read(&inside).unwrap(), b"1");
            drop(one);
        }
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
        let one = Unfinished::file(&part, &base.path().join("no/folder")).unwrap();
        assert!(one.finish().is_err() && !part.exists());
        let two = Unfinished::file(&part, &whole).unwrap();
        std::fs::write(&part, b"1").unwrap();
        two.finish().unwrap();
        assert!(!known(&part));
        assert_eq!(std::fs::read(&whole).unwrap(), b"1");
    }
}
