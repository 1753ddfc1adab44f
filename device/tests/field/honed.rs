//! A `honed` in the field: the real binary as a process that tests talk to, harm and stop.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// Long enough for the slowest machine, so that only what never comes fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The test student for `colour`.
pub fn student(colour: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{colour}.onnx"))
}

/// A port of the loopback that nobody uses now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Asks until `done` says so.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running `honed`; killed when it is dropped.
pub struct Honed {
    child: Child,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Honed {
    /// `honed run` in `folder` with the test student and `arguments`.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(folder, Command::new(env!("CARGO_BIN_EXE_honed")), arguments)
    }

    /// The same under a limit on the size of every file: writing beyond it fails as on a full disk.
    pub fn start_with_file_limit(folder: &Path, kilobytes: u64, arguments: &[&str]) -> Self {
        let mut shell = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_honed")]);
        Self::spawn(folder, shell, arguments)
    }

    fn spawn(folder: &Path, mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .current_dir(folder)
            .args(["run", "--json", "--threads", "1", "--model"])
            .arg(student("luma"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let heard = lines.clone();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                heard.lock().unwrap().push((Instant::now(), line));
            }
        });
        Self { child, lines }
    }

    /// Everything said so far on standard error.
    pub fn log(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Lines so far that begin with `words`.
    pub fn count(&self, words: &str) -> usize {
        self.log().iter().filter(|l| l.starts_with(words)).count()
    }

    /// Waits until `count` lines begin with `words`.
    pub fn wait_for(&self, count: usize, words: &str) {
        let start = Instant::now();
        while self.count(words) < count {
            let log = self.log();
            assert!(
                start.elapsed() < PATIENCE,
                "no {count} x '{words}': {log:#?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        self.kept("VmRSS:")
    }

    /// Threads that run now.
    pub fn threads(&self) -> u64 {
        self.kept("Threads:")
    }

    /// What the system keeps of the process under `name`.
    fn kept(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Takes the power away.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as a service manager does; its report.
    pub fn stop(mut self) -> serde_json::Value {
        self.signal("-TERM");
        let output = self.child.stdout.take().unwrap();
        let report = serde_json::from_reader(BufReader::new(output));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{:#?}", self.log());
        report.unwrap()
    }
}

impl Drop for Honed {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who looks at a stream: a pipeline of GStreamer's own elements that ends in grey frames.
pub struct Viewer {
    pipeline: gst::Pipeline,
    frames: gst_app::AppSink,
}

impl Viewer {
    /// Looks at what `source` (elements up to a decoder) delivers.
    pub fn new(source: &str) -> Self {
        gst::init().unwrap();
        let line = format!(
            "{source} ! decodebin ! videoconvert ! video/x-raw,format=GRAY8 \
             ! appsink name=frames sync=false"
        );
        let pipeline = gst::parse::launch(&line).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let frames = pipeline.by_name("frames").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            frames: frames.downcast().unwrap(),
            pipeline,
        }
    }

    /// The next frame's bytes; `None` at the end or on an error.
    pub fn frame(&self) -> Option<Vec<u8>> {
        let wait = gst::ClockTime::from_seconds(PATIENCE.as_secs());
        let kinds = [gst::MessageType::Error];
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let step = wait.min(gst::ClockTime::from_mseconds(100));
            if let Some(sample) = self.frames.try_pull_sample(step) {
                let buffer = sample.buffer().unwrap();
                return Some(buffer.map_readable().unwrap().to_vec());
            }
            let failed = self.pipeline.bus().unwrap().pop_filtered(&kinds).is_some();
            if failed || self.frames.is_eos() {
                return None;
            }
        }
        None
    }

    /// Frames up to the end.
    pub fn count(&self) -> usize {
        std::iter::from_fn(|| self.frame()).count()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// The frames in a video file.
pub fn frames_in(file: &Path) -> usize {
    Viewer::new(&format!("filesrc location={}", file.display())).count()
}
