//! The page in the browser and its API: a small HTTP server on a thread of its own.
//!
//! ```text
//!  session --publishes--> BoardState <--looks-- one thread: accept -> TLS -> HTTP/1.1 -> guard -> routes
//!     |                                                              limits             token
//!     +--frames, when asked--> Tap <--asks-- preview thread, while somebody watches
//! ```
//!
//! The frame path never waits for it: state is published by `try_lock`, dials are atomics, and a frame
//! is shown only to who asked for it. Everything but health needs a token.

mod access;
mod answer;
mod api;
mod app;
mod browser;
mod connection;
mod errands;
mod error;
mod guard;
mod health;
mod html;
mod metrics;
mod patience;
mod preview;
mod routes;
mod server;
mod settings;
mod stall;
mod streaming;
mod telemetry;
mod tls;
mod tokens;

pub use error::PageError;
pub use routes::{ROUTES, Route};
pub use server::{Running, start};
pub use settings::Settings;
pub use tokens::{Stored, Tokens};
