//! An evaluation as one HTML file: table, plots, before/after sliders.

use std::fmt::Write as _;

use super::{data_url, escape, plot};
use crate::evaluate::summary::{Entry, Evaluation};
use crate::picture::Picture;

/// A before/after slider of the page.
#[derive(Debug)]
pub struct Wipe {
    /// Caption.
    pub caption: String,
    /// Left of the slider.
    pub before: Picture,
    /// Right of it; same size.
    pub after: Picture,
    /// The truth, shown beside them.
    pub truth: Picture,
}

/// A curve over training: name and (epoch, value) points.
pub type Curve = (String, Vec<(f64, f64)>);

/// The page.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn render(
    evaluation: &Evaluation,
    wipes: &[Wipe],
    training: &[Curve],
) -> anyhow::Result<String> {
    let mut body = String::from("<h1>Evaluation</h1>\n");
    let rows: Vec<_> = evaluation
        .rows
        .iter()
        .map(|r| evaluation.cells(r))
        .collect();
    body += &table(&evaluation.headings(), &rows);
    let (headings, rows) = evaluation.metrics();
    body += &format!(
        "<details><summary>Every metric</summary>\n{}</details>\n",
        table(&headings, &rows)
    );
    for note in evaluation.notes() {
        let _ = writeln!(body, "<p>{}</p>", escape(&note));
    }
    body += "<div class=\"plots\">";
    let points: Vec<(String, f64, f64)> = evaluation
        .rows
        .iter()
        .filter_map(|row| {
            let row = &row.figures;
            Some((row.name.clone(), row.macs_per_pixel?, row.psnr_db?.mean))
        })
        .collect();
    if !points.is_empty() {
        body += &plot::scatter("Quality against cost", "MAC per pixel", "PSNR dB", &points);
    }
    let gains: Vec<f64> = evaluation.ranking.iter().map(|gain| gain.gain_db).collect();
    if !gains.is_empty() {
        body += &plot::histogram("Gain over the input", "dB", &gains, 16);
    }
    if evaluation.pairs.len() > 1 {
        let over_pairs = |values: &dyn Fn(&Entry) -> Vec<f64>| -> Vec<Curve> {
            let curve = |row: &Entry| {
                let points = values(row).into_iter().enumerate();
                let points = points.map(|(i, v)| (i as f64, v));
                (row.figures.name.clone(), points.collect())
            };
            evaluation.rows.iter().map(curve).collect()
        };
        let psnr = over_pairs(&|row| row.psnr_of_pairs.clone());
        body += &plot::curves("PSNR of each picture", "picture", "PSNR dB", &psnr);
        let ssim = over_pairs(&|row| {
            row.ssim_of_pairs
                .iter()
                .map(|v| v.unwrap_or(f64::NAN))
                .collect()
        });
        body += &plot::curves("SSIM of each picture", "picture", "SSIM", &ssim);
    }
    if !training.is_empty() {
        body += &plot::curves("Training", "epoch", "PSNR dB", training);
    }
    body += "</div>\n";
    if !wipes.is_empty() {
        body += "<p>Left of the line the input, right of it what came out (drag it); beside them the truth.</p>\n";
    }
    for wipe in wipes {
        body += &slider(wipe)?;
    }
    Ok(document("hone: evaluation", &body, include_str!("wipe.js")))
}

/// A whole document around `body`; everything it needs is inside.
pub(super) fn document(title: &str, body: &str, script: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n{body}\
         <script>\n{script}</script>\n</body>\n</html>\n",
        escape(title),
        include_str!("page.css")
    )
}

fn table(headings: &[String], rows: &[Vec<String>]) -> String {
    let row = |tag: &str, cells: &[String]| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
            .collect();
        format!("<tr>{cells}</tr>\n")
    };
    let mut html = format!("<div class=\"wide\"><table>\n{}", row("th", headings));
    rows.iter().for_each(|cells| html += &row("td", cells));
    html + "</table></div>\n"
}

fn slider(wipe: &Wipe) -> anyhow::Result<String> {
    Ok(format!(
        "<figure>\n<div class=\"wipe\"><img alt=\"after\" src=\"{}\">\
         <img class=\"before\" alt=\"before\" src=\"{}\"><div class=\"line\"></div>\
         <input type=\"range\" min=\"0\" max=\"100\" value=\"50\" aria-label=\"before or after\"></div>\n\
         <img class=\"truth\" alt=\"truth\" src=\"{}\">\n\
         <figcaption>{}</figcaption>\n</figure>\n",
        data_url(&wipe.after)?,
        data_url(&wipe.before)?,
        data_url(&wipe.truth)?,
        escape(&wipe.caption)
    ))
}
