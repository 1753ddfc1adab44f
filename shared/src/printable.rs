//! Text that others wrote, for a terminal.

use std::fmt::Display;

/// `text` with its control characters replaced, apart from ends of lines and tabs: names in a file and the words of a camera
/// or a board must not move the cursor, write to the clipboard or hide what was said before.
pub fn printable(text: impl Display) -> String {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.to_string().replace(harmful, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_lose_their_power_and_text_stays() {
        let hostile = "a\x1b]52;c;eA==\x07\x1b[2J\r\u{9b}31m\x7fb";
        let shown = printable(hostile);
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.starts_with("a\u{fffd}]52;") && shown.ends_with('b'));
        let plain = "Grüße, 'x'\n\tzwei → drei";
        assert_eq!(printable(plain), plain);
    }
}
