//! Teachers: the heavy restoration networks that students learn from.
//!
//! ```text
//! TeacherConfig --build--> Box<dyn Teacher> <--load-- .pth / .safetensors of the authors
//!                              |
//!                              +-- forward   [N,C,H,W] 0..1 -> [N,C,H*scale,W*scale]
//!                              +-- features  the same, with named maps for feature distillation
//! ```
//!
//! Parameter names and arithmetic are the publications', so that published weights load as they are.

pub mod catalogue;
pub mod config;
pub mod infer;
pub mod layer;
pub mod load;
pub mod memory;
pub mod mprnet;
mod mprnet_parts;
pub mod nafnet;
mod nafnet_block;
pub mod pad;
pub mod restormer;
mod restormer_block;
mod strip;
mod swin;
pub mod swinir;
pub mod taps;
pub mod tile;
pub mod unet;

pub use config::{TeacherConfig, build};
pub use load::{LoadOptions, load_with};
pub use pad::Padding;
pub use taps::Taps;

use std::borrow::Cow;

use anyhow::ensure;
use tch::{Device, Kind, Tensor};

/// Whether `x` holds numbers only.
pub fn finite(x: &Tensor) -> bool {
    x.isfinite().all().int64_value(&[]) != 0
}

/// Passes a teacher's `answer` on.
///
/// # Errors
/// When it is no picture.
pub fn checked(answer: Tensor) -> anyhow::Result<Tensor> {
    ensure!(
        finite(&answer),
        "the teacher's answer is no picture, its numbers are not finite: it was trained badly, or f16 is too narrow for it"
    );
    Ok(answer)
}

/// A restoration network of any size: images in, restored images out.
pub trait Teacher: std::fmt::Debug + Send {
    /// The architecture's name as in [`TeacherConfig`]: `restormer`, `swinir`, `mprnet`, ...
    fn name(&self) -> &'static str;

    /// Channels of the input: 1 (luma) or 3 (RGB), 6 for dual-pixel Restormer.
    fn channels(&self) -> i64;

    /// Height and width are padded to a multiple of this.
    fn multiple(&self) -> i64;

    /// How [`Teacher::forward`] pads; what the publication's own code does.
    fn padding(&self) -> Padding {
        Padding::Reflect
    }

    /// Size of the output over that of the input: 1, or SwinIR's upscaling factor.
    fn scale(&self) -> i64 {
        1
    }

    /// The network itself, on an input `[N,C,H,W]` whose sides are multiples of
    /// [`Teacher::multiple`]. Offers its intermediate maps to `taps`. The last stage comes first
    /// when there are several (MPRNet), one output otherwise.
    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor>;

    /// The parameter that a checkpoint's entry `name` belongs to; `None` for a buffer that is
    /// recomputed (SwinIR's attention masks). A parameter that is shared between layers has an
    /// entry for each of them in the authors' files.
    fn parameter_of<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(name))
    }

    /// Multiply-accumulates per pixel of a picture that needs no padding; weights are on `device`.
    fn macs_per_pixel(&self, device: Device) -> i64 {
        let (multiple, least) = (self.multiple(), 64);
        let side = (least + multiple - 1) / multiple * multiple;
        let x = Tensor::zeros([1, self.channels(), side, side], (Kind::Float, device));
        let (_, macs) = tch::no_grad(|| layer::count_macs(|| self.forward(&x)));
        macs / (side * side)
    }

    /// Restores `x` `[N,C,H,W]`, 0..1, any size: pads, runs, crops. Not clamped. Gradients flow
    /// unless the caller switched them off.
    fn forward(&self, x: &Tensor) -> Tensor {
        self.run_padded(x, &mut Taps::closed()).swap_remove(0)
    }

    /// As [`Teacher::forward`], with the named intermediate maps `[N,c,h,w]` at their own,
    /// padded resolutions, in the order in which the network computes them.
    fn features(&self, x: &Tensor) -> (Tensor, Vec<(String, Tensor)>) {
        let mut taps = Taps::open();
        let output = self.run_padded(x, &mut taps).swap_remove(0);
        (output, taps.into_maps())
    }

    /// Pads, runs [`Teacher::stages`], crops every output, the final one first.
    fn run_padded(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let (_, _, height, width) = x.size4().unwrap_or((0, 0, 0, 0));
        let padded = pad::to_multiple(x, self.multiple(), self.padding());
        let (height, width) = (height * self.scale(), width * self.scale());
        let crop = |y: Tensor| y.narrow(2, 0, height).narrow(3, 0, width);
        self.stages(&padded, taps).into_iter().map(crop).collect()
    }
}
