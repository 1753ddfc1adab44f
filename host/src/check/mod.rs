//! Is an exported file what it should be? Structure, numbers, and other runtimes' opinions.

mod frames;
mod of_bundle;
mod python;
pub mod second_opinion;

use anyhow::{Context, Result, bail, ensure};
use hone_device::engine::{self, Engine, EngineOptions, FrameView, FrameViewMut, PixelFormat};
use hone_shared::student::{Colour, Precision};
use serde::Serialize;
use tch::Tensor;

use frames::fixed_sides;
pub use frames::{ProbeFrame, probe_frames};
pub use of_bundle::{PartReport, check_bundle};
use python::Asked;

use crate::picture::Picture;
use crate::student::Student;

/// How one executor compares with the board's engine, over all probe frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Who was compared.
    pub with: String,
    /// Share of bytes that are equal, 0..=1.
    pub equal: f64,
    /// Largest difference of a byte.
    pub worst: u8,
    /// The frame it was on.
    pub frame: String,
}

impl Agreement {
    /// Whether bytes are at most one step apart, and at most 0.1 % of them.
    fn is_close(&self) -> bool {
        self.worst <= 1 && self.equal >= 0.999
    }
}

/// What `hone check` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor.
    pub scale: usize,
    /// Halo in pixels; `None` when the whole frame counts.
    pub halo: Option<usize>,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: f64,
    /// Number format.
    pub precision: String,
    /// Which executor the board takes.
    pub engine: String,
    /// File size.
    pub bytes: usize,
    /// Other executors against the board's engine.
    pub agreements: Vec<Agreement>,
    /// What could not be compared, and why.
    pub remarks: Vec<String>,
}

impl Report {
    /// Whether every executor that must agree does: at most one step apart, on at most 0.1 % of
    /// bytes. Agreement with another model, and of an INT8 model with its f32 checkpoint, is told,
    /// not judged.
    pub fn passed(&self) -> bool {
        let int8 = self.precision == Precision::Int8.name();
        let strict = |a: &&Agreement| a.with != OTHER && !(int8 && a.with == CHECKPOINT);
        let mut judged = self.agreements.iter().filter(strict);
        judged.all(Agreement::is_close)
    }
}

/// Name of the comparison with the trained weights.
const CHECKPOINT: &str = "checkpoint in torch";

/// Name of the comparison with another model.
pub const OTHER: &str = "other model";

/// What a model is compared with, beside tract.
#[derive(Default, Clone, Copy)]
pub struct Against<'a> {
    /// Another model, such as the f32 one of an INT8 one.
    pub other: Option<&'a [u8]>,
    /// The trained student that the model was exported from.
    pub checkpoint: Option<&'a dyn Student>,
    /// ONNX Runtime and OpenCV, through Python.
    pub python: bool,
}

/// Checks `model`: the student contract, then the board's engine against tract and what `against`
/// names, on frames that find faults.
///
/// # Errors
/// When the model is no student, cannot be run, or ONNX Runtime refuses it.
pub fn check(model: &[u8], against: Against<'_>) -> Result<Report> {
    let mut board = engine::load(model, EngineOptions::default())?;
    let student = board.student().clone();
    let channels = student.colour.channels();
    let fixed = fixed_sides(model, student.scale)?;
    let frames = probe_frames(channels, student.scale, fixed);
    let want = outputs(board.as_mut(), &frames)?;
    let inputs = inputs(board.as_mut(), &frames)?;
    let mut report = Report {
        colour: student.colour,
        scale: student.scale,
        halo: student.halo,
        macs_per_pixel: student.macs_per_pixel,
        precision: student.precision.to_string(),
        engine: board.description(),
        bytes: model.len(),
        agreements: Vec::new(),
        remarks: Vec::new(),
    };
    if fixed != [None; 2] {
        let side = |side: Option<usize>| side.map_or("any".into(), |s| s.to_string());
        let [height, width] = fixed.map(side);
        report.remarks.push(format!(
            "its input has a fixed size, of width {width} and height {height}: nothing else is compared, for other \
             runtimes take no other; export it with both free"
        ));
    }
    let mut add = |with: &str, got: &[Vec<u8>]| {
        report.agreements.push(compare(with, &frames, &want, got));
    };
    let tract = EngineOptions {
        tract_only: true,
        ..EngineOptions::default()
    };
    let mut tract = engine::load(model, tract).context("tract cannot run the model")?;
    add("tract", &outputs(tract.as_mut(), &frames)?);
    if let Some(trained) = against.checkpoint {
        add(CHECKPOINT, &in_torch(trained, &inputs, channels)?);
    }
    if let Some(other) = against.other {
        let mut engine =
            engine::load(other, EngineOptions::default()).context("in the other model")?;
        let (a, b) = (engine.student().colour, student.colour);
        ensure!(a == b, "the other model restores {a}, this one {b}");
        add(OTHER, &outputs(engine.as_mut(), &frames)?);
    }
    if against.python {
        let asked = Asked {
            frames: &frames,
            inputs: &inputs,
            want: &want,
            channels,
        };
        python::ask(&mut report, model, &asked, board.executor().fused)?;
    }
    Ok(report)
}

fn picture(frame: &ProbeFrame, channels: usize) -> Picture {
    Picture::from_bytes(channels, frame.height, frame.width, &frame.bytes)
}

/// Planes `[C,H,W]` as other runtimes take them, 0..1; for a temporal student those of the frame
/// before follow, as the board gave it.
type Planes = (Vec<f32>, [usize; 3]);

fn inputs(board: &mut dyn Engine, frames: &[ProbeFrame]) -> Result<Vec<Planes>> {
    let temporal = board.student().temporal;
    let channels = board.student().colour.channels();
    let input = |frame: &ProbeFrame| {
        let mut data = picture(frame, channels).data;
        if temporal {
            let before = ProbeFrame {
                bytes: restored(board, &earlier(frame), true)?,
                ..frame.clone()
            };
            data.extend(picture(&before, channels).data);
        }
        let planes = data.len() / (frame.height * frame.width);
        Ok((data, [planes, frame.height, frame.width]))
    };
    frames.iter().map(input).collect()
}

/// The frame that a temporal student sees before `frame`: the same one upside down.
fn earlier(frame: &ProbeFrame) -> ProbeFrame {
    ProbeFrame {
        bytes: frame.bytes.iter().rev().copied().collect(),
        ..frame.clone()
    }
}

/// What the trained weights make of the frames, in torch.
fn in_torch(student: &dyn Student, inputs: &[Planes], channels: usize) -> Result<Vec<Vec<u8>>> {
    let run = |(data, [planes, height, width]): &Planes| {
        let (height, width) = (*height, *width);
        let size = [1, channels, height, width].map(|s| s as i64);
        let x = Tensor::f_from_slice(data)?.reshape([1, *planes as i64, size[2], size[3]]);
        ensure!(
            size[2] % student.multiple() as i64 == 0 && size[3] % student.multiple() as i64 == 0,
            "the run's student takes multiples of {}, the model others",
            student.multiple()
        );
        let y = tch::no_grad(|| student.forward(&x, false).restored).contiguous();
        ensure!(
            y.size() == size,
            "the run's student gives {:?} for {size:?}",
            y.size()
        );
        let picture = Picture {
            channels,
            height,
            width,
            data: Vec::try_from(y.flatten(0, -1))?,
        };
        Ok(picture.to_bytes())
    };
    inputs.iter().map(run).collect()
}

/// What `engine` makes of each frame, of a temporal student as the second of two.
fn outputs(engine: &mut dyn Engine, frames: &[ProbeFrame]) -> Result<Vec<Vec<u8>>> {
    let temporal = engine.student().temporal;
    let output = |frame: &ProbeFrame| {
        if temporal {
            restored(engine, &earlier(frame), true)?;
        }
        restored(engine, frame, !temporal)
    };
    frames.iter().map(output).collect()
}

/// One frame at full strength, as the first of a sequence where `first`; at strength 0 it must come
/// back as it is.
fn restored(engine: &mut dyn Engine, frame: &ProbeFrame, first: bool) -> Result<Vec<u8>> {
    let format = match engine.student().colour {
        Colour::Luma => PixelFormat::Gray8,
        Colour::Rgb => PixelFormat::Rgb8,
    };
    let view = FrameView::packed(format, frame.width, frame.height, &frame.bytes)?;
    let mut bytes = vec![0; frame.bytes.len()];
    if first {
        let mut out = FrameViewMut::packed(format, frame.width, frame.height, &mut bytes)?;
        engine
            .run(&view, &mut out, 0.0)
            .with_context(|| frame.name.clone())?;
        if bytes != frame.bytes {
            bail!("strength 0 changes the frame '{}'", frame.name);
        }
    }
    let mut out = FrameViewMut::packed(format, frame.width, frame.height, &mut bytes)?;
    engine
        .run(&view, &mut out, 1.0)
        .with_context(|| frame.name.clone())?;
    Ok(bytes)
}

fn compare(with: &str, frames: &[ProbeFrame], want: &[Vec<u8>], got: &[Vec<u8>]) -> Agreement {
    let (mut equal, mut total, mut worst, mut name) = (0usize, 0usize, 0u8, String::new());
    for ((frame, want), got) in frames.iter().zip(want).zip(got) {
        for (a, b) in want.iter().zip(got) {
            total += 1;
            equal += usize::from(a == b);
            if a.abs_diff(*b) > worst {
                worst = a.abs_diff(*b);
                name.clone_from(&frame.name);
            }
        }
    }
    let equal = equal as f64 / total.max(1) as f64;
    Agreement {
        with: with.to_owned(),
        equal,
        worst,
        frame: name,
    }
}

#[cfg(test)]
mod tests;
