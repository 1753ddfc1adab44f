//! What a camera can do without: its page, and telling others how it does. At a terminal a fault of theirs ends the run; a
//! service says so, goes on with its frames and tries again: an address may come, or a token.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;

use super::serve::Job;
use crate::journal::Journal;
#[cfg(feature = "page")]
use crate::page;
use crate::state::BoardState;
use crate::systemd;
#[cfg(feature = "telemetry")]
use crate::telemetry::{self, Reporter};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(5);

/// Something that runs until this is dropped, be it from now on or from a later try.
pub(super) enum Beside<T> {
    Runs { _it: T },
    Awaited { _waiting: Waiting },
}

/// A thread that tries, and then holds what it started.
pub(super) struct Waiting {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked holds nothing any more.
            let _ = thread.join();
        }
    }
}

impl<T: 'static> Beside<T> {
    /// Starts it by `start`; `journal` hears why that takes another try.
    ///
    /// # Errors
    /// At a terminal those of `start`, otherwise only that there is no thread.
    pub(super) fn start<E: Display + Into<anyhow::Error>>(
        journal: &Journal,
        start: impl Fn() -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let patience = systemd::is_service().then_some(PAUSE);
        Self::start_with(patience, journal, start)
    }

    fn start_with<E: Display + Into<anyhow::Error>>(
        patience: Option<Duration>,
        journal: &Journal,
        start: impl Fn() -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (error, pause) = match (start(), patience) {
            (Ok(it), _) => return Ok(Self::Runs { _it: it }),
            (Err(error), None) => return Err(error.into()),
            (Err(error), Some(pause)) => (error.to_string(), pause),
        };
        let journal = journal.clone();
        let tell = move |error: &str| journal.say(format_args!("warning: {error}; trying again"));
        tell(&error);
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let mut told = error;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                match start() {
                    Ok(_it) => {
                        // Held until the run is over, which closes the channel.
                        let _ = stopped.recv();
                        return;
                    }
                    Err(error) => {
                        let error = error.to_string();
                        if error != told {
                            tell(&error);
                            told = error;
                        }
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("beside".into()).spawn(work);
        let thread = thread.context("cannot start a thread")?;
        let _waiting = Waiting {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok(Self::Awaited { _waiting })
    }
}

/// Serves the page, where one is wanted.
///
/// # Errors
/// At a terminal why it cannot be served, otherwise only that there is no thread.
#[cfg(feature = "page")]
pub(super) fn page(
    job: &Job,
    board: &Arc<BoardState>,
) -> anyhow::Result<Option<Beside<page::Running>>> {
    let Some(settings) = job.page.clone() else {
        return Ok(None);
    };
    let (board, journal) = (board.clone(), job.journal.clone());
    let start = move || {
        let running = page::start(settings.clone(), board.clone())?;
        journal.say(&running);
        Ok::<_, page::PageError>(running)
    };
    Beside::start(&job.journal, start).map(Some)
}

/// Tells of the board whoever listens: the page's clients, and what the job names.
///
/// # Errors
/// At a terminal what cannot be used, otherwise only that there is no thread.
#[cfg(feature = "telemetry")]
pub(super) fn telemetry(
    job: &Job,
    board: &Arc<BoardState>,
) -> anyhow::Result<(Reporter, Vec<Beside<()>>)> {
    let (feed, looked_at) = (board.feed().clone(), board.clone());
    let settings = telemetry::Settings::new(&job.telemetry);
    let carriers = job.telemetry.to.iter().map(|carrier| {
        let (carrier, config) = (carrier.clone(), job.telemetry.clone());
        let (board, feed, journal) = (settings.board.clone(), feed.clone(), job.journal.clone());
        Beside::start(&job.journal, move || {
            telemetry::start_carrier(&carrier, &config, &board, &feed, &journal)
        })
    });
    let carriers = carriers.collect::<anyhow::Result<_>>()?;
    let bundle = job.student.title();
    let look = move || telemetry::state_of(&looked_at, &bundle);
    let reporter = Reporter::start(settings, feed, job.journal.clone(), look)?;
    Ok((reporter, carriers))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_service_tries_until_it_runs() {
        static TRIES: AtomicUsize = AtomicUsize::new(0);
        let journal = Journal::default();
        let (runs, heard) = channel();
        let start = move || match TRIES.fetch_add(1, Ordering::Relaxed) {
            n @ 0..3 => Err(anyhow::anyhow!("no address {}", n / 2)),
            _ => {
                // Closed when what runs is dropped.
                let (alive, over) = channel::<()>();
                let sent = runs.send(over).map(|()| alive);
                sent.map_err(|_| anyhow::anyhow!("nobody waits"))
            }
        };
        let pause = Some(Duration::from_millis(1));
        let beside = Beside::start_with(pause, &journal, start).unwrap();
        let over = heard.recv().unwrap();
        let said = journal.lines(0);
        let said: Vec<&str> = said.iter().map(|line| line.text.as_str()).collect();
        let want = ["0", "1"].map(|n| format!("warning: no address {n}; trying again"));
        assert_eq!(said, want);
        drop(beside);
        assert!(over.recv().is_err());
        assert_eq!(TRIES.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn at_a_terminal_a_fault_is_one() {
        let start = || -> anyhow::Result<()> { anyhow::bail!("no address") };
        let result = Beside::start_with(None, &Journal::default(), start);
        assert_eq!(result.err().unwrap().to_string(), "no address");
    }
}
