//! Students: the small networks that end up on boards.
//!
//! Every student obeys the contract of [`hone_shared::student`]: it maps `[N,C,H,W]` in 0..1 to
//! `frame + residual` of the same shape. Those made of plain convolutions fold into a
//! [`ConvChain`], which quantisation and the board's engine take.
//!
//! A temporal student also sees what it gave for the frame before ([`fed_back`]). It takes
//! `[N,2C,H,W]`, the frame's planes and those behind them; of a frame alone, `[N,C,H,W]`, it is a
//! first one: then the frame stands for the one before, too.

mod branched;
mod catalogue;
mod chain;
mod config;
pub mod graph;
mod limit;
mod space;
mod unet;
mod unit;

use anyhow::Result;
use hone_shared::student::ConvChain;
use tch::{Kind, Tensor};

pub use branched::BranchedConv;
pub use catalogue::catalogue;
pub use chain::shape;
pub use config::{Channels, PlainConfig, StudentConfig, build};
pub use graph::Graph;
pub use limit::limit;
pub use space::{depth_to_space, space_to_depth};

/// What a forward pass gives.
#[derive(Debug)]
pub struct StudentOutput {
    /// `frame + residual`, `[N,C,H,W]`, not clamped, but held to the frame's range where the student is limited.
    pub restored: Tensor,
    /// Named inner maps `[N,F,h,w]` for feature distillation, in the order of computation.
    pub features: Vec<(String, Tensor)>,
}

/// A network under the student contract. Its variables live in the store it was built in.
pub trait Student: Send {
    /// Restores `frame` `[N,C,H,W]`, 0..1, or `[N,2C,H,W]` for a temporal student; H and W must be multiples of [`Student::multiple`].
    /// `train` selects batch statistics where a student has batch normalisation.
    fn forward(&self, frame: &Tensor, train: bool) -> StudentOutput {
        self.forward_in(frame, train, Kind::Float)
    }

    /// As [`Student::forward`] for an f32 frame, its maps computed in `kind` (f32, bf16 or f16) from
    /// weights that stay f32; so does the sum with the frame.
    fn forward_in(&self, frame: &Tensor, train: bool, kind: Kind) -> StudentOutput;

    /// H and W must be multiples of this.
    fn multiple(&self) -> usize;

    /// The student as plain convolutions, training branches and batch normalisation folded in.
    ///
    /// # Errors
    /// When the architecture is no chain of convolutions.
    fn fold(&self) -> Result<ConvChain>;

    /// Takes the weights of a folded student of the same shape: what [`Student::fold`] gives then. Training branches begin
    /// with nothing to add, batch normalisation with nothing to change.
    ///
    /// # Errors
    /// When the shape is another one, or the architecture is no chain of convolutions.
    fn unfold(&self, chain: &ConvChain) -> Result<()>;

    /// The student as a graph of operations, for those that are no chain.
    fn graph(&self) -> Option<&Graph> {
        None
    }

    /// Multiply-accumulates for each full-resolution pixel, as exported.
    ///
    /// # Errors
    /// As [`Student::fold`].
    fn macs_per_pixel(&self) -> Result<f64> {
        Ok(self.fold()?.macs_per_pixel())
    }
}

/// What a temporal student sees of its output for the frame before: bytes, without gradients.
pub fn fed_back(restored: &Tensor) -> Tensor {
    (restored.detach().clamp(0.0, 1.0) * 255.0).round() / 255.0
}

/// Restores a frame of any size, `[N,C,H,W]` or `[N,2C,H,W]` as [`Student::forward`] takes it: pads to
/// the student's multiple by repeating the border, crops.
pub fn restore(student: &dyn Student, frame: &Tensor) -> Tensor {
    let size = frame.size();
    let (height, width) = (size[2], size[3]);
    let multiple = student.multiple() as i64;
    let bottom = (-height).rem_euclid(multiple);
    let right = (-width).rem_euclid(multiple);
    let padded = frame.replication_pad2d([0, right, 0, bottom]);
    let restored = student.forward(&padded, false).restored;
    restored.narrow(2, 0, height).narrow(3, 0, width)
}

/// What a temporal student makes of `frame` after the `earlier` ones, oldest first, `[N,C,H,W]` each.
pub fn restore_after(student: &dyn Student, earlier: &[Tensor], frame: &Tensor) -> Tensor {
    let mut before: Option<Tensor> = None;
    for one in earlier {
        before = Some(fed_back(&restore(student, &joined(one, before.as_ref()))));
    }
    restore(student, &joined(frame, before.as_ref()))
}

/// A frame's planes, and those of what was restored before it.
pub fn joined(frame: &Tensor, before: Option<&Tensor>) -> Tensor {
    match before {
        Some(before) => Tensor::cat(&[frame, before], 1),
        None => frame.shallow_clone(),
    }
}
