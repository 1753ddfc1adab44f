//! Plots as SVG.

use std::fmt::Write as _;

use super::axis::{Axis, number};
use super::escape;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 320.0;
/// Space for axes: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (64.0, 20.0, 34.0, 44.0);
/// Height of a line of labels.
const LINE: f64 = 14.0;
/// Width of a letter, about.
const LETTER: f64 = 6.6;
/// Colours of curves.
const COLOURS: [&str; 8] = [
    "#d9541e", "#2b7bba", "#4a9c4a", "#8a5bb0", "#b8860b", "#17a2a2", "#c2417f", "#888",
];

/// The frame of a plot, `body` drawn into it; `body` maps values to pixels through its argument.
/// `names` are told above it, each in the colour of its turn.
fn frame(
    title: &str,
    x: &Axis<'_>,
    y: &Axis<'_>,
    names: &[&str],
    body: impl FnOnce(&dyn Fn(f64, f64) -> (f64, f64)) -> String,
) -> String {
    let (left, right, top, bottom) = MARGIN;
    let (legend, lines) = legend(names);
    let top = top + lines * LINE;
    let height = HEIGHT + lines * LINE;
    let at = |vx: f64, vy: f64| {
        (
            left + x.share(vx) * (WIDTH - left - right),
            height - bottom - y.share(vy) * (height - top - bottom),
        )
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\
         <text x=\"{left}\" y=\"18\" font-weight=\"bold\">{}</text>{legend}",
        escape(title)
    );
    let floor = height - bottom;
    for tick in x.ticks() {
        let (px, _) = at(tick, 0.0);
        let _ = write!(
            svg,
            "<path d=\"M{px:.1} {top}V{floor}\" stroke=\"#8883\"/>\
             <text x=\"{px:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            floor + 16.0,
            number(tick)
        );
    }
    for tick in y.ticks() {
        let (_, py) = at(1.0, tick);
        let _ = write!(
            svg,
            "<path d=\"M{left} {py:.1}H{:.1}\" stroke=\"#8883\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            left - 6.0,
            py + 4.0,
            number(tick)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(left, WIDTH - right),
        height - 8.0,
        escape(x.label),
        height / 2.0,
        escape(y.label)
    );
    svg += &body(&at);
    svg + "</svg>"
}

/// Names in their colours, line after line; and how many lines they take.
fn legend(names: &[&str]) -> (String, f64) {
    let (left, right, ..) = MARGIN;
    let (mut svg, mut x, mut line) = (String::new(), left, 0.0);
    for (name, colour) in names.iter().zip(COLOURS.iter().cycle()) {
        let width = LETTER * (name.chars().count() + 3) as f64;
        if line == 0.0 || x + width > WIDTH - right {
            (x, line) = (left, line + 1.0);
        }
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
            18.0 + line * LINE,
            escape(name)
        );
        x += width;
    }
    (svg, line)
}

/// Moves labels apart, downwards, where they would lie on each other; `(x, y, width)` of each.
fn apart(labels: &mut [(f64, f64, f64)]) {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| labels[*a].1.total_cmp(&labels[*b].1));
    for k in 0..order.len() {
        for before in 0..k {
            let (x, y, width) = labels[order[before]];
            let label = &mut labels[order[k]];
            let beside = label.0 < x + width && x < label.0 + label.2;
            if beside && label.1 < y + LINE {
                label.1 = y + LINE;
            }
        }
    }
}

/// Labelled points; x logarithmic.
pub(super) fn scatter(
    title: &str,
    x_label: &str,
    y_label: &str,
    points: &[(String, f64, f64)],
) -> String {
    let x = Axis::over(x_label, points.iter().map(|p| p.1), true);
    let y = Axis::over(y_label, points.iter().map(|p| p.2), false);
    frame(title, &x, &y, &[], |at| {
        let mut svg = String::new();
        let mut labels: Vec<_> = points
            .iter()
            .map(|(label, vx, vy)| {
                let (px, py) = at(*vx, *vy);
                let width = LETTER * label.chars().count() as f64;
                // Labels point inwards.
                let start = if x.share(*vx) > 0.6 {
                    px - 8.0 - width
                } else {
                    px + 8.0
                };
                (start, py - 6.0, width)
            })
            .collect();
        apart(&mut labels);
        for ((label, vx, vy), (start, baseline, _)) in points.iter().zip(labels) {
            let (px, py) = at(*vx, *vy);
            let _ = write!(
                svg,
                "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\" fill=\"#d9541e\"/>\
                 <text x=\"{start:.1}\" y=\"{baseline:.1}\">{}</text>",
                escape(label)
            );
        }
        svg
    })
}

/// Curves over a common axis that counts, their names above them.
pub(crate) fn curves(
    title: &str,
    x_label: &str,
    y_label: &str,
    curves: &[(String, Vec<(f64, f64)>)],
) -> String {
    let all = || curves.iter().flat_map(|(_, points)| points);
    // Epochs or pictures.
    let x = Axis {
        whole: true,
        ..Axis::over(x_label, all().map(|p| p.0), false)
    };
    let y = Axis::over(y_label, all().map(|p| p.1), false);
    let names: Vec<&str> = curves.iter().map(|(name, _)| name.as_str()).collect();
    frame(title, &x, &y, &names, |at| {
        let mut svg = String::new();
        for ((_, points), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let line: Vec<String> = points
                .iter()
                .filter(|p| p.1.is_finite())
                .map(|p| at(p.0, p.1))
                .map(|(px, py)| format!("{px:.1},{py:.1}"))
                .collect();
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                line.join(" ")
            );
        }
        svg
    })
}

/// How many values fall into each of `bins` equal ranges.
pub(super) fn histogram(title: &str, x_label: &str, values: &[f64], bins: usize) -> String {
    let x = Axis::over(x_label, values.iter().copied(), false);
    let mut counts = vec![0u32; bins];
    for value in values.iter().filter(|v| v.is_finite()) {
        let bin = (x.share(*value) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    let tallest = counts.iter().copied().max().unwrap_or(0);
    let y = Axis {
        label: "pictures",
        low: 0.0,
        high: f64::from(tallest.max(1)) * 1.08,
        log: false,
        whole: true,
    };
    frame(title, &x, &y, &[], |at| {
        let mut svg = String::new();
        let step = (x.high - x.low) / bins as f64;
        for (i, count) in counts.iter().enumerate() {
            let low = x.low + i as f64 * step;
            let ((left, top), (right, floor)) = (at(low, f64::from(*count)), at(low + step, 0.0));
            let _ = write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#2b7bba\"/>",
                left + 1.0,
                (right - left - 2.0).max(0.5),
                floor - top
            );
        }
        svg
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lie_on_nothing_else() {
        let mut labels = [(10.0, 50.0, 60.0), (30.0, 48.0, 60.0), (200.0, 49.0, 60.0)];
        apart(&mut labels);
        assert_eq!(labels[1].1, 48.0);
        assert_eq!(labels[0].1, 48.0 + LINE);
        assert_eq!(labels[2].1, 49.0);
        let (_, lines) = legend(&["a long name of a student"; 4]);
        assert_eq!(lines, 2.0);
        assert_eq!(legend(&[]).1, 0.0);
    }
}
