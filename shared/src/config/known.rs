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
        let sections: Vec<String> = root.keys().cloned().collect();
        for section in sections {
            while let Some(key) = root.get(&section).and_then(|v| unknown(&section, v)) {
                let inside = root.get_mut(&section).and_then(toml::Value::as_table_mut);
                if inside.is_some_and(|table| table.remove(&key).is_some()) {
                    left_out.push(format!("{section}.{key}"));
                } else if root.remove(&key).is_some() {
                    left_out.push(key);
                } else {
                    return Err(strict);
                }
            }
        }
        let config: Self = root.try_into().map_err(|_| strict)?;
        config.validate()?;
        Ok((config, left_out))
    }
}

/// What serde does not know of a table that stands alone: one of its keys, or its name.
fn unknown(section: &str, value: &toml::Value) -> Option<String> {
    let alone = toml::Table::from_iter([(section.to_owned(), value.clone())]);
    let error = alone.try_into::<Config>().err()?;
    let rest = error.message().strip_prefix("unknown field `")?;
    rest.split('`').next().map(str::to_owned)
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
