//! Axes of plots: range, and values to mark.

/// An axis: its label, range, whether it is logarithmic, and whether it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    pub label: &'a str,
    pub low: f64,
    pub high: f64,
    pub log: bool,
    pub whole: bool,
}

impl<'a> Axis<'a> {
    /// Spans the values with some air.
    pub fn over(label: &'a str, values: impl Iterator<Item = f64>, log: bool) -> Self {
        let scale = |v: f64| if log { v.max(1e-9).log10() } else { v };
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()).map(scale) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let air = 0.08 * (high - low).max(1e-3);
        Self {
            label,
            low: low - air,
            high: high + air,
            log,
            whole: false,
        }
    }

    /// Position of a value, 0..1.
    pub fn share(&self, value: f64) -> f64 {
        let value = if self.log {
            value.max(1e-9).log10()
        } else {
            value
        };
        (value - self.low) / (self.high - self.low)
    }

    /// Values to mark: powers of ten, or round steps.
    pub fn ticks(&self) -> Vec<f64> {
        if self.log {
            let powers = self.low.ceil() as i32..=self.high.floor() as i32;
            let ticks: Vec<f64> = powers.map(|p| 10f64.powi(p)).collect();
            if ticks.len() > 1 {
                return ticks;
            }
            return vec![10f64.powf(self.low + 0.1), 10f64.powf(self.high - 0.1)];
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let step = if self.whole { step.max(1.0) } else { step };
        let first = (self.low / step).ceil();
        (0..12)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|tick| *tick <= self.high)
            .collect()
    }
}

/// A marked value in few letters.
pub(super) fn number(value: f64) -> String {
    if value != 0.0 && (value.abs() >= 1e5 || value.abs() < 1e-3) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
