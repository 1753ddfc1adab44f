//! Flags of `honed run` that would have no effect with the source at hand: who gives one is told so.

use anyhow::bail;

use crate::camera::source::{Pace, SourceKind, SourceSpec};

/// Which of the flags that only some sources heed were given.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Named {
    pub size: bool,
    pub fps: bool,
    pub stall: bool,
    pub keep_trying: bool,
    pub looping: bool,
}

/// Whether `source` heeds a size: the others have the one that they have, but for the slate that is shown until they come.
pub(super) fn heeds_size(source: &SourceSpec, waited_for: bool) -> bool {
    let foreign = matches!(source.kind, SourceKind::Network(_) | SourceKind::Gst(_));
    source.comes_back() && (waited_for || !foreign)
}

/// As [`heeds_size`], of a frame rate.
pub(super) fn heeds_rate(source: &SourceSpec, waited_for: bool) -> bool {
    matches!(source.kind, SourceKind::Images(_)) || heeds_size(source, waited_for)
}

/// Refuses flags without effect; `waited_for` says whether a slate may show before the first frame.
///
/// # Errors
/// The flag, why it has no effect, and what to do.
pub(super) fn refuse(named: &Named, source: &SourceSpec, waited_for: bool) -> anyhow::Result<()> {
    let name = &source.name;
    let recorded = !source.comes_back();
    let live = source.pace() == Some(Pace::Live);
    if named.size && !heeds_size(source, waited_for) {
        bail!("--size is for cameras and test: {name} has a size of its own, so leave --size out");
    }
    if named.fps && !heeds_rate(source, waited_for) {
        bail!(
            "--fps is for cameras, images and test: {name} has a rate of its own, so leave --fps out"
        );
    }
    if named.stall && recorded && !live {
        bail!(
            "--stall is for live sources: {name} is read as fast as it can be, so leave --stall out"
        );
    }
    if named.keep_trying && recorded {
        bail!(
            "--keep-trying is for cameras: {name} is read from the disk, so leave --keep-trying out"
        );
    }
    if named.looping && !recorded {
        bail!(
            "--loop is for files and image folders: {name} is opened again by itself, so leave --loop out"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, waited_for: bool, named: Named) -> Option<String> {
        let mut source: SourceSpec = text.parse().unwrap();
        if let Some(name) = text.strip_suffix("!live") {
            source = name.parse().unwrap();
            source.pace = Some(Pace::Live);
        }
        let result = refuse(&named, &source, waited_for);
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn flags_without_effect_are_named() {
        let size = Named {
            size: true,
            ..Named::default()
        };
        let fps = Named {
            fps: true,
            ..Named::default()
        };
        let stall = Named {
            stall: true,
            ..Named::default()
        };
        let wait = Named {
            keep_trying: true,
            ..Named::default()
        };
        let again = Named {
            looping: true,
            ..Named::default()
        };
        for (source, named, flag) in [
            ("a.mkv", size, "--size"),
            ("images:a", size, "--size"),
            ("gst:videotestsrc", size, "--size"),
            ("rtsp://h/x", size, "--size"),
            ("a.mkv", fps, "--fps"),
            ("gst:videotestsrc", fps, "--fps"),
            ("a.mkv", stall, "--stall"),
            ("images:a", stall, "--stall"),
            ("a.mkv", wait, "--keep-trying"),
            ("test", again, "--loop"),
            ("gst:videotestsrc", again, "--loop"),
        ] {
            let error = refused(source, false, named).unwrap_or_else(|| panic!("{source} {flag}"));
            assert!(error.starts_with(flag) && error.contains(source), "{error}");
        }
        for (source, waited_for, named) in [
            ("test", false, size),
            ("v4l2", false, size),
            ("v4l2", false, fps),
            ("images:a", false, fps),
            // The slate has them.
            ("rtsp://h/x", true, size),
            ("gst:videotestsrc", true, fps),
            ("rtsp://h/x", false, stall),
            ("gst:videotestsrc", false, stall),
            // Silence ends it.
            ("a.mkv!live", false, stall),
            ("test", false, wait),
            ("a.mkv", false, again),
            ("images:a", false, again),
        ] {
            assert_eq!(
                refused(source, waited_for, named),
                None,
                "{source} {named:?}"
            );
        }
    }
}
