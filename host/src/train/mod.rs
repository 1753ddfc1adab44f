//! Training: distillation of students and training of teachers.
//!
//! ```text
//! recipe -> distill / teacher -> Trainer --- every epoch ---> RUN_DIR (see run)
//!                                  |   forward, loss, Adam, validation
//!                 feed of batches -+   (an exact function of seed and step)
//! ```
//!
//! A run that is killed at any moment and resumed ends, on a processor, with the bits of an uninterrupted one: the whole
//! state is one file that is replaced at once, and batches depend on seed and step only. A GPU's sums come in any order.

pub mod cache;
mod cached;
pub mod checkpoint;
pub mod distill;
mod diverged;
pub mod dry_run;
mod epoch_end;
pub mod feed;
pub mod feed_bench;
pub mod guide;
pub mod interrupt;
mod lesson;
pub mod log;
pub(crate) mod memory;
pub mod optimizer;
pub mod plan;
mod plots;
mod progress;
pub mod prune;
pub mod run;
mod samples;
pub mod schedule;
mod start;
pub mod state;
mod step;
pub mod sweep;
pub mod teacher;
pub mod teacher_source;
mod tensorboard;
pub mod trainer;
mod trial;
pub mod validate;

#[cfg(test)]
mod tests;
