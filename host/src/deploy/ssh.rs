//! Running a script on a board through the system's ssh: keys, jump hosts and configuration are the
//! user's own.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Most that a script may print, in bytes, and say on standard error; who says more is not listened to.
const MAX_OUTPUT: u64 = 1 << 20;
/// What ssh itself ends with when there is no connection, or none any more.
const NO_CONNECTION: i32 = 255;

/// How boards are reached.
#[derive(Debug, Clone)]
pub struct Ssh {
    command: Vec<String>,
    batch: bool,
    patience: Option<Duration>,
}

/// What a script said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its standard output.
    pub text: String,
    /// Bytes given to ssh and taken from it; the connection's own are not among them.
    pub bytes: u64,
}

impl Ssh {
    /// `command` is a program with its options, parted by white space; `batch` forbids it to ask.
    ///
    /// # Errors
    /// The command is empty.
    pub fn new(command: &str, batch: bool) -> Result<Self> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        ensure!(!command.is_empty(), "the ssh command is empty");
        Ok(Self {
            command,
            batch,
            patience: None,
        })
    }

    /// The same with compression: worth it for a few lines, not for programs on a fast network.
    #[must_use]
    pub fn compressed(&self) -> Self {
        let mut ssh = self.clone();
        ssh.command.push("-C".into());
        ssh
    }

    /// The same for scripts that are given up when they take longer than `patience`. Where ssh may ask, somebody is there to
    /// type, and to end it.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        let patience = self.batch.then_some(patience);
        Self {
            patience,
            ..self.clone()
        }
    }

    /// Runs `script` by the board's `sh` with arguments, `feed` writing its standard input.
    ///
    /// # Errors
    /// One sentence: why there is no connection, that it says too much or nothing in time, or the script's last words.
    pub fn run(
        &self,
        board: &str,
        script: &str,
        arguments: &[String],
        feed: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send,
    ) -> Result<Answer> {
        let remote = remote_command(script, arguments);
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["-T", "-oConnectTimeout=10"])
            .args(["-oServerAliveInterval=5", "-oServerAliveCountMax=3"]);
        if self.batch {
            command.arg("-oBatchMode=yes");
        }
        let mut child = command
            .args(["--", board, &remote])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.command[0]))?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (fed, heard) = std::thread::scope(|threads| {
            let fed = threads.spawn(move || {
                let mut input = Counted::new(input);
                // A script that ends early closes its input; its own words tell why.
                let _ = feed(&mut input);
                input.bytes
            });
            let heard = self.hear(&mut child, output, errors);
            (fed.join(), heard)
        });
        let status = child.wait().context("ssh cannot be waited for")?;
        let [text, said] = heard?;
        if status.success() {
            let bytes = fed.unwrap_or_default() + (remote.len() + text.len() + said.len()) as u64;
            return Ok(Answer { text, bytes });
        }
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = last.unwrap_or("it gave no reason");
        if status.code() == Some(NO_CONNECTION) {
            bail!(
                "no connection by ssh, or it was lost: {last}{}",
                advice(&said)
            );
        }
        bail!("{}", last.strip_prefix("error: ").unwrap_or(last))
    }

    /// What `child` says until its end on standard output and standard error; ends it where that is too much, or not over in
    /// time.
    fn hear(
        &self,
        child: &mut Child,
        output: Option<impl Read + Send + 'static>,
        errors: Option<impl Read + Send + 'static>,
    ) -> Result<[String; 2]> {
        // Of their own, for what ssh itself has started may hold the pipes open when it is ended.
        let (tell, told) = channel();
        let also_tell = tell.clone();
        std::thread::spawn(move || tell.send((0, text_of(output))));
        std::thread::spawn(move || also_tell.send((1, text_of(errors))));
        let heard = both(&told, self.patience);
        if heard.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        heard
    }
}

/// The two texts that come, `None` for one that is too long.
fn both(
    told: &Receiver<(usize, Option<String>)>,
    patience: Option<Duration>,
) -> Result<[String; 2]> {
    let begun = Instant::now();
    let mut texts = [const { String::new() }; 2];
    for _ in 0..texts.len() {
        let next = match patience {
            Some(most) => told.recv_timeout(most.saturating_sub(begun.elapsed())),
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match (next, patience) {
            (Ok((which, Some(text))), _) => texts[which] = text,
            (Ok((_, None)), _) => bail!(
                "it says more than {} MiB: does its login shell print without end?",
                MAX_OUTPUT >> 20
            ),
            (Err(_), Some(most)) => bail!("its answer is not complete after {} s", most.as_secs()),
            (Err(_), None) => bail!("ssh cannot be listened to"),
        }
    }
    Ok(texts)
}

/// What to do about ssh's own complaints.
fn advice(said: &str) -> &'static str {
    if said.contains("Permission denied") {
        " (ssh-copy-id gives the board your key)"
    } else if said.contains("Host key verification failed") {
        " (compare the board's host key, then connect once by ssh)"
    } else {
        ""
    }
}

/// One word for the board's login shell, whichever it is: `sh -c SCRIPT hone ARGUMENTS`.
fn remote_command(script: &str, arguments: &[String]) -> String {
    let mut words = vec![
        "sh".to_owned(),
        "-c".into(),
        quoted(&bare(script)),
        "hone".into(),
    ];
    words.extend(arguments.iter().map(|argument| quoted(argument)));
    words.join(" ")
}

/// The script without its comment lines, which need not travel.
fn bare(script: &str) -> String {
    let lines = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// All of `source`, unless it is too much.
fn text_of(source: Option<impl Read>) -> Option<String> {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        // A pipe that breaks is told by ssh's exit status.
        let _ = source.take(MAX_OUTPUT + 1).read_to_end(&mut bytes);
    }
    let fits = bytes.len() as u64 <= MAX_OUTPUT;
    fits.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

struct Counted<W> {
    inner: Option<W>,
    bytes: u64,
}

impl<W> Counted<W> {
    fn new(inner: Option<W>) -> Self {
        Self { inner, bytes: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let written = inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for ssh: runs the remote command here.
    fn local() -> (tempfile::TempDir, Ssh) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh");
        std::fs::write(
            &path,
            "while [ \"$1\" != -- ]; do shift; done\nexec sh -c \"$3\"\n",
        )
        .unwrap();
        let ssh = Ssh::new(&format!("sh {}", path.display()), true).unwrap();
        (folder, ssh)
    }

    #[test]
    fn words_arrive_as_they_are() {
        let (_folder, ssh) = local();
        let words = ["two words", "it's", "$HOME \"x\" `y` \\", ""].map(String::from);
        let script = "# not sent\nfor w; do echo \"<$w>\"; done; cat";
        let answer = ssh
            .run("board", script, &words, |input| input.write_all(b"fed"))
            .unwrap();
        assert_eq!(
            answer.text,
            "<two words>\n<it's>\n<$HOME \"x\" `y` \\>\n<>\nfed"
        );
        assert!(answer.bytes > 50 && answer.bytes < 400, "{}", answer.bytes);
    }

    #[test]
    fn a_board_that_never_ends_is_given_up() {
        let (_folder, ssh) = local();
        let error = |ssh: &Ssh, script: &str| {
            let error = ssh.run("board", script, &[], |_| Ok(())).unwrap_err();
            error.to_string()
        };
        for script in ["exec yes", "exec yes >&2"] {
            assert!(error(&ssh, script).contains("more than 1 MiB"));
        }
        let hasty = ssh.within(Duration::from_millis(50));
        // The sleep is a process of its own, which holds the pipes.
        let told = error(&hasty, "echo machine=x; sleep 5; echo end");
        assert!(told.contains("not complete after"), "{told}");
    }

    #[test]
    fn last_words_tell_what_failed() {
        let (_folder, ssh) = local();
        let fail = |script: &str| {
            let error = ssh.run("board", script, &[], |_| Ok(())).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            fail("echo noise >&2; echo 'error: no room' >&2; exit 1"),
            "no room"
        );
        assert_eq!(fail("exit 3"), "it gave no reason");
        let denied = fail("echo 'Permission denied (publickey).' >&2; exit 255");
        assert!(
            denied.contains("publickey") && denied.contains("ssh-copy-id"),
            "{denied}"
        );
    }
}
