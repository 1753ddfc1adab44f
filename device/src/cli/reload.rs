//! Reading the configuration again while `honed` runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use anyhow::{Context as _, anyhow, ensure};
use hone_shared::config::Config;
use serde_json::Value;

use super::config::Flagged;
use super::serve::Job;
use crate::camera::dials::Dials;
use crate::camera::student::Source;
use crate::journal::Journal;
#[cfg(feature = "page")]
use crate::page;

/// Keys that take effect at once.
const AT_ONCE: [&str; 3] = ["student.strength", "student.split", "student.bypass"];

/// Reads a configuration again when it is asked to: beside the frames, which must not wait for a disk.
pub(super) struct Reloader {
    path: PathBuf,
    /// What the file said when it was read last.
    config: Config,
    flagged: Flagged,
    dials: Arc<Dials>,
    journal: Journal,
    /// A reading in progress.
    reading: Option<Receiver<anyhow::Result<Config>>>,
}

impl Reloader {
    /// For the configuration that `job` began with, if it had one.
    pub(super) fn new(job: &Job, dials: &Arc<Dials>) -> Option<Self> {
        let (path, config) = job.config.clone()?;
        Some(Self {
            flagged: flagged(job, &config),
            path,
            config,
            dials: dials.clone(),
            journal: job.journal.clone(),
            reading: None,
        })
    }

    /// Begins to read when `asked` to, and takes over what was read. Never waits.
    pub(super) fn look(&mut self, asked: &AtomicBool) {
        if self.reading.is_none() && asked.swap(false, Ordering::Relaxed) {
            self.reading = Some(self.begin());
        }
        let Some(reading) = &self.reading else {
            return;
        };
        let read = match reading.try_recv() {
            Ok(read) => read,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(anyhow!(
                "no thread could read {}: send SIGHUP again",
                self.path.display()
            )),
        };
        self.reading = None;
        self.take(read);
    }

    fn begin(&self) -> Receiver<anyhow::Result<Config>> {
        let (send, receive) = channel();
        let (path, flagged, journal) = (self.path.clone(), self.flagged, self.journal.clone());
        let work = move || {
            // Nobody listens any more when the run is over.
            let _ = send.send(read(&path, flagged, &journal));
        };
        // Without a thread the sender is gone, which the next look sees.
        let _ = thread::Builder::new().name("reload".into()).spawn(work);
        receive
    }

    /// Takes what can change while frames flow from the configuration as it is now, and says what needs a
    /// restart.
    fn take(&mut self, read: anyhow::Result<Config>) {
        let (dials, journal) = (&self.dials, &self.journal);
        let new = match read {
            Ok(new) => new,
            // A typing error must not stop a camera on a pole.
            Err(error) => {
                journal.say(format_args!("warning: nothing was changed: {error:#}"));
                return;
            }
        };
        // What did not change in the file stays as a flag or the page's dials have set it.
        let (old, wanted) = (&self.config.student, &new.student);
        if wanted.strength != old.strength {
            dials.set_strength(wanted.strength);
        }
        if wanted.split != old.split {
            dials.set_split(wanted.split);
        }
        if wanted.bypass != old.bypass {
            dials.set_bypass(wanted.bypass);
        }
        journal.say(format_args!(
            "configuration read again: {}",
            self.path.display()
        ));
        let waiting: Vec<String> = changed(&self.config, &new)
            .into_iter()
            .filter(|key| !AT_ONCE.contains(&key.as_str()))
            .collect();
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            journal.say(format_args!("warning: honed must be restarted for {keys}"));
        }
        self.config = new;
    }
}

/// Reads and judges the configuration at `path`.
fn read(path: &Path, flagged: Flagged, journal: &Journal) -> anyhow::Result<Config> {
    let at = || path.display().to_string();
    // A pipe would be waited for without an end, and no later signal heeded.
    let meta = std::fs::metadata(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    ensure!(
        meta.is_file(),
        "{} is no regular file: put the configuration there as a file and send SIGHUP again",
        path.display()
    );
    let new = super::config::read_for_run(path, journal)?;
    for note in super::config::judge(&new, flagged).with_context(at)? {
        journal.say(format_args!("note: {}: {note}", path.display()));
    }
    Ok(new)
}

/// What `job` does otherwise than `config`, its own, says: by flags.
fn flagged(job: &Job, config: &Config) -> Flagged {
    let sinks = super::specs::sinks(config).is_ok_and(|sinks| sinks == job.sinks);
    #[cfg(feature = "page")]
    let page = page::Settings::new(&config.page, &config.slots.folder) == job.page;
    #[cfg(not(feature = "page"))]
    let page = true;
    let named = super::specs::source(config).is_ok_and(|source| source.kind == job.source.kind);
    let source = named && super::specs::wanted(config).0 == job.source.size;
    Flagged {
        sinks: !sinks,
        page: !page,
        source: !source,
        model: matches!(job.student, Source::Model(_)),
    }
}

/// Keys whose values differ, as `table.key`.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    let tables = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    let (old, new) = (tables(old), tables(new));
    let names = |value: &Value| -> Vec<String> {
        let object = value.as_object();
        object.map_or_else(Vec::new, |o| o.keys().cloned().collect())
    };
    let mut found = Vec::new();
    for table in names(&new) {
        let (was, is) = (&old[&table], &new[&table]);
        let mut keys = names(was);
        keys.extend(names(is));
        keys.sort();
        keys.dedup();
        for key in keys {
            if was.get(&key) != is.get(&key) {
                found.push(format!("{table}.{key}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn reloader(path: &Path) -> Reloader {
        Reloader {
            path: path.to_owned(),
            config: Config::default(),
            flagged: Flagged::default(),
            dials: Arc::default(),
            journal: Journal::default(),
            reading: None,
        }
    }

    /// Asks once, and looks until that is done.
    fn again(reloader: &mut Reloader) {
        let asked = AtomicBool::new(true);
        reloader.look(&asked);
        let start = Instant::now();
        while reloader.reading.is_some() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "it is still read"
            );
            thread::sleep(Duration::from_millis(1));
            reloader.look(&asked);
        }
    }

    #[test]
    fn dials_turn_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("honed.toml");
        let mut reloader = reloader(&path);
        let dials = reloader.dials.clone();
        let text = "student.strength = 0.25\nsource.fps = 25\ngpio.led = 17\n";
        std::fs::write(&path, text).unwrap();
        let new = crate::cli::config::read(&path).unwrap();
        assert_eq!(
            changed(&reloader.config, &new),
            ["gpio.led", "source.fps", "student.strength"]
        );
        again(&mut reloader);
        assert_eq!(dials.strength(), 0.25);
        dials.set_strength(0.5);
        again(&mut reloader);
        assert_eq!(dials.strength(), 0.5, "the file says what it said");
        dials.set_strength(0.25);
        assert_eq!(reloader.config, new);
        for wrong in [
            "output.sinks = ['bogus']",
            "student.strength = 'a lot'",
            "output.sinks = ['rtsp', 'rtsp']",
        ] {
            std::fs::write(&path, wrong).unwrap();
            again(&mut reloader);
        }
        assert_eq!((dials.strength(), &reloader.config), (0.25, &new));
        let said = reloader.journal.lines(0);
        let said: Vec<&str> = said.iter().map(|line| line.text.as_str()).collect();
        assert!(
            said[1].ends_with("restarted for gpio.led, source.fps")
                && said[3].starts_with("warning: nothing was changed")
                && said[3].contains("bogus")
                && said[4].starts_with("warning: nothing was changed")
                && said[5].contains("port 8554"),
            "{said:?}"
        );
        assert!(
            said[4].contains("line 1")
                && said[4].contains(": invalid type")
                && !said[4].contains("a lot")
                && !said[4].contains('\n'),
            "{said:?}"
        );
    }

    #[test]
    fn a_pipe_in_the_files_place_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("honed.toml");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut reloader = reloader(&path);
        again(&mut reloader);
        let said = reloader.journal.lines(0);
        assert!(said[0].text.contains("is no regular file"), "{said:?}");
    }
}
