//! What a session tells the board's state, now and then.

use std::time::Instant;

use super::Session;
use crate::camera::timeline::between;
use crate::state::Measured;

impl Session<'_> {
    /// Publishes what was measured so far, when that is due.
    pub(super) fn publish(&mut self) {
        let Some(board) = self.plan.board.as_ref().filter(|board| board.is_due()) else {
            return;
        };
        let last = self.stand_in.last().map(|_| self.stand_in.last_at());
        let silent = last.map(|at| between(at, self.clock.now()));
        board.publish(Measured {
            live: self.live,
            last_frame: silent.and_then(|silent| Instant::now().checked_sub(silent)),
            captured: self.link.captured(),
            slates: self.meter.slates,
            reconnects: self.meter.reconnects,
            decode_errors: self.link.complaints().count,
            sharpen: self.sharpener.stats(),
            board: self.thermometer.read(),
            sinks: self.outputs.measured(),
            ..self.meter.measured()
        });
    }
}
