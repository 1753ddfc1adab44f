//! One restorer's figures: the row that evaluations write to JSON and comparisons read back, and the
//! cells of tables that both print.

use serde::{Deserialize, Serialize};

use super::Speed;
use crate::metric::Summary;

/// One restorer's figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// What the tables call it.
    pub name: String,
    /// PSNR in dB on the compared planes.
    pub psnr_db: Option<Summary>,
    /// SSIM (11x11 Gaussian) on the compared planes.
    pub ssim: Option<Summary>,
    /// PSNR gain over the input in dB.
    pub gain_db: Option<f64>,
    /// `(this - input) / (teacher - input)` in PSNR.
    pub retention: Option<f64>,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: Option<f64>,
    /// Weights and biases.
    pub parameters: Option<usize>,
    /// Bytes of the model file.
    pub file_bytes: Option<u64>,
    /// What it computes on, if not on the processor.
    #[serde(default)]
    pub device: Option<String>,
    /// Median time of a picture of the pairs' size in milliseconds.
    pub ms_per_frame: Option<f64>,
    /// Times at standard sizes; `null` where one would take too long.
    #[serde(default)]
    pub speed: Vec<Option<Speed>>,
}

/// Width and height of the frames that were timed, over all rows.
pub fn sizes<'a>(rows: impl Iterator<Item = &'a Figures>) -> Vec<(usize, usize)> {
    let mut sizes = Vec::new();
    for speed in rows.flat_map(|row| row.speed.iter().flatten()) {
        let size = (speed.width, speed.height);
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    sizes
}

/// Headings of a table of figures.
pub fn headings(sizes: &[(usize, usize)]) -> Vec<String> {
    let fixed = [
        "",
        "PSNR dB",
        "SSIM",
        "gain dB",
        "retention",
        "parameters",
        "MAC/px",
        "file kB",
        "ms/frame",
    ];
    let timed = sizes
        .iter()
        .flat_map(|(w, h)| [format!("ms {w}x{h}"), "fps".to_owned()]);
    fixed.map(str::to_owned).into_iter().chain(timed).collect()
}

/// A number with so many decimals, or a dash.
fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
}

/// A whole number with a comma between thousands, or a dash.
fn whole(value: Option<f64>) -> String {
    let digits = shown(value, 0);
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn spread(summary: Option<Summary>, digits: usize) -> String {
    let text = |s: Summary| format!("{:.digits$} ± {:.digits$}", s.mean, s.deviation);
    summary.map_or_else(|| "-".to_owned(), text)
}

impl Figures {
    /// Whether this is the row of the input. Only that takes no time and is called so: a report of an earlier
    /// version may hold a student of that name.
    pub fn is_input(&self) -> bool {
        self.name == "input" && self.ms_per_frame.is_none()
    }

    /// The row under [`headings`].
    pub fn cells(&self, sizes: &[(usize, usize)]) -> Vec<String> {
        // The input's gain over itself tells nothing.
        let gain = self.gain_db.filter(|_| !self.is_input());
        let name = match &self.device {
            Some(device) => format!("{} ({device})", self.name),
            None => self.name.clone(),
        };
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let mut cells = vec![
            name,
            spread(self.psnr_db, 2),
            spread(self.ssim, 4),
            gain.map_or_else(|| "-".to_owned(), |gain| format!("{gain:+.2}")),
            self.retention.map_or_else(|| "-".to_owned(), percent),
            whole(self.parameters.map(|n| n as f64)),
            whole(self.macs_per_pixel),
            shown(self.file_bytes.map(|bytes| bytes as f64 / 1000.0), 1),
            shown(self.ms_per_frame, 2),
        ];
        for size in sizes {
            let same = |s: &&Speed| (s.width, s.height) == *size;
            let found = self.speed.iter().flatten().find(same);
            cells.push(shown(found.map(|s| s.ms), 1));
            cells.push(shown(found.map(|s| s.fps), 1));
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn thousands_are_told_apart() {
        for (value, text) in [(432.0, "432"), (2988.0, "2,988"), (601_252.0, "601,252")] {
            assert_eq!(whole(Some(value)), text);
        }
        assert_eq!(whole(None), "-");
    }
}
