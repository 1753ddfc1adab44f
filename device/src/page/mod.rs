//! The page in the browser and its API: a small HTTP server on a thread of its own.
//!
//! ```text
//!  session --publishes--> BoardState <--looks-- one thread: accept -> TLS -> HTTP/1.1 -> routes
//! ```
//!
//! The session never waits for it: state is published by `try_lock`, dials are atomics.

mod connection;
mod error;
mod metrics;
mod routes;
mod server;
mod settings;

pub use error::PageError;
pub use routes::{ROUTES, Route};
pub use server::{Running, start};
pub use settings::Settings;
