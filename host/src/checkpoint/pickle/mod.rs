//! A restricted pickle machine: it knows the opcodes and names that rebuild tensors, and nothing can
//! be called that is not in [`names::Global`].
//!
//! ```text
//! bytes -> machine (opcodes, stack, memo) -> names (what may be called) -> Graph
//! ```

mod graph;
mod machine;
mod names;
mod reader;

pub use graph::{Graph, Node, StorageRef, TensorRef, Value};
pub use machine::load;
