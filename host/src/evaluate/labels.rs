//! What students are called: no two alike, and none as a row that means something else.

use std::ffi::OsStr;
use std::path::Path;

/// Labels of rows that are no students.
pub const RESERVED: [&str; 5] = ["input", "bicubic", "unsharp mask", "teacher", "honed"];

/// What a file or folder may be called, shortest first: its stem (a folder's whole name), with the folder it
/// lies in, its path.
pub fn of_path(path: &Path) -> Vec<String> {
    let short = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    let short = short.unwrap_or(path.as_os_str());
    let text = |part: &OsStr| part.to_string_lossy().into_owned();
    let mut labels = vec![text(short)];
    if let Some(folder) = path.parent().and_then(Path::file_name) {
        labels.push(format!("{}/{}", text(folder), text(short)));
    }
    labels.push(path.display().to_string());
    labels
}

/// Takes the first of each one's labels that no other has and that is not `reserved`. What has none, such as
/// a file that is named twice, is numbered.
pub fn distinct(candidates: &[Vec<String>], reserved: &[&str]) -> Vec<String> {
    let mut chosen = vec![0; candidates.len()];
    loop {
        let labels: Vec<&String> = candidates
            .iter()
            .zip(&chosen)
            .filter_map(|(labels, at)| labels.get(*at))
            .collect();
        let clashes = |i: usize| {
            let Some(label) = labels.get(i) else {
                return false;
            };
            let alike = labels.iter().filter(|other| *other == label).count();
            alike > 1 || reserved.contains(&label.as_str())
        };
        let further: Vec<usize> = (0..candidates.len())
            .filter(|&i| clashes(i) && chosen[i] + 1 < candidates[i].len())
            .collect();
        if further.is_empty() {
            return numbered(labels.into_iter().cloned().collect(), reserved);
        }
        further.into_iter().for_each(|i| chosen[i] += 1);
    }
}

fn numbered(labels: Vec<String>, reserved: &[&str]) -> Vec<String> {
    let mut used: Vec<String> = Vec::with_capacity(labels.len());
    for label in &labels {
        let free = |name: &String| {
            // Later ones that need no number keep their name.
            !used.contains(name)
                && !reserved.contains(&name.as_str())
                && (name == label || !labels.contains(name))
        };
        let numbers = (2..).map(|n| format!("{label} ({n})"));
        let found = std::iter::once(label.clone()).chain(numbers).find(free);
        used.push(found.unwrap_or_default());
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Vec<String> {
        let candidates: Vec<_> = paths.iter().map(|p| of_path(Path::new(p))).collect();
        distinct(&candidates, &RESERVED)
    }

    #[test]
    fn students_of_one_name_are_told_apart() {
        assert_eq!(of(&["x/small.onnx", "large.onnx"]), ["small", "large"]);
        assert_eq!(of(&["a/s.onnx", "b/s.onnx"]), ["a/s", "b/s"]);
        assert_eq!(of(&["s.onnx", "b/s.onnx"]), ["s.onnx", "b/s"]);
        let far = ["/1/a/s.onnx", "/2/a/s.onnx", "t.onnx"];
        assert_eq!(of(&far), ["/1/a/s.onnx", "/2/a/s.onnx", "t"]);
        assert_eq!(of(&["s.onnx", "s.onnx"]), ["s.onnx", "s.onnx (2)"]);
    }

    #[test]
    fn no_student_is_called_as_another_row() {
        assert_eq!(of(&["teacher.onnx"]), ["teacher.onnx"]);
        assert_eq!(of(&["a/input.onnx"]), ["a/input"]);
        assert_eq!(of(&["honed"]), ["honed (2)"]);
        let label = |text: &str| vec![text.to_owned()];
        let found = distinct(&[label("a"), label("a"), label("a (2)")], &[]);
        assert_eq!(found, ["a", "a (3)", "a (2)"]);
    }
}
