//! The stack machine: opcodes of pickle protocols 2 to 5, as far as `torch.save` uses them.

use std::collections::HashMap;

use super::graph::{Graph, Node, Value};
use super::names::{self, Global};
use super::reader::Reader;
use crate::checkpoint::{CheckpointError, Result};

/// Longest pickle that is read; a large network's is below one MB.
const MAX_PICKLE: usize = 64 << 20;
/// Most opcodes and copied values of one pickle: bounds memory to some hundred MB whatever the file
/// says. A tensor takes about 35.
const MAX_STEPS: usize = 1 << 21;

/// Runs one pickle at the start of `bytes`; gives its result and its length.
pub fn load(bytes: &[u8]) -> Result<(Graph, usize)> {
    let mut machine = Machine {
        reader: Reader::new(&bytes[..bytes.len().min(MAX_PICKLE)]),
        steps: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        graph: Graph {
            root: Value::None,
            nodes: Vec::new(),
        },
    };
    while machine.step()? {}
    machine.graph.root = machine.pop()?;
    Ok((machine.graph, machine.reader.position()))
}

struct Machine<'a> {
    reader: Reader<'a>,
    steps: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    graph: Graph,
}

impl Machine<'_> {
    /// Counts `steps` against the limit.
    fn charge(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(CheckpointError::TooLarge(
                "its pickle is longer than that of any network".to_owned(),
            ));
        }
        Ok(())
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
        self.charge(1)?;
        let opcode = self.reader.number(1)? as u8;
        match opcode {
            b'.' => return Ok(false),
            0x80 => {
                let protocol = self.reader.number(1)?;
                if protocol > 5 {
                    return Err(CheckpointError::Refused(format!(
                        "pickle protocol {protocol}"
                    )));
                }
            }
            0x95 => drop(self.reader.number(8)?),
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.stack.pop()),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'J' => {
                let number = self.reader.number(4)? as u32 as i32;
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' => {
                let number = self.reader.number(if opcode == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(number as i64));
            }
            0x8a => {
                let value = self.reader.long()?;
                self.stack.push(value);
            }
            b'G' => {
                self.reader.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | 0x8c | 0x8d | b'U' | b'T' => {
                let width = match opcode {
                    0x8c | b'U' => 1,
                    0x8d => 8,
                    _ => 4,
                };
                let length = self.reader.length(width)?;
                let value = self.reader.text(length)?;
                self.stack.push(value);
            }
            b'B' | b'C' => {
                let length = self.reader.length(if opcode == b'C' { 1 } else { 4 })?;
                self.reader.take(length)?;
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
                let (module, name) = (self.reader.line()?, self.reader.line()?);
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
                let index = self.reader.number(if opcode == b'q' { 1 } else { 4 })? as u32;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' | b'j' => {
                let index = self.reader.number(if opcode == b'h' { 1 } else { 4 })?;
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

    /// Calls a name; only those of [`Global`] can be called.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let arguments = self.graph.sequence(&arguments).unwrap_or_default();
        match callee {
            Value::Global(Global::OrderedDict) => {
                let list = arguments.first().cloned().unwrap_or(Value::None);
                // Before it is walked: what it holds may be empty, and it may be walked again and again.
                self.charge(self.graph.sequence(&list).map_or(0, <[Value]>::len))?;
                let pairs = self.graph.sequence(&list).unwrap_or_default().iter();
                let flat: Vec<Value> = pairs
                    .flat_map(|pair| self.graph.sequence(pair).unwrap_or_default())
                    .take(MAX_STEPS)
                    .cloned()
                    .collect();
                self.charge(flat.len())?;
                self.push_node(Node::Dict(Vec::new()));
                self.insert(flat)
            }
            Value::Global(Global::RebuildTensor) => {
                let tensor = names::rebuild_tensor(&self.graph, arguments)
                    .ok_or_else(|| CheckpointError::damaged("a tensor with wrong arguments"))?;
                self.push_node(Node::Tensor(tensor));
                Ok(())
            }
            Value::Global(Global::RebuildParameter) => {
                let data = arguments.first().cloned();
                let data =
                    data.ok_or_else(|| CheckpointError::damaged("a parameter without data"))?;
                self.stack.push(data);
                Ok(())
            }
            other => Err(CheckpointError::Refused(format!(
                "it wants to call {}",
                other.kind()
            ))),
        }
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

    /// A reference to a storage elsewhere in the file.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = names::storage(&self.graph, &id)
            .ok_or_else(|| CheckpointError::damaged("a storage with a wrong description"))?;
        self.push_node(Node::Storage(storage));
        Ok(())
    }
}
