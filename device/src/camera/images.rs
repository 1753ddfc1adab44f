//! The image files of a folder, pushed into a pipeline one by one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer_app as gst_app;
use hone_shared::order;

use super::error::CameraError;
use super::sharpener::lock;
use super::truncation;
use super::upright::Turns;

/// The images of `folder` in the order of their names, numbers as numbers.
///
/// # Errors
/// [`CameraError::SourceMissing`] when the folder cannot be read or holds none.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, CameraError> {
    let missing = |reason: String| CameraError::SourceMissing {
        path: folder.to_owned(),
        reason,
    };
    let entries = std::fs::read_dir(folder).map_err(|e| missing(e.to_string()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| media_type(path).is_some())
        .collect();
    if found.is_empty() {
        return Err(missing("the folder holds no .png or .jpg file".into()));
    }
    found.sort_by(|a, b| order::paths(a, b));
    Ok(found)
}

/// GStreamer's name of an image's type, from its ending.
fn media_type(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        _ => None,
    }
}

/// What every image of a type begins with.
fn signature(media: Option<&str>) -> &'static [u8] {
    match media {
        Some("image/png") => b"\x89PNG\r\n\x1a\n",
        _ => &[0xff, 0xd8],
    }
}

/// Checks that all images are whole and of one type, as one decoder takes them.
///
/// # Errors
/// [`CameraError::SourceMissing`] or [`CameraError::Truncated`], with the image named.
pub fn check(images: &[PathBuf]) -> Result<(), CameraError> {
    let first = images.first();
    for image in images {
        let missing = |reason: String| CameraError::SourceMissing {
            path: image.clone(),
            reason,
        };
        if let Some(first) = first
            && media_type(image) != media_type(first)
        {
            let name = first.file_name().unwrap_or_default().display();
            return Err(missing(format!(
                "the folder holds PNG and JPEG files ({name} is of the other type): keep one type in it"
            )));
        }
        let file = File::open(image).map_err(|e| missing(e.to_string()))?;
        let mut start = Vec::new();
        let read = (&file).take(8).read_to_end(&mut start);
        read.map_err(|e| missing(e.to_string()))?;
        truncation::check(image, file)?;
        // A decoder leaves out what it cannot read, and the frames behind it would move up.
        if !start.starts_with(signature(media_type(image))) {
            let reason =
                "it is no picture of the type that its name ends with: take it away, or rename it";
            return Err(missing(reason.into()));
        }
    }
    Ok(())
}

/// Feeds `images` at `fps` frames a second of stream time, each when it is wanted; `last` is the one on its way, `turns` hears
/// how each lies, where something turns them.
pub fn feed(
    feed: &gst_app::AppSrc,
    images: Vec<PathBuf>,
    fps: u32,
    last: Arc<Mutex<Option<PathBuf>>>,
    turns: Option<Turns>,
) {
    let media = images.first().and_then(|p| media_type(p));
    let caps = gst::Caps::builder(media.unwrap_or("image/png"))
        .field(
            "framerate",
            gst::Fraction::new(i32::try_from(fps).unwrap_or(30), 1),
        )
        .build();
    feed.set_caps(Some(&caps));
    feed.set_max_bytes(1);
    let rest = Mutex::new((0_u64, images.into_iter()));
    let callbacks = gst_app::AppSrcCallbacks::builder()
        .need_data(move |feed, _| {
            let (index, path) = {
                let mut rest = lock(&rest);
                rest.0 += 1;
                (rest.0 - 1, rest.1.next())
            };
            let Some(path) = path else {
                // A pipeline that is going down wants no end either.
                let _ = feed.end_of_stream();
                return;
            };
            lock(&last).replace(path.clone());
            match std::fs::read(&path) {
                Ok(bytes) => {
                    let at = |i: u64| i * gst::ClockTime::SECOND / u64::from(fps.max(1));
                    if let Some(turns) = &turns {
                        turns.note(at(index), &bytes);
                    }
                    let mut buffer = gst::Buffer::from_mut_slice(bytes);
                    if let Some(buffer) = buffer.get_mut() {
                        buffer.set_pts(at(index));
                        buffer.set_duration(at(index + 1) - at(index));
                    }
                    // As above.
                    let _ = feed.push_buffer(buffer);
                }
                Err(error) => gst::element_error!(
                    feed,
                    gst::ResourceError::Read,
                    ["it cannot be read: {error}"]
                ),
            }
        })
        .build();
    feed.set_callbacks(callbacks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        assert!(list(folder.path()).is_err());
        for name in ["b10.png", "a.JPG", "notes.txt", "b2.png"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let names: Vec<_> = list(folder.path())
            .unwrap()
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.JPG", "b2.png", "b10.png"]);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let jpeg = [0xff, 0xd8, 0xff, 0xd9];
        std::fs::write(at("a.jpg"), jpeg).unwrap();
        check(&[at("a.jpg")]).unwrap();
        for bytes in [
            &b"no picture"[..],
            b"x",
            b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82",
        ] {
            std::fs::write(at("b.jpg"), bytes).unwrap();
            let error = check(&[at("a.jpg"), at("b.jpg")]).unwrap_err().to_string();
            assert!(
                error.contains("b.jpg") && error.contains("it is no picture"),
                "{error}"
            );
        }
        std::fs::write(at("c.png"), jpeg).unwrap();
        let error = check(&[at("c.png")]).unwrap_err().to_string();
        assert!(error.contains("c.png: it is no picture"), "{error}");
    }
}
