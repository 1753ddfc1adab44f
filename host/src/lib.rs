//! The workstation's side of hone: data, teachers, distillation, quantisation, ONNX, evaluation,
//! deployment. `hone` (main.rs) is a thin command line over this library.

mod allocator;
pub mod bundle;
pub mod check;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod deploy;
pub mod evaluate;
mod lock;
pub mod loss;
pub mod metric;
pub mod monitor;
pub mod onnx;
pub mod picture;
pub mod quantise;
pub mod recipe;
pub mod report;
pub mod restore;
pub mod student;
pub mod teacher;
pub mod train;
