//! What is wrong with a TOML text, in one line and without its values: it goes into logs, and they may hold passwords.

use std::ops::Range;

use super::ConfigError;

/// A parser's `message` of what begins at `span` in `text`.
pub(super) fn toml(text: &str, message: &str, span: Option<Range<usize>>) -> ConfigError {
    let message = in_words(&without_values(message)).replace(char::is_control, " ");
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return ConfigError::Toml(message);
    };
    let line = before.rsplit('\n').next().unwrap_or_default();
    let (row, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
    let key = key(line).map_or_else(String::new, |key| format!("{key}: "));
    ConfigError::Toml(format!("line {row}, column {column}: {key}{message}"))
}

/// The key that `line`, cut off where the fault begins, gives a value to.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    Some(key.trim()).filter(|key| plain(key))
}

/// `message` without the string that has the wrong type, and without an unknown key that looks like a value.
fn without_values(message: &str) -> String {
    let quote = match message.starts_with("unknown field") {
        true => '`',
        false => '"',
    };
    let (Some(from), Some(to)) = (message.find(quote), message.rfind(", expected")) else {
        return message.to_owned();
    };
    if from >= to || plain(message[from..to].trim_matches('`')) {
        return message.to_owned();
    }
    format!("{}{}", message[..from].trim_end(), &message[to..])
}

/// `message` with what is expected in words, where it has the name that Rust knows it by.
fn in_words(message: &str) -> String {
    let Some((before, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let expected = match expected {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a sequence" => "a list",
        table if table.starts_with("struct ") => "a table",
        words => words,
    };
    format!("{before}, expected {expected}")
}

/// Whether `text` is a key that needs no quotes, dotted or not.
fn plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_place_and_the_key_are_told_in_one_line() {
        for (text, told) in [
            (
                "[telemetry]\nname = 'north'\nto=[\"mqtt://cam:geheim@broker.example:88833\"]",
                "line 3, column 4: to: 'mqtt://...@broker.example:88833' has no host",
            ),
            (
                "student.strength = 'a lot'",
                "line 1, column 20: student.strength: invalid type: string, expected a number",
            ),
            (
                "[output]\nsinks = ['null', 3]",
                "line 2, column 18: sinks: invalid type: integer `3`, expected a string",
            ),
            (
                "student.threads = -1",
                "line 1, column 19: student.threads: invalid value: integer `-1`, expected a whole number",
            ),
            (
                "student = 3",
                "line 1, column 11: student: invalid type: integer `3`, expected a table",
            ),
            (
                "[source]\nnane = 'v4l2'",
                "line 2, column 1: unknown field `nane`, expected one of `name`",
            ),
        ] {
            let error = error(text);
            assert!(error.starts_with(told), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn passwords_stay_in_the_file() {
        for text in [
            "telemetry.to = ['mqtt://u:geheim@h:88833']",
            "telemetry.to = [\n  'mqtt://u:geheim@h', 'mqtt://u:geheim@h:0']",
            "telemetry.to = 'mqtt://u:geheim@h'",
            "telemetry.to = '\", expected geheim'",
            "telemetry.to = mqtt://u:geheim@h",
            "telemetry.'mqtt://u:geheim@h' = 1",
            "telemetry = { tu = 'mqtt://u:geheim@h' }",
            "[source]\nnane = 'rtsp://u:geheim@h'",
            "[source]\nfps = 'rtsp://u:geheim@h'",
            "[source]\nname = 'rtsp://u:geheim@h",
            "[source]\nname = 'rtsp://u:geheim@h' fps = 3",
            "[source]\nname = 'a'\nname = 'rtsp://u:geheim@h'",
            "output.sinks = ['null' 'rtsp://u:geheim@h']",
        ] {
            let error = error(text);
            assert!(error.starts_with("line "), "{error}");
            assert!(!error.contains("geheim"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
