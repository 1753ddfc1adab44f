//! Is an exported file what it should be? Structure, numbers, and other runtimes' opinions.

mod frames;
pub mod second_opinion;

use anyhow::{Context, Result, bail, ensure};
use hone_device::engine::{self, Engine, EngineOptions, FrameView, FrameViewMut, PixelFormat};
use hone_shared::student::Colour;
use serde::Serialize;

pub use frames::{ProbeFrame, probe_frames};
use second_opinion::{Runtime, SecondOpinion};

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
}

impl Report {
    /// Whether every executor that must agree does: at most one step apart, on at most 0.1 % of
    /// bytes. Agreement with another model (`other`) is told, not judged.
    pub fn passed(&self) -> bool {
        let strict = self.agreements.iter().filter(|a| a.with != OTHER);
        strict.into_iter().all(|a| a.worst <= 1 && a.equal >= 0.999)
    }
}

/// Name of the comparison with another model.
const OTHER: &str = "other model";

/// Checks `model`: the student contract, then the board's engine against tract, ONNX Runtime
/// (through Python, unless `python` is false) and `other`, such as the f32 model of an INT8 one.
///
/// # Errors
/// When the model is no student, cannot be run, or another runtime refuses it.
pub fn check(model: &[u8], other: Option<&[u8]>, python: bool) -> Result<Report> {
    let mut board = engine::load(model, EngineOptions::default())?;
    let student = board.student().clone();
    let frames = probe_frames(student.colour.channels(), student.scale);
    let want = outputs(board.as_mut(), &frames)?;
    let mut agreements = Vec::new();
    let tract = EngineOptions {
        tract_only: true,
        ..EngineOptions::default()
    };
    let mut tract = engine::load(model, tract).context("tract cannot run the model")?;
    agreements.push(compare(
        "tract",
        &frames,
        &want,
        &outputs(tract.as_mut(), &frames)?,
    ));
    if python {
        let opinion = SecondOpinion::new(model)?;
        let shape = |f: &ProbeFrame| [student.colour.channels(), f.height, f.width];
        let planes = |f: &ProbeFrame| {
            crate::picture::Picture::from_bytes(
                student.colour.channels(),
                f.height,
                f.width,
                &f.bytes,
            )
            .data
        };
        let inputs: Vec<_> = frames.iter().map(|f| (planes(f), shape(f))).collect();
        let restored = opinion.run_all(Runtime::Ort, &inputs)?;
        let got: Vec<Vec<u8>> = restored
            .into_iter()
            .zip(&inputs)
            .map(|(data, (_, [channels, height, width]))| {
                crate::picture::Picture {
                    channels: *channels,
                    height: *height,
                    width: *width,
                    data,
                }
                .to_bytes()
            })
            .collect();
        agreements.push(compare("ONNX Runtime", &frames, &want, &got));
    }
    if let Some(other) = other {
        let mut engine =
            engine::load(other, EngineOptions::default()).context("in the other model")?;
        let (a, b) = (engine.student().colour, student.colour);
        ensure!(a == b, "the other model restores {a}, this one {b}");
        agreements.push(compare(
            OTHER,
            &frames,
            &want,
            &outputs(engine.as_mut(), &frames)?,
        ));
    }
    Ok(Report {
        colour: student.colour,
        scale: student.scale,
        halo: student.halo,
        macs_per_pixel: student.macs_per_pixel,
        precision: student.precision.to_string(),
        engine: board.description(),
        bytes: model.len(),
        agreements,
    })
}

fn outputs(engine: &mut dyn Engine, frames: &[ProbeFrame]) -> Result<Vec<Vec<u8>>> {
    let format = match engine.student().colour {
        Colour::Luma => PixelFormat::Gray8,
        Colour::Rgb => PixelFormat::Rgb8,
    };
    let mut restored = Vec::with_capacity(frames.len());
    for frame in frames {
        let mut bytes = vec![0; frame.bytes.len()];
        let view = FrameView::packed(format, frame.width, frame.height, &frame.bytes)?;
        let mut out = FrameViewMut::packed(format, frame.width, frame.height, &mut bytes)?;
        engine
            .run(&view, &mut out, 1.0)
            .with_context(|| frame.name.clone())?;
        restored.push(bytes);
        let mut untouched = vec![0; frame.bytes.len()];
        let mut out = FrameViewMut::packed(format, frame.width, frame.height, &mut untouched)?;
        engine
            .run(&view, &mut out, 0.0)
            .with_context(|| frame.name.clone())?;
        if untouched != frame.bytes {
            bail!("strength 0 changes the frame '{}'", frame.name);
        }
    }
    Ok(restored)
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
mod tests {
    use super::*;
    use crate::onnx::tests::{SHAPES, float_chain};
    use crate::onnx::{Format, Metadata, write_chain_f32};
    use crate::quantise::{QuantiseConfig, quantise};

    #[test]
    fn exported_students_pass_on_engine_tract_and_onnx_runtime() {
        for (seed, (colour, scale, kernels)) in SHAPES.into_iter().enumerate() {
            let chain = float_chain(colour, scale, kernels, seed as u64);
            let metadata = Metadata {
                name: "test".into(),
                recipe_sha256: None,
                scale,
                halo: Some(chain.halo()),
            };
            let frame =
                tch::Tensor::rand([1, colour.channels() as i64, 32, 32], tch::kind::FLOAT_CPU);
            let int8 = quantise(&chain, &[frame], &QuantiseConfig::default()).unwrap();
            let float = write_chain_f32(&chain, &metadata);
            let int8 = int8.write(Format::Qdq, &metadata);
            let report = check(&int8, Some(&float), seed == 0).unwrap();
            assert!(report.passed(), "{report:?}");
            assert_eq!((report.scale, report.halo), (scale, Some(chain.halo())));
            let report = check(&float, None, seed == 0).unwrap();
            assert!(report.passed(), "{report:?}");
        }
    }

    #[test]
    fn what_is_no_student_is_refused() {
        let error = check(b"no model at all", None, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no ONNX file"), "{error}");
    }
}
