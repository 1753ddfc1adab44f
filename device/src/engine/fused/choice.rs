//! Which way computes a layer fastest depends on the board: it is measured once and remembered, in
//! the process and in a file.
//!
//! The file lies in `$CACHE_DIRECTORY` (which systemd sets), `$XDG_CACHE_HOME/hone` or
//! `$HOME/.cache/hone`. It is a convenience: one that is missing, damaged or of another board is
//! measured anew, and where it cannot be written the next start measures again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::f32::F32Path;
use super::layer::{Method, Shape};
use crate::atomic;
use crate::engine::isa::Isa;
use crate::engine::kernels::f32::kernels;

/// Largest file read: a thousand layers.
const MAX_BYTES: u64 = 1 << 16;
/// What the first candidate's time is counted as: near ties fall the same way every time.
const FAVOUR: f64 = 0.93;

/// What was measured on one board by one version of the program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Choices {
    board: String,
    version: String,
    layers: BTreeMap<String, Method>,
}

static KNOWN: Mutex<Option<Choices>> = Mutex::new(None);

/// The fastest way to compute a layer of this shape here.
pub(super) fn fastest(shape: &Shape, isa: Isa) -> Method {
    let kernels = kernels(isa);
    let candidates = shape.methods(kernels.lanes);
    let [first, _, ..] = candidates.as_slice() else {
        return candidates.first().copied().unwrap_or(Method::Direct);
    };
    let key = format!(
        "{} {}x{} {} to {}",
        isa.name(),
        shape.kernel,
        shape.kernel,
        shape.inputs,
        shape.outputs
    );
    let key = if *first == Method::Narrow {
        key + ", last"
    } else {
        key
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let file = folder().map(|f| f.join("layers.json"));
    let choices = known.get_or_insert_with(|| Choices::read(file.as_deref(), &board()));
    if let Some(&method) = choices.layers.get(&key).filter(|m| candidates.contains(m)) {
        return method;
    }
    let method = pick(&candidates, |method| F32Path::time(shape, method, kernels));
    choices.layers.insert(key, method);
    if let Some(file) = file {
        choices.write(&file);
    }
    method
}

/// The candidate with the least time, the first one being preferred when it is close.
fn pick(candidates: &[Method], time: impl Fn(Method) -> Duration) -> Method {
    let cost =
        |at: usize, method: Method| time(method).as_secs_f64() * if at == 0 { FAVOUR } else { 1.0 };
    let timed = candidates
        .iter()
        .enumerate()
        .map(|(at, &m)| (cost(at, m), m));
    let best = timed.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(Method::Direct, |(_, method)| method)
}

impl Choices {
    /// What `file` holds, if it is of this board and version.
    fn read(file: Option<&Path>, board: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let small = |f: &&Path| std::fs::metadata(f).is_ok_and(|m| m.len() <= MAX_BYTES);
        file.filter(small)
            .and_then(|f| std::fs::read(f).ok())
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|choices| choices.board == board && choices.version == version)
            .unwrap_or_else(|| Self {
                board: board.into(),
                version: version.into(),
                layers: BTreeMap::new(),
            })
    }

    fn write(&self, file: &Path) {
        let Ok(bytes) = serde_json::to_vec_pretty(self) else {
            return;
        };
        // Without the file the next start measures again; that is no reason to fail this one.
        let _ = file.parent().map(std::fs::create_dir_all);
        let _ = atomic::write_bytes(file, &bytes);
    }
}

fn folder() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    set("CACHE_DIRECTORY")
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("hone")))
        .or_else(|| set("HOME").map(|p| p.join(".cache/hone")))
}

/// What the board calls itself, or its processor.
fn board() -> String {
    let model = std::fs::read_to_string("/proc/device-tree/model");
    let processor = || {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let line = |key: &str| text.lines().find(|l| l.starts_with(key)).map(str::to_owned);
        line("model name")
            .or_else(|| line("CPU part"))
            .unwrap_or_default()
    };
    model.map_or_else(|_| processor(), |m| m.trim_end_matches('\0').into())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::kernels::f32::F32Kernels;

    #[test]
    fn the_faster_way_is_taken_and_near_ties_keep_the_first() {
        let candidates = [Method::Winograd, Method::Direct];
        let times = |winograd, direct| {
            let asked = RefCell::new(Vec::new());
            let picked = pick(&candidates, |m| {
                asked.borrow_mut().push(m);
                Duration::from_micros(if m == Method::Direct {
                    direct
                } else {
                    winograd
                })
            });
            assert_eq!(asked.take(), candidates);
            picked
        };
        assert_eq!(times(100, 95), Method::Winograd);
        assert_eq!(times(100, 90), Method::Direct);
        assert_eq!(times(90, 100), Method::Winograd);
    }

    #[test]
    fn choices_are_remembered_for_one_board() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("layers.json");
        let mut choices = Choices::read(Some(&file), "a board");
        choices
            .layers
            .insert("avx2 3x3 16 to 16".into(), Method::Direct);
        choices.write(&file);
        assert_eq!(Choices::read(Some(&file), "a board"), choices);
        assert!(Choices::read(Some(&file), "another").layers.is_empty());
        std::fs::write(&file, b"{\"board\": \"a board\"").unwrap();
        assert!(Choices::read(Some(&file), "a board").layers.is_empty());
    }

    /// How often the direct way and the two of Winograd ran.
    static RUNS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    /// Kernels that only count, as wide as the portable ones.
    static COUNTING: F32Kernels = F32Kernels {
        lanes: 4,
        most_vectors: 2,
        transform_input: |_, _, _, _, _| {},
        multiply: |_| count(1),
        transform_output: |_| {},
        multiply_narrow: |_| count(2),
        transform_output_narrow: |_| {},
        direct: |_| count(0),
        widen: |_, _| {},
    };

    fn count(way: usize) {
        RUNS[way].fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn the_way_that_is_timed_is_the_one_that_runs() {
        for (outputs, method, way) in [
            (16, Method::Direct, 0),
            (16, Method::Winograd, 1),
            (4, Method::Narrow, 2),
        ] {
            let shape = Shape {
                kernel: 3,
                inputs: 16,
                outputs,
                narrow: outputs == 4,
            };
            F32Path::time(&shape, method, &COUNTING);
            for (at, runs) in RUNS.iter().enumerate() {
                let ran = runs.swap(0, Ordering::Relaxed) > 0;
                assert_eq!(ran, at == way, "{method:?}");
            }
        }
    }
}
