//! Events as lines of JSON.

use std::io::Write;

use anyhow::Result;
use hone_shared::telemetry::Message;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use super::{Event, News};

/// One event; what it lacks is left out.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Where it happened.
    pub address: &'a str,
    /// `state`, `connected`, `lost`, `damaged`, `online`, `offline` or `forgotten`.
    pub event: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// What the board says.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a Message>,
}

impl<'a> Line<'a> {
    /// The line of `event`.
    pub fn new(event: &'a Event) -> Self {
        let (name, reason, message) = match &event.news {
            News::Connected => ("connected", None, None),
            News::Message(message) => ("state", None, Some(&**message)),
            News::Damaged(reason) => ("damaged", Some(reason.as_str()), None),
            News::Lost(reason) => ("lost", Some(reason.as_str()), None),
            News::Online(true) => ("online", None, None),
            News::Online(false) => ("offline", None, None),
            News::Forgotten => ("forgotten", None, None),
        };
        Self {
            address: &event.address,
            event: name,
            reason,
            message,
        }
    }
}

/// Writes events to `out`, each a line, until there are no more or nobody reads.
///
/// # Errors
/// Whatever `out` says, but for a closed pipe.
pub fn stream(mut events: Receiver<Event>, out: &mut dyn Write) -> Result<()> {
    while let Some(event) = events.blocking_recv() {
        let mut line = serde_json::to_vec(&Line::new(&event))?;
        line.push(b'\n');
        match out.write_all(&line).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}
