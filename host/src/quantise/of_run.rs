//! The INT8 student of a trained run, calibrated on its recipe's data.

use anyhow::{Result, ensure};
use hone_shared::student::{Colour, ConvChain};
use tch::Tensor;

use super::graph::convolutions;
use super::of_graph::quantise_graph_after;
use super::pictures::judges;
use super::sensitivity::psnr;
use super::{
    Before, LayerLoss, MixedChain, MixedGraph, QuantiseConfig, calibration_pairs,
    calibration_sequences, fine_tune_on, quantise, quantise_graph, sensitivity,
    sensitivity_of_graph,
};
use crate::data;
use crate::data::source::PairSource;
use crate::onnx::{Format, Metadata};
use crate::train::run::LoadedRun;

/// A run's student in INT8, and what it was made from.
pub struct Quantised<'a> {
    run: &'a LoadedRun,
    form: Form<'a>,
    /// Degraded and true patches it was calibrated on.
    pairs: Vec<(Tensor, Tensor)>,
    config: QuantiseConfig,
    fine_tuning_was_worse: bool,
}

impl std::fmt::Debug for Quantised<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.form.fmt(f)
    }
}

/// What the student is made of.
#[derive(Debug)]
enum Form<'a> {
    Chain { float: ConvChain, int8: MixedChain },
    Graph(MixedGraph<'a>),
}

/// How far a quantisation is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// Layers of a graph that have their ranges.
    Layers {
        /// So many.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Updates of a fine-tuning.
    Updates {
        /// So many.
        done: u64,
        /// The last one's loss.
        loss: f64,
    },
}

/// Whether a run's student can be written so, which is known before it is quantised.
///
/// # Errors
/// When it is no chain, and QOperator is wanted.
pub fn check_format(run: &LoadedRun, format: Format) -> Result<()> {
    ensure!(
        format == Format::Qdq || run.student.graph().is_none(),
        "a {} has operations that QOperator has no form for: take --format qdq",
        run.recipe.student.architecture()
    );
    Ok(())
}

/// Quantises the best weights of `run` by `config` and tells `progress` how far it is.
///
/// # Errors
/// When the run's data cannot be read, the student cannot be quantised, or a student that is no chain
/// is to be fine-tuned.
pub fn of_run<'a>(
    run: &'a LoadedRun,
    config: &QuantiseConfig,
    mut progress: impl FnMut(Progress),
) -> Result<Quantised<'a>> {
    config.validate()?;
    let graph = run.student.graph();
    ensure!(
        graph.is_none() || !config.qat,
        "quantise.qat fine-tunes chains of convolutions only: a {} is quantised without (`--no-qat`, or qat = \
         false in the recipe)",
        run.recipe.student.architecture()
    );
    let colour = run.recipe.colour;
    let source = data::open(&run.recipe.data, &run.text.base)?;
    let seed = run.recipe.seed;
    let inputs = |pairs: &[(Tensor, Tensor)]| -> Vec<Tensor> {
        pairs.iter().map(|p| p.0.shallow_clone()).collect()
    };
    let mut fine_tuning_was_worse = false;
    let (form, pairs) = if let Some(graph) = graph {
        let config = &QuantiseConfig {
            calibration: config.calibration.of_graph(),
            ..config.clone()
        };
        let pairs = calibration_pairs(source.as_ref(), colour, config.pictures(), seed)?;
        let of = convolutions(graph).len() as u64;
        let layers = |done| progress(Progress::Layers { done, of });
        let int8 = quantise_graph(graph, colour, &inputs(&pairs), config, layers)?;
        (Form::Graph(int8), pairs)
    } else {
        let float = run.student.fold()?;
        ensure!(
            !float.is_temporal() || !config.qat,
            "quantise.qat fine-tunes on single frames; a temporal student sees sequences: quantise it by \
             calibration alone (--no-qat)"
        );
        let pairs = match float.is_temporal() {
            true => calibration_sequences(source.as_ref(), &float, config.pictures(), seed)?,
            false => calibration_pairs(source.as_ref(), colour, config.pictures(), seed)?,
        };
        let frames = inputs(&pairs);
        let seen = (source.as_ref(), frames.as_slice());
        let updates = |done, loss| progress(Progress::Updates { done, loss });
        let int8;
        (int8, fine_tuning_was_worse) = of_chain(&float, seen, seed, config, updates)?;
        (Form::Chain { float, int8 }, pairs)
    };
    Ok(Quantised {
        run,
        form,
        pairs,
        config: config.clone(),
        fine_tuning_was_worse,
    })
}

/// A chain's INT8 student, and whether it is without the fine-tuning that was asked for.
fn of_chain(
    float: &ConvChain,
    (source, frames): (&dyn PairSource, &[Tensor]),
    seed: u64,
    config: &QuantiseConfig,
    progress: impl FnMut(u64, f64),
) -> Result<(MixedChain, bool)> {
    let int8 = quantise(float, frames, config)?;
    if let (true, Some(start)) = (config.qat, int8.int8()) {
        let steps = config.fine_tuning();
        // Ranges belong to balanced weights.
        let balanced = super::prepared(float, frames, config)?;
        let tuned = fine_tune_on(source, &balanced, &start, &steps, seed, progress)?;
        let tuned = MixedChain::from_int8(&tuned);
        // A student that calibration alone served well may come out of fine-tuning worse. Patches
        // that either has seen would judge for it.
        let judges = judges(source, float.colour, frames.len(), seed)?;
        let db = |chain: &MixedChain| psnr(chain, &judges);
        let worse = db(&tuned) < db(&int8);
        return Ok((if worse { int8 } else { tuned }, worse));
    }
    Ok((int8, false))
}

impl Quantised<'_> {
    /// Planes that the student restores.
    pub fn colour(&self) -> Colour {
        self.run.recipe.colour
    }

    /// Number of convolutions.
    pub fn layers(&self) -> usize {
        match &self.form {
            Form::Chain { float, .. } => float.layers.len(),
            Form::Graph(int8) => convolutions(int8.graph).len(),
        }
    }

    /// Whether a fine-tuning that was asked for came out worse than calibration alone on patches that
    /// neither had seen, and was left out.
    pub fn fine_tuning_was_worse(&self) -> bool {
        self.fine_tuning_was_worse
    }

    /// The student's ONNX file.
    ///
    /// # Errors
    /// When a student that is no chain is to be written as QOperator, or holds a weight that is no
    /// finite number.
    pub fn write(&self, format: Format) -> Result<Vec<u8>> {
        match &self.form {
            Form::Chain { float, int8 } => {
                let metadata = Metadata::of_run(self.run, float.scale, Some(float.halo()));
                Ok(int8.write(format, &metadata))
            }
            Form::Graph(int8) => {
                check_format(self.run, format)?;
                let (multiple, halo) = (int8.graph.multiple, int8.graph.halo());
                int8.write(&Metadata::of_run(self.run, multiple, halo))
            }
        }
    }

    /// What each layer loses when it alone is INT8, on the calibration patches; `progress` hears how
    /// many layers of a graph are measured.
    ///
    /// # Errors
    /// As [`quantise`].
    pub fn sensitivity(&self, progress: impl FnMut(u64)) -> Result<Vec<LayerLoss>> {
        let int8 = match &self.form {
            Form::Chain { float, int8 } => {
                return sensitivity(float, int8, &self.pairs, &self.config);
            }
            Form::Graph(int8) => int8,
        };
        let whole = QuantiseConfig {
            keep_float: Vec::new(),
            ..self.config.clone()
        };
        let frames: Vec<_> = self.pairs.iter().map(|p| p.0.shallow_clone()).collect();
        let (graph, colour) = (int8.graph, int8.colour);
        let every = quantise_graph_after(graph, colour, &frames, &whole, Before::Float, |_| ())?;
        Ok(sensitivity_of_graph(int8, &every, &self.pairs, progress))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::data::source::Pair;
    use crate::onnx::tests::float_chain;

    /// Drawn scenes, and the numbers of those that were asked for.
    #[derive(Default)]
    struct Recorded(Mutex<Vec<u64>>);

    impl PairSource for Recorded {
        fn sequence(&self, seed: u64, index: u64, crop: usize, _: usize) -> Result<Vec<Pair>> {
            self.0.lock().unwrap().push(index);
            let truth = data::synth::scene(seed, index, crop, crop);
            let input = truth.clone();
            Ok(vec![Pair { input, truth }])
        }

        fn validation(&self) -> Result<Vec<Pair>> {
            Ok(Vec::new())
        }

        fn validation_sequences(&self, _: usize) -> Result<Vec<Vec<Pair>>> {
            Ok(Vec::new())
        }

        fn fingerprint(&self) -> Result<String> {
            Ok(String::new())
        }

        fn pictures(&self) -> usize {
            0
        }

        fn describe(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_fine_tuning_is_judged_by_patches_that_neither_has_seen() {
        let source = Recorded::default();
        let chain = float_chain(Colour::Luma, 2, &[3, 3], 5);
        let frames = [Tensor::rand([1, 1, 16, 16], tch::kind::FLOAT_CPU)];
        let config = QuantiseConfig {
            qat: true,
            qat_steps: 1,
            ..QuantiseConfig::default()
        };
        of_chain(&chain, (&source, &frames), 7, &config, |_, _| ()).unwrap();
        let mut asked = source.0.lock().unwrap().clone();
        asked.sort_unstable();
        // A batch to learn from, and those that judge.
        let right: Vec<u64> = (0..16).chain(1024..1056).collect();
        assert_eq!(asked, right);

        let source = Recorded::default();
        judges(&source, Colour::Luma, 4096, 7).unwrap();
        assert_eq!(source.0.lock().unwrap().first(), Some(&4096));
    }
}
