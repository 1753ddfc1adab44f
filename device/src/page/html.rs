//! The page itself: one document with its style and script inside, and the policy that lets a browser
//! run these and nothing else.

use axum::http::HeaderValue;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const PAGE: &str = include_str!("assets/page.html");
const LOGIN: &str = include_str!("assets/login.html");

/// The documents, put together once.
#[derive(Debug)]
pub(super) struct Page {
    /// For those who are let in.
    pub(super) board: String,
    login: String,
    /// What documents of this server may do.
    pub(super) policy: HeaderValue,
}

impl Page {
    pub(super) fn new() -> Self {
        let whole = |text: &str| {
            text.replace("{{style}}", STYLE)
                .replace("{{script}}", SCRIPT)
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src 'self' blob: data:; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            base64(&Sha256::digest(STYLE)),
            base64(&Sha256::digest(SCRIPT))
        );
        Self {
            board: whole(PAGE),
            login: whole(LOGIN),
            policy: HeaderValue::try_from(policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }

    /// For those who are not let in yet, with what was wrong the last time.
    pub(super) fn login(&self, wrong: &str) -> String {
        self.login.replace("{{wrong}}", wrong)
    }
}

/// RFC 4648, as content security policies want digests.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [0, 1, 2].map(|i| u32::from(chunk.get(i).copied().unwrap_or(0)));
        let bits = (three[0] << 16) | (three[1] << 8) | three[2];
        for digit in 0..4 {
            text.push(if digit <= chunk.len() {
                char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648s() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_documents_stand_alone() {
        let page = Page::new();
        for text in [page.board.clone(), page.login("wrong")] {
            assert!(!text.contains("{{"), "a gap is left");
            for outside in ["http://", "https://", "@import", "url(", "src=\"/"] {
                assert!(!text.contains(outside), "{outside}");
            }
        }
        assert!(page.login("wrong").contains("wrong"));
    }
}
