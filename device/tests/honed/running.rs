//! A `honed` that runs while a test talks to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine, so that only what never comes fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when it is dropped.
pub struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// At a terminal, with the luma student.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_heard_until(folder, arguments, "no line begins so")
    }

    /// The same; the other end of its standard error closes with the line that begins with `last`.
    pub fn start_heard_until(folder: &Path, arguments: &[&str], last: &'static str) -> Self {
        let student = super::student("luma");
        let before = ["--model", student.to_str().unwrap()];
        let mut command = Command::new("env");
        // Under nohup nothing would hear it.
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_honed")]);
        command.env_remove("NOTIFY_SOCKET");
        Self::spawn(folder, command, &[&before, arguments].concat(), last)
    }

    /// As a service manager does, which does not listen.
    pub fn service(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_honed"));
        command.env("NOTIFY_SOCKET", folder.join("nobody"));
        Self::spawn(folder, command, arguments, "no line begins so")
    }

    fn spawn(folder: &Path, mut command: Command, arguments: &[&str], last: &'static str) -> Self {
        let mut child = command
            .current_dir(folder)
            .args(["run", "--threads", "1"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let heard = lines.clone();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let over = line.starts_with(last);
                heard.lock().unwrap().push(line);
                if over {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Everything said so far on standard error.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line begins with `words`.
    pub fn wait_for(&self, words: &str) {
        let start = Instant::now();
        while !self.log().iter().any(|line| line.starts_with(words)) {
            assert!(
                start.elapsed() < PATIENCE,
                "no '{words}': {:#?}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends signals, one right after another.
    pub fn signal(&self, names: &[&str]) {
        let id = self.child.id();
        let script: Vec<String> = names.iter().map(|n| format!("kill -{n} {id}")).collect();
        let sent = Command::new("bash")
            .args(["-c", &script.join(";")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap()?.code()
    }

    /// Waits for its end; the exit code.
    pub fn end(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "no end: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
