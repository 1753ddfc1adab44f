//! Inference on camera frames: u8 planes in, u8 planes out, `out = clamp(frame + strength * residual)`.

mod chain;
mod frame;
mod fused;
mod isa;
mod kernels;
mod model;
mod pool;
mod reach;
mod rows;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod tract;

pub use frame::{FrameError, FrameView, FrameViewMut, PixelFormat, Plane, PlaneMut};
pub use isa::Isa;

use chain::Chain;
use hone_shared::student::{Colour, Precision};

/// What can go wrong between a model file and a restored frame.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The bytes are no ONNX model, or one that the engine cannot read.
    #[error("cannot load the model: {0}")]
    Load(String),
    /// The model is ONNX but not a student.
    #[error("the model breaks the student contract: {0}")]
    Contract(String),
    /// The frame's format, size or planes do not fit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Inference itself failed.
    #[error("inference failed: {0}")]
    Run(String),
}

/// What an engine knows of the student it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentInfo {
    /// Planes restored.
    pub colour: Colour,
    /// Frame sides are padded (edge pixels repeated) to multiples of this: the SpaceToDepth factor.
    pub scale: usize,
    /// How far an output pixel looks, in full-resolution pixels; `None` when the whole frame counts.
    pub halo: Option<usize>,
    /// Number format of the convolutions.
    pub precision: Precision,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: f64,
}

/// How an engine is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// Worker threads, the calling one included; 0 takes one for each core.
    pub threads: usize,
    /// Always take tract, never the fused executor.
    pub tract_only: bool,
    /// Kernels to use; `None` takes what `HONE_ISA` names, or the best of this machine.
    pub isa: Option<Isa>,
}

/// Runs one student on frames, one after another.
pub trait Engine: Send {
    /// What is loaded.
    fn student(&self) -> &StudentInfo;

    /// One line for people: which executor, precision, instruction set, threads.
    fn description(&self) -> String;

    /// Bytes of working memory held between frames of one size, where the executor knows.
    fn memory(&self) -> Option<usize> {
        None
    }

    /// Restores `frame` into `out` (same format and size). Planes that the student does not restore
    /// are copied. `strength` is in 0..=1; at 0 the output is the input, byte for byte.
    ///
    /// # Errors
    /// [`EngineError::Frame`] when the planes do not fit the format, [`EngineError::Run`] otherwise.
    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError>;
}

/// Reads an ONNX student and prepares to run it.
///
/// # Errors
/// [`EngineError::Load`] when the bytes are damaged or hold what the engine cannot run,
/// [`EngineError::Contract`] when the model is no student.
pub fn load(model: &[u8], options: EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    let model = model::Model::parse(model)?;
    let isa = match options.isa {
        Some(isa) if !isa.is_available() => {
            let name = isa.name();
            return Err(EngineError::Load(format!("this machine has no {name}")));
        }
        Some(isa) => isa,
        None => Isa::choose()?,
    };
    if options.tract_only {
        return Ok(Box::new(tract::TractEngine::new(&model, options)?));
    }
    let reach = reach::reach(&model)?;
    let student = StudentInfo {
        colour: model.colour,
        scale: reach.scale,
        halo: reach.halo,
        precision: model.precision,
        macs_per_pixel: reach.macs_per_pixel,
    };
    match chain::recognise(&model) {
        Ok(Chain::F32(chain)) => fused::f32_engine(&chain, student, isa, options.threads),
        Ok(Chain::Int8(chain)) => fused::int8_engine(&chain, student, isa, options.threads),
        Err(_) => Ok(Box::new(tract::TractEngine::new(&model, options)?)),
    }
}

fn check_strength(strength: f32) -> Result<(), EngineError> {
    if (0.0..=1.0).contains(&strength) {
        return Ok(());
    }
    Err(EngineError::Run(format!(
        "strength {strength} is not between 0 and 1"
    )))
}
