//! A `hone monitor --json` and what it said.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Monitor {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hone"));
    command
        .arg("monitor")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

impl Monitor {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (out, heard) = (child.stdout.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let line = serde_json::from_str(&line.unwrap()).unwrap();
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    /// Waits until what it said fits, and gives that.
    pub fn wait(&self, mut fits: impl FnMut(&[Value]) -> bool) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let lines = self.lines.lock().unwrap().clone();
            if fits(&lines) {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let lines = self.lines.lock().unwrap();
        let last: Vec<String> = lines.iter().rev().take(20).map(Value::to_string).collect();
        panic!(
            "{} lines, the last of them:\n{}",
            lines.len(),
            last.join("\n")
        );
    }

    /// Bytes of memory that it holds.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended already, which the test has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One sentence on standard error with these words.
pub fn refused(arguments: &[&str], words: &[&str]) {
    let output = command(arguments).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no '{word}' in: {error}");
    }
}
