//! A walk through all keys that serde knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use toml::Value;

use crate::recipe::{Recipe, TeacherRecipe};

/// A key, and a value, that nothing has.
const UNKNOWN: &str = "nonesuch";

/// Asks serde for its keys, by a key that it does not know, and looks for them in what is shown.
struct Walk {
    /// What serde says to a recipe.
    told: fn(Value) -> String,
    /// Kinds of tables that were walked: steps have steps.
    walked: BTreeSet<String>,
    /// Of each list of plain values those that are shown nowhere.
    unseen: BTreeMap<String, BTreeSet<String>>,
    missing: Vec<String>,
    keys: usize,
}

impl Walk {
    /// Looks for what may stand where `within` puts it, at `place`, in `shown`.
    fn look(&mut self, place: &str, within: &dyn Fn(Value) -> Value, shown: &[&Value]) {
        let message = (self.told)(within(unknown(None)));
        if message.starts_with("unknown field") {
            self.keys(place, None, within, shown);
        } else if let Some(tag) = message.strip_prefix("missing field ") {
            let tag = tag.trim_matches('`');
            let kinds = (self.told)(within(table(&[(tag, UNKNOWN.into())])));
            assert!(
                kinds.starts_with("unknown variant"),
                "{place} takes unknown keys"
            );
            if !self.walked.insert(kinds.clone()) {
                return;
            }
            for kind in names(&kinds) {
                let of_kind = |v: &&&Value| v.get(tag).and_then(Value::as_str) == Some(kind);
                let shown: Vec<&Value> = shown.iter().filter(of_kind).copied().collect();
                let place = format!("{place}({kind})");
                if shown.is_empty() {
                    self.missing.push(place.clone());
                }
                self.keys(&place, Some((tag, kind)), within, &shown);
            }
        } else if message.starts_with("unknown variant") {
            let all = || names(&message).map(str::to_owned).collect();
            let unseen = self.unseen.entry(message.clone()).or_insert_with(all);
            for value in shown.iter().filter_map(|v| v.as_str()) {
                unseen.remove(value);
            }
        } else {
            let listed = |inner| within(Value::Array(vec![inner]));
            let message = (self.told)(listed(unknown(None)));
            let tables = ["unknown field", "missing field", "unknown variant"];
            if tables.iter().any(|start| message.starts_with(start)) {
                let shown: Vec<&Value> = shown
                    .iter()
                    .filter_map(|v| v.as_array())
                    .flatten()
                    .collect();
                self.look(place, &listed, &shown);
            }
        }
    }

    /// Looks for the keys of the table there, of this kind.
    fn keys(
        &mut self,
        place: &str,
        kind: Option<(&str, &str)>,
        within: &dyn Fn(Value) -> Value,
        shown: &[&Value],
    ) {
        let message = (self.told)(within(unknown(kind)));
        assert!(message.starts_with("unknown field"), "{place}: {message}");
        for key in names(&message) {
            self.keys += 1;
            let place = format!("{place}.{key}");
            let shown: Vec<&Value> = shown.iter().filter_map(|v| v.get(key)).collect();
            if shown.is_empty() {
                self.missing.push(place.clone());
            }
            let inside = |inner| {
                let mut table = table(&[(key, inner)]);
                if let (Some((tag, kind)), Some(table)) = (kind, table.as_table_mut()) {
                    table.insert(tag.to_owned(), kind.into());
                }
                within(table)
            };
            self.look(&place, &inside, &shown);
        }
    }
}

fn table(pairs: &[(&str, Value)]) -> Value {
    let pair = |(key, value): &(&str, Value)| ((*key).to_owned(), value.clone());
    Value::Table(pairs.iter().map(pair).collect())
}

/// A table of this kind with an unknown key.
fn unknown(kind: Option<(&str, &str)>) -> Value {
    let mut pairs = vec![(UNKNOWN, true.into())];
    pairs.extend(kind.map(|(tag, kind)| (tag, kind.into())));
    table(&pairs)
}

/// What serde would have known instead.
fn names(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2).skip(1)
}

fn told<T: DeserializeOwned>(recipe: Value) -> String {
    let error = recipe.try_into::<T>().err();
    error.map_or_else(String::new, |e| e.message().to_owned())
}

/// The keys, kinds and values that none of the recipes `shown` has, and how many keys there are.
pub fn missing(shown: &[&Value]) -> (Vec<String>, usize) {
    // Teachers first: a student's recipe has their options too, in [teacher], where they are not shown again.
    let mut walk = Walk {
        told: told::<TeacherRecipe>,
        walked: BTreeSet::new(),
        unseen: BTreeMap::new(),
        missing: Vec::new(),
        keys: 0,
    };
    walk.look("", &|recipe| recipe, shown);
    walk.told = told::<Recipe>;
    walk.look("", &|recipe| recipe, shown);
    walk.missing.extend(walk.unseen.into_values().flatten());
    (walk.missing, walk.keys)
}
