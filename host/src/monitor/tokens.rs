//! The tokens of boards' pages, as a file has them.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use hone_shared::telemetry::Fingerprint;

use super::Page;

/// Longest token.
const LONGEST: usize = 1024;
/// How a line of a file for several boards looks.
const LINE: &str = "HOST[:PORT] TOKEN [FINGERPRINT]";

/// What a token file holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Tokens {
    /// One token, for every board.
    Shared(String),
    /// One for each board.
    Each(Vec<Entry>),
}

/// A board, its token, and the fingerprint of its certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The board's page.
    pub page: Page,
    /// Its token.
    pub token: String,
    /// Its certificate, where no authority signed it.
    pub fingerprint: Option<Fingerprint>,
}

impl Tokens {
    /// Reads a file; blank lines, and those that begin with `#`, are left out.
    ///
    /// # Errors
    /// The file or the line at fault, never what a token says.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the token {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).enumerate();
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next().context("it holds no token")?;
        let mut rest = lines.peekable();
        if rest.peek().is_none() && !first.1.contains(char::is_whitespace) {
            return Ok(Self::Shared(token(first.1).context("it holds no token")?));
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (at, line) in std::iter::once(first).chain(rest) {
            let entry = Entry::parse(line).with_context(|| format!("line {}", at + 1))?;
            let address = entry.page.address();
            let twice = entries.iter().any(|e| e.page.address() == address);
            ensure!(!twice, "line {}: {address} has a line already", at + 1);
            entries.push(entry);
        }
        Ok(Self::Each(entries))
    }
}

impl Entry {
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (page, secret, fingerprint) = match words[..] {
            [page, secret] => (page, secret, None),
            [page, secret, fingerprint] => (page, secret, Some(fingerprint)),
            _ => bail!("give {LINE}, or one token alone in the file"),
        };
        // What stands in the wrong place may be a token.
        let page = Some(page).filter(|page| !page.starts_with("hone_"));
        let page: Option<Page> = page.and_then(|page| page.parse().ok());
        let page = page.with_context(|| format!("it begins with no board: give {LINE}"))?;
        let token = token(secret).context("the second word is no token")?;
        let fingerprint: Option<Fingerprint> = fingerprint.map(str::parse).transpose()?;
        ensure!(
            fingerprint.is_none() || page.speaks_tls(),
            "a fingerprint is for a board that speaks TLS, and {} does not: say https://, or leave it out",
            page.address()
        );
        Ok(Self {
            page,
            token,
            fingerprint,
        })
    }
}

fn token(word: &str) -> Option<String> {
    let plain = word.len() <= LONGEST && word.chars().all(|c| c.is_ascii_graphic());
    plain.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Tokens::parse(text).err().unwrap())
    }

    #[test]
    fn a_file_has_one_token_or_a_line_for_each_board() {
        let shared = |text: &str| Tokens::parse(text).unwrap() == Tokens::Shared("hone_a_b".into());
        assert!(shared("hone_a_b\n") && shared("# of all boards\n\n  hone_a_b"));
        let print = "0f".repeat(32);
        let text = format!("# north\nnorth.local hone_a_b {print}\n\n[::1]:99\thone_c_d\n");
        let Tokens::Each(entries) = Tokens::parse(&text).unwrap() else {
            panic!("one token for all");
        };
        let addresses: Vec<String> = entries.iter().map(|e| e.page.address()).collect();
        assert_eq!(addresses, ["north.local:8443", "[::1]:99"]);
        assert!(entries[0].token == "hone_a_b" && entries[1].token == "hone_c_d");
        assert_eq!(entries[0].fingerprint, print.parse().ok());
        assert_eq!(entries[1].fingerprint, None);
    }

    #[test]
    fn a_line_that_is_none_is_named_and_no_token_is_told() {
        let secret = "hone_secret_x";
        for (text, words) in [
            (String::new(), "it holds no token"),
            ("# x\n".into(), "it holds no token"),
            (
                format!("{secret}\n{secret}"),
                "line 1: give HOST[:PORT] TOKEN",
            ),
            (format!("a {secret}\n\nb"), "line 3: give HOST[:PORT] TOKEN"),
            (
                format!("a {secret}\nb {secret} {secret}"),
                "line 2: a fingerprint has the 64",
            ),
            (
                format!("a {secret}\nhttps://a {secret}"),
                "line 2: a:8443 has a line already",
            ),
            (format!("{secret} a"), "line 1: it begins with no board"),
            (
                format!("localhost {secret} {}", "0f".repeat(32)),
                "localhost:8080 does not: say https://",
            ),
        ] {
            let told = refused(&text);
            assert!(told.contains(words) && !told.contains(secret), "{told}");
        }
    }
}
