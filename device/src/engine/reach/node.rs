//! What one node makes of how far its inputs look.

use tract_onnx::pb::NodeProto;

use super::{Followed, Local, MAX_HALO, MAX_STEP};
use crate::engine::model::attribute;
use crate::engine::stored::{Stored, floats, integers};

/// What a node gives that reads `inputs`, of which there is one at least; `dims` are those of its weight.
pub(super) fn through(
    node: &NodeProto,
    inputs: &[Local],
    dims: Option<&[i64]>,
    weights: &Stored<'_>,
) -> Local {
    let out = follow(node, inputs, dims, weights).filter(|out| out.step <= MAX_STEP);
    let out = out.unwrap_or_else(|| lost(inputs));
    Local {
        // Sums of more than that would leave the numbers.
        halo: out.halo.map(|halo| halo.min(MAX_HALO + 1)),
        ..out
    }
}

/// What a node gives that is not followed: taken for as fine as the finest that it reads, which is a guess.
fn lost(inputs: &[Local]) -> Local {
    let step = inputs.iter().map(|i| i.step).filter(|&s| s > 0).min();
    let followed = inputs.iter().map(|i| i.followed).max();
    Local {
        step: step.unwrap_or(0),
        halo: inputs.iter().all(|i| i.halo.is_some()).then_some(0),
        // One value for the frame stays one, whatever becomes of it.
        followed: match step {
            Some(_) => Followed::Not,
            None => followed.unwrap_or(Followed::Not),
        },
    }
}

fn follow(
    node: &NodeProto,
    inputs: &[Local],
    dims: Option<&[i64]>,
    weights: &Stored<'_>,
) -> Option<Local> {
    let ints = |name| attribute(node, name).map(|a| a.ints.as_slice());
    let largest = |name, default: i64| {
        let values = ints(name).unwrap_or(&[]);
        usize::try_from(values.iter().copied().max().unwrap_or(default)).ok()
    };
    let first = Local {
        followed: inputs.iter().map(|i| i.followed).max()?,
        ..*inputs.first()?
    };
    let step = first.step;
    let but_its_halo = |step| Local {
        step,
        followed: first.followed.max(Followed::Step),
        ..first
    };
    // Samples from one end of a kernel to the other.
    let span = || {
        let kernel = match ints("kernel_shape") {
            Some(shape) => shape.iter().copied().max()?,
            None => *dims?.get(2..)?.iter().max()?,
        };
        Some(usize::try_from(kernel).ok()?.checked_sub(1)? * largest("dilations", 1)?)
    };
    // The axes that a node names, in an attribute or by this input; none where it names none.
    let axes = |input: usize| match (ints("axes"), node.input.get(input)) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(name)) if !name.is_empty() => {
            let axes = integers(weights.get(name.as_str())?).ok()?;
            Some(axes.into_iter().map(i64::from).collect())
        }
        (None, _) => Some(Vec::new()),
    };
    // After a node that is not followed it is not known either which axes are a picture's.
    let in_order = first.followed < Followed::Not;
    let axis = |default: i64| attribute(node, "axis").map_or(default, |a| a.i);
    let whole = Local {
        halo: None,
        ..first
    };
    match node.op_type.as_str() {
        "Conv" | "QLinearConv" | "ConvInteger" | "MaxPool" | "AveragePool" => {
            let span = span()?;
            let pads = ints("pads").unwrap_or(&[]);
            let centred = pads
                .iter()
                .all(|&p| usize::try_from(p).is_ok_and(|p| 2 * p == span));
            let reach = if centred && !pads.is_empty() || span == 0 {
                span / 2
            } else {
                span
            };
            Some(Local {
                step: step * largest("strides", 1)?,
                halo: first.halo.map(|halo| halo + reach * step),
                ..first
            })
        }
        "ConvTranspose" => {
            let stride = largest("strides", 1)?.max(1);
            let span = span()?;
            step.is_multiple_of(stride).then(|| Local {
                step: step / stride,
                halo: first.halo.map(|halo| halo + (span + 1) * step),
                ..first
            })
        }
        "SpaceToDepth" => {
            let block = usize::try_from(attribute(node, "blocksize")?.i).ok()?;
            Some(Local {
                step: step * block,
                ..first
            })
        }
        "DepthToSpace" => {
            let block = usize::try_from(attribute(node, "blocksize")?.i).ok()?;
            (block > 0 && step.is_multiple_of(block)).then(|| Local {
                step: step / block,
                ..first
            })
        }
        "Relu" | "LeakyRelu" | "PRelu" | "Clip" | "Sigmoid" | "HardSigmoid" | "HardSwish"
        | "Tanh" | "Gelu" | "Erf" | "Exp" | "Sqrt" | "Neg" | "Abs" | "Softplus" | "Add" | "Sub"
        | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Concat" | "Identity" | "Cast"
        | "QuantizeLinear" | "DequantizeLinear" | "BatchNormalization" => {
            // One value for the frame spreads over any map.
            let step = inputs.iter().map(|i| i.step).max().unwrap_or(0);
            let even = inputs.iter().all(|i| i.step == step || i.step == 0);
            let halos: Option<Vec<usize>> = inputs.iter().map(|i| i.halo).collect();
            even.then(|| Local {
                step,
                halo: halos.and_then(|halos| halos.into_iter().max()),
                ..first
            })
        }
        // What they do to a sample depends on all of them.
        "DynamicQuantizeLinear"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "MeanVarianceNormalization" => Some(whole),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => Some(Local::POOLED),
        "CumSum" => Some(whole),
        "LayerNormalization" if in_order => Some(whole),
        // Of axes in another order the last one mostly is the channels.
        "LayerNormalization" if axis(-1) == -1 => None,
        "Softmax" | "LogSoftmax" | "Hardmax" | "LpNormalization"
            if in_order && is_channels(axis(-1)) =>
        {
            Some(first)
        }
        op if op.starts_with("Reduce") && in_order => {
            let axes = axes(1)?;
            let flat = |axis: &i64| [0, -4].contains(axis) || is_channels(*axis);
            let local = !axes.is_empty() && axes.iter().all(flat);
            let kept = attribute(node, "keepdims").is_none_or(|keep| keep.i != 0);
            match (local, kept) {
                (true, true) => Some(first),
                // Its axes are others from here on.
                (true, false) => None,
                (false, _) => Some(Local::POOLED),
            }
        }
        "LayerNormalization" | "Softmax" | "LogSoftmax" | "Hardmax" | "LpNormalization" => {
            Some(whole)
        }
        op if op.starts_with("Reduce") => Some(whole),
        "Slice" if in_order && matches!(axes(3)?[..], [axis] if is_channels(axis)) => Some(first),
        "Slice" if in_order && node.input.len() < 5 => Some(but_its_halo(step)),
        "Split" if is_channels(axis(0)) => Some(but_its_halo(step)),
        "Pad" => Some(but_its_halo(step)),
        "Resize" => Some(but_its_halo(resized(node, step, weights)?)),
        // Numbers that tell where a frame ends; what becomes of them is not followed.
        "Shape" | "Size" => Some(Local {
            step: 0,
            halo: Some(0),
            followed: Followed::Not,
        }),
        _ => None,
    }
}

/// Whether this axis of `[1,C,H,W]` is the channels.
fn is_channels(axis: i64) -> bool {
    [1, -3].contains(&axis)
}

/// The step behind a Resize by stored factors.
fn resized(node: &NodeProto, step: usize, weights: &Stored<'_>) -> Option<usize> {
    let factors = floats(weights.get(node.input.get(2)?.as_str())?).ok()?;
    let [_, _, down, across] = *factors.as_slice() else {
        return None;
    };
    let step = step as f32 / down;
    (down == across && step.fract() == 0.0).then_some(step as usize)
}
