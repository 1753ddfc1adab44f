//! Who may see and turn what: tokens in a header, or a cookie that a token bought.
//!
//! ```text
//!  Authorization: Bearer TOKEN --+-- seen before (SHA-256, constant time) ------> in
//!                                +-- patience left? -> known ID? -> argon2 -----> in, remembered
//!  Cookie: hone=SESSION ---------+-- lives? -- changes something? -> Origin ----> in
//! ```

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hone_shared::bundle::hex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::PageError;
use super::patience::Patience;
use super::tokens::{LONGEST, Stamp, Stored, Tokens, random, stamp};
use crate::camera::sharpener::lock;

/// Time that a login lasts.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Logins at one time; the oldest goes first.
const SESSIONS: usize = 64;

type Sha = [u8; 32];

/// What let someone in; an answer without an end asks again and again whether it still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// A token.
    Token(Sha),
    /// The cookie of a login.
    Login(Sha),
}

impl Pass {
    pub(super) fn token(token: &str) -> Self {
        Self::Token(sha(token))
    }

    pub(super) fn login(cookie: &str) -> Self {
        Self::Login(sha(cookie))
    }
}

#[derive(Debug)]
struct Login {
    cookie: Sha,
    /// What bought it; it ends with that.
    token: Sha,
    since: Instant,
}

/// Why someone is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing was shown that could let in.
    Missing,
    /// What was shown is wrong.
    Wrong,
    /// There were too many wrong tokens; after so much time the next is looked at.
    Wait(Duration),
}

#[derive(Debug, Default)]
struct Kept {
    tokens: Tokens,
    /// Of the file that `tokens` came from.
    stamp: Stamp,
    /// Tokens that argon2 accepted, and which of the file's each is; forgotten when it is no longer there.
    accepted: Vec<(Sha, Stored)>,
    sessions: Vec<Login>,
    patience: Patience,
}

/// Decides who is let in.
#[derive(Debug)]
pub(super) struct Access {
    folder: PathBuf,
    kept: Mutex<Kept>,
    /// One hash at a time: each takes memory and a core.
    hashing: Mutex<()>,
}

impl Access {
    /// Access by the tokens in `folder`, read again whenever their file changes.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            kept: Mutex::default(),
            hashing: Mutex::default(),
        }
    }

    /// Whether `pass` lets in: a token that was accepted before, or a login that lasts. Quick, and open to those who are
    /// otherwise made to wait.
    pub(super) fn stands(&self, pass: Pass) -> bool {
        let mut kept = lock(&self.kept);
        kept.refresh(&self.folder);
        kept.tidy();
        match pass {
            Pass::Token(digest) => among(kept.accepted.iter().map(|(token, _)| token), &digest),
            Pass::Login(digest) => among(kept.sessions.iter().map(|login| &login.cookie), &digest),
        }
    }

    /// Whether `token`, shown by `peer`, lets in. May take a tenth of a second: not for a thread that
    /// serves.
    pub(super) fn check(&self, token: &str, peer: IpAddr) -> Result<(), Refusal> {
        let _one = lock(&self.hashing);
        if self.stands(Pass::token(token)) {
            return Ok(());
        }
        let tokens = {
            let mut kept = lock(&self.kept);
            if let Some(wait) = kept.patience.wait(peer, Instant::now()) {
                return Err(Refusal::Wait(wait));
            }
            kept.tokens.clone()
        };
        let known = token.len() <= LONGEST && tokens.knows(token);
        let right = known.then(|| tokens.find(token)).flatten();
        let mut kept = lock(&self.kept);
        let Some(right) = right else {
            kept.patience.wrong(peer, Instant::now());
            return Err(Refusal::Wrong);
        };
        // It may have been revoked while it was being checked.
        kept.refresh(&self.folder);
        if !kept.tokens.tokens.contains(right) {
            return Err(Refusal::Wrong);
        }
        kept.accepted.push((sha(token), right.clone()));
        Ok(())
    }

    /// A cookie for someone who showed the right `token`.
    ///
    /// # Errors
    /// [`PageError::System`] without random numbers.
    pub(super) fn log_in(&self, token: &str) -> Result<String, PageError> {
        let cookie = hex(&random::<32>()?);
        let mut kept = lock(&self.kept);
        kept.refresh(&self.folder);
        kept.tidy();
        let token = sha(token);
        // Revoked since it was shown: the cookie lets nobody in.
        if !kept.accepted.iter().any(|(accepted, _)| *accepted == token) {
            return Ok(cookie);
        }
        if kept.sessions.len() >= SESSIONS {
            kept.sessions.remove(0);
        }
        kept.sessions.push(Login {
            cookie: sha(&cookie),
            token,
            since: Instant::now(),
        });
        Ok(cookie)
    }

    /// Ends the login of `cookie`.
    pub(super) fn log_out(&self, cookie: &str) {
        let digest = sha(cookie);
        lock(&self.kept)
            .sessions
            .retain(|login| !bool::from(login.cookie.ct_eq(&digest)));
    }

    /// Whether `cookie` is of a login that lasts.
    pub(super) fn logged_in(&self, cookie: &str) -> bool {
        self.stands(Pass::login(cookie))
    }
}

impl Kept {
    /// Reads the tokens again when their file changed, and forgets whom those let in that are gone.
    fn refresh(&mut self, folder: &Path) {
        let stamp = stamp(&Tokens::path(folder));
        if stamp == self.stamp {
            return;
        }
        // A file that makes no sense, or is not for this user to read, lets nobody in; `honed token list` says why.
        (self.tokens, self.stamp) = match Tokens::load(folder) {
            Ok(tokens) => (tokens, stamp),
            Err(error) => match error.kind() {
                ErrorKind::InvalidData => (Tokens::default(), stamp),
                // What lets this user read it may change nothing of the file: it is asked for again each time.
                ErrorKind::PermissionDenied => (Tokens::default(), None),
                // No more files can be opened, or the disk stumbled: that passes, and says nothing of who may come.
                _ => return,
            },
        };
        let tokens = &self.tokens.tokens;
        self.accepted.retain(|(_, stored)| tokens.contains(stored));
        let accepted = &self.accepted;
        let bought = |login: &Login| accepted.iter().any(|(token, _)| *token == login.token);
        self.sessions.retain(bought);
    }

    fn tidy(&mut self) {
        self.sessions
            .retain(|login| login.since.elapsed() < SESSION);
    }
}

/// Whether `digest` is among `known`, in a time that does not tell which.
fn among<'a>(known: impl Iterator<Item = &'a Sha>, digest: &Sha) -> bool {
    known.fold(false, |found, known| {
        found | bool::from(known.ct_eq(digest))
    })
}

fn sha(secret: &str) -> Sha {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests;
