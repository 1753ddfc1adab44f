//! What the workstation (`hone`) and the board (`honed`) agree on.
//!
//! ```text
//!  hone (workstation)                           honed (board)
//!  train -> ONNX -> bundle ----- x.hone ----->  engine on camera frames
//!           ^ student contract   ^ container    ^ tiling with halo
//!  monitor <--------------------- telemetry ---- state, once a second
//! ```
//!
//! No torch, no GStreamer, no inference engine here: types, arithmetic and bytes only.

pub mod bundle;
pub mod config;
pub mod frames;
pub mod limit;
pub mod order;
pub mod print;
pub mod printable;
pub mod quant;
pub mod student;
pub mod telemetry;
pub mod tiling;
