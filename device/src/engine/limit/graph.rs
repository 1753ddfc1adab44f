//! Finding the overshoot limit at the end of a graph, as `hone` writes it.

use tract_onnx::pb::{GraphProto, NodeProto};

use hone_shared::limit::ROOM;
use hone_shared::student::{INPUT_NAME, OUTPUT_NAME};

use crate::engine::model::{attribute, giver};
use crate::engine::normalise::remove_dead;
use crate::engine::stored::{self, Stored};

/// The bounds in the notation of [`Formula`].
const HIGH: &str = "L(+(*(-(x,L(!L(!x))),room),x))";
const LOW: &str = "!L(+(!x,*(-(!x,L(!L(x))),room)))";
/// Operations that a bound nests at most; what nests deeper is no bound.
const DEPTH: usize = 8;

/// Takes the limit away, so that the graph ends with the Add of frame and residual; says whether there was one.
pub(in crate::engine) fn take(graph: &mut GraphProto) -> bool {
    let Some(free) = free(graph) else {
        return false;
    };
    graph.node.retain(|n| n.output != [OUTPUT_NAME]);
    for node in &mut graph.node {
        let given = node.output.iter_mut().filter(|o| **o == free);
        given.for_each(|o| OUTPUT_NAME.clone_into(o));
    }
    remove_dead(graph);
    true
}

/// The tensor that the limit holds.
fn free(graph: &GraphProto) -> Option<String> {
    let formula = Formula {
        graph,
        stored: stored::of(graph),
    };
    let gives_one = |n: &&NodeProto, op: &str| n.op_type == op && n.output.len() == 1;
    let node = |name: &str, op: &str| giver(graph, name).filter(|n| gives_one(n, op));
    // The two inputs of Max and of Min stand in any order.
    let split = |node: &NodeProto, bound: &str| match node.input.as_slice() {
        [a, b] if formula.of(b, DEPTH).as_deref() == Some(bound) => Some(a.clone()),
        [a, b] if formula.of(a, DEPTH).as_deref() == Some(bound) => Some(b.clone()),
        _ => None,
    };
    let held = split(node(OUTPUT_NAME, "Max")?, LOW)?;
    split(node(&held, "Min")?, HIGH)
}

/// Writes tensors as formulas of the frame `x`: `L` the largest of 3x3, `!` the negative, other operations with their signs in front of
/// their operands, those of sums and products in the order of the alphabet.
struct Formula<'a> {
    graph: &'a GraphProto,
    stored: Stored<'a>,
}

impl Formula<'_> {
    fn of(&self, name: &str, depth: usize) -> Option<String> {
        if name == INPUT_NAME {
            return Some("x".into());
        }
        if let Some(tensor) = self.stored.get(name) {
            let room = stored::floats(tensor).ok()? == [f32::from(ROOM)];
            return room.then(|| "room".into());
        }
        // A bound's nodes take two tensors at most; a hostile file's may take thousands, each level anew.
        let node = giver(self.graph, name).filter(|n| n.input.len() <= 2)?;
        let depth = depth.checked_sub(1)?;
        let operands: Option<Vec<_>> = node.input.iter().map(|i| self.of(i, depth)).collect();
        let mut operands = operands?;
        if matches!(node.op_type.as_str(), "Add" | "Mul") {
            operands.sort();
        }
        let operands = operands.join(",");
        match node.op_type.as_str() {
            "MaxPool" if is_3x3(node) => Some(format!("L({operands})")),
            "Neg" => Some(format!("!{operands}")),
            "Add" => Some(format!("+({operands})")),
            "Sub" => Some(format!("-({operands})")),
            "Mul" => Some(format!("*({operands})")),
            _ => None,
        }
    }
}

/// 3x3 around each sample, in steps of one.
fn is_3x3(node: &NodeProto) -> bool {
    let ints = |name| attribute(node, name).map_or(&[][..], |a| &a.ints);
    let ones = |name| ints(name).iter().all(|&v| v == 1);
    ints("kernel_shape") == [3, 3]
        && ints("pads") == [1, 1, 1, 1]
        && ones("strides")
        && ones("dilations")
}
