//! What `hone metrics` found, as a table, as JSON and as CSV.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use crate::metric::{self, Alignment, MetricSet, Scores, Sharpness, Summary, Temporal, sharpness};
use crate::picture::Picture;

/// One pair of pictures or frames.
#[derive(Serialize)]
pub(super) struct Entry {
    /// File name, or number of the reference's frame.
    pub name: String,
    /// Every figure.
    #[serde(flatten)]
    pub scores: Scores,
    /// Of the reference and of what is measured.
    pub sharpness: [Sharpness; 2],
    /// Flicker since the frame before, of videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flicker: Option<f64>,
}

impl Entry {
    /// Measures a pair.
    pub fn measure(
        name: String,
        reference: &Picture,
        distorted: &Picture,
        metrics: &MetricSet,
    ) -> anyhow::Result<Self> {
        let scores = metrics.measure(reference, distorted);
        Ok(Self {
            scores: scores.with_context(|| name.clone())?,
            sharpness: [sharpness(reference), sharpness(distorted)],
            flicker: None,
            name,
        })
    }
}

/// Everything that was measured.
pub(super) struct Measured {
    pub entries: Vec<Entry>,
    /// What shows in motion, of videos.
    pub temporal: Option<Temporal>,
    /// Where frames were looked for, of videos.
    pub alignment: Option<Alignment>,
    /// Two pictures rather than a set of them.
    pub single: bool,
}

impl Measured {
    pub fn single(entry: Entry) -> Self {
        Self {
            single: true,
            ..Self::many(vec![entry])
        }
    }

    pub fn many(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            temporal: None,
            alignment: None,
            single: false,
        }
    }

    fn summary(&self, name: &str) -> Option<Summary> {
        Summary::of(self.entries.iter().filter_map(|e| e.scores.get(name)))
    }

    /// The scores of a single pair; else means and spreads, and every entry.
    pub fn json(&self, metrics: &[&'static str]) -> anyhow::Result<String> {
        let json = match self.entries.as_slice() {
            [entry] if self.single => serde_json::to_value(&entry.scores)?,
            entries => {
                let mean: serde_json::Map<_, _> = metrics
                    .iter()
                    .map(|name| {
                        let value = serde_json::to_value(self.summary(name))?;
                        Ok(((*name).to_owned(), value))
                    })
                    .collect::<anyhow::Result<_>>()?;
                serde_json::json!({
                    "summary": mean,
                    "temporal": self.temporal,
                    "alignment": self.alignment,
                    "entries": entries,
                })
            }
        };
        Ok(serde_json::to_string_pretty(&json)?)
    }

    /// A row for every entry; what is not defined is left empty.
    pub fn csv(&self, metrics: &[&'static str]) -> String {
        let quoted = |name: &str| match name.contains([',', '"']) {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name.to_owned(),
        };
        let mut text = format!("name,{},flicker\n", metrics.join(","));
        for entry in &self.entries {
            text += &quoted(&entry.name);
            let figures = metrics.iter().map(|name| entry.scores.get(name));
            for value in figures.chain([entry.flicker]) {
                text.push(',');
                if let Some(value) = value {
                    let _ = write!(text, "{value}");
                }
            }
            text.push('\n');
        }
        text
    }

    /// The table for terminals.
    pub fn table(&self, metrics: &[&'static str]) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY);
        if let [entry] = self.entries.as_slice() {
            table.set_header(["metric", "value"]);
            for (name, value) in &entry.scores.0 {
                let text = match value {
                    Ok(value) => metric::format(name, *value),
                    Err(error) => format!("- ({error})"),
                };
                table.add_row([(*name).to_owned(), text]);
            }
            let [a, b] = entry.sharpness;
            for (name, a, b) in [
                ("tenengrad", a.tenengrad, b.tenengrad),
                (
                    "laplacian_variance",
                    a.laplacian_variance,
                    b.laplacian_variance,
                ),
            ] {
                let name = format!("{name} (reference, distorted)");
                table.add_row([name, format!("{a:.1}, {b:.1}")]);
            }
            return table;
        }
        table.set_header(["metric", "mean", "deviation", "min", "max", "pictures"]);
        for name in metrics {
            let Some(s) = self.summary(name) else {
                table.add_row([*name, "-", "-", "-", "-", "0"]);
                continue;
            };
            let figures = [s.mean, s.deviation, s.min, s.max].map(|v| metric::format(name, v));
            let mut row = vec![(*name).to_owned()];
            row.extend(figures);
            row.push(s.count.to_string());
            table.add_row(row);
        }
        table
    }

    /// Sentences below the table.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(found) = self.temporal {
            remarks.push(format!(
                "flicker {:.3} (largest {:.3}) of 255, {} repeated frames in {} changes",
                found.flicker, found.flicker_max, found.repeated, found.changes
            ));
        }
        if let Some(found) = &self.alignment {
            remarks.push(format!(
                "aligned: {} frames of the reference are missing{}, {} frames show the one before again{}",
                found.dropped.len(),
                ranges(&found.dropped),
                found.repeated.len(),
                ranges(&found.repeated)
            ));
        }
        remarks.extend(self.equal_pictures());
        // A metric that no entry could have says why once.
        if let Some(first) = self.entries.first().filter(|_| self.entries.len() > 1) {
            for (name, value) in &first.scores.0 {
                if let (None, Err(error)) = (self.summary(name), value) {
                    remarks.push(format!("{name}: {error}"));
                }
            }
        }
        remarks
    }

    /// How many pictures are left out of which means, for an infinite figure has none.
    fn equal_pictures(&self) -> Vec<String> {
        let mut means: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (name, _) in self.entries.first().iter().flat_map(|e| &e.scores.0) {
            let infinite = |e: &&Entry| e.scores.get(name).is_some_and(f64::is_infinite);
            match self.entries.iter().filter(infinite).count() {
                0 => {}
                count => means.entry(count).or_default().push(name),
            }
        }
        // The table of a single pair says it itself.
        let total = self.entries.len();
        means.retain(|_, _| total > 1);
        let told = means.into_iter().map(|(count, names)| {
            format!(
                "{count} of {total} pictures are equal and left out of the mean of {}",
                names.join(", ")
            )
        });
        told.collect()
    }
}

/// ` (3, 7 to 9)`, at most eight of them.
fn ranges(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    if runs.is_empty() {
        return String::new();
    }
    let more = if runs.len() > 8 { ", ..." } else { "" };
    let words: Vec<String> = runs
        .iter()
        .take(8)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        })
        .collect();
    format!(" ({}{more})", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pictures_are_counted() {
        let psnr = |db| Entry {
            name: "a.png".into(),
            scores: Scores(vec![("psnr_rgb", Ok(db)), ("l1", Ok(0.1))]),
            sharpness: [sharpness(&Picture::new(3, 8, 8)); 2],
            flicker: None,
        };
        let found = Measured::many([f64::INFINITY, 30.0, 31.0].map(psnr).into());
        let remark = "1 of 3 pictures are equal and left out of the mean of psnr_rgb";
        assert_eq!(found.remarks(), [remark]);
        assert!(Measured::single(psnr(f64::INFINITY)).remarks().is_empty());
    }

    #[test]
    fn numbers_are_told_in_runs() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[3, 7, 8, 9]), " (3, 7 to 9)");
        let apart: Vec<usize> = (0..20).map(|i| 2 * i).collect();
        assert!(ranges(&apart).ends_with("14, ...)"));
    }
}
