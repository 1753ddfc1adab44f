//! SpaceToDepth and DepthToSpace spelt as reshapes.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};

use crate::engine::model::{attribute, giver};
use crate::engine::stored::{self, Stored};

/// One way to spell a shuffle: the permutation between the two reshapes, and where the block's two
/// sides stand in the six dimensions of the first.
struct Spelling {
    operator: &'static str,
    permutation: [i64; 6],
    sides: [usize; 2],
    /// Which dimension is the channel's.
    channel: usize,
    /// DepthToSpace's name for the order; SpaceToDepth has no such attribute and knows `DCR` only.
    mode: &'static str,
}

const SPELLINGS: [Spelling; 4] = [
    Spelling {
        operator: "SpaceToDepth",
        permutation: [0, 3, 5, 1, 2, 4],
        sides: [3, 5],
        channel: 1,
        mode: "DCR",
    },
    Spelling {
        operator: "SpaceToDepth",
        permutation: [0, 1, 3, 5, 2, 4],
        sides: [3, 5],
        channel: 1,
        mode: "CRD",
    },
    Spelling {
        operator: "DepthToSpace",
        permutation: [0, 3, 4, 1, 5, 2],
        sides: [1, 2],
        channel: 3,
        mode: "DCR",
    },
    Spelling {
        operator: "DepthToSpace",
        permutation: [0, 1, 4, 2, 5, 3],
        sides: [2, 3],
        channel: 1,
        mode: "CRD",
    },
];

/// Reshape to six dimensions, Transpose, Reshape to four: how exporters without pixel shuffles of
/// their own write them.
pub(super) fn join(graph: &mut GraphProto) {
    let joined: Vec<(String, NodeProto)> = {
        let stored = stored::of(graph);
        graph
            .node
            .iter()
            .filter_map(|n| shuffle(n, graph, &stored))
            .collect()
    };
    for (output, node) in joined {
        if let Some(last) = graph.node.iter_mut().find(|n| n.output.contains(&output)) {
            *last = node;
        }
    }
}

/// The shuffle that ends in the Reshape `last`, with the name that it gives.
fn shuffle(
    last: &NodeProto,
    graph: &GraphProto,
    tensors: &Stored<'_>,
) -> Option<(String, NodeProto)> {
    let is = |node: &NodeProto, op: &str| node.op_type == op;
    let shape = |node: &NodeProto| stored::integers(tensors.get(node.input.get(1)?.as_str())?).ok();
    let given = |node: &NodeProto| giver(graph, node.input.first()?);
    let transpose = given(last).filter(|n| is(last, "Reshape") && is(n, "Transpose"))?;
    let first = given(transpose).filter(|n| is(n, "Reshape"))?;
    let (six, four) = (shape(first)?, shape(last)?);
    let permutation = &attribute(transpose, "perm")?.ints;
    let found = SPELLINGS.iter().find(|s| *permutation == s.permutation)?;
    let side = |i: usize| six.get(found.sides[i]).copied().filter(|&s| s > 0);
    let (block, channel) = (side(0)?, *six.get(found.channel)?);
    if six.len() != 6 || four.len() != 4 || side(1) != Some(block) {
        return None;
    }
    let space = is_space(found);
    if space && found.mode != "DCR" && channel != 1 {
        return None;
    }
    let output = last.output.first()?.clone();
    let mut attributes = vec![AttributeProto {
        name: "blocksize".into(),
        i: i64::from(block),
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }];
    if !space {
        attributes.push(AttributeProto {
            name: "mode".into(),
            s: found.mode.into(),
            r#type: AttributeType::String as i32,
            ..AttributeProto::default()
        });
    }
    let node = NodeProto {
        op_type: found.operator.into(),
        name: last.name.clone(),
        input: vec![first.input.first()?.clone()],
        output: vec![output.clone()],
        attribute: attributes,
        ..NodeProto::default()
    };
    Some((output, node))
}

fn is_space(spelling: &Spelling) -> bool {
    spelling.operator == "SpaceToDepth"
}
