//! Curves of a training as one SVG file.

use std::path::Path;

use anyhow::Result;

use super::log::EpochLine;
use crate::report::plot;

/// Height of one plot, pixels.
const HEIGHT: usize = 330;

/// Writes losses, PSNR, SSIM and learning rate over the epochs, one below the other.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, lines: &[EpochLine]) -> Result<()> {
    let over = |value: &dyn Fn(&EpochLine) -> Option<f64>| -> Vec<(f64, f64)> {
        let point = |l: &EpochLine| Some((l.epoch as f64, value(l)?));
        lines.iter().filter_map(point).collect()
    };
    let mut losses = vec![("total".to_owned(), over(&|l| Some(l.loss)))];
    let names = lines.first().map_or(&[][..], |l| &l.terms);
    for (i, (name, _)) in names.iter().enumerate() {
        let term = over(&|l| l.terms.get(i).map(|t| t.1));
        losses.push((name.clone(), term));
    }
    let one = |name: &str, points| vec![(name.to_owned(), points)];
    let plots = [
        ("Loss", "loss", losses),
        (
            "Validation",
            "PSNR dB",
            one("PSNR", over(&|l| Some(l.validation.psnr))),
        ),
        (
            "Validation",
            "SSIM",
            one("SSIM", over(&|l| Some(l.validation.ssim))),
        ),
        (
            "Learning rate",
            "rate",
            one("rate", over(&|l| Some(l.learning_rate))),
        ),
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"540\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
        plots.len() * HEIGHT
    );
    for (i, (title, unit, curves)) in plots.iter().enumerate() {
        let plot = plot::curves(title, "epoch", unit, curves);
        svg += &format!("<g transform=\"translate(10 {})\">{plot}</g>", i * HEIGHT);
    }
    svg += "</svg>\n";
    Ok(hone_device::atomic::write_bytes(path, svg.as_bytes())?)
}
