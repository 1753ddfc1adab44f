//! Questions to GStreamer about a file, which are asked before it is decoded.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, bail};

use super::colours::location;

/// What to tell where it is missing.
pub(super) const NEEDED: &str = "videos need GStreamer's gst-launch-1.0 (Debian: gstreamer1.0-tools, \
                                 gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, gstreamer1.0-libav)";
/// GStreamer 1.22 sometimes waits for ever for what a file does not have. Much longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ended when nobody waits for its answer any more.
struct Asked(Child);

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has GStreamer read `path` into `pipeline`, and hears each line that it says.
///
/// # Errors
/// When it is missing, or gets stuck.
pub(crate) fn ask(path: &Path, pipeline: &str, hear: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut command = Command::new("gst-launch-1.0");
    command
        .args(["-v", "filesrc"])
        .arg(location(path))
        .args(pipeline.split_whitespace());
    let asked = start(&mut command).context(NEEDED)?;
    listen(Asked(asked), PATIENCE, hear).with_context(|| format!("cannot read {}", path.display()))
}

/// Starts what is killed with the thread that starts it.
fn start(command: &mut Command) -> io::Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Ctrl-C is for hone alone, which may be in the middle of taking things away.
        .process_group(0);
    let bind = || {
        // SAFETY: this option reads a number and no memory.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: one system call is allowed between fork and exec, and nothing is allocated.
    unsafe { command.pre_exec(bind) };
    command.spawn()
}

/// Hears it until its end, unless it is silent for longer than `patience`.
fn listen(mut asked: Asked, patience: Duration, mut hear: impl FnMut(&str)) -> anyhow::Result<()> {
    let output = asked.0.stdout.take().context("GStreamer has no pipe")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => hear(&String::from_utf8_lossy(&line)),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!(
                "GStreamer got stuck: it has said nothing for {} seconds",
                patience.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// Runs for ever, without a word.
    fn endless() -> Command {
        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q", "fakesrc", "!", "fakesink"]);
        command
    }

    #[test]
    fn who_gets_stuck_is_not_waited_for_and_goes() {
        let asked = start(&mut endless()).unwrap();
        let process = format!("/proc/{}", asked.id());
        assert!(Path::new(&process).exists());
        let error = listen(Asked(asked), Duration::from_millis(50), |_| {}).unwrap_err();
        assert!(error.to_string().contains("got stuck"), "{error}");
        assert!(!Path::new(&process).exists());
    }

    #[test]
    fn a_child_does_not_outlive_who_asked() {
        let asking = std::thread::spawn(|| start(&mut endless()).unwrap());
        let mut child = asking.join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn all_that_is_said_is_heard() {
        let mut command = Command::new("printf");
        command.arg("one\ntwo\nthree");
        let asked = Asked(start(&mut command).unwrap());
        let mut heard = Vec::new();
        listen(asked, PATIENCE, |line| heard.push(line.to_owned())).unwrap();
        assert_eq!(heard, ["one", "two", "three"]);
    }
}
