//! Sizes on the command line.

use std::ops::RangeInclusive;

/// Reads a width and a height, such as `1280x720`, each within `bounds`.
pub fn sides(
    bounds: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<(usize, usize), String> + Clone + Send + Sync + 'static {
    move |text| {
        let sides = text.split_once('x');
        let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let within = |(w, h): &(usize, usize)| bounds.contains(w) && bounds.contains(h);
        sides.filter(within).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            format!("'{text}' is no size: use WIDTHxHEIGHT, each {least} to {most}")
        })
    }
}
