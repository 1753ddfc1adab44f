//! Measuring the engine on this machine: time for a frame, share of the machine's peak, memory, and
//! ONNX Runtime beside it in the same run.

pub mod choose;
pub(crate) mod memory;
mod peer;

use std::time::{Duration, Instant};

use hone_shared::student::{Colour, Precision};
use serde::Serialize;

use crate::engine::{
    self, Engine, EngineError, EngineOptions, FrameView, FrameViewMut, Isa, PixelFormat,
};
pub use peer::{Peer, PeerError};

/// Frames timed in a row before the peer's turn.
const BLOCK: usize = 6;
/// Pause before each turn: ONNX Runtime's threads spin for a while after a run and would take a
/// core from the other side.
const PAUSE: Duration = Duration::from_millis(60);

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct BenchOptions {
    /// Frame width in pixels.
    pub width: usize,
    /// Frame height in pixels.
    pub height: usize,
    /// Least number of frames timed.
    pub frames: usize,
    /// How the engine runs.
    pub engine: EngineOptions,
}

/// What was measured. Times are from camera bytes to sharpened bytes.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Frame size as `WIDTHxHEIGHT`.
    pub size: String,
    /// Planes restored.
    pub colour: Colour,
    /// Number format of the convolutions.
    pub precision: Precision,
    /// Instruction set of the fused executor's kernels; none with tract, which chooses its own.
    pub isa: Option<&'static str>,
    /// Threads, the caller's included.
    pub threads: usize,
    /// Whether the fused executor ran it.
    pub fused: bool,
    /// Frames timed.
    pub frames: usize,
    /// Median time for a frame in milliseconds.
    pub median_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// Frames per second at the median.
    pub fps: f64,
    /// Multiply-accumulates of the network, in 10^9 for a frame.
    pub gmac: f64,
    /// Multiply-accumulates of the network in 10^9 a second; Winograd executes fewer.
    pub gmac_per_s: f64,
    /// The machine's own peak for this precision, instruction set and number of threads; none with tract.
    pub peak_gmac_per_s: Option<f64>,
    /// `gmac_per_s / peak_gmac_per_s`; may exceed 1 with Winograd.
    pub peak_share: Option<f64>,
    /// Bytes of camera planes read and written for a frame.
    pub frame_bytes: usize,
    /// Working memory between frames, in bytes, where the executor knows.
    pub memory_bytes: Option<usize>,
    /// By how much the process's resident memory grew at its peak, from before the model was loaded
    /// to the last frame, where the system tells. The frames themselves are not counted.
    pub extra_memory_bytes: Option<usize>,
    /// From the model's bytes to the first sharpened frame, in milliseconds.
    pub start_ms: f64,
    /// ONNX Runtime's median in milliseconds: the network alone, f32 tensors in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ort_median_ms: Option<f64>,
    /// ONNX Runtime's median over ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ort_ratio: Option<f64>,
}

/// A frame of noise and the engine that restores it.
struct Bench {
    engine: Box<dyn Engine>,
    format: PixelFormat,
    size: (usize, usize),
    frame: Vec<u8>,
    out: Vec<u8>,
}

impl Bench {
    fn once(&mut self) -> Result<f64, EngineError> {
        let (width, height) = self.size;
        let frame = FrameView::packed(self.format, width, height, &self.frame)?;
        let mut out = FrameViewMut::packed(self.format, width, height, &mut self.out)?;
        let start = Instant::now();
        self.engine.run(&frame, &mut out, 1.0)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// Measures `model`, with turns for `peer` in between when there is one.
///
/// # Errors
/// Whatever loading or running the model gives, or the peer's failure.
pub fn measure(
    model: &[u8],
    options: BenchOptions,
    mut peer: Option<&mut Peer>,
) -> Result<BenchReport, BenchError> {
    let (width, height) = (options.width, options.height);
    let (format, planes) = match engine::describe(model)?.student.colour {
        Colour::Luma => (PixelFormat::Gray8, 1),
        Colour::Rgb => (PixelFormat::Rgb8, 3),
    };
    let bytes = width * height * planes;
    let (frame, out) = (noise(bytes), vec![255; bytes]);
    let memory = memory::Growth::start();
    let start = Instant::now();
    let mut bench = Bench {
        engine: engine::load(model, options.engine)?,
        format,
        size: (width, height),
        frame,
        out,
    };
    let student = bench.engine.student().clone();
    bench.once()?;
    let start_ms = start.elapsed().as_secs_f64() * 1e3;
    let executor = bench.engine.executor();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    while ours.len() < options.frames.max(1) {
        if let Some(peer) = &mut peer {
            std::thread::sleep(PAUSE);
            theirs.extend(peer.run(BLOCK)?);
            std::thread::sleep(PAUSE);
        }
        bench.once()?;
        for _ in 0..BLOCK {
            ours.push(bench.once()?);
        }
    }
    let extra_memory_bytes = memory.bytes();
    let median_ms = quantile(&mut ours, 0.5);
    let gmac = student.macs_per_pixel * (width * height) as f64 / 1e9;
    let gmac_per_s = gmac / median_ms * 1e3;
    let peak = |isa| engine::peak(isa, student.precision, executor.threads);
    let peak = executor.isa.map(peak).transpose()?;
    let ort_median_ms = (!theirs.is_empty()).then(|| quantile(&mut theirs, 0.5));
    Ok(BenchReport {
        size: format!("{width}x{height}"),
        colour: student.colour,
        precision: student.precision,
        isa: executor.isa.map(Isa::name),
        threads: executor.threads,
        fused: executor.fused,
        frames: ours.len(),
        median_ms,
        p99_ms: quantile(&mut ours, 0.99),
        fps: 1e3 / median_ms,
        gmac,
        gmac_per_s,
        peak_gmac_per_s: peak,
        peak_share: peak.map(|peak| gmac_per_s / peak),
        frame_bytes: 2 * bytes,
        memory_bytes: bench.engine.memory(),
        extra_memory_bytes,
        start_ms,
        ort_median_ms,
        ort_ratio: ort_median_ms.map(|ms| ms / median_ms),
    })
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The engine's error.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// ONNX Runtime's.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Bytes without a pattern: the engine's time does not depend on them, a compressor's would.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The value that a share `q` of `times` stays under; sorts them.
fn quantile(times: &mut [f64], q: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = (times.len() as f64 * q) as usize;
    times
        .get(at.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_order_statistics() {
        let mut times: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut times, 0.5), 51.0);
        assert_eq!(quantile(&mut times, 0.99), 100.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
