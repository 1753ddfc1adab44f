//! Reading a configuration that was written for another version.

use super::{Config, ConfigError};

impl Config {
    /// Reads a configuration and leaves out tables and keys that this version does not know; the second
    /// value names them. A board that goes back to an older `honed` keeps its newer configuration, and has to start with it.
    ///
    /// # Errors
    /// As [`Config::parse`], for everything else that is wrong.
    pub fn parse_known(text: &str) -> Result<(Self, Vec<String>), ConfigError> {
        let strict = match Self::parse(text) {
            Ok(config) => return Ok((config, Vec::new())),
            Err(error) => error,
        };
        let Ok(mut root) = toml::from_str::<toml::Table>(text) else {
            return Err(strict);
        };
        let mut left_out = Vec::new();
        let sections = known(toml::Table::from_iter([nameless()]));
        let names: Vec<String> = root.keys().cloned().collect();
        for name in names {
            if !sections.contains(&name) {
                root.remove(&name);
                left_out.push(name);
            } else if let Some(table) = root.get_mut(&name).and_then(toml::Value::as_table_mut) {
                let inside = toml::Value::Table(toml::Table::from_iter([nameless()]));
                let keys = known(toml::Table::from_iter([(name.clone(), inside)]));
                table.retain(|key, _| {
                    let stays = keys.iter().any(|known| known == key);
                    if !stays {
                        left_out.push(format!("{name}.{key}"));
                    }
                    stays
                });
            }
        }
        let config: Self = root.try_into().map_err(|_| strict)?;
        config.validate()?;
        Ok((config, left_out))
    }
}

/// A key that no version knows.
fn nameless() -> (String, toml::Value) {
    (String::new(), toml::Value::Boolean(true))
}

/// The keys that serde would take where `table` has the [`nameless`] one: its complaint lists them in backticks. Asked with
/// nothing else in the table, so that it costs the same whatever a file holds.
fn known(table: toml::Table) -> Vec<String> {
    let complaint = table.try_into::<Config>().err();
    let complaint = complaint.as_ref().map_or("", toml::de::Error::message);
    let (_, list) = complaint.split_once(", expected ").unwrap_or_default();
    let quoted = list.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_brought_is_left_out_and_named() {
        let text = "[student]\nstrength = 0.5\nlater = [1, 2]\n[slots]\nthreads = 3\n[clouds]\nname = 'x'\n";
        let (config, left_out) = Config::parse_known(text).unwrap();
        assert_eq!(config.student.strength, 0.5);
        assert_eq!(config.student.threads, 0);
        assert_eq!(left_out, ["clouds", "slots.threads", "student.later"]);
        let (config, left_out) = Config::parse_known("student.strength = 0.25").unwrap();
        assert_eq!((config.student.strength, left_out.len()), (0.25, 0));
    }

    #[test]
    fn every_key_of_every_section_is_known() {
        let mut root: toml::Table = toml::from_str(crate::config::DEFAULT).unwrap();
        for (_, section) in root.iter_mut() {
            let section = section.as_table_mut().unwrap();
            section.insert("later".into(), 1.into());
        }
        let sections = root.len();
        let (config, left_out) = Config::parse_known(&root.to_string()).unwrap();
        assert_eq!(config, Config::parse(crate::config::DEFAULT).unwrap());
        assert_eq!(left_out.len(), sections, "{left_out:?}");
    }

    /// As long as a minute if each of them cost a look at all the others.
    #[test]
    fn tens_of_thousands_of_unknown_keys_are_left_out_at_once() {
        let unknown: String = (0..40_000).map(|n| format!("later{n} = 1\n")).collect();
        let text = format!("[student]\nstrength = 0.5\n{unknown}");
        let (config, left_out) = Config::parse_known(&text).unwrap();
        assert_eq!((config.student.strength, left_out.len()), (0.5, 40_000));
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for text in [
            "[student",
            "student.later = 1\nstudent.strength = 'much'",
            "later = 1\nstudent.strength = 1.5",
            "student = 3",
        ] {
            assert!(Config::parse_known(text).is_err(), "{text}");
        }
    }
}
