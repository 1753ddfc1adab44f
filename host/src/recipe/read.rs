//! Recipe files as text: overrides, hashes, and errors that name their line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::Recipe;
use super::fault::{Fault, Place};
use crate::loss::LossConfig;

/// Largest recipe file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a recipe, where it came from, and the folder that its paths are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeText {
    /// The file, for messages.
    pub origin: PathBuf,
    /// TOML, with what `--set` and `--no-teacher` changed.
    pub text: String,
    /// The file as it was written, whose lines are named.
    pub written: String,
    /// Absolute folder for relative paths.
    pub base: PathBuf,
}

impl RecipeText {
    /// A recipe of this text.
    pub fn new(origin: &Path, text: String, base: &Path) -> Self {
        Self {
            origin: origin.to_path_buf(),
            written: text.clone(),
            text,
            base: base.to_path_buf(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 1 MiB.
    pub fn read(path: &Path) -> Result<Self> {
        let missing = || format!("cannot read the recipe {}", path.display());
        let size = std::fs::metadata(path).with_context(missing)?.len();
        if size > MAX_BYTES {
            bail!("{} has {size} bytes; that is no recipe", path.display());
        }
        let text = std::fs::read_to_string(path).with_context(missing)?;
        let whole = path.canonicalize().with_context(missing)?;
        let base = whole.parent().unwrap_or(Path::new("/"));
        Ok(Self::new(path, text, base))
    }

    /// SHA-256 of the text, hexadecimal.
    pub fn hash(&self) -> String {
        sha256(self.text.as_bytes())
    }

    /// Sets `key.of.table=value` pairs (`stage.0.crop=64` reaches into lists); a value that is no
    /// TOML is taken as a string. Who types a relative path means the folder that he is in: it becomes absolute, while one in
    /// the file starts from the file's folder.
    ///
    /// # Errors
    /// When a pair has no `=` or a key leads through something that is no table.
    pub fn set(&mut self, pairs: &[String]) -> Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut table = self.table()?;
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .with_context(|| format!("--set {pair}: write it as key=value"))?;
            let typed = format!("v = {value}").parse::<Table>().ok();
            let typed = typed.and_then(|mut t| t.remove("v"));
            let mut value = typed.unwrap_or_else(|| Value::String(value.to_owned()));
            let keys: Vec<&str> = key.trim().split('.').collect();
            from_here(&keys, &mut value).map_err(|e| anyhow!("--set {pair}: {e}"))?;
            place(&mut table, &keys, value).map_err(|e| anyhow!("--set {pair}: {e}"))?;
        }
        self.replace(&table)
    }

    /// Has a teacher's recipe start from the weights at `path`, which starts from the recipe's folder if it is relative.
    ///
    /// # Errors
    /// When the text is no TOML.
    pub fn start_from(&mut self, path: &Path) -> Result<()> {
        let mut table = self.table()?;
        table.insert("from".into(), Value::String(path.display().to_string()));
        self.replace(&table)
    }

    /// Takes the teacher and every loss that compares with it out of the recipe.
    ///
    /// # Errors
    /// When the text is no recipe: a mistake in what is taken out is told all the same.
    pub fn remove_teacher(&mut self) -> Result<()> {
        let whole: Recipe = self.parse()?;
        let guided = |(_, loss): &(usize, &LossConfig)| loss.needs_teacher();
        for (at, loss) in whole.losses.iter().enumerate().filter(guided) {
            let here = Place::Nth("loss", at);
            loss.validate().map_err(|e| self.blame(here.fault(e)))?;
        }
        let mut table = self.table()?;
        table.remove("teacher");
        if let Some(Value::Array(losses)) = table.get_mut("loss") {
            losses.retain(|loss| {
                let kind = loss.get("kind").and_then(Value::as_str);
                !matches!(kind, Some("teacher" | "feature"))
            });
        }
        self.replace(&table)
    }

    /// Reads the text as a typed recipe.
    ///
    /// # Errors
    /// One sentence with file, line and what is wrong.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.text).map_err(|changed| {
            // Lines are those of the file: what is wrong there already is told of the file.
            match toml::from_str::<T>(&self.written) {
                Err(e) if e.message() == changed.message() => self.explain(&e),
                _ => anyhow!(
                    "{}, as changed: {}",
                    self.origin.display(),
                    one_line(&changed)
                ),
            }
        })
    }

    /// The sentence about a fault, with file and line.
    pub(super) fn blame(&self, fault: Fault) -> anyhow::Error {
        let Fault { place, error } = fault;
        // `--no-teacher` takes losses out: their numbers are no longer those of the file.
        let same = place.count(&self.text) == place.count(&self.written);
        let line = place.line(&self.written).filter(|_| same);
        let line = line.map_or(String::new(), |n| format!(", line {}", n + 1));
        anyhow!("{}{line}: {error:#}", self.origin.display())
    }

    /// The whole path of a file that the recipe names.
    ///
    /// # Errors
    /// When it is not there; the message names the recipe's line.
    pub fn require(&self, path: &Path) -> Result<PathBuf> {
        let whole = self.base.join(path);
        if whole.exists() {
            return Ok(whole);
        }
        let quoted = ['"', '\''].map(|q| format!("{q}{}{q}", path.display()));
        let names = |line: &str| quoted.iter().any(|name| line.contains(name));
        let line = self.written.lines().position(names);
        let line = line.map_or(String::new(), |n| format!(", line {}", n + 1));
        bail!(
            "{}{line}: there is no file {}",
            self.origin.display(),
            whole.display()
        )
    }

    /// The text as it stands, untyped.
    ///
    /// # Errors
    /// When it is no TOML.
    pub(super) fn table(&self) -> Result<Table> {
        self.text
            .parse()
            .map_err(|e: toml::de::Error| self.explain(&e))
    }

    fn replace(&mut self, table: &Table) -> Result<()> {
        self.text = toml::to_string(table).context("the changed recipe cannot be written")?;
        Ok(())
    }

    fn explain(&self, error: &toml::de::Error) -> anyhow::Error {
        let message = one_line(error);
        let file = self.origin.display();
        let Some(span) = error.span() else {
            return anyhow!("{file}: {message}");
        };
        let start = span.start.min(self.written.len());
        let first = self.written.as_bytes()[..start]
            .iter()
            .filter(|&&b| b == b'\n')
            .count();
        // Tagged tables report the table as a whole: look for the key inside it.
        let unknown = message.starts_with("unknown field");
        let key = message.split('`').nth(1).filter(|_| unknown);
        let line = key
            .and_then(|key| self.key_line(first, key))
            .unwrap_or(first);
        anyhow!("{file}, line {}: {message}", line + 1)
    }

    /// The first line from `first` on that assigns `key`, counted from 0.
    fn key_line(&self, first: usize, key: &str) -> Option<usize> {
        let assigns = |line: &str| {
            let parts = line.split([',', '{']);
            parts
                .filter_map(|part| part.split_once('='))
                .any(|(name, _)| name.trim() == key)
        };
        let found = self.written.lines().skip(first).position(assigns)?;
        Some(first + found)
    }
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', ", ")
}

/// Makes the paths in `value`, which `keys` lead to, absolute.
fn from_here(keys: &[&str], value: &mut Value) -> std::io::Result<()> {
    match value {
        Value::Table(inner) => {
            for (key, value) in inner.iter_mut() {
                from_here(&[keys, &[key.as_str()]].concat(), value)?;
            }
        }
        Value::Array(list) => {
            for value in list {
                from_here(&[keys, &["0"]].concat(), value)?;
            }
        }
        Value::String(path) if names_a_file(keys) && !path.is_empty() => {
            *path = std::path::absolute(&*path)?.display().to_string();
        }
        _ => {}
    }
    Ok(())
}

/// Whether what stands under `keys` of a recipe is a path.
fn names_a_file(keys: &[&str]) -> bool {
    matches!(
        keys,
        ["from"]
            | ["data", "root" | "index"]
            | ["teacher", "from" | "cache"]
            | ["loss", _, "weights"]
    )
}

fn place(table: &mut Table, keys: &[&str], value: Value) -> Result<(), String> {
    let (key, rest) = match keys {
        [] | ["", ..] => return Err("the key is empty".into()),
        [key, rest @ ..] => (*key, rest),
    };
    if rest.is_empty() {
        table.insert(key.to_owned(), value);
        return Ok(());
    }
    let next = table
        .entry(key)
        .or_insert_with(|| Value::Table(Table::new()));
    place_inside(key, next, rest, value)
}

/// Places what belongs under `rest` of `outer`, which is called `key`.
fn place_inside(key: &str, outer: &mut Value, rest: &[&str], value: Value) -> Result<(), String> {
    match (outer, rest) {
        (Value::Table(inner), _) => place(inner, rest, value),
        (Value::Array(list), [index, rest @ ..]) => {
            let count = list.len();
            let at: usize = index
                .parse()
                .map_err(|_| format!("'{index}' is no index of '{key}'"))?;
            let Some(element) = list.get_mut(at) else {
                return Err(format!(
                    "'{key}' is a list of {count}, counted from 0: it has no {at}"
                ));
            };
            if rest.is_empty() {
                *element = value;
                return Ok(());
            }
            place_inside(index, element, rest, value)
        }
        _ => Err(format!("'{key}' is no table")),
    }
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
