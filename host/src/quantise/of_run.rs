//! The INT8 student of a trained run, calibrated on its recipe's data.

use anyhow::{Result, ensure};
use hone_shared::student::ConvChain;
use tch::Tensor;

use super::sensitivity::psnr;
use super::{
    LayerLoss, MixedChain, QuantiseConfig, calibration_pairs, calibration_sequences, fine_tune_on,
    quantise, sensitivity,
};
use crate::data;
use crate::onnx::{Format, Metadata};
use crate::train::run::LoadedRun;

/// A run's student in INT8, and what it was made from.
#[derive(Debug)]
pub struct Quantised {
    /// The f32 student.
    pub float: ConvChain,
    /// The INT8 one.
    pub int8: MixedChain,
    /// Degraded and true patches it was calibrated on.
    pairs: Vec<(Tensor, Tensor)>,
    config: QuantiseConfig,
}

/// Quantises the best weights of `run` by `config`; `progress` hears each update of the fine-tuning
/// and its loss.
///
/// # Errors
/// When the student is no chain, its data cannot be read, or it cannot be quantised.
pub fn of_run(
    run: &LoadedRun,
    config: &QuantiseConfig,
    progress: impl FnMut(u64, f64),
) -> Result<Quantised> {
    config.validate()?;
    let float = run.student.fold()?;
    let source = data::open(&run.recipe.data, &run.text.base)?;
    let seed = run.recipe.seed;
    let temporal = float.is_temporal();
    ensure!(
        !(temporal && config.qat),
        "quantise.qat fine-tunes on single frames; a temporal student sees sequences: quantise it by \
         calibration alone (--no-qat)"
    );
    let pairs = match temporal {
        true => calibration_sequences(source.as_ref(), &float, config.pictures, seed)?,
        false => calibration_pairs(source.as_ref(), float.colour, config.pictures, seed)?,
    };
    let frames: Vec<_> = pairs.iter().map(|p| p.0.shallow_clone()).collect();
    let mut int8 = quantise(&float, &frames, config)?;
    if let (true, Some(start)) = (config.qat, int8.int8()) {
        let steps = config.fine_tuning();
        // Ranges belong to balanced weights.
        let balanced = super::prepared(&float, &frames, config)?;
        let tuned = fine_tune_on(source.as_ref(), &balanced, &start, &steps, seed, progress)?;
        let tuned = MixedChain::from_int8(&tuned);
        // A student that calibration alone served well may come out of fine-tuning worse.
        if psnr(&tuned, &pairs) >= psnr(&int8, &pairs) {
            int8 = tuned;
        }
    }
    Ok(Quantised {
        float,
        int8,
        pairs,
        config: config.clone(),
    })
}

impl Quantised {
    /// The student's ONNX file.
    pub fn write(&self, run: &LoadedRun, format: Format) -> Vec<u8> {
        let metadata = Metadata::of_run(run, self.float.scale, Some(self.float.halo()));
        self.int8.write(format, &metadata)
    }

    /// What each layer loses when it alone is INT8, on the calibration patches.
    ///
    /// # Errors
    /// As [`quantise`].
    pub fn sensitivity(&self) -> Result<Vec<LayerLoss>> {
        sensitivity(&self.float, &self.int8, &self.pairs, &self.config)
    }
}
