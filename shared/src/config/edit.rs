//! Changing single keys of a configuration file, so that a person's comments and order survive.

use super::{Config, ConfigError};

/// `text` with `table.key = value` for each of `changes` (table, key, value as TOML), in place where
/// the key is there, at the start of its table otherwise.
///
/// # Errors
/// [`ConfigError`] when the result is no configuration any more, for instance because `text` is none
/// or a value is out of range.
pub fn change(text: &str, changes: &[(&str, &str, String)]) -> Result<String, ConfigError> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (table, key, value) in changes {
        let header = format!("[{table}]");
        let line = format!("{key} = {value}");
        let Some(start) = lines.iter().position(|l| bare(l) == header) else {
            lines.extend([String::new(), header, line]);
            continue;
        };
        let end = lines[start + 1..]
            .iter()
            .position(|l| bare(l).starts_with('['));
        let end = end.map_or(lines.len(), |n| start + 1 + n);
        let names = |l: &String| {
            bare(l)
                .split_once('=')
                .is_some_and(|(k, _)| k.trim() == *key)
        };
        match lines[start + 1..end].iter().position(names) {
            Some(at) => lines[start + 1 + at] = line,
            None => lines.insert(start + 1, line),
        }
    }
    let changed = lines.join("\n") + "\n";
    Config::parse(&changed)?;
    Ok(changed)
}

fn bare(line: &str) -> &str {
    line.split('#').next().unwrap_or(line).trim()
}

/// A string as TOML.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT;

    #[test]
    fn keys_change_and_the_rest_stays() {
        let changes = [
            ("student", "level", quoted("small \"one\"")),
            ("student", "threads", "3".into()),
            ("governor", "fps", "25.0".into()),
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
        let changes = [("student", "threads", "2".to_owned())];
        for before in [
            "",
            "[source]\nfps = 30\n",
            "[student] # mine\nlevel = \"a\"\n[output]\n",
        ] {
            let config = Config::parse(&change(before, &changes).unwrap()).unwrap();
            assert_eq!(config.student.threads, 2);
            let old = Config::parse(before).unwrap();
            assert_eq!(config.student.level, old.student.level);
            assert_eq!(config.source, old.source);
        }
    }

    #[test]
    fn what_would_be_no_configuration_is_refused() {
        let threads = |value: &str| [("student", "threads", value.to_owned())];
        assert!(change(DEFAULT, &threads("-1")).is_err());
        assert!(change("not toml", &threads("1")).is_err());
    }
}
