//! How many connections a server has, of all addresses and of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::camera::sharpener::lock;

/// Counts connections by address and has no room for those too many.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection; it makes room when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    all: Seats,
    peer: IpAddr,
}

impl Seats {
    /// Room for `most` connections, `most_of_one` of them of one address.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Arc::default(),
        }
    }

    /// A seat for a connection of `peer`, if there is room.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Seat> {
        let mut taken = lock(&self.taken);
        let own = taken.get(&peer).copied().unwrap_or(0);
        if taken.values().sum::<usize>() >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.insert(peer, own + 1);
        Some(Seat {
            all: self.clone(),
            peer,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.all.taken);
        let left = taken.get(&self.peer).map_or(0, |n| n - 1);
        if left == 0 {
            taken.remove(&self.peer);
        } else {
            taken.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_every_seat() {
        let seats = Seats::new(3, 2);
        let take = |peer: u32| seats.take(IpAddr::V4(peer.into()));
        let own = [take(1), take(1)];
        assert!(own.iter().all(Option::is_some) && take(1).is_none());
        let other = take(2);
        assert!(other.is_some() && take(3).is_none());
        drop(own);
        assert!(take(3).is_some());
        drop(other);
        assert!(lock(&seats.taken).is_empty());
    }
}
