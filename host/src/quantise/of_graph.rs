//! Static quantisation of a graph student.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use hone_shared::quant::Affine;
use hone_shared::student::Colour;
use tch::Tensor;

use super::fake::round_trip;
use super::graph::{ConvOp, FRAME, GraphConv, MixedGraph, convolutions, read, written};
use super::histogram::Histogram;
use super::{Before, QuantiseConfig};
use crate::student::graph::{Graph, Node};

/// What a node gave on every picture: in f32, and in INT8 so far.
struct Values {
    exact: Vec<Tensor>,
    approximate: Vec<Tensor>,
}

/// Quantises the convolutions of `graph` on `frames` (`[1,C,H,W]`, 0..1, sides multiples of the
/// graph's), in the order of computation. Ranges are those of the f32 student; biases are corrected as
/// [`quantise`](super::quantise) corrects a chain's. Channels are not balanced between layers.
/// `progress` hears how many layers are done.
///
/// # Errors
/// When frames have other planes than the student, a layer to keep does not exist, or a layer gives or
/// holds values that are no numbers.
pub fn quantise_graph<'a>(
    graph: &'a Graph,
    colour: Colour,
    frames: &[Tensor],
    config: &QuantiseConfig,
    progress: impl FnMut(u64),
) -> Result<MixedGraph<'a>> {
    quantise_graph_after(graph, colour, frames, config, Before::Int8, progress)
}

/// [`quantise_graph`] with biases corrected behind such layers.
///
/// # Errors
/// As [`quantise_graph`].
pub(super) fn quantise_graph_after<'a>(
    graph: &'a Graph,
    colour: Colour,
    frames: &[Tensor],
    config: &QuantiseConfig,
    before: Before,
    progress: impl FnMut(u64),
) -> Result<MixedGraph<'a>> {
    let layers = convolutions(graph);
    super::check_frames(frames, (colour, colour.channels()), graph.multiple)?;
    super::check_config(config, layers.len())?;
    let kept = |(layer, _): &(usize, &Node)| !config.keep_float.contains(layer);
    let int8: BTreeSet<Node> = layers
        .iter()
        .enumerate()
        .filter(kept)
        .map(|(_, n)| *n)
        .collect();
    let corrected = config.correct_bias.then_some(before);
    tch::no_grad(|| calibrate((graph, colour), frames, config, corrected, &int8, progress))
}

fn calibrate<'a>(
    (graph, colour): (&'a Graph, Colour),
    frames: &[Tensor],
    config: &QuantiseConfig,
    corrected: Option<Before>,
    int8: &BTreeSet<Node>,
    mut progress: impl FnMut(u64),
) -> Result<MixedGraph<'a>> {
    let layer_of: BTreeMap<Node, usize> = convolutions(graph).into_iter().zip(0..).collect();
    let outputs: BTreeMap<Node, Node> = int8.iter().map(|c| (written(graph, *c), *c)).collect();
    let read_by_int8: BTreeSet<Node> = int8.iter().map(|c| graph.nodes[*c].1[0]).collect();
    let last_use = last_uses(graph);
    let mut affines: BTreeMap<Node, Affine> = BTreeMap::from([(0, FRAME)]);
    let mut values: BTreeMap<Node, Values> = BTreeMap::new();
    let mut convs = BTreeMap::new();
    for (node, (op, inputs)) in graph.nodes.iter().enumerate() {
        let mut now = match ConvOp::of(op).filter(|_| int8.contains(&node)) {
            Some(op) => {
                let input = (inputs[0], affines[&inputs[0]]);
                let (conv, now) = convolve(op, input, &values[&inputs[0]], corrected)
                    .with_context(|| format!("layer {} cannot be INT8", layer_of[&node]))?;
                convs.insert(node, conv);
                now
            }
            None => {
                let pick = |which: fn(&Values) -> &Vec<Tensor>| {
                    let each = frames.iter().enumerate().map(|(i, frame)| {
                        let at = |k: usize| inputs.get(k).map_or(frame, |n| &which(&values[n])[i]);
                        op.apply(at(0), at(1))
                    });
                    each.collect::<Vec<_>>()
                };
                Values {
                    exact: pick(|v| &v.exact),
                    approximate: pick(|v| &v.approximate),
                }
            }
        };
        let given = outputs.get(&node);
        if node > 0 && (given.is_some() || read_by_int8.contains(&node)) {
            let histogram = Histogram::of(&now.exact);
            ensure!(
                histogram.is_sound(),
                "operation {node} gives values that are no numbers on a calibration picture"
            );
            affines.insert(
                node,
                histogram.choose_power(config.calibration, config.percentile),
            );
        }
        if let Some(conv) = given.and_then(|conv| convs.get_mut(conv)) {
            conv.output = affines[&node];
            let stay = |x: &Tensor| round_trip(x, conv.output);
            now.approximate = now.approximate.iter().map(stay).collect();
        }
        values.insert(node, now);
        values.retain(|n, _| last_use[*n] > node);
        if let Some(layer) = layer_of.get(&node) {
            progress(*layer as u64 + 1);
        }
    }
    Ok(MixedGraph {
        graph,
        colour,
        convs,
    })
}

/// One convolution that reads node `input`, its output's step left open; and its sums.
fn convolve(
    op: ConvOp<'_>,
    (node, input): (Node, Affine),
    values: &Values,
    corrected: Option<Before>,
) -> Result<(GraphConv, Values)> {
    let (kernel, mut bias) = op.learned(node);
    let float = op.kernel.detach();
    let each = |sums: &dyn Fn(&Tensor) -> Tensor, of: &[Tensor]| of.iter().map(sums).collect();
    let exact: Vec<Tensor> = each(&|x| op.run(x, &float, &bias), &values.exact);
    let given = match corrected {
        Some(Before::Float) => &values.exact,
        Some(Before::Int8) | None => &values.approximate,
    };
    let seen: Vec<Tensor> = each(&|x| read(x, node, input), given);
    // The step of the output is not known before its range is.
    let open = FRAME;
    let mut conv = GraphConv::new(&kernel, &bias, input, open)?;
    let rounded = |conv: &GraphConv| {
        let (kernel, bias) = conv.reals(&kernel);
        each(&|x| op.run(x, &kernel, &bias), &seen)
    };
    let mut approximate: Vec<Tensor> = rounded(&conv);
    if corrected.is_some() {
        bias = bias + mean(&exact) - mean(&approximate);
        conv = GraphConv::new(&kernel, &bias, input, open)?;
        approximate = rounded(&conv);
    }
    Ok((conv, Values { exact, approximate }))
}

/// `[O]`: mean over pictures and pixels.
fn mean(maps: &[Tensor]) -> Tensor {
    let means: Vec<Tensor> = maps
        .iter()
        .map(|x| x.mean_dim([0i64, 2, 3].as_slice(), false, None))
        .collect();
    Tensor::stack(&means, 0).mean_dim([0i64].as_slice(), false, None)
}

/// For every node, the last one that reads it.
fn last_uses(graph: &Graph) -> Vec<Node> {
    let mut last = vec![0; graph.nodes.len()];
    for (node, (_, inputs)) in graph.nodes.iter().enumerate() {
        inputs.iter().for_each(|input| last[*input] = node);
    }
    last
}
