//! Inference on camera frames: u8 planes in, u8 planes out, `out = clamp(frame + strength * residual)`.

mod affinity;
mod chain;
#[cfg(test)]
mod deep;
#[cfg(test)]
mod dialects;
mod frame;
mod fused;
mod interface;
mod isa;
mod kernels;
mod limit;
mod memory;
mod model;
mod normalise;
mod peak;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod planes;
mod pool;
#[cfg(test)]
mod random;
mod reach;
mod rows;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sequences;
mod stored;
#[cfg(test)]
mod tests;
mod tract;

pub use frame::{FrameError, FrameView, FrameViewMut, PixelFormat, Plane, PlaneMut};
pub use isa::Isa;

use chain::Chain;
use hone_shared::limit::REACH;
use hone_shared::student::{Colour, ConvChain, Precision};
use rows::Source;

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
    /// Whether it also sees what it gave for the frame before; the engine keeps that.
    pub temporal: bool,
    /// Whether its output is held to the overshoot limit ([`hone_shared::limit`]).
    pub limited: bool,
}

impl StudentInfo {
    fn of(model: &model::Model, reach: &reach::Reach) -> Self {
        let least = if model.limited { REACH } else { 0 };
        Self {
            colour: model.colour,
            scale: reach.scale,
            halo: reach
                .halo
                .map(|h| h.max(least.next_multiple_of(reach.scale))),
            precision: model.precision,
            macs_per_pixel: reach.macs_per_pixel,
            temporal: model.temporal,
            limited: model.limited,
        }
    }
}

/// How an engine is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// Worker threads, the calling one included; 0 takes one for each core.
    pub threads: usize,
    /// Keep each worker to one core.
    pub pin: bool,
    /// Always take tract, never the fused executor.
    pub tract_only: bool,
    /// Measure which way to compute each f32 layer is fastest, once on a board, instead of taking
    /// the usual one. Results differ in their last bits between the ways.
    pub measure: bool,
    /// Kernels to use; `None` takes what `HONE_ISA` names, or the best of this machine.
    pub isa: Option<Isa>,
}

/// What runs a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executor {
    /// The fused executor, not tract.
    pub fused: bool,
    /// Instruction set of the fused executor's kernels; `None` with tract, which chooses its own.
    pub isa: Option<Isa>,
    /// Threads, the calling one included.
    pub threads: usize,
}

/// Runs one student on frames, one after another. A temporal student takes each for the continuation of
/// the one before, unless [`Engine::reset`] says otherwise, the size has changed, or the strength was 0.
pub trait Engine: Send {
    /// What is loaded.
    fn student(&self) -> &StudentInfo;

    /// One line for people: which executor, precision, instruction set, threads.
    fn description(&self) -> String;

    /// What runs the student; engines made for tests need not say.
    fn executor(&self) -> Executor {
        Executor {
            fused: false,
            isa: None,
            threads: 1,
        }
    }

    /// Bytes of working memory held between frames of one size, where the executor knows.
    fn memory(&self) -> Option<usize> {
        None
    }

    /// Side of the squares of blocks (of [`StudentInfo::scale`] pixels) that are computed together, where
    /// that shows in the last bits: pieces of a frame give the whole one's bits when they are cut at
    /// multiples of it and every convolution sees whole squares around.
    fn grid(&self) -> usize {
        1
    }

    /// The next frame does not continue the one before: a cut, another camera, a pause. Nothing to
    /// students that see single frames.
    fn reset(&mut self) {}

    /// Restores `frame` into `out` (same format and size). Planes that the student does not restore
    /// are copied. `strength` is in 0..=1; at 0 the output is the input, byte for byte. What a temporal
    /// student sees of the frame before is always at strength 1: how much is shown changes nothing else.
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
    let student = StudentInfo::of(&model, &reach::reach(&model)?);
    let chain = match options.tract_only {
        true => None,
        false => chain::recognise(&model).ok(),
    };
    match chain {
        Some(Chain::F32(chain)) => fused::f32_engine(&chain, student, isa, options),
        Some(Chain::Int8(chain)) => fused::int8_engine(&chain, student, isa, options),
        None => Ok(Box::new(tract::TractEngine::new(&model, student, options)?)),
    }
}

/// The convolutions of an ONNX student in f32, for those who train it further.
///
/// # Errors
/// As [`load`], and when the student is INT8 or no chain of convolutions.
pub fn convolutions(model: &[u8]) -> Result<ConvChain, EngineError> {
    let model = model::Model::parse(model)?;
    chain::convolutions(&model).map_err(EngineError::Load)
}

/// What a model is and how it would run.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The student.
    pub student: StudentInfo,
    /// Whether every convolution is counted at the step that it really works in.
    pub cost_is_known: bool,
    /// The fused executor's layers, one short text each, or why tract runs the model.
    pub layers: Result<Vec<String>, String>,
}

/// Reads an ONNX student without preparing to run it.
///
/// # Errors
/// As [`load`].
pub fn describe(model: &[u8]) -> Result<Description, EngineError> {
    let model = model::Model::parse(model)?;
    let text = |i: usize, o: usize, k: usize| format!("{k}x{k} {i} to {o}");
    let reach = reach::reach(&model)?;
    Ok(Description {
        student: StudentInfo::of(&model, &reach),
        cost_is_known: reach.cost_is_known,
        layers: chain::recognise(&model).map(|chain| match chain {
            Chain::F32(c) => c
                .chain
                .layers
                .iter()
                .map(|l| text(l.inputs, l.outputs, l.kernel))
                .collect(),
            Chain::Int8(c) => c
                .layers
                .iter()
                .map(|l| text(l.inputs, l.outputs, l.kernel))
                .collect(),
        }),
    })
}

/// Whether the fused executor runs an ONNX student, which takes an INT8 one to be computed in integers.
pub fn is_fused(model: &[u8]) -> bool {
    describe(model).is_ok_and(|found| found.layers.is_ok())
}

/// 10^9 multiply-accumulates a second that `threads` threads of this machine reach with the kernels
/// of an instruction set on data in the first-level cache.
///
/// # Errors
/// [`EngineError::Run`] when threads cannot be started or the machine lacks the instructions.
pub fn peak(isa: Isa, precision: Precision, threads: usize) -> Result<f64, EngineError> {
    if !isa.is_available() {
        return Err(EngineError::Run(format!(
            "this machine has no {}",
            isa.name()
        )));
    }
    let pool = pool::Pool::new(threads, false);
    let mut pool = pool.map_err(|e| EngineError::Run(format!("cannot start threads: {e}")))?;
    Ok(peak::peak(isa, precision, &mut pool))
}

/// What every executor does before a frame: holds `out` and the strength to what they may be. Gives the samples to restore;
/// none at strength 0, where the frame is then in `out` as it came.
///
/// # Errors
/// Whatever does not fit.
fn begin<'a>(
    frame: &FrameView<'a>,
    out: &mut FrameViewMut<'_>,
    colour: Colour,
    strength: f32,
) -> Result<Option<Source<'a>>, EngineError> {
    out.validate_against(frame)?;
    if !(0.0..=1.0).contains(&strength) {
        return Err(EngineError::Run(format!(
            "strength {strength} is not between 0 and 1"
        )));
    }
    let source = Source::new(frame, colour)?;
    if strength == 0.0 {
        rows::copy_planes(frame, out, 0);
        return Ok(None);
    }
    Ok(Some(source))
}
