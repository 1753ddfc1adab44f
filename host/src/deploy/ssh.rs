//! Running a script on a board through the system's ssh: keys, jump hosts and configuration are the
//! user's own.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Most that a script may print, in bytes; what comes beyond is not kept.
const MAX_OUTPUT: u64 = 1 << 20;
/// What ssh itself ends with when there is no connection, or none any more.
const NO_CONNECTION: i32 = 255;

/// How boards are reached.
#[derive(Debug, Clone)]
pub struct Ssh {
    command: Vec<String>,
    batch: bool,
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
        Ok(Self { command, batch })
    }

    /// The same with compression: worth it for a few lines, not for programs on a fast network.
    #[must_use]
    pub fn compressed(&self) -> Self {
        let mut ssh = self.clone();
        ssh.command.push("-C".into());
        ssh
    }

    /// Runs `script` by the board's `sh` with arguments, `feed` writing its standard input.
    ///
    /// # Errors
    /// One sentence: why there is no connection, or the script's last words.
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
        let (fed, text, said) = std::thread::scope(|threads| {
            let fed = threads.spawn(move || {
                let mut input = Counted::new(input);
                // A script that ends early closes its input; its own words tell why.
                let _ = feed(&mut input);
                input.bytes
            });
            let said = threads.spawn(move || text_of(errors));
            let text = text_of(output);
            (fed.join(), text, said.join())
        });
        let status = child.wait().context("ssh cannot be waited for")?;
        let said = said.unwrap_or_default();
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

fn text_of(source: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut source) = source {
        // A pipe that breaks is told by ssh's exit status.
        let _ = source.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut source, &mut std::io::sink());
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
