//! What happens to `honed` in the field, on real GStreamer: one program, for it links all of honed.
//! Tests that take longer than seconds are ignored here and run by `make soak`.
#![cfg(feature = "rtsp")]
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

#[cfg(feature = "page")]
mod browser;
mod faults;
mod honed;
#[cfg(feature = "page")]
mod page;
mod pipeline;
mod rtsp;
#[cfg(feature = "page")]
mod server;
mod soak;
