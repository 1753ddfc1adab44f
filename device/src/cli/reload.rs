//! Reading the configuration again while `honed` runs.

use std::path::Path;

use anyhow::Context as _;
use hone_shared::config::Config;
use serde_json::Value;

use crate::camera::dials::Dials;
use crate::journal::Journal;

/// Keys that take effect at once.
const AT_ONCE: [&str; 3] = ["student.strength", "student.split", "student.bypass"];

/// Takes what can change while frames flow from the configuration as it is now, and says what needs a
/// restart.
pub(super) fn reload(path: &Path, config: &mut Config, dials: &Dials, journal: &Journal) {
    let read = super::config::read_for_run(path, journal).and_then(|new| {
        super::specs::check(&new).with_context(|| path.display().to_string())?;
        Ok(new)
    });
    let new = match read {
        Ok(new) => new,
        // A typing error must not stop a camera on a pole.
        Err(error) => {
            let error = one_line(&format!("{error:#}"));
            journal.say(format_args!("warning: nothing was changed: {error}"));
            return;
        }
    };
    // What did not change in the file stays as a flag or the page's dials have set it.
    let (old, wanted) = (&config.student, &new.student);
    if wanted.strength != old.strength {
        dials.set_strength(wanted.strength);
    }
    if wanted.split != old.split {
        dials.set_split(wanted.split);
    }
    if wanted.bypass != old.bypass {
        dials.set_bypass(wanted.bypass);
    }
    journal.say(format_args!("configuration read again: {}", path.display()));
    let waiting: Vec<String> = changed(config, &new)
        .into_iter()
        .filter(|key| !AT_ONCE.contains(&key.as_str()))
        .collect();
    if !waiting.is_empty() {
        let keys = waiting.join(", ");
        journal.say(format_args!("warning: honed must be restarted for {keys}"));
    }
    *config = new;
}

/// An error for a log of one line each: without the drawing of the line at fault that TOML's errors have.
fn one_line(error: &str) -> String {
    let drawn = |line: &str| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        rest.starts_with('|')
    };
    let lines = error.lines().filter(|line| !drawn(line));
    lines.map(str::trim).collect::<Vec<_>>().join(": ")
}

/// Keys whose values differ, as `table.key`.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    let tables = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    let (old, new) = (tables(old), tables(new));
    let names = |value: &Value| -> Vec<String> {
        let object = value.as_object();
        object.map_or_else(Vec::new, |o| o.keys().cloned().collect())
    };
    let mut found = Vec::new();
    for table in names(&new) {
        let (was, is) = (&old[&table], &new[&table]);
        let mut keys = names(was);
        keys.extend(names(is));
        keys.sort();
        keys.dedup();
        for key in keys {
            if was.get(&key) != is.get(&key) {
                found.push(format!("{table}.{key}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_turn_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("honed.toml");
        let mut config = Config::default();
        let text = "student.strength = 0.25\nsource.fps = 25\ngpio.led = 17\n";
        std::fs::write(&path, text).unwrap();
        let new = crate::cli::config::read(&path).unwrap();
        assert_eq!(
            changed(&config, &new),
            ["gpio.led", "source.fps", "student.strength"]
        );
        let (dials, journal) = (Dials::default(), Journal::default());
        reload(&path, &mut config, &dials, &journal);
        assert_eq!(dials.strength(), 0.25);
        dials.set_strength(0.5);
        reload(&path, &mut config, &dials, &Journal::default());
        assert_eq!(dials.strength(), 0.5, "the file says what it said");
        dials.set_strength(0.25);
        assert_eq!(config, new);
        std::fs::write(&path, "output.sinks = ['bogus']").unwrap();
        reload(&path, &mut config, &dials, &journal);
        std::fs::write(&path, "student.strength = 'a lot'").unwrap();
        reload(&path, &mut config, &dials, &journal);
        assert_eq!((dials.strength(), &config), (0.25, &new));
        let said = journal.lines(0);
        let said: Vec<&str> = said.iter().map(|line| line.text.as_str()).collect();
        assert!(
            said[1].ends_with("restarted for gpio.led, source.fps")
                && said[2].starts_with("warning: nothing was changed")
                && said[2].contains("bogus")
                && said[3].starts_with("warning: nothing was changed"),
            "{said:?}"
        );
        assert!(
            said[3].contains("line 1")
                && said[3].contains(": invalid type")
                && !said[3].contains('\n'),
            "{said:?}"
        );
    }
}
