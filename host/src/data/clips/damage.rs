//! What decoders say of damage that they paint over: they go on, and end as if all were well.

use std::process::Command;

/// Has a program of GStreamer tell of pictures that libav had to make up: only libav's log does.
pub(crate) fn listen(program: &mut Command) {
    if std::env::var_os("GST_DEBUG").is_none() {
        program.env("GST_DEBUG", "libav:1");
    }
    program.env("GST_DEBUG_NO_COLOR", "1");
}

/// How many complaints there are, and the first; nothing where there is none.
pub(crate) fn told<'a>(mut complaints: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = complaints.next()?;
    let times = match complaints.count() {
        0 => "once".to_owned(),
        more => format!("{} times", 1 + more),
    };
    Some(format!(
        "the decoder complained {times} of damage, first: {first}"
    ))
}

/// What a line of libav's log in GStreamer, or a warning of an element, says.
pub(crate) fn complaint(line: &str) -> Option<&str> {
    let words = match line.split_once(" libav ") {
        Some((before, after)) if before.trim_end().ends_with("ERROR") => after.split_once("::")?.1,
        _ => line.strip_prefix("WARNING: ")?,
    };
    Some(words.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_what_else_is_said() {
        let line = "0:00:00.62 55 0x7fd1 ERROR      libav :0:: error while decoding MB 10 0";
        assert_eq!(complaint(line), Some("error while decoding MB 10 0"));
        let line = "WARNING: from element /GstPipeline: could not decode stream.";
        assert!(complaint(line).unwrap().ends_with("decode stream."));
        assert_eq!(complaint("Additional debug info: libav is old"), None);
    }

    #[test]
    fn complaints_are_counted() {
        assert_eq!(told([].into_iter()), None);
        let once = "the decoder complained once of damage, first: a";
        assert_eq!(told(["a"].into_iter()).unwrap(), once);
        assert!(told(["a", "b"].into_iter()).unwrap().contains(" 2 times "));
    }
}
