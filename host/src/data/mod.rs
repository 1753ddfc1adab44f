//! Data: scenes drawn by code, data sets on disk, degradations, patches, batches.
//!
//! ```text
//! synth (scenes) -+
//! index (folders)-+-> source: Pair{input, truth} -> loader: Batch of tensors
//! degrade (cameras)-+                                  |
//!                        pool: patches and a teacher's answers on disk
//! ```

pub mod answers;
pub mod clips;
pub mod config;
pub mod degrade;
pub mod index;
pub mod light;
pub mod loader;
pub mod part;
pub mod partners;
pub mod photo;
pub mod pool;
pub mod random;
pub mod read;
pub mod sheet;
pub mod source;
pub mod synth;

pub use source::{open, open_new};
