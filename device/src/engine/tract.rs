//! Any student through tract, band by band.
//!
//! The graph is cut before its last Add, so that the residual comes out as the network made it:
//! `restored - frame` would lose its low bits to the sum's rounding.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use hone_shared::student::{INPUT_NAME, OUTPUT_NAME, PREVIOUS_NAME, Precision};
use hone_shared::tiling::{Span, spans};
use tract_onnx::pb::{ModelProto, ValueInfoProto};
use tract_onnx::prelude::*;

use super::frame::{FrameView, FrameViewMut};
use super::limit::{Extent, Limit};
use super::memory::{Feedback, Memory};
use super::model::{MAX_ELEMENTS, Model};
use super::pool::Pool;
use super::rows::{Sink, Source};
use super::{Engine, EngineError, EngineOptions, Executor, StudentInfo};

/// Rows of a band, about: enough that halos cost little, few enough that feature maps stay small.
const BAND: usize = 128;
/// Plans kept, one for each size of band; more where one frame takes more.
const MAX_PLANS: usize = 16;
/// Numbers of one tensor for each pixel that are believed of a student where they are more than a file may store.
const MAX_PER_PIXEL: usize = 512;

type Plan = Arc<TypedRunnableModel>;

/// Runs one student through tract.
pub(super) struct TractEngine {
    student: StudentInfo,
    model: InferenceModel,
    /// The frame, then what a temporal student gave before: where the model takes them.
    inputs: Vec<usize>,
    memory: Option<Memory>,
    /// For heights and widths, the last used last.
    plans: Vec<((usize, usize), Plan)>,
    pool: Pool,
}

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// tract asserts what it thinks impossible; on a file from outside that must be an error, and nothing else on the terminal.
fn guard<T>(what: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                report(info);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(what));
    GUARDED.set(false);
    match result {
        Ok(result) => result.map_err(|e| format!("{e:#}").replace('\n', " ")),
        Err(_) => Err("tract gave up on it".into()),
    }
}

/// The graph without its last Add: `residual` is what it gives.
fn cut(model: &Model) -> ModelProto {
    let mut proto = model.proto.clone();
    if let Some(graph) = &mut proto.graph {
        graph
            .node
            .retain(|n| !n.output.iter().any(|o| o == OUTPUT_NAME));
        // Shapes that exporters leave behind may not fit bands, and tract infers them anyway.
        graph.value_info.clear();
        graph.output = vec![ValueInfoProto {
            name: model.residual.clone(),
            ..ValueInfoProto::default()
        }];
    }
    proto
}

impl TractEngine {
    /// Translates the model and runs it once on a few pixels, so that what cannot run is found here.
    pub fn new(
        model: &Model,
        student: StudentInfo,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        let proto = cut(model);
        let translated = guard(|| onnx().model_for_proto_model(&proto));
        let translated = translated.map_err(EngineError::Load)?;
        let outlets = translated.input_outlets().unwrap_or_default();
        let place = |name: &str| {
            let named = |outlet: &OutletId| translated.node(outlet.node).name == name;
            let place = outlets.iter().position(named);
            place.ok_or_else(|| EngineError::Load(format!("tract finds no input '{name}' in it")))
        };
        let mut inputs = vec![place(INPUT_NAME)?];
        if model.temporal {
            inputs.push(place(PREVIOUS_NAME)?);
        }
        let pool = Pool::new(options.threads, options.pin)
            .map_err(|e| EngineError::Run(format!("cannot start threads: {e}")))?;
        let mut engine = Self {
            student,
            inputs,
            memory: model.temporal.then(|| Memory::new(model.colour)),
            model: translated,
            plans: Vec::new(),
            pool,
        };
        let side = 8 * engine.student.scale;
        let plan = engine.plan(side, side).map_err(EngineError::Load)?;
        let shape = [1, model.colour.channels(), side, side];
        let frame = Tensor::zero::<f32>(&shape).map_err(|e| EngineError::Load(e.to_string()))?;
        let frames = vec![frame; engine.inputs.len()];
        infer(&plan, &engine.inputs, frames, shape).map_err(EngineError::Load)?;
        Ok(engine)
    }

    fn plan(&mut self, height: usize, width: usize) -> Result<Plan, String> {
        if let Some(at) = self.plans.iter().position(|p| p.0 == (height, width)) {
            let found = self.plans.remove(at);
            let plan = Arc::clone(&found.1);
            self.plans.push(found);
            return Ok(plan);
        }
        let shape = [1, self.student.colour.channels(), height, width];
        let typed = guard(|| {
            let mut model = self.model.clone();
            for &input in &self.inputs {
                model.set_input_fact(input, f32::fact(shape).into())?;
            }
            model.into_typed()
        })?;
        check_memory(&typed, shape)?;
        let plan = guard(|| typed.into_optimized()?.into_runnable())?;
        self.plans.push(((height, width), Arc::clone(&plan)));
        Ok(plan)
    }

    /// Bands of the padded frame with their plans.
    fn bands(&mut self, width: usize, height: usize) -> Result<Vec<(Span, Plan)>, String> {
        let scale = self.student.scale;
        let (width, height) = (
            width.next_multiple_of(scale),
            height.next_multiple_of(scale),
        );
        let (count, halo) = match self.student.halo {
            Some(halo) => {
                let rows = BAND.max(8 * halo);
                (
                    height.div_ceil(rows).next_multiple_of(self.pool.threads()),
                    halo,
                )
            }
            None => (1, 0),
        };
        let spans = spans(height, count, halo, scale);
        let most = MAX_PLANS.max(spans.len());
        let bands = spans
            .into_iter()
            .map(|span| Ok((span, self.plan(span.read_end - span.read_start, width)?)))
            .collect();
        // Those of this frame are the last used.
        self.plans.drain(..self.plans.len().saturating_sub(most));
        bands
    }
}

/// No tensor is of a size that fills a machine's memory.
fn check_memory(model: &TypedModel, shape: [usize; 4]) -> Result<(), String> {
    let [_, _, height, width] = shape;
    let most = (MAX_PER_PIXEL * width * height).max(MAX_ELEMENTS as usize);
    for node in model.nodes() {
        let shapes = node
            .outputs
            .iter()
            .filter_map(|o| o.fact.shape.as_concrete());
        for sides in shapes {
            let numbers = sides
                .iter()
                .try_fold(1_usize, |n, &side| n.checked_mul(side));
            if numbers.is_none_or(|numbers| numbers > most) {
                return Err(format!(
                    "node '{}' makes more than {most} numbers for a frame of {width}x{height}",
                    node.name
                ));
            }
        }
    }
    Ok(())
}

/// Runs `plan`, whose inputs take `frames` in the order of `inputs`, and sees that the residual has
/// the frame's shape.
fn infer(
    plan: &Plan,
    inputs: &[usize],
    frames: Vec<Tensor>,
    shape: [usize; 4],
) -> Result<Tensor, String> {
    let mut placed: Vec<_> = inputs.iter().zip(frames).collect();
    placed.sort_by_key(|(place, _)| **place);
    let values = placed.into_iter().map(|(_, frame)| frame.into()).collect();
    let mut outputs = guard(|| plan.run(values))?;
    let residual = outputs.remove(0).into_tensor();
    if residual.shape() != shape || residual.datum_type() != f32::datum_type() {
        return Err(format!(
            "for a frame of shape {shape:?} its residual is {:?} of shape {:?}",
            residual.datum_type(),
            residual.shape()
        ));
    }
    Ok(residual)
}

/// One frame on its way through tract.
struct Task<'a> {
    source: Source<'a>,
    sink: Sink<'a>,
    feedback: Option<Feedback<'a>>,
    inputs: &'a [usize],
    extent: Extent,
    limited: bool,
}

/// Rows of samples as `[1,C,rows,width]`, 0..1.
fn planar(source: &Source<'_>, task: &Task<'_>, span: &Span) -> Result<Tensor, String> {
    let (width, channels) = (task.extent.width, task.extent.channels);
    let rows = span.read_end - span.read_start;
    let mut scratch = vec![0_u8; width * channels];
    let mut planar = vec![0.0_f32; rows * width * channels];
    for y in 0..rows {
        let row = source.row(span.read_start + y, 0, width, &mut scratch);
        for (x, pixel) in row.chunks_exact(channels).enumerate() {
            for (c, &byte) in pixel.iter().enumerate() {
                planar[(c * rows + y) * width + x] = f32::from(byte) / 255.0;
            }
        }
    }
    Tensor::from_shape(&[1, channels, rows, width], &planar).map_err(|e| e.to_string())
}

/// Restores one band.
fn run_band(task: &Task<'_>, band: &(Span, Plan)) -> Result<(), String> {
    let (span, plan) = band;
    let (width, channels) = (task.extent.width, task.extent.channels);
    let rows = span.read_end - span.read_start;
    let previous = task.feedback.as_ref().map(|f| &f.previous);
    let frames = std::iter::once(&task.source).chain(previous);
    let frames = frames.map(|source| planar(source, task, span));
    let frames = frames.collect::<Result<Vec<_>, _>>()?;
    let residual = infer(plan, task.inputs, frames, [1, channels, rows, width])?;
    let residual = residual
        .view()
        .as_slice::<f32>()
        .map_err(|e| e.to_string())?
        .to_vec();
    let mut line = vec![0.0_f32; width * channels];
    let mut scratch = vec![0_u8; width * channels];
    let mut limit = Limit::default();
    for y in span.start..span.end {
        for c in 0..channels {
            let from = (c * rows + y - span.read_start) * width;
            for (x, value) in residual[from..from + width].iter().enumerate() {
                line[x * channels + c] = 255.0 * value;
            }
        }
        let bounds = task
            .limited
            .then(|| limit.row(&task.source, task.extent, y, 0..width));
        // SAFETY: bands do not overlap and each is taken by one thread.
        unsafe { task.sink.write(y, 0, &line, bounds) };
        if let Some(feedback) = &task.feedback {
            let samples = task.source.row(y, 0, width, &mut scratch);
            // SAFETY: as above.
            unsafe { feedback.write((y, 0), samples, &line, bounds) };
        }
    }
    Ok(())
}

impl Engine for TractEngine {
    fn student(&self) -> &StudentInfo {
        &self.student
    }

    fn description(&self) -> String {
        let halo = match self.student.halo {
            Some(halo) => format!("bands with a halo of {halo}"),
            None => "whole frames".into(),
        };
        let precision = match self.student.precision {
            Precision::F32 => "f32",
            // What lies between QuantizeLinear and DequantizeLinear is computed in f32.
            Precision::Int8 => "int8 run as f32 (smaller on disk, but slower)",
        };
        let threads = self.pool.threads();
        format!("tract, {precision}, {halo}, {threads} threads")
    }

    fn executor(&self) -> Executor {
        Executor {
            fused: false,
            isa: None,
            threads: self.pool.threads(),
        }
    }

    fn reset(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.forget();
        }
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        let Some(source) = super::begin(frame, out, self.student.colour, strength)? else {
            self.reset();
            return Ok(());
        };
        let bands = self
            .bands(frame.width, frame.height)
            .map_err(EngineError::Run)?;
        let feedback = match &mut self.memory {
            Some(memory) => Some(memory.open(frame, source, 1.0)?),
            None => None,
        };
        let task = Task {
            source,
            sink: Sink::new(source, frame, out, strength)?,
            feedback,
            inputs: &self.inputs,
            extent: source.extent(self.student.scale),
            limited: self.student.limited,
        };
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let job = |_| {
            while let Some(band) = bands.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = run_band(&task, band) {
                    failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(error);
                }
            }
        };
        let done = self.pool.run(&job);
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let result = match (failure, done) {
            (Some(error), _) => Err(EngineError::Run(error)),
            (None, Err(_)) => Err(EngineError::Run("a worker thread failed".into())),
            (None, Ok(())) => Ok(()),
        };
        if let Some(memory) = &mut self.memory {
            memory.close(result.is_ok(), (frame.width, frame.height));
        }
        result
    }
}
