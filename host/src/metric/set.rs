//! The metrics to measure: those that need nothing, and those whose weights the user gives.

use super::{Better, Lpips, METRICS, Metric, MetricError, Scores, VggDistance};
use crate::picture::Picture;

/// Names of the metrics that need weight files.
pub const LEARNED: [&str; 3] = ["vgg_l1", "lpips_alex", "lpips_vgg"];

/// A choice of metrics.
#[derive(Debug)]
pub struct MetricSet {
    plain: Vec<&'static Metric>,
    vgg: Option<VggDistance>,
    lpips: Option<Lpips>,
}

impl Default for MetricSet {
    fn default() -> Self {
        Self::all(None, None)
    }
}

impl MetricSet {
    /// Every metric that needs no weights, and those that are given.
    pub fn all(vgg: Option<VggDistance>, lpips: Option<Lpips>) -> Self {
        Self {
            plain: METRICS.iter().collect(),
            vgg,
            lpips,
        }
    }

    /// The named ones only.
    ///
    /// # Errors
    /// When a name is unknown, or needs weights that are not given.
    pub fn only(self, names: &[String]) -> Result<Self, MetricError> {
        let wanted = |name: &str| names.iter().any(|n| n == name);
        let lpips = self.lpips.filter(|lpips| wanted(lpips.name()));
        let vgg = self.vgg.filter(|_| wanted("vgg_l1"));
        let mut plain = Vec::new();
        for name in names {
            match LEARNED.iter().find(|learned| *learned == name) {
                Some(&"vgg_l1") if vgg.is_some() => {}
                Some(&learned) if lpips.as_ref().is_some_and(|l| l.name() == learned) => {}
                Some(&metric) => return Err(MetricError::NeedsWeights { metric }),
                None => plain.push(Metric::named(name)?),
            }
        }
        Ok(Self { plain, vgg, lpips })
    }

    /// Names, in the order of tables.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.plain.iter().map(|metric| metric.name).collect();
        names.extend(self.vgg.as_ref().map(|_| "vgg_l1"));
        names.extend(self.lpips.as_ref().map(Lpips::name));
        names
    }

    /// All figures of one pair.
    ///
    /// # Errors
    /// When the pictures differ in shape. A metric that is undefined for their size is an entry.
    pub fn measure(&self, reference: &Picture, distorted: &Picture) -> Result<Scores, MetricError> {
        let mut scores = Scores::measure(&self.plain, reference, distorted)?;
        if let Some(vgg) = &self.vgg {
            scores
                .0
                .push(("vgg_l1", vgg.distance(reference, distorted)));
        }
        if let Some(lpips) = &self.lpips {
            scores
                .0
                .push((lpips.name(), lpips.distance(reference, distorted)));
        }
        Ok(scores)
    }
}

/// A figure of any metric as tables show it.
pub fn format(name: &str, value: f64) -> String {
    Metric::named(name).map_or_else(|_| format!("{value:.5}"), |metric| metric.format(value))
}

/// Which direction of a metric is good; learned ones are distances.
pub fn better(name: &str) -> Better {
    Metric::named(name).map_or(Better::Lower, |metric| metric.better)
}
