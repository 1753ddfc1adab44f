//! What a pickle described.
//!
//! Containers live in one flat arena and values are indices into it, so that neither deep nesting nor
//! repeated references cost more than their bytes in the file.

use std::rc::Rc;

use super::names::Global;
use crate::checkpoint::tensor::Element;

/// A value on the stack; cheap to copy.
#[derive(Debug, Clone)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float; its value is never needed.
    Float,
    /// A string.
    Str(Rc<str>),
    /// Bytes; never needed.
    Bytes,
    /// A name.
    Global(Global),
    /// Index of a [`Node`].
    Node(usize),
    /// Start of a group of values.
    Mark,
}

impl Value {
    /// Its type, for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Float => "a float",
            Self::Str(_) => "a string",
            Self::Bytes => "bytes",
            Self::Global(_) => "a type",
            Self::Node(_) => "an object",
            Self::Mark => "a mark",
        }
    }
}

/// A container or a tensor.
#[derive(Debug)]
pub enum Node {
    /// A tuple or list.
    Sequence(Vec<Value>),
    /// A dictionary in insertion order.
    Dict(Vec<(Value, Value)>),
    /// A piece of memory stored elsewhere in the file.
    Storage(StorageRef),
    /// A view of a storage.
    Tensor(TensorRef),
}

/// A persistent id: which storage, how large.
#[derive(Debug, Clone)]
pub struct StorageRef {
    /// Name within the file.
    pub key: Rc<str>,
    /// Type of its elements.
    pub element: Element,
    /// Number of elements.
    pub count: u64,
    /// Elements to skip: views of views in old files.
    pub start: u64,
}

/// Arguments of `_rebuild_tensor_v2`.
#[derive(Debug, Clone)]
pub struct TensorRef {
    /// Index of the storage's node.
    pub storage: usize,
    /// First element.
    pub offset: u64,
    /// Sides.
    pub shape: Vec<u64>,
    /// Steps in elements.
    pub strides: Vec<u64>,
}

/// The result of a pickle.
#[derive(Debug)]
pub struct Graph {
    /// The outermost value.
    pub root: Value,
    /// Everything it refers to.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The items of a tuple or list.
    pub fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a dictionary.
    pub fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.node(value)? {
            Node::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What a value refers to.
    pub fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Node(index) => self.nodes.get(*index),
            _ => None,
        }
    }
}
