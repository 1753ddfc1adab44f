//! Ctrl-C: the first asks the training to stop at the next step, the second kills it. A terminal that closes asks, too.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use hone_shared::print::tell;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default, register_usize};
use signal_hook::iterator::Signals;

/// The signal that asked to stop; 0 where none did.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The status that a program ends with whose work a signal stopped: 128 and the signal's number, as shells have it. `None`
/// where no signal asked.
pub fn exit_status() -> Option<u8> {
    let signal = u8::try_from(SIGNAL.load(Ordering::Relaxed)).ok()?;
    (signal > 0).then(|| signal.saturating_add(128))
}

/// Set when the user wants the training to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on, and for SIGHUP, unless whoever started this has it ignored, as `nohup`
    /// does. The first is answered on standard error.
    ///
    /// # Errors
    /// When the system refuses the signal handlers.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        interrupt.listen().context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    fn listen(&self) -> std::io::Result<()> {
        let flag = || Arc::clone(&self.0);
        let mut asking = vec![SIGINT, SIGTERM];
        for &signal in &asking {
            // Registered first: it only acts once the flag is already up.
            register_conditional_default(signal, flag())?;
        }
        if !ignored(SIGHUP) {
            // The system and the shell may both tell that the terminal closes: a second one means no more than the first.
            asking.push(SIGHUP);
        }
        for &signal in &asking {
            register_usize(
                signal,
                Arc::clone(&SIGNAL),
                usize::try_from(signal).unwrap_or(0),
            )?;
            register(signal, flag())?;
        }
        // A handler must not print.
        let mut signals = Signals::new(&asking)?;
        let answer = move || {
            if signals.forever().next().is_some() {
                // A progress bar may stand in the line.
                let line = match std::io::stderr().is_terminal() {
                    true => "\n",
                    false => "",
                };
                tell(format_args!(
                    "{line}stopping when the step under way is done; Ctrl-C again ends at once"
                ));
            }
        };
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(answer).map(drop)
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether this process has been ignoring `signal` since it was started.
pub(crate) fn ignored(signal: libc::c_int) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with no new action given, sigaction changes nothing; it fills `now` where it returns 0, and only then is it read.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) == 0
            && now.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
