//! What a person or a service manager says to a run by signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::journal::Journal;
use crate::systemd;

/// Signals that come closer together say one thing: `timeout` signals its child and then the whole
/// group, a terminal the group and a shell its child.
const ONE_WORD: Duration = Duration::from_secs(1);
/// What shells report of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
const STOPPING: &str = "stopping; once more ends at once";

/// What has been asked for so far.
#[derive(Debug, Default)]
struct Asked(Option<Instant>);

/// What a signal that asks for the end means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// Complete the outputs.
    Stop,
    /// The same word again.
    Echo,
    /// End whatever becomes of the outputs.
    AtOnce,
}

impl Asked {
    fn hear(&mut self, now: Instant) -> Meaning {
        match self.0 {
            None => {
                self.0 = Some(now);
                Meaning::Stop
            }
            Some(first) if now.saturating_duration_since(first) < ONE_WORD => Meaning::Echo,
            Some(_) => Meaning::AtOnce,
        }
    }
}

/// Flags that SIGINT or SIGTERM, and SIGHUP raise, which asks for the end too where there is nothing to read again (`reloads`):
/// a terminal that is closed says it, unless `nohup` keeps it away. A second word of these ends the process without completing
/// anything, unless it comes so soon that it is the first one once more.
///
/// # Errors
/// The system gives no thread, or refuses to tell of signals.
pub(super) fn listen(
    journal: &Journal,
    reloads: bool,
) -> anyhow::Result<(Arc<AtomicBool>, Arc<AtomicBool>)> {
    let (stop, reload) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let mut heard = vec![SIGINT, SIGTERM];
    // A service has no terminal; without a configuration there is nothing to read again either.
    let service = systemd::is_service();
    if reloads
        || service
        || !kept_away(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    {
        heard.push(SIGHUP);
    }
    let mut signals = Signals::new(heard).context("cannot listen for signals")?;
    let (stopped, again, journal) = (stop.clone(), reload.clone(), journal.clone());
    let work = move || {
        let mut asked = Asked::default();
        for signal in signals.forever() {
            if signal == SIGHUP && (reloads || service) {
                again.store(true, Ordering::Relaxed);
                continue;
            }
            match asked.hear(Instant::now()) {
                Meaning::Stop => {
                    stopped.store(true, Ordering::Relaxed);
                    journal.say(STOPPING);
                }
                Meaning::Echo => {}
                Meaning::AtOnce => low_level::exit(INTERRUPTED),
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(work)
        .context("cannot start a thread")?;
    Ok((stop, reload))
}

/// Whether a process with this `status` was started to ignore SIGHUP.
fn kept_away(status: &str) -> bool {
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_word_ends_at_once() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let heard = [0, 0, 1, 999, 1000].map(|ms| asked.hear(at(ms)));
        use Meaning::{AtOnce, Echo, Stop};
        assert_eq!(heard, [Stop, Echo, Echo, Echo, AtOnce]);
    }

    #[test]
    fn nohup_is_heeded() {
        for (mask, ignored) in [("0000000000001001", true), ("0000000000001000", false)] {
            let status = format!("Name:\thoned\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
            assert_eq!(kept_away(&status), ignored, "{mask}");
        }
        assert!(!kept_away(""));
    }
}
