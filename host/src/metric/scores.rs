//! All metrics by name, and their spread over many pictures.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::pair::Pair;
use super::{
    MetricError, charbonnier, l1, lab_l1, ms_ssim, mse, psnr, sobel_magnitude_l1, ssim,
    ssim_gaussian, ssim_gopro_3d, ssim_uniform7,
};
use crate::picture::Picture;

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Similarities and ratios.
    Higher,
    /// Errors and distances.
    Lower,
}

/// A full-reference metric.
#[derive(Debug)]
pub struct Metric {
    /// Key in JSON and heading of tables.
    pub name: &'static str,
    /// Direction of quality.
    pub better: Better,
    /// Decimals worth printing.
    pub digits: usize,
    compute: fn(&Pair<'_>) -> Result<f64, MetricError>,
}

/// Every metric, in the order of tables. See the module's table for definitions.
pub const METRICS: &[Metric] = &[
    metric("psnr_rgb", Better::Higher, 3, |p| {
        Ok(psnr(p.reference, p.distorted))
    }),
    metric("psnr_y", Better::Higher, 3, |p| {
        let (a, b) = p.studio_luma();
        Ok(psnr(a, b))
    }),
    metric("ssim_gaussian_rgb", Better::Higher, 5, |p| {
        p.gaussian().map(ssim::mean)
    }),
    metric("ssim_gaussian_y", Better::Higher, 5, |p| {
        let (a, b) = p.studio_luma();
        ssim_gaussian(a, b)
    }),
    metric("ssim_uniform7_rgb", Better::Higher, 5, |p| {
        ssim_uniform7(p.reference, p.distorted)
    }),
    metric("ssim_valid_window11_rgb", Better::Higher, 5, |p| {
        p.gaussian().map(ssim::mean)
    }),
    metric("ms_ssim_rgb", Better::Higher, 5, ms_ssim::of_pair),
    metric("ssim_gopro_3d", Better::Higher, 5, |p| {
        ssim_gopro_3d(p.reference, p.distorted)
    }),
    metric("lab_l1", Better::Lower, 4, |p| {
        lab_l1(p.reference, p.distorted)
    }),
    metric("sobel_magnitude_l1_gray", Better::Lower, 5, |p| {
        sobel_magnitude_l1(p.reference, p.distorted)
    }),
    metric("charbonnier_eps1e_3", Better::Lower, 5, |p| {
        charbonnier(p.reference, p.distorted)
    }),
    metric("l1", Better::Lower, 5, |p| l1(p.reference, p.distorted)),
    metric("mse", Better::Lower, 6, |p| mse(p.reference, p.distorted)),
];

const fn metric(
    name: &'static str,
    better: Better,
    digits: usize,
    compute: fn(&Pair<'_>) -> Result<f64, MetricError>,
) -> Metric {
    Metric {
        name,
        better,
        digits,
        compute,
    }
}

impl Metric {
    /// The metric of this name.
    ///
    /// # Errors
    /// [`MetricError::Unknown`].
    pub fn named(name: &str) -> Result<&'static Self, MetricError> {
        METRICS
            .iter()
            .find(|metric| metric.name == name)
            .ok_or_else(|| MetricError::Unknown(name.to_owned()))
    }

    /// The figure for one pair.
    ///
    /// # Errors
    /// When the pictures differ in shape or the metric is not defined for them.
    pub fn compute(&self, reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
        (self.compute)(&Pair::new(reference, distorted)?)
    }

    /// The figure as tables show it.
    pub fn format(&self, value: f64) -> String {
        if value.is_infinite() {
            return "equal".into();
        }
        format!("{value:.*}", self.digits)
    }
}

/// Figures of one pair of pictures. As JSON: a map from name to number, `null` for an infinite PSNR
/// (equal pictures) and for metrics that are not defined, whose reasons stand under `undefined`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(pub Vec<(&'static str, Result<f64, MetricError>)>);

impl Scores {
    /// Computes `metrics` for one pair.
    ///
    /// # Errors
    /// When the pictures differ in shape. A metric that is undefined for their size is an entry.
    pub fn measure(
        metrics: &[&'static Metric],
        reference: &Picture,
        distorted: &Picture,
    ) -> Result<Self, MetricError> {
        let pair = Pair::new(reference, distorted)?;
        let scores = metrics.iter().map(|m| (m.name, (m.compute)(&pair)));
        Ok(Self(scores.collect()))
    }

    /// The figure of this name, if it was computed and is defined.
    pub fn get(&self, name: &str) -> Option<f64> {
        let (_, value) = self.0.iter().find(|(key, _)| *key == name)?;
        value.as_ref().ok().copied()
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, &value.as_ref().ok().filter(|v| v.is_finite()))?;
        }
        let undefined: std::collections::BTreeMap<_, _> = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref().err()?.to_string())))
            .collect();
        if !undefined.is_empty() {
            map.serialize_entry("undefined", &undefined)?;
        }
        map.end()
    }
}

/// Mean and spread of one metric over pictures.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the sample (n - 1); 0 for one picture.
    pub deviation: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Pictures counted.
    pub count: usize,
}

impl Summary {
    /// Summarises finite values; `None` when there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Some(Self {
            mean,
            deviation: (squares / (count.max(2) - 1) as f64).sqrt(),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            count,
        })
    }
}
