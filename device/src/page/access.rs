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
use std::time::{Duration, Instant, SystemTime};

use hone_shared::bundle::hex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::PageError;
use super::patience::Patience;
use super::tokens::{LONGEST, Stored, Tokens, random};
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
    /// When the file was written that `tokens` came from.
    stamp: Option<(SystemTime, u64)>,
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
        let meta = std::fs::metadata(Tokens::path(folder));
        let stamp = meta
            .and_then(|meta| Ok((meta.modified()?, meta.len())))
            .ok();
        if stamp == self.stamp {
            return;
        }
        // A file that makes no sense, or is not for this user to read, lets nobody in; `honed token list` says why.
        (self.tokens, self.stamp) = match Tokens::load(folder) {
            Ok(tokens) => (tokens, stamp),
            Err(error) => match error.kind() {
                ErrorKind::InvalidData => (Tokens::default(), stamp),
                // To be given to this user changes no time of writing: it is asked for again each time.
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
mod tests {
    use super::*;

    fn peer() -> IpAddr {
        IpAddr::from([10, 0, 0, 7])
    }

    #[test]
    fn a_right_token_is_remembered_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::new(folder.path());
        assert_eq!(access.check("hone_a_b", peer()), Err(Refusal::Wrong));
        let mut tokens = Tokens::default();
        let token = tokens.create(folder.path(), "phone").unwrap();
        tokens.write(folder.path()).unwrap();
        let seen = |token: &str| access.stands(Pass::token(token));
        assert!(!seen(&token));
        assert_eq!(access.check(&token, peer()), Ok(()));
        assert!(seen(&token));
        let cookie = access.log_in(&token).unwrap();
        assert!(access.logged_in(&cookie) && !access.logged_in("else"));

        // Another token's coming and going is nothing to this one.
        let other = tokens.create(folder.path(), "tablet").unwrap();
        tokens.write(folder.path()).unwrap();
        assert!(seen(&token) && access.logged_in(&cookie) && !seen(&other));
        assert_eq!(access.check(&other, peer()), Ok(()));
        assert!(tokens.revoke("tablet"));
        tokens.write(folder.path()).unwrap();
        assert!(seen(&token) && access.logged_in(&cookie) && !seen(&other));

        tokens.revoke("phone");
        tokens.write(folder.path()).unwrap();
        assert!(!seen(&token) && !access.logged_in(&cookie));
        assert_eq!(access.check(&token, peer()), Err(Refusal::Wrong));
    }

    #[test]
    fn a_file_that_cannot_be_read_for_a_moment_shuts_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = Tokens::default();
        let token = tokens.create(folder.path(), "phone").unwrap();
        tokens.write(folder.path()).unwrap();
        let access = Access::new(folder.path());
        access.check(&token, peer()).unwrap();
        // A folder can be opened, but reading it fails.
        let path = Tokens::path(folder.path());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(access.stands(Pass::token(&token)));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "no tokens").unwrap();
        assert!(!access.stands(Pass::token(&token)));
    }

    #[test]
    fn guessing_is_stopped_and_the_known_token_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = Tokens::default();
        let token = tokens.create(folder.path(), "phone").unwrap();
        tokens.write(folder.path()).unwrap();
        let access = Access::new(folder.path());
        access.check(&token, peer()).unwrap();
        for _ in 0..5 {
            assert_eq!(access.check("hone_a_b", peer()), Err(Refusal::Wrong));
        }
        let refused = access.check("hone_a_b", peer());
        assert!(matches!(refused, Err(Refusal::Wait(_))), "{refused:?}");
        assert_eq!(access.check(&token, peer()), Ok(()));
    }

    #[test]
    fn logins_end_and_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::new(folder.path());
        let first = access.log_in("token").unwrap();
        access.log_out(&first);
        assert!(!access.logged_in(&first));
        let second = access.log_in("token").unwrap();
        for _ in 0..SESSIONS {
            access.log_in("token").unwrap();
        }
        assert!(!access.logged_in(&second));
    }
}
