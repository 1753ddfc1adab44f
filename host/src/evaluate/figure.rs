//! Pictures side by side under labels.

use super::font;
use crate::metric::sharpness;
use crate::picture::Picture;

/// Height of the label bar in pixels.
const BAR: usize = 28;
/// Pixels between panels.
const GAP: usize = 4;
/// Side of a font pixel.
const SCALE: usize = 2;

/// Puts pictures of one size beside each other, each under its label; grey ones become RGB.
pub fn beside(panels: &[(&str, &Picture)]) -> Picture {
    let Some((_, first)) = panels.first() else {
        return Picture::new(3, 1, 1);
    };
    let (h, w) = (first.height, first.width);
    let width = panels.len() * (w + GAP) - GAP;
    let mut out = Picture::new(3, h + BAR, width);
    for (n, (label, panel)) in panels.iter().enumerate() {
        let left = n * (w + GAP);
        for c in 0..3 {
            for y in 0..h.min(panel.height) {
                let from = (c.min(panel.channels - 1) * panel.height + y) * panel.width;
                let to = (c * out.height + y + BAR) * width + left;
                let length = w.min(panel.width);
                out.data[to..to + length].copy_from_slice(&panel.data[from..from + length]);
            }
        }
        let scale = if font::width(label, SCALE) <= w {
            SCALE
        } else {
            1
        };
        let mut bar = Picture::new(3, BAR, w);
        font::write(&mut bar, label, (BAR - 7 * scale) / 2, 4, scale);
        for c in 0..3 {
            for y in 0..BAR {
                let to = (c * out.height + y) * width + left;
                out.data[to..to + w].copy_from_slice(&bar.data[(c * BAR + y) * w..][..w]);
            }
        }
    }
    out
}

/// Corner (top, left) of the window of `height` x `width` with the most edges, on a grid of steps of
/// a quarter window.
pub fn busiest(picture: &Picture, height: usize, width: usize) -> (usize, usize) {
    let steps = |length: usize, window: usize| {
        let step = (window / 4).max(1);
        (0..=length.saturating_sub(window)).step_by(step)
    };
    let mut best = (f64::NEG_INFINITY, (0, 0));
    for top in steps(picture.height, height) {
        for left in steps(picture.width, width) {
            let window = picture.crop(
                top,
                left,
                height.min(picture.height),
                width.min(picture.width),
            );
            let edges = sharpness(&window).tenengrad;
            if edges > best.0 {
                best = (edges, (top, left));
            }
        }
    }
    best.1
}
