//! A restricted pickle machine: it knows the opcodes and names that rebuild tensors, and nothing can
//! be called that is not in [`Global`].
//!
//! Containers live in one flat arena and values are indices into it, so that neither deep nesting nor
//! repeated references cost more than their bytes in the file.

use std::collections::HashMap;
use std::rc::Rc;

use super::tensor::Element;
use super::{CheckpointError, Result};

/// Longest pickle that is read; a large network's is below one MB.
const MAX_PICKLE: usize = 64 << 20;

/// Everything that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.FloatStorage` and its kin.
    Storage(Element),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self> {
        let element = match name {
            "FloatStorage" => Some(Element::F32),
            "DoubleStorage" => Some(Element::F64),
            "HalfStorage" => Some(Element::F16),
            "BFloat16Storage" => Some(Element::BF16),
            "LongStorage" => Some(Element::I64),
            "IntStorage" => Some(Element::I32),
            "ByteStorage" => Some(Element::U8),
            "BoolStorage" => Some(Element::Bool),
            _ => None,
        };
        match (module, name, element) {
            ("collections", "OrderedDict", _) => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2", _) => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter", _) => Ok(Self::RebuildParameter),
            ("torch", _, Some(element)) => Ok(Self::Storage(element)),
            _ => Err(CheckpointError::Refused(format!(
                "it wants to use {module:.80}.{name:.80}"
            ))),
        }
    }
}

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

/// What a pickle described.
#[derive(Debug)]
pub struct Graph {
    /// The result.
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

/// Runs one pickle at the start of `bytes`; gives its result and its length.
pub fn load(bytes: &[u8]) -> Result<(Graph, usize)> {
    let mut machine = Machine {
        bytes: &bytes[..bytes.len().min(MAX_PICKLE)],
        at: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        graph: Graph {
            root: Value::None,
            nodes: Vec::new(),
        },
    };
    while machine.step()? {}
    machine.graph.root = machine.pop()?;
    Ok((machine.graph, machine.at))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    graph: Graph,
}

impl Machine<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| CheckpointError::damaged("its pickle ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian number of `count` bytes, at most 8.
    fn number(&mut self, count: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn length(&mut self, count: usize) -> Result<usize> {
        let length = self.number(count)?;
        usize::try_from(length).map_err(|_| CheckpointError::damaged("a length beyond the file"))
    }

    fn text(&mut self, count: usize) -> Result<Value> {
        let text = std::str::from_utf8(self.take(count)?);
        let text = text.map_err(|_| CheckpointError::damaged("a string that is no UTF-8"))?;
        Ok(Value::Str(text.into()))
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(512).position(|&b| b == b'\n');
        let end = end.ok_or_else(|| CheckpointError::damaged("a name without an end"))?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(text)
    }

    fn pop(&mut self) -> Result<Value> {
        let value = self.stack.pop().filter(|v| !matches!(v, Value::Mark));
        value.ok_or_else(|| CheckpointError::damaged("its pickle takes values that are not there"))
    }

    fn top(&self) -> Result<Value> {
        let value = self
            .stack
            .last()
            .filter(|v| !matches!(v, Value::Mark))
            .cloned();
        value.ok_or_else(|| CheckpointError::damaged("its pickle takes values that are not there"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark));
        let mark = mark.ok_or_else(|| CheckpointError::damaged("its pickle lacks a mark"))?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn push_node(&mut self, node: Node) {
        self.graph.nodes.push(node);
        self.stack.push(Value::Node(self.graph.nodes.len() - 1));
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push_node(Node::Sequence(items));
        Ok(())
    }

    /// The container on top of the stack, to be filled.
    fn container(&mut self) -> Result<&mut Node> {
        let index = match self.top()? {
            Value::Node(index) => index,
            _ => {
                return Err(CheckpointError::damaged(
                    "its pickle fills what is no container",
                ));
            }
        };
        let node = self.graph.nodes.get_mut(index);
        node.ok_or_else(|| CheckpointError::damaged("its pickle fills what is no container"))
    }

    fn append(&mut self, values: Vec<Value>) -> Result<()> {
        match self.container()? {
            Node::Sequence(items) => items.extend(values),
            _ => {
                return Err(CheckpointError::damaged(
                    "its pickle appends to what is no list",
                ));
            }
        }
        Ok(())
    }

    fn insert(&mut self, values: Vec<Value>) -> Result<()> {
        if !values.len().is_multiple_of(2) {
            return Err(CheckpointError::damaged("a dictionary key without a value"));
        }
        match self.container()? {
            Node::Dict(pairs) => {
                let mut values = values.into_iter();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
            }
            _ => {
                return Err(CheckpointError::damaged(
                    "its pickle sets items of what is no dictionary",
                ));
            }
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<()> {
        let value = self.top()?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<()> {
        let value = u32::try_from(index)
            .ok()
            .and_then(|i| self.memo.get(&i))
            .cloned();
        let value = value
            .ok_or_else(|| CheckpointError::damaged("its pickle recalls what it never kept"))?;
        self.stack.push(value);
        Ok(())
    }

    /// One opcode; false at the end.
    fn step(&mut self) -> Result<bool> {
        let opcode = self.number(1)? as u8;
        match opcode {
            b'.' => return Ok(false),
            0x80 => {
                let protocol = self.number(1)?;
                if protocol > 5 {
                    return Err(CheckpointError::Refused(format!(
                        "pickle protocol {protocol}"
                    )));
                }
            }
            0x95 => drop(self.number(8)?),
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.stack.pop()),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' => {
                let number = self.number(if opcode == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(number as i64));
            }
            0x8a => {
                let value = self.long()?;
                self.stack.push(value);
            }
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | 0x8c | 0x8d | b'U' | b'T' => {
                let width = match opcode {
                    0x8c | b'U' => 1,
                    0x8d => 8,
                    _ => 4,
                };
                let length = self.length(width)?;
                let value = self.text(length)?;
                self.stack.push(value);
            }
            b'B' | b'C' => {
                let length = self.length(if opcode == b'C' { 1 } else { 4 })?;
                self.take(length)?;
                self.stack.push(Value::Bytes);
            }
            b')' | b']' => self.push_node(Node::Sequence(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(opcode) - 0x84)?,
            b't' | b'l' => {
                let items = self.pop_mark()?;
                self.push_node(Node::Sequence(items));
            }
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.pop_mark()?;
                self.append(values)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let values = self.pop_mark()?;
                self.insert(values)?;
            }
            b'd' => {
                let values = self.pop_mark()?;
                self.push_node(Node::Dict(Vec::new()));
                self.insert(values)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack
                    .push(Value::Global(Global::named(&module, &name)?));
            }
            0x93 => {
                let (Value::Str(name), Value::Str(module)) = (self.pop()?, self.pop()?) else {
                    return Err(CheckpointError::damaged("a name that is no string"));
                };
                self.stack
                    .push(Value::Global(Global::named(&module, &name)?));
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'q' | b'r' => {
                let index = self.number(if opcode == b'q' { 1 } else { 4 })? as u32;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' | b'j' => {
                let index = self.number(if opcode == b'h' { 1 } else { 4 })?;
                self.recall(index)?;
            }
            b'Q' => self.persistent()?,
            other => {
                return Err(CheckpointError::Refused(format!(
                    "pickle opcode 0x{other:02x}"
                )));
            }
        }
        Ok(true)
    }

    fn long(&mut self) -> Result<Value> {
        let length = self.length(1)?;
        if length > 8 {
            // Only the legacy file's magic number is longer; its bytes are compared elsewhere.
            self.take(length)?;
            return Ok(Value::Bytes);
        }
        let mut bytes = [0; 8];
        let taken = self.take(length)?;
        let negative = taken.last().is_some_and(|b| b & 0x80 != 0);
        bytes[..length].copy_from_slice(taken);
        if negative {
            bytes[length..].fill(0xff);
        }
        Ok(Value::Int(i64::from_le_bytes(bytes)))
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let arguments = self.graph.sequence(&arguments).unwrap_or_default().to_vec();
        match callee {
            Value::Global(Global::OrderedDict) => {
                self.push_node(Node::Dict(Vec::new()));
                let pairs = arguments
                    .first()
                    .and_then(|list| self.graph.sequence(list))
                    .unwrap_or_default();
                let flat = pairs
                    .iter()
                    .flat_map(|p| self.graph.sequence(p).unwrap_or_default());
                let flat = flat.take(self.bytes.len()).cloned().collect();
                self.insert(flat)
            }
            Value::Global(Global::RebuildTensor) => {
                let tensor = self.tensor(&arguments);
                let tensor = tensor
                    .ok_or_else(|| CheckpointError::damaged("a tensor with wrong arguments"))?;
                self.push_node(Node::Tensor(tensor));
                Ok(())
            }
            Value::Global(Global::RebuildParameter) => {
                let data = arguments.first().cloned();
                self.stack.push(
                    data.ok_or_else(|| CheckpointError::damaged("a parameter without data"))?,
                );
                Ok(())
            }
            other => Err(CheckpointError::Refused(format!(
                "it wants to call {other:.80?}"
            ))),
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, ...)`.
    fn tensor(&self, arguments: &[Value]) -> Option<TensorRef> {
        let [storage, Value::Int(offset), shape, strides, ..] = arguments else {
            return None;
        };
        let Value::Node(index) = *storage else {
            return None;
        };
        let Some(Node::Storage(_)) = self.graph.nodes.get(index) else {
            return None;
        };
        let sides = |value: &Value| -> Option<Vec<u64>> {
            let items = self.graph.sequence(value)?;
            let side = |v: &Value| match v {
                Value::Int(i) => u64::try_from(*i).ok(),
                _ => None,
            };
            if items.len() > 16 {
                None
            } else {
                items.iter().map(side).collect()
            }
        };
        let (shape, strides) = (sides(shape)?, sides(strides)?);
        let offset = u64::try_from(*offset).ok()?;
        (shape.len() == strides.len()).then_some(TensorRef {
            storage: index,
            offset,
            shape,
            strides,
        })
    }

    /// Attributes of a dictionary (`_metadata` of a state_dict) are dropped.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        match self.container()? {
            Node::Dict(_) => Ok(()),
            _ => Err(CheckpointError::Refused(
                "it sets attributes of an object".to_owned(),
            )),
        }
    }

    /// `('storage', torch.FloatStorage, key, location, count[, (view key, offset, size)])`.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let bad = || CheckpointError::damaged("a storage with a wrong description");
        let items = self.graph.sequence(&id).ok_or_else(bad)?;
        let [
            Value::Str(_),
            Value::Global(Global::Storage(element)),
            Value::Str(key),
            _,
            Value::Int(count),
            rest @ ..,
        ] = items
        else {
            return Err(bad());
        };
        let mut start = 0;
        let mut size = u64::try_from(*count).map_err(|_| bad())?;
        if let Some([_, Value::Int(offset), Value::Int(view), ..]) =
            rest.first().and_then(|v| self.graph.sequence(v))
        {
            start = u64::try_from(*offset).map_err(|_| bad())?;
            size = u64::try_from(*view).map_err(|_| bad())?;
        }
        let storage = StorageRef {
            key: key.clone(),
            element: *element,
            count: size,
            start,
        };
        self.push_node(Node::Storage(storage));
        Ok(())
    }
}
