//! How many wrong tokens are borne, and from whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens of one address that are borne in [`MEMORY`].
const OF_ONE: u32 = 5;
/// Of all addresses together; whoever has many addresses is slowed by this.
const OF_ALL: u32 = 50;
/// After so much time wrong tokens are forgotten.
const MEMORY: Duration = Duration::from_secs(60);
/// Addresses remembered.
const ADDRESSES: usize = 1024;

/// Counts wrong tokens; it has no clock of its own.
#[derive(Debug, Default)]
pub(super) struct Patience {
    wrong: HashMap<IpAddr, (u32, Instant)>,
    all: u32,
    since: Option<Instant>,
}

impl Patience {
    /// Time until a token of `peer` is looked at again; `None` when it is at once.
    pub(super) fn wait(&mut self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let left = |since: Instant| MEMORY.saturating_sub(now.saturating_duration_since(since));
        if self.since.is_some_and(|since| left(since).is_zero()) {
            (self.all, self.since) = (0, None);
        }
        self.wrong.retain(|_, (_, since)| !left(*since).is_zero());
        let one = self.wrong.get(&peer).filter(|(count, _)| *count >= OF_ONE);
        one.map(|(_, since)| left(*since))
            .or_else(|| self.since.filter(|_| self.all >= OF_ALL).map(left))
    }

    /// Notes a wrong token of `peer`.
    pub(super) fn wrong(&mut self, peer: IpAddr, now: Instant) {
        self.all += 1;
        self.since.get_or_insert(now);
        // More addresses than these are an attack, which the common count stops.
        if self.wrong.len() < ADDRESSES || self.wrong.contains_key(&peer) {
            self.wrong.entry(peer).or_insert((0, now)).0 += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn one_address_is_stopped_and_forgiven() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        for _ in 0..OF_ONE {
            assert_eq!(patience.wait(peer(1), start), None);
            patience.wrong(peer(1), start);
        }
        assert_eq!(patience.wait(peer(1), start), Some(MEMORY));
        assert_eq!(patience.wait(peer(2), start), None);
        assert_eq!(patience.wait(peer(1), start + MEMORY), None);
    }

    #[test]
    fn many_addresses_are_stopped_together_in_bounded_memory() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        for n in 0..10_000 {
            patience.wrong(peer(n), start);
        }
        assert!(patience.wait(peer(77_777), start).is_some());
        assert_eq!(patience.wrong.len(), ADDRESSES);
        assert_eq!(patience.wait(peer(77_777), start + MEMORY), None);
        assert!(patience.wrong.is_empty());
    }
}
