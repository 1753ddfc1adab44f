//! Frames that find faults: flat, extreme, natural-looking, of odd sizes.

use anyhow::{Result, ensure};
use hone_shared::student::INPUT_NAME;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value;

/// Bytes `[H,W,C]` and what they show.
#[derive(Debug, Clone)]
pub struct ProbeFrame {
    /// What it shows, with its size.
    pub name: String,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Interleaved samples.
    pub bytes: Vec<u8>,
}

/// Longest side of a frame that is made because a model takes no other.
const MAX_SIDE: i64 = 8192;

/// Height and width that a model's input is fixed to, where it is.
///
/// # Errors
/// When a side is no multiple of `multiple`, or too long to try.
pub fn fixed_sides(model: &[u8], multiple: usize) -> Result<[Option<usize>; 2]> {
    let graph = ModelProto::decode(model)?.graph.unwrap_or_default();
    let input = graph.input.iter().find(|i| i.name == INPUT_NAME);
    let kind = input.and_then(|i| i.r#type.as_ref()?.value.as_ref());
    let shape = kind.and_then(|Value::TensorType(tensor)| tensor.shape.as_ref());
    let side = |i: usize| match shape.and_then(|s| s.dim.get(i)?.value.as_ref()) {
        Some(&Dimension::DimValue(side)) => {
            let fits = (1..=MAX_SIDE).contains(&side) && (side as usize).is_multiple_of(multiple);
            ensure!(
                fits,
                "its input is fixed to a side of {side}, which is no multiple of {multiple} up to {MAX_SIDE}: export it \
                 with height and width free"
            );
            Ok(Some(side as usize))
        }
        _ => Ok(None),
    };
    Ok([side(2)?, side(3)?])
}

/// Frames of `channels` planes; sides are multiples of `multiple`, odd multiples among them, or the fixed ones.
pub fn probe_frames(
    channels: usize,
    multiple: usize,
    [height, width]: [Option<usize>; 2],
) -> Vec<ProbeFrame> {
    let mut sizes = [(12, 15), (9, 5), (1, 1), (17, 8)]
        .map(|(h, w)| {
            let side = |fixed: Option<usize>, blocks| fixed.unwrap_or(blocks * multiple);
            (side(height, h), side(width, w))
        })
        .to_vec();
    sizes.dedup();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut frames = Vec::new();
    for (i, (height, width)) in sizes.into_iter().enumerate() {
        let mut add = |name: &str, sample: &mut dyn FnMut(usize, usize, usize) -> u8| {
            let mut bytes = Vec::with_capacity(height * width * channels);
            for at in 0..height * width * channels {
                let pixel = at / channels;
                bytes.push(sample(pixel / width, pixel % width, at % channels));
            }
            let name = format!("{name} {width}x{height}");
            frames.push(ProbeFrame {
                name,
                height,
                width,
                bytes,
            });
        };
        add("noise", &mut |_, _, _| rng.random());
        add("saturated noise", &mut |_, _, _| {
            if rng.random() { 255 } else { 0 }
        });
        add("checkerboard", &mut |y, x, _| {
            if (x + y) % 2 == 0 { 255 } else { 0 }
        });
        add("gradient with edges", &mut |y, x, c| {
            let slope = 3 * x + 2 * y + 40 * c;
            if (x / 6 + y / 7) % 3 == 0 {
                230 - (slope / 2 % 60) as u8
            } else {
                (slope % 200) as u8
            }
        });
        if i == 0 {
            add("black", &mut |_, _, _| 0);
            add("white", &mut |_, _, _| 255);
        }
    }
    frames
}
