//! The reference names every key that serde knows, with its true default, and every line of it reads.

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::outline::Either;
use super::*;
use crate::data::degrade::PRESETS;
use walk::missing;

/// What is shown although it is no default: what an absent key means, or a value's only place.
const SHOWN: [&str; 2] = ["local_window", "display"];

/// The reference with one choice made.
struct Form {
    table: Table,
    /// The key that stands for something else than its default.
    chosen: String,
}

fn text(table: &Table) -> RecipeText {
    let text = toml::to_string(table).unwrap();
    RecipeText::new("reference.toml".as_ref(), text, "/".as_ref())
}

fn read(table: &Table) -> Result<String> {
    Ok(format!("{:?}", Either::from_text(&text(table))?))
}

/// A student's recipe as a teacher's.
fn of_teacher(student: &Table) -> Table {
    let mut table = student.clone();
    for name in ["colour", "student", "teacher", "quantise"] {
        table.remove(name);
    }
    let losses = table["loss"].as_array_mut().unwrap();
    losses.retain(|loss| loss["kind"].as_str() != Some("teacher"));
    table.insert(
        "network".into(),
        "architecture = 'unet'".parse::<Table>().unwrap().into(),
    );
    table
}

fn key(line: &str) -> &str {
    line.split('=').next().unwrap_or(line).trim()
}

/// A line that is another choice, without its '#'.
fn choice(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?;
    rest.starts_with(|c: char| !c.is_whitespace())
        .then_some(rest)
}

/// The reference as it stands, and with each choice made.
fn forms() -> Vec<Form> {
    let whole: Table = REFERENCE.parse().unwrap();
    let mut forms = Vec::new();
    let mut form = |table, chosen: &str| {
        let chosen = chosen.to_owned();
        forms.push(Form { table, chosen });
    };
    form(whole.clone(), "");
    let (mut head, mut counts) = (String::new(), BTreeMap::new());
    for paragraph in REFERENCE.split("\n\n") {
        let choices: Vec<&str> = paragraph.lines().filter_map(choice).collect();
        if choices.first().is_some_and(|line| line.starts_with('[')) {
            // A table: as its lines say first, and with each that gives a key once more.
            let mut first: Vec<&str> = Vec::new();
            let mut again = Vec::new();
            for line in choices {
                match first.iter().position(|other| key(other) == key(line)) {
                    Some(at) => again.push((at, line)),
                    None => first.push(line),
                }
            }
            form(with_table(&whole, &first), "");
            for (at, line) in again {
                let mut lines = first.clone();
                lines[at] = line;
                form(with_table(&whole, &lines), key(line));
            }
            continue;
        }
        for line in paragraph.lines() {
            if let Some(name) = line.strip_prefix("[[") {
                let name = name.trim_end_matches(']');
                let count = counts.entry(name).or_insert(0);
                head = format!("{name}.{count}.");
                *count += 1;
            } else if let Some(name) = line.strip_prefix('[') {
                head = format!("{}.", name.trim_end_matches(']'));
            } else if let Some(line) = choice(line) {
                let teachers = head.is_empty() && key(line) == "from";
                let mut text = text(&if teachers {
                    of_teacher(&whole)
                } else {
                    whole.clone()
                });
                text.set(&[format!("{head}{line}")]).unwrap();
                form(text.text.parse().unwrap(), key(line));
            }
        }
    }
    forms
}

/// The reference with a table of these lines, beside those of `[[name]]` or in place of the one of `[name]`.
fn with_table(whole: &Table, lines: &[&str]) -> Table {
    let table: Table = lines.join("\n").parse().unwrap();
    let mut form = match table.contains_key("network") {
        true => of_teacher(whole),
        false => whole.clone(),
    };
    for (name, value) in table {
        match (form.get_mut(&name), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (_, value) => {
                form.insert(name, value);
            }
        }
    }
    form
}

/// Every recipe that lacks one key of `value`, which stands where `within` puts it.
fn shortened(value: &Value, within: &dyn Fn(Value) -> Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (key, inner) in table {
                let among = |inner: Option<Value>| {
                    let mut table = table.clone();
                    match inner {
                        Some(inner) => table.insert(key.clone(), inner),
                        None => table.remove(key),
                    };
                    within(Value::Table(table))
                };
                let tables = |v: &Value| {
                    v.is_table() || v.as_array().is_some_and(|a| a.iter().any(Value::is_table))
                };
                if tables(inner) {
                    shortened(inner, &|inner| among(Some(inner)), found);
                } else if !SHOWN.contains(&key.as_str())
                    && !inner.as_str().is_some_and(|v| SHOWN.contains(&v))
                {
                    found.push((key.clone(), among(None)));
                }
            }
        }
        Value::Array(list) => {
            for (at, inner) in list.iter().enumerate() {
                let among = |inner| {
                    let mut list = list.clone();
                    list[at] = inner;
                    within(Value::Array(list))
                };
                shortened(inner, &among, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_line_reads_and_shows_its_default() {
    let mut defaults = BTreeSet::new();
    for Form { table, chosen } in forms() {
        let whole = read(&table).unwrap_or_else(|e| panic!("{chosen}: {e:#}\n{table}"));
        let mut found = Vec::new();
        shortened(&Value::Table(table), &|whole| whole, &mut found);
        for (key, shorter) in found {
            let shorter = shorter.as_table().unwrap();
            // A key without a default is missed.
            if let Ok(read) = read(shorter)
                && key != chosen
            {
                assert_eq!(read, whole, "{key} shows no default, beside {chosen}");
                defaults.insert(key);
            }
        }
    }
    assert!(defaults.len() > 80, "only {defaults:?} have defaults");
}

fn missing_in(forms: &[Table]) -> (Vec<String>, usize) {
    let forms: Vec<Value> = forms.iter().cloned().map(Value::Table).collect();
    missing(&forms.iter().collect::<Vec<_>>())
}

#[test]
fn every_key_kind_and_value_is_shown() {
    let mut forms: Vec<Table> = forms().into_iter().map(|form| form.table).collect();
    let (none, keys) = missing_in(&forms);
    assert!(none.is_empty(), "reference.toml lacks {}", none.join(", "));
    assert!(keys > 150, "only {keys} keys were looked for");
    for preset in PRESETS {
        assert!(REFERENCE.contains(&format!("\"{preset}\"")), "{preset}");
    }
    // What is in none of them is missed.
    forms.retain(|form| !form.to_string().contains("vp8"));
    for form in &mut forms {
        if let Some(training) = form["training"].as_table_mut() {
            training.remove("ema");
            training.insert("precision".into(), "f32".into());
        }
        if let Some(network) = form.get_mut("network").and_then(Value::as_table_mut) {
            network.remove("local_window");
        }
    }
    let (missed, _) = missing_in(&forms);
    for lost in [
        ".data.degradation(vp8)",
        ".training.ema",
        "bf16",
        ".network(nafnet).local_window",
    ] {
        assert!(missed.iter().any(|m| m == lost), "{lost}: {missed:?}");
    }
}
