//! An evaluation as text: a table for terminals, Markdown, sentences below.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_shared::student::Colour;
use serde_json::Value;

use super::Role;
use super::figures;
use super::summary::{Entry, Evaluation, TunedOn};
use super::unsharp::Unsharp;
use crate::data::degrade::{Degradation, PRESETS, preset};
use crate::metric::{self, Better};

impl Evaluation {
    /// The table for terminals.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY);
        table.set_header(self.headings());
        for row in &self.rows {
            table.add_row(self.cells(row));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Both tables and the notes as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', r"\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut table = |headings: Vec<String>, rows: Vec<Vec<String>>| {
            text += &line(&headings);
            text += &line(&vec!["---".to_owned(); headings.len()]);
            rows.iter().for_each(|row| text += &line(row));
            text += "\n";
        };
        let rows = self.rows.iter().map(|row| self.cells(row)).collect();
        table(self.headings(), rows);
        let (headings, rows) = self.metrics();
        table(headings, rows);
        for note in self.notes() {
            let _ = write!(text, "{note}\n\n");
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    /// Headings and rows of the table of every metric: a row for each metric, a column for each
    /// restorer, mean and deviation over the pictures.
    pub fn metrics(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut headings = vec!["RGB metric".to_owned()];
        headings.extend(self.rows.iter().map(|row| row.figures.name.clone()));
        let names = self.rows.first().into_iter().flat_map(|r| r.metrics.keys());
        let mut rows: Vec<Vec<String>> = names
            .map(|name| {
                let arrow = match metric::better(name) {
                    Better::Higher => "↑",
                    Better::Lower => "↓",
                };
                let cell = |row: &Entry| {
                    let summary = row.metrics.get(name).copied().flatten();
                    summary.map_or_else(
                        || "-".to_owned(),
                        |s| {
                            let show = |v| metric::format(name, v);
                            format!("{} ± {}", show(s.mean), show(s.deviation))
                        },
                    )
                };
                let label = std::iter::once(format!("{name} {arrow}"));
                label.chain(self.rows.iter().map(cell)).collect()
            })
            .collect();
        if self.rows.iter().any(|row| row.temporal.is_some()) {
            let mut add = |label: &str, cell: &dyn Fn(metric::Temporal) -> String| {
                let cells = self
                    .rows
                    .iter()
                    .map(|row| row.temporal.map_or_else(|| "-".to_owned(), cell));
                rows.push(std::iter::once(label.to_owned()).chain(cells).collect());
            };
            add("flicker ↓", &|t| format!("{:.3}", t.flicker));
            add("repeated frames ↓", &|t| t.repeated.to_string());
        }
        (headings, rows)
    }

    /// Sentences below the tables.
    pub fn notes(&self) -> Vec<String> {
        let planes = match self.colour {
            Colour::Luma => "full-range BT.601 luma",
            Colour::Rgb => "RGB",
        };
        let pictures = match (self.pairs.len(), self.split) {
            (1, None) => "1 picture".to_owned(),
            (1, Some(split)) => format!("the 1 {split} picture of the data,"),
            (count, None) => format!("{count} pictures"),
            (count, Some(split)) => format!("{count} {split} pictures of the data,"),
        };
        let elsewhere = self.rows.iter().any(|row| row.figures.device.is_some());
        let mut notes = vec![format!(
            "PSNR and SSIM (11x11 Gaussian) on {planes}, mean ± standard deviation over {pictures} of \
             {}; ms/frame is the median at {} on {}{}; retention is this gain over the \
             teacher's; bicubic is the input halved and enlarged again.",
            self.of_sizes(),
            match self.sizes {
                1 => "that size".to_owned(),
                _ => format!("{}x{}, the size of the first,", self.width, self.height),
            },
            match self.cores {
                1 => "1 core".to_owned(),
                cores => format!("{cores} cores"),
            },
            if elsewhere {
                ", or on what a row names"
            } else {
                ""
            }
        )];
        if self.equal > 0 {
            notes.push(format!(
                "{} of the pictures come out exactly true in some row, where PSNR has no bound: PSNR, gain and \
                 retention leave them out of every row.",
                self.equal
            ));
        }
        if let Some(teacher) = &self.answered_by {
            notes.push(format!(
                "The sharp pictures are what a teacher ({teacher}) made of the others: the figures tell how near a \
                 student is to it, not to the truth."
            ));
        }
        notes.extend(self.missing());
        if let Some(degradation) = &self.degradation {
            notes.push(format!(
                "Sharp pictures degraded by: {}.",
                in_words(degradation)
            ));
        }
        if let Some(tuned) = self.unsharp {
            let on = match tuned.on {
                TunedOn::Training => "training pictures of the data",
                TunedOn::Recipe => "pictures of the student's recipe",
                TunedOn::Evaluated => "the evaluated pictures themselves, in its favour",
            };
            let words = |mask: Unsharp| {
                let edge = match mask.is_at_the_edge() {
                    true => ", at the edge of what is tried: the best one may lie beyond",
                    false => "",
                };
                format!("sigma {}, amount {}{edge}", mask.sigma, mask.amount)
            };
            let found = match (tuned.found.mask, tuned.found.spoilt) {
                (mask, _) if mask.amount != 0.0 => words(mask),
                (_, Some(spoilt)) => format!(
                    "none raises the mean PSNR, for {} of the {} have 40 dB and more already and lose by it; the \
                     others would gain {:.2} dB by {}",
                    spoilt.good,
                    spoilt.of,
                    spoilt.gain_db,
                    words(spoilt.mask)
                ),
                (_, None) => "none raises the PSNR".to_owned(),
            };
            notes.push(format!("Unsharp mask tuned on {on}: {found}."));
        }
        let teacher = self.rows.iter().find(|row| row.role == Role::Teacher);
        if let Some(teacher) = teacher
            && teacher.figures.retention.is_none()
        {
            notes.push(
                "The teacher gains less than 0.1 dB here: there is no retention to tell."
                    .to_owned(),
            );
        }
        if let Some(honed) = self.honed {
            notes.push(format!(
                "What honed put out against the prediction: largest difference {}/255, {:.4} % of the \
                 samples equal, over {} frames.",
                honed.max_difference,
                100.0 * honed.equal,
                honed.frames
            ));
        }
        if let (Some(best), Some(worst)) = (self.ranking.first(), self.ranking.last()) {
            notes.push(format!(
                "Best of {}: {} ({:+.2} dB); worst: {} ({:+.2} dB).",
                self.ranked, best.name, best.gain_db, worst.name, worst.gain_db
            ));
        }
        notes
    }

    /// The pictures' size, or how many there are and the smallest and the largest.
    fn of_sizes(&self) -> String {
        let [(w, h), (wide, high)] = self.size_range;
        match self.sizes {
            1 => format!("{w}x{h}"),
            count => format!("{count} sizes, {w}x{h} to {wide}x{high}"),
        }
    }

    /// Which figures are of fewer pictures than there are, for a metric may need larger ones. (Those of none
    /// are dashes in the table.)
    fn missing(&self) -> Vec<String> {
        let all = self.pairs.len();
        let ssim = |row: &Entry| row.figures.ssim.map_or(0, |s| s.count);
        let mut found = vec![("SSIM", self.rows.iter().map(ssim).min())];
        let names = self.rows.first().into_iter().flat_map(|r| r.metrics.keys());
        found.extend(names.map(|name| {
            let count = |row: &Entry| row.metrics.get(name).copied().flatten();
            let counts = self
                .rows
                .iter()
                .map(|row| count(row).map_or(0, |s| s.count));
            (*name, counts.min())
        }));
        let told = found.into_iter().filter_map(|(name, count)| {
            let count = count.filter(|count| (1..all).contains(count))?;
            Some(format!("{name} {count}"))
        });
        let told: Vec<String> = told.collect();
        match told.is_empty() {
            true => Vec::new(),
            false => vec![format!(
                "Not all {all} pictures count in every mean, for some are too small for a metric or have no \
                 finite value in some row: {}.",
                told.join(", ")
            )],
        }
    }

    /// Headings of the main table.
    pub fn headings(&self) -> Vec<String> {
        figures::headings(&self.sizes())
    }

    /// The standard sizes that were timed.
    fn sizes(&self) -> Vec<(usize, usize)> {
        figures::sizes(self.rows.iter().map(|row| &row.figures))
    }

    /// A row of the main table.
    pub fn cells(&self, row: &Entry) -> Vec<String> {
        row.figures.cells(&self.sizes())
    }
}

/// A degradation's preset, or its steps as a recipe's line writes them; `one of [2 x A, nothing]` for
/// choices and their weights.
fn in_words(degradation: &Degradation) -> String {
    let named = PRESETS
        .iter()
        .find(|name| preset(name).as_ref() == Some(degradation));
    named.map_or_else(
        || steps(&serde_json::to_value(degradation).unwrap_or_default()),
        |name| (*name).to_owned(),
    )
}

fn steps(list: &Value) -> String {
    let words: Vec<String> = list.as_array().into_iter().flatten().map(step).collect();
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(" + "),
    }
}

fn step(step: &Value) -> String {
    let kind = step["kind"].as_str().unwrap_or_default();
    if let Some(choices) = step["choices"].as_array() {
        let choice = |choice: &Value| {
            let words = steps(&choice["steps"]);
            match choice["weight"].as_f64() {
                Some(weight) if weight != 1.0 => format!("{weight} x {words}"),
                _ => words,
            }
        };
        let choices: Vec<String> = choices.iter().map(choice).collect();
        return format!("one of [{}]", choices.join(", "));
    }
    // Parameters are f32: as many digits as tell them apart.
    let number = |value: &Value| (value.as_f64().unwrap_or_default() as f32).to_string();
    let value = |value: &Value| match value {
        Value::Array(ends) => {
            let ends: Vec<String> = ends.iter().map(number).collect();
            ends.join("..")
        }
        Value::Number(_) => number(value),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let parameters: Vec<String> = step
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != "kind")
        .map(|(name, v)| format!("{name}={}", value(v)))
        .collect();
    match parameters.is_empty() {
        true => kind.to_owned(),
        false => format!("{kind}:{}", parameters.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degradations_read_as_recipes_write_them() {
        let text = "gaussian:sigma=0.8..1.8 + grain:sigma=0.01";
        let words = in_words(&text.parse().unwrap());
        assert_eq!(words, text);
        assert_eq!(words.parse::<Degradation>().unwrap(), text.parse().unwrap());
        let choice = r#"[{"kind": "oneof", "choices": [
            {"weight": 2, "steps": [{"kind": "disc", "radius": 1}]}, {"weight": 1, "steps": []}]}]"#;
        let words = in_words(&serde_json::from_str(choice).unwrap());
        assert_eq!(words, "one of [2 x disc:radius=1, nothing]");
        assert_eq!(in_words(&"motion".parse().unwrap()), "motion");
    }
}
