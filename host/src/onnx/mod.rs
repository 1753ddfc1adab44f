//! Students as ONNX files.
//!
//! Opset 17, IR version 8, input `frame` and output `restored` f32 `[1,C,H,W]` with symbolic H and
//! W (multiples of the SpaceToDepth factor), weights inside the file, [`Metadata`] in
//! `metadata_props`. The graphs of a chain, node by node:
//!
//! ```text
//! f32          frame > SpaceToDepth > (Conv > Relu)* > Conv > DepthToSpace > Add(frame, .)
//! INT8 QDQ     frame > SpaceToDepth > Q > DQ > (Conv > Q > DQ)* > DepthToSpace > Add(frame, .)
//! QOperator    frame > SpaceToDepth > Q > QLinearConv* > DQ > DepthToSpace > Add(frame, .)
//! ```
//!
//! In QDQ each Conv reads `DQ(s8 weight, axis 0)` and `DQ(s32 bias, axis 0)` with scale
//! `input scale * weight scale`: an s32 bias is what ONNX Runtime needs to turn the Conv into one
//! integer QLinearConv, and an f32 bias would be rounded by each runtime in its own way.
//! SpaceToDepth comes before the first Q for the same reason: runtimes look for DQ directly in
//! front of a Conv. ReLU is the clamp of a u8 tensor with zero point 0, so no Relu node is left.
//! A layer kept in f32 reads the dequantised tensor and has a plain Conv (> Relu).
//! A limited student's goes on: Min(., high), Max(., low), whose bounds MaxPools read off the frame (`limit.rs`).
//! A temporal student's graph begins with Concat(frame, previous) on the channels.
//! Students that are no chain have Q and DQ around every Conv alike, and other f32 operators between
//! them; all their steps are powers of two ([`crate::quantise::MixedGraph`] says why).
//! The arithmetic is that of [`hone_shared::quant`]. With a factor of 1 the two space nodes are
//! left out.
//!
//! [`RUNTIMES`] says which runtimes take which file.

mod chain;
mod graph;
mod limit;
mod network;
mod parameters;
mod runtimes;
mod simplify;

pub use chain::{Ends, Format, Layer, write_chain_f32, write_layers};
pub use graph::{Attribute, Graph};
pub use network::write_graph;
pub use parameters::parameters;
pub use runtimes::{RUNTIMES, RuntimeSupport};
pub use simplify::simplify;

use anyhow::Result;
use hone_shared::student::{META_HALO, META_NAME, META_RECIPE, META_SCALE};

use crate::train::run::LoadedRun;

/// What an exported file says about itself in `metadata_props`, beside colour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Name of the student.
    pub name: String,
    /// SHA-256 of the recipe, hexadecimal; left out when there is none.
    pub recipe_sha256: Option<String>,
    /// What the sides of a frame must be multiples of.
    pub scale: usize,
    /// Halo in full-resolution pixels; left out when the whole frame counts.
    pub halo: Option<usize>,
}

impl Metadata {
    /// What the file of a run's student says.
    pub fn of_run(run: &LoadedRun, scale: usize, halo: Option<usize>) -> Self {
        Self {
            name: run.recipe.name.clone(),
            recipe_sha256: Some(run.inputs.recipe_sha256.clone()),
            scale,
            halo,
        }
    }

    fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            (META_NAME, self.name.clone()),
            (META_SCALE, self.scale.to_string()),
        ];
        if let Some(halo) = self.halo {
            entries.push((META_HALO, halo.to_string()));
        }
        if let Some(hash) = &self.recipe_sha256 {
            entries.push((META_RECIPE, hash.clone()));
        }
        entries
    }
}

/// The f32 file of a run's best weights, whatever its architecture.
///
/// # Errors
/// When the student does not fold or holds weights that are no finite numbers.
pub fn of_run(run: &LoadedRun) -> Result<Vec<u8>> {
    let student = run.student.as_ref();
    if let Some(graph) = student.graph() {
        let metadata = Metadata::of_run(run, graph.multiple, graph.halo());
        return write_graph(graph, None, run.recipe.colour, &metadata);
    }
    let chain = student.fold()?;
    let metadata = Metadata::of_run(run, chain.scale, Some(chain.halo()));
    Ok(write_chain_f32(&chain, &metadata))
}

#[cfg(test)]
pub(crate) mod tests;
