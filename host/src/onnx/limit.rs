//! The overshoot limit as the last nodes of a graph; [`hone_shared::limit`] says what it is. ONNX has no smallest of a window: it
//! is the largest of the negative, turned round.

use hone_shared::limit::ROOM;
use hone_shared::student::{INPUT_NAME, OUTPUT_NAME};

use super::graph::{Attribute, Graph};

/// Holds the tensor `free` to the limit of the frame and names it the output.
pub(super) fn hold(graph: &mut Graph, free: &str) {
    let room = graph.floats("limit.room", &[], &[f32::from(ROOM)]);
    let negative = graph.node("Neg", &[INPUT_NAME], "limit.negative", &[]);
    let high = bound(graph, INPUT_NAME, &negative, &room, "limit.high");
    let low = bound(graph, &negative, INPUT_NAME, &room, "limit.low");
    let low = graph.node("Neg", &[&low], "limit.low", &[]);
    let held = graph.node("Min", &[free, &high], "limit.held", &[]);
    graph.node("Max", &[&held, &low], OUTPUT_NAME, &[]);
}

/// The upper bound of `x`, whose negative is `turned`; of the frame turned round it is the lower one, turned round.
fn bound(graph: &mut Graph, x: &str, turned: &str, room: &str, name: &str) -> String {
    let part = |part: &str| format!("{name}.{part}");
    let eroded = largest(graph, turned, &part("eroded"));
    let eroded = graph.node("Neg", &[&eroded], &part("smallest"), &[]);
    let opened = largest(graph, &eroded, &part("opened"));
    let peak = graph.node("Sub", &[x, &opened], &part("peak"), &[]);
    let allowed = graph.node("Mul", &[&peak, room], &part("allowed"), &[]);
    let raised = graph.node("Add", &[x, &allowed], &part("raised"), &[]);
    largest(graph, &raised, &part("bound"))
}

/// Largest of 3x3; what lies beyond the frame is left out.
fn largest(graph: &mut Graph, x: &str, output: &str) -> String {
    let attributes = [
        ("kernel_shape", Attribute::Ints(&[3, 3])),
        ("pads", Attribute::Ints(&[1, 1, 1, 1])),
        ("strides", Attribute::Ints(&[1, 1])),
    ];
    graph.node("MaxPool", &[x], output, &attributes)
}
