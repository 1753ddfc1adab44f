//! From one sender to many carriers, none of which can hold it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast::{self, error::RecvError};

/// Frames that may wait for a carrier; with one more the oldest is given up.
const WAITING: usize = 8;

/// Where frames go in.
#[derive(Debug, Clone)]
pub struct Feed {
    frames: broadcast::Sender<Arc<[u8]>>,
    unsent: Arc<AtomicU64>,
}

/// Where a carrier takes them out.
#[derive(Debug)]
pub struct Inbox {
    frames: broadcast::Receiver<Arc<[u8]>>,
    unsent: Arc<AtomicU64>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            frames: broadcast::channel(WAITING).0,
            unsent: Arc::default(),
        }
    }
}

impl Feed {
    /// Gives `frame` to everyone who listens; never waits.
    pub fn publish(&self, frame: Vec<u8>) {
        // Nobody listens: nobody misses it.
        let _ = self.frames.send(frame.into());
    }

    /// Whether anyone listens.
    pub fn heard(&self) -> bool {
        self.frames.receiver_count() > 0
    }

    /// Frames that carriers were too slow for, or could not send.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// A carrier's end, from the next frame on.
    pub fn subscribe(&self) -> Inbox {
        Inbox {
            frames: self.frames.subscribe(),
            unsent: self.unsent.clone(),
        }
    }
}

impl Inbox {
    /// Waits for the next frame; `None` when the feed is over.
    pub fn wait(&mut self) -> Option<Arc<[u8]>> {
        loop {
            match self.frames.blocking_recv() {
                Ok(frame) => return Some(frame),
                Err(RecvError::Lagged(frames)) => self.missed(frames),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The same for asynchronous carriers.
    pub async fn next(&mut self) -> Option<Arc<[u8]>> {
        loop {
            match self.frames.recv().await {
                Ok(frame) => return Some(frame),
                Err(RecvError::Lagged(frames)) => self.missed(frames),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Counts frames that could not be sent.
    pub fn missed(&self, frames: u64) {
        self.unsent.fetch_add(frames, Ordering::Relaxed);
    }
}
