//! Other runtimes, through the project's Python environment (`host/python/check_onnx.py`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

/// Who runs the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// ONNX Runtime as it comes.
    Ort,
    /// ONNX Runtime without graph rewriting: each node by itself.
    #[cfg(test)]
    OrtPlain,
    /// OpenCV's DNN module.
    OpenCv,
}

impl Runtime {
    const fn name(self) -> &'static str {
        match self {
            Self::Ort => "ort",
            #[cfg(test)]
            Self::OrtPlain => "ort-plain",
            Self::OpenCv => "opencv",
        }
    }
}

/// One model file, in a folder of its own for as long as this lives.
#[derive(Debug)]
pub struct SecondOpinion {
    folder: tempfile::TempDir,
}

impl SecondOpinion {
    /// Takes a model; every call has the ONNX checker look at it first.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn new(model: &[u8]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("model.onnx"), model)?;
        Ok(Self { folder })
    }

    /// Fails unless ONNX Runtime turns every convolution into an integer one.
    ///
    /// # Errors
    /// The operators that it kept, or the checker's refusal; when Python is missing, how to get it.
    #[cfg(test)]
    pub fn expect_integer(&self) -> Result<()> {
        self.call(&["--expect-integer"])
    }

    /// Runs `frame` `[C,H,W]`, 0..1, and gives `restored`; of a temporal student `[2C,H,W]`, the frame
    /// and what it gave before.
    ///
    /// # Errors
    /// The checker's or the runtime's own words; when Python is missing, how to get it.
    pub fn run(&self, runtime: Runtime, frame: &[f32], shape: [usize; 3]) -> Result<Vec<f32>> {
        let all = self.run_all(runtime, &[(frame.to_vec(), shape)])?;
        let one = all.into_iter().next().context("the runtime gave nothing")?;
        one.map_err(|words| anyhow!("onnx check failed: {words}"))
    }

    /// Runs several frames, one after another, in one process; of each that it refuses, the runtime's words.
    ///
    /// # Errors
    /// As [`SecondOpinion::run`].
    pub fn run_all(
        &self,
        runtime: Runtime,
        frames: &[(Vec<f32>, [usize; 3])],
    ) -> Result<Vec<Result<Vec<f32>, String>>> {
        let mut arguments = vec!["--runtime".to_owned(), runtime.name().to_owned()];
        for (i, (frame, shape)) in frames.iter().enumerate() {
            let name = format!("frame{i}.f32");
            let bytes: Vec<u8> = frame.iter().flat_map(|v| v.to_ne_bytes()).collect();
            std::fs::write(self.path(&name), bytes)?;
            // Of another runtime.
            let _ = std::fs::remove_file(self.path(&format!("{name}.refused")));
            arguments.extend(["--frame".to_owned(), name]);
            arguments.extend(shape.map(|s| s.to_string()));
        }
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.call(&words)?;
        let read = |i: usize| {
            if let Ok(words) = std::fs::read_to_string(self.path(&format!("frame{i}.f32.refused")))
            {
                return Ok(Err(telling_line(&words).to_owned()));
            }
            let bytes = std::fs::read(self.path(&format!("frame{i}.f32.out")))?;
            let (values, _) = bytes.as_chunks::<4>();
            Ok(Ok(values.iter().map(|&v| f32::from_ne_bytes(v)).collect()))
        };
        (0..frames.len()).map(read).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn call(&self, arguments: &[&str]) -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../.cache/venv/bin/python");
        if !python.exists() {
            bail!("there is no {}: `make test` sets it up", python.display());
        }
        let output = Command::new(&python)
            .arg(root.join("python/check_onnx.py"))
            .arg("model.onnx")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .with_context(|| format!("cannot run {}", python.display()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("onnx check failed: {}", telling_line(&text));
        }
        Ok(())
    }
}

/// The line of a program's complaints that says what is wrong: OpenCV goes on after it.
fn telling_line(text: &str) -> &str {
    let said = |line: &&str| line.chars().any(char::is_alphabetic);
    let line = text
        .lines()
        .rfind(|line| line.contains("rror"))
        .or_else(|| text.lines().rfind(said));
    line.map_or("no message", |line| {
        line.trim_start_matches(['>', ' ']).trim_end()
    })
}

#[cfg(test)]
mod tests {
    use super::telling_line;

    #[test]
    fn the_complaint_that_tells_is_found() {
        let opencv = "Traceback\ncv2.error: OpenCV: error: (-2) in function\n> Node [X] parse error: axis\n> \n";
        assert_eq!(telling_line(opencv), "Node [X] parse error: axis");
        assert_eq!(telling_line("output is [1]\n\n"), "output is [1]");
        assert_eq!(telling_line(""), "no message");
    }
}
