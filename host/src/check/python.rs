//! What ONNX Runtime and OpenCV make of the probe frames.

use anyhow::{Result, bail};
use hone_shared::student::Precision;

use super::second_opinion::{Runtime, SecondOpinion};
use super::{Agreement, Planes, ProbeFrame, Report, compare};
use crate::picture::Picture;

/// The frames, and what the board takes and gives for them.
pub(super) struct Asked<'a> {
    /// What they show.
    pub frames: &'a [ProbeFrame],
    /// What a network reads.
    pub inputs: &'a [Planes],
    /// The board's bytes.
    pub want: &'a [Vec<u8>],
    /// Planes restored.
    pub channels: usize,
}

/// Adds the runtimes' agreements, and what is remarkable about them, to `report`.
///
/// # Errors
/// When ONNX Runtime refuses `model`.
pub(super) fn ask(report: &mut Report, model: &[u8], asked: &Asked<'_>, fused: bool) -> Result<()> {
    let opinion = SecondOpinion::new(model)?;
    let all: Vec<usize> = (0..asked.frames.len()).collect();
    let (found, taken) = one(
        report,
        &opinion,
        (Runtime::Ort, "ONNX Runtime"),
        asked,
        &all,
    )?;
    report.agreements.push(found);
    // ONNX Runtime and tract agree on graphs; OpenCV may have numbers of its own there.
    let graph = report.precision == Precision::Int8.name() && !fused;
    // What ONNX does not define at a size, OpenCV makes up.
    match one(report, &opinion, (Runtime::OpenCv, "OpenCV DNN"), asked, &taken) {
        Ok((found, _)) if found.is_close() || !graph => report.agreements.push(found),
        Ok((found, _)) => report.remarks.push(format!(
            "OpenCV DNN has its own arithmetic for INT8 students that are no chains: {:.1} % of bytes equal, worst {}",
            100.0 * found.equal,
            found.worst
        )),
        // OpenCV reads a part of ONNX only; a student outside that part is no worse for it.
        Err(error) => report
            .remarks
            .push(format!("OpenCV DNN does not run it: {error:#}")),
    }
    Ok(())
}

/// How one runtime agrees on those of the frames that it takes, and which those are; the ones that it refuses are remarked.
fn one(
    report: &mut Report,
    opinion: &SecondOpinion,
    (runtime, name): (Runtime, &str),
    asked: &Asked<'_>,
    which: &[usize],
) -> Result<(Agreement, Vec<usize>)> {
    let inputs: Vec<Planes> = which.iter().map(|&i| asked.inputs[i].clone()).collect();
    let (mut taken, mut got) = (Vec::new(), Vec::new());
    let (mut refused, mut words) = (Vec::new(), None);
    let answers = opinion.run_all(runtime, &inputs)?;
    for (answer, &i) in answers.into_iter().zip(which) {
        let (width, height) = (asked.frames[i].width, asked.frames[i].height);
        match answer {
            Ok(data) => {
                let picture = Picture {
                    channels: asked.channels,
                    height,
                    width,
                    data,
                };
                taken.push(i);
                got.push(picture.to_bytes());
            }
            Err(said) => {
                refused.push(format!("{width}x{height}"));
                words.get_or_insert(said);
            }
        }
    }
    refused.dedup();
    match words {
        Some(words) if got.is_empty() => bail!("onnx check failed: {words}"),
        Some(words) => report.remarks.push(format!(
            "{name} refuses frames of {}, which the board restores: {words}",
            refused.join(", ")
        )),
        None => {}
    }
    let frames: Vec<ProbeFrame> = taken.iter().map(|&i| asked.frames[i].clone()).collect();
    let want: Vec<Vec<u8>> = taken.iter().map(|&i| asked.want[i].clone()).collect();
    Ok((compare(name, &frames, &want, &got), taken))
}
