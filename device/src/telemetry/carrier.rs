//! What carries frames off the board.

use super::{Inbox, TelemetryError};

/// A way off the board. It connects by itself, and again after a failure.
pub trait Carry: Send {
    /// How messages name it, without a password.
    fn name(&self) -> String;

    /// Sends one frame, or says why that is impossible just now; the frame is given up then.
    ///
    /// # Errors
    /// No connection, or one that broke.
    fn send(&mut self, frame: &[u8]) -> Result<(), TelemetryError>;
}

/// Carries what comes into `inbox` until the feed is over; `say` hears when the way breaks and when it
/// works again.
pub fn carry(carrier: &mut dyn Carry, mut inbox: Inbox, say: &mut dyn FnMut(&str)) {
    let mut broken = false;
    while let Some(frame) = inbox.wait() {
        match carrier.send(&frame) {
            Ok(()) => {
                if std::mem::take(&mut broken) {
                    say(&format!("telemetry: {} works again", carrier.name()));
                }
            }
            Err(error) => {
                inbox.missed(1);
                if !std::mem::replace(&mut broken, true) {
                    say(&format!("telemetry is lost, trying again: {error}"));
                }
            }
        }
    }
}
