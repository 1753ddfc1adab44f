//! The board's side of hone: an inference engine for student networks on camera frames, and the
//! pipeline around it. The workstation uses the same engine, so what `hone` predicts is what
//! `honed` shows.

#[cfg(feature = "camera")]
mod allocator;
pub mod atomic;
pub mod backoff;
pub mod bench;
#[cfg(feature = "camera")]
pub mod camera;
pub mod cli;
#[cfg(feature = "camera")]
pub mod doctor;
pub mod engine;
pub mod governor;
#[cfg(feature = "camera")]
pub mod gpio;
pub mod journal;
#[cfg(feature = "page")]
pub mod page;
pub mod place;
#[cfg(any(feature = "page", feature = "rtsp"))]
mod seats;
pub mod shipped;
pub mod slots;
#[cfg(feature = "camera")]
pub mod state;
pub mod systemd;
#[cfg(feature = "telemetry")]
pub mod telemetry;
pub mod trust;
