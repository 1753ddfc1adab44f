//! Mean opinion scores: a blind rating page, and what its answers say.
//!
//! The page shows one picture at a time under an opaque number, in an order of its own for every
//! rater, and takes 1 (bad) to 5 (excellent) as ITU-R BT.500 and ITU-T P.910 name them. Which method
//! made which picture stands in a key file that raters do not get.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{data_url, escape, page};
use crate::metric::Summary;
use crate::picture::Picture;
use crate::recipe::sha256;
use crate::restore::images_in;

/// First line of a rater's file, as `mos.js` writes it.
const HEADER: &str = "rater,item,score,page";

/// What an opaque number stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Number on the page.
    pub item: usize,
    /// Method that made the picture.
    pub method: String,
    /// File name of the picture.
    pub picture: String,
}

/// A method's score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opinion {
    /// Name of the method.
    pub method: String,
    /// Mean opinion score, 1..5.
    pub mean: f64,
    /// Its uncertainty.
    pub interval: Interval,
    /// Ratings counted.
    pub ratings: usize,
}

/// Half the width of the 95 % confidence interval (Student's t over ratings); a single rating has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Interval(pub Option<f64>);

impl Interval {
    fn of(ratings: &Summary) -> Self {
        let freedom = ratings.count.saturating_sub(1);
        let error = ratings.deviation / (ratings.count as f64).sqrt();
        Self((freedom > 0).then(|| student_t_975(freedom) * error))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(half) => half.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Makes the rating page and its key from folders of pictures, one for each method.
///
/// # Errors
/// When there is no method, two have one name or one has none, a folder cannot be read, or the folders hold different pictures.
pub fn kit(methods: &[(String, PathBuf)], seed: u64) -> anyhow::Result<(String, Vec<Item>)> {
    let mut pictures = Vec::new();
    let mut names: Option<BTreeSet<String>> = None;
    for (number, (method, folder)) in methods.iter().enumerate() {
        // Ratings are summed up by name.
        if method.trim().is_empty() {
            bail!(
                "the method of {} has no name: write NAME=FOLDER",
                folder.display()
            );
        }
        if methods[..number].iter().any(|(before, _)| before == method) {
            bail!("there are two methods '{method}': give each a name of its own");
        }
        let paths = images_in(folder)?;
        let own: BTreeSet<String> = paths.iter().filter_map(|p| stem(p)).collect();
        match &names {
            Some(names) if *names != own => bail!(
                "{} holds other pictures than the first folder: every method must show the same",
                folder.display()
            ),
            _ => names = Some(own),
        }
        pictures.extend(paths.into_iter().map(|path| (method.clone(), path)));
    }
    if pictures.is_empty() {
        bail!("name at least one method as NAME=FOLDER");
    }
    pictures.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (mut key, mut images) = (Vec::new(), String::new());
    for (item, (method, path)) in pictures.into_iter().enumerate() {
        let url = data_url(&Picture::load(&path)?)?;
        images += &format!(
            "<img hidden data-item=\"{item}\" alt=\"\" src=\"{}\">\n",
            escape(&url)
        );
        key.push(Item {
            item,
            method,
            picture: stem(&path).unwrap_or_default(),
        });
    }
    let id = page_id(&key)?;
    let body = format!(
        "<h1>How good does each picture look?</h1>\n\
         <form id=\"start\"><label>Your name or number <input id=\"rater\" required></label> \
         <button>Begin</button></form>\n\
         <div id=\"rate\" hidden><p id=\"count\"></p>\n<div id=\"stage\" data-page=\"{id}\">{images}</div>\n\
         <p id=\"scores\"></p></div>\n\
         <p id=\"end\" hidden>Thank you. <a id=\"save\">Save your ratings</a> and send the file back.</p>\n"
    );
    Ok((
        page::document("Rate pictures", &body, include_str!("mos.js")),
        key,
    ))
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_string_lossy().into_owned())
}

/// What ties a rating to the key of its page: numbers mean something else on every other page.
///
/// # Errors
/// When the key cannot be encoded.
pub fn page_id(key: &[Item]) -> anyhow::Result<String> {
    let mut id = sha256(&serde_json::to_vec(key)?);
    id.truncate(12);
    // Spreadsheets would take some for numbers.
    Ok(format!("p{id}"))
}

/// Scores of all methods, best first, from the key and the raters' CSV files (`rater,item,score,page`).
///
/// # Errors
/// When a file cannot be read, lacks its first line or a rating, or a line is no rating, or one of another key's page; the
/// file and line are named.
pub fn score(key: &[Item], files: &[PathBuf]) -> anyhow::Result<Vec<Opinion>> {
    let id = page_id(key)?;
    let mut ratings: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines().enumerate();
        let first = lines.next().map_or("", |(_, line)| line);
        // Spreadsheets put a byte order mark before it.
        let header = first
            .trim_start_matches('\u{feff}')
            .replace(char::is_whitespace, "");
        if header != HEADER {
            bail!(
                "{} line 1: '{first}' is no header: the first line of a rater's file is {HEADER}",
                file.display()
            );
        }
        let before = seen.len();
        for (number, line) in lines {
            if line.trim().is_empty() {
                continue;
            }
            let named = || format!("{} line {}", file.display(), number + 1);
            // Names may hold commas; the rest stands last.
            let mut fields = line.rsplitn(4, ',').map(str::trim);
            let page = fields.next().unwrap_or_default();
            let score = fields.next().and_then(|s| s.parse::<u8>().ok());
            let item = fields.next().and_then(|s| s.parse::<usize>().ok());
            let (Some(score @ 1..=5), Some(item), Some(rater)) = (score, item, fields.next())
            else {
                bail!(
                    "{}: '{line}' is no rating (rater,item,score from 1 to 5,page)",
                    named()
                );
            };
            if page != id {
                bail!(
                    "{}: this rating is of the page '{page}', and the key of '{id}': give the key that was written with its page",
                    named()
                );
            }
            let entry = key.iter().find(|entry| entry.item == item);
            let entry =
                entry.with_context(|| format!("{}: the key has no item {item}", named()))?;
            if !seen.insert((rater.to_owned(), item)) {
                bail!("{}: {rater} has rated item {item} twice", named());
            }
            ratings
                .entry(&entry.method)
                .or_default()
                .push(f64::from(score));
        }
        if seen.len() == before {
            bail!("{} holds no rating: leave it out", file.display());
        }
    }
    let mut opinions: Vec<Opinion> = ratings
        .into_iter()
        .filter_map(|(method, scores)| {
            let summary = Summary::of(scores)?;
            Some(Opinion {
                method: method.to_owned(),
                mean: summary.mean,
                interval: Interval::of(&summary),
                ratings: summary.count,
            })
        })
        .collect();
    if opinions.is_empty() {
        bail!("the files hold no rating");
    }
    opinions.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    Ok(opinions)
}

/// The 97.5 % point of Student's t; infinite without a degree of freedom. Table to 10, then
/// Cornish-Fisher around the normal's 1.959964 (Abramowitz and Stegun 26.7.5), right to 1e-3.
fn student_t_975(freedom: usize) -> f64 {
    const TABLE: [f64; 11] = [
        f64::INFINITY,
        12.706,
        4.303,
        3.182,
        2.776,
        2.571,
        2.447,
        2.365,
        2.306,
        2.262,
        2.228,
    ];
    TABLE.get(freedom).copied().unwrap_or_else(|| {
        let (z, n) = (1.959_964_f64, freedom as f64);
        z + (z.powi(3) + z) / (4.0 * n)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
    })
}
