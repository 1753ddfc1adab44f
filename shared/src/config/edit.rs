//! Changing single keys of a configuration file, so that a person's comments and order survive.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::{Config, ConfigError, fault};

/// Table, key and value.
pub type Change = (&'static str, &'static str, Value);

/// `text` with `table.key = value` for each of `changes`, in place where the key is there, at the end of its table
/// otherwise.
///
/// # Errors
/// [`ConfigError`] when the result is no configuration any more, for instance because `text` is none
/// or a value is out of range.
pub fn change(text: &str, changes: &[Change]) -> Result<String, ConfigError> {
    // Read by the configuration's own reader first: its words are meant for people.
    Config::parse(text)?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| fault::toml(text, e.message(), e.span()))?;
    for (table, key, value) in changes {
        let table = document.entry(table).or_insert_with(toml_edit::table);
        let Some(table) = table.as_table_like_mut() else {
            continue;
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                let around = old.decor().clone();
                *old = value.clone();
                *old.decor_mut() = around;
            }
            None => {
                table.insert(key, Item::Value(value.clone()));
            }
        }
    }
    let changed = document.to_string();
    Config::parse(&changed)?;
    Ok(changed)
}

/// Texts as TOML.
pub fn list(texts: &[String]) -> Value {
    Value::Array(texts.iter().collect::<Array>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT;

    #[test]
    fn keys_change_and_the_rest_stays() {
        let changes = [
            ("student", "level", "small \"one\"".into()),
            ("student", "threads", 3.into()),
            ("governor", "fps", 25.0.into()),
        ];
        let text = change(DEFAULT, &changes).unwrap();
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.student.level, "small \"one\"");
        assert_eq!((config.student.threads, config.governor.fps), (3, 25.0));
        let others = |t: &str| t.lines().filter(|l| l.starts_with(['#', '['])).count();
        assert_eq!(others(&text), others(DEFAULT));
        assert_eq!(text.lines().count(), DEFAULT.lines().count());
    }

    #[test]
    fn missing_tables_and_keys_are_added() {
        let changes = [("student", "threads", Value::from(2))];
        for before in [
            "",
            "[source]\nfps = 30\n",
            "[student] # mine\nlevel = \"a\"\n[output]\n",
            "[ student ]\nlevel = \"a\"\n",
            "student.level = \"a\"\n",
            "student = { level = \"a\", threads = 1 } # mine\n",
        ] {
            let config = Config::parse(&change(before, &changes).unwrap()).unwrap();
            assert_eq!(config.student.threads, 2);
            let old = Config::parse(before).unwrap();
            assert_eq!(config.student.level, old.student.level);
            assert_eq!(config.source, old.source);
            let mine = |text: &str| text.matches("# mine").count();
            assert_eq!(mine(&change(before, &changes).unwrap()), mine(before));
        }
    }

    #[test]
    fn what_would_be_no_configuration_is_refused() {
        let threads = |value: i64| [("student", "threads", Value::from(value))];
        assert!(change(DEFAULT, &threads(-1)).is_err());
        assert!(change("not toml", &threads(1)).is_err());
    }
}
