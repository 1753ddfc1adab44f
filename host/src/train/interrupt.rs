//! Ctrl-C: the first asks the training to stop at the next step, the second kills it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Set when the user wants the training to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    ///
    /// # Errors
    /// When the system refuses the signal handlers.
    pub fn on_signals() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            let flag = Arc::clone(&interrupt.0);
            let again = Arc::clone(&interrupt.0);
            // Registered first: it only acts once the flag is already up.
            signal_hook::flag::register_conditional_default(signal, again)
                .context("cannot listen for Ctrl-C")?;
            signal_hook::flag::register(signal, flag).context("cannot listen for Ctrl-C")?;
        }
        Ok(interrupt)
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
