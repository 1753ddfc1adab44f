//! Which Debian package brings which GStreamer element, and asking for one by name.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::address::secret_in;
use super::error::CameraError;

/// Elements that `honed` may use and the Debian (and Raspberry Pi OS) package of each.
pub const PACKAGES: &[(&str, &str)] = &[
    ("appsink", "gstreamer1.0-plugins-base"),
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("videoscale", "gstreamer1.0-plugins-base"),
    ("videorate", "gstreamer1.0-plugins-base"),
    ("videotestsrc", "gstreamer1.0-plugins-base"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("pngdec", "gstreamer1.0-plugins-good"),
    ("pngenc", "gstreamer1.0-plugins-good"),
    ("jpegdec", "gstreamer1.0-plugins-good"),
    ("multifilesink", "gstreamer1.0-plugins-good"),
    ("splitmuxsink", "gstreamer1.0-plugins-good"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
    ("videoflip", "gstreamer1.0-plugins-good"),
    ("v4l2src", "gstreamer1.0-plugins-good"),
    ("v4l2sink", "gstreamer1.0-plugins-good"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("rtph264pay", "gstreamer1.0-plugins-good"),
    ("souphttpsrc", "gstreamer1.0-plugins-good"),
    ("autovideosink", "gstreamer1.0-plugins-good"),
    ("srtsrc", "gstreamer1.0-plugins-bad"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("kmssink", "gstreamer1.0-plugins-bad"),
    ("waylandsink", "gstreamer1.0-plugins-bad"),
    ("openh264enc", "gstreamer1.0-plugins-bad"),
    ("hlssink2", "gstreamer1.0-plugins-bad"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
    ("avenc_ffv1", "gstreamer1.0-libav"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("libcamerasrc", "gstreamer1.0-libcamera"),
    ("glimagesink", "gstreamer1.0-gl"),
    ("ximagesink", "gstreamer1.0-x"),
    ("xvimagesink", "gstreamer1.0-x"),
    ("nvarguscamerasrc", "nvidia-l4t-gstreamer"),
    ("nvvidconv", "nvidia-l4t-gstreamer"),
    ("nvv4l2h264enc", "nvidia-l4t-gstreamer"),
];

/// Hardware encoders that the kernel's drivers bring up; no package makes them appear.
const HARDWARE: &[&str] = &["v4l2h264enc", "v4l2h264dec"];

/// How to get `element`, as the end of a sentence.
pub fn advice(element: &str) -> String {
    if HARDWARE.contains(&element) {
        return "this board has no such hardware (a Raspberry Pi 5 has none)".into();
    }
    match PACKAGES.iter().find(|(name, _)| *name == element) {
        Some((_, package)) => format!("install {package} (apt install {package})"),
        None => {
            format!("find its plugin with `gst-inspect-1.0 {element}` or correct the spelling")
        }
    }
}

/// Whether `element` is installed.
pub fn installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// A missing-element error for `element`.
pub fn missing(element: &str) -> CameraError {
    CameraError::MissingElement {
        element: element.to_owned(),
        advice: advice(element),
    }
}

/// Checks that `element` is installed.
///
/// # Errors
/// [`CameraError::MissingElement`] with the package to install.
pub fn require(element: &str) -> Result<(), CameraError> {
    if installed(element) {
        return Ok(());
    }
    Err(missing(element))
}

/// Builds the pipeline that `description` draws.
///
/// # Errors
/// [`CameraError::MissingElement`] for the first element that is not installed; `otherwise` makes
/// the error from GStreamer's words in all other cases.
pub fn launch(
    description: &str,
    otherwise: impl Fn(String) -> CameraError,
) -> Result<gst::Pipeline, CameraError> {
    let mut context = gst::ParseContext::new();
    let parsed = gst::parse::launch_full(
        description,
        Some(&mut context),
        gst::ParseFlags::FATAL_ERRORS,
    );
    let element = parsed.map_err(|error| {
        // After any other error, what stood in the line is called missing, too.
        let named = error.matches(gst::ParseError::NoSuchElement);
        if let Some(element) = context.missing_elements().first().filter(|_| named) {
            return missing(element);
        }
        // It repeats what a property does not take.
        let secret = secret_in(error.message())
            .filter(|_| error.matches(gst::ParseError::CouldNotSetProperty));
        otherwise(match secret {
            Some(name) => format!("{name} cannot be what is given"),
            None => error.message().to_owned(),
        })
    })?;
    element
        .downcast::<gst::Pipeline>()
        .map_err(|_| otherwise("the line must hold at least two elements".into()))
}

/// Starts GStreamer and registers `honesharpen`; further calls do nothing.
///
/// # Errors
/// [`CameraError::Gstreamer`].
pub fn start() -> Result<(), CameraError> {
    gst::init().map_err(|e| CameraError::Gstreamer(e.message().to_owned()))?;
    static REGISTERED: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
    REGISTERED
        .get_or_init(|| super::element::register(None).map_err(|e| e.message.to_string()))
        .clone()
        .map_err(CameraError::Gstreamer)
}

/// The words of an error message from the bus, with the element that said them. What some append is for GStreamer's own
/// developers.
pub fn bus_error(error: &gst::message::Error) -> String {
    let name = error.src().map(|s| s.name().to_string());
    let said = error.error();
    let mut text = said.message().lines().next().unwrap_or_default();
    if let Some(at) = text.find(".c(") {
        text = text[..at]
            .rsplit_once(": ")
            .map_or(text, |(words, _)| words);
    }
    let text = text.trim_end_matches('.').to_owned();
    match name {
        Some(name) => format!("{text} (said {name})"),
        None => text,
    }
}

/// Whether `object` is an element of this class, as its factory has it.
pub(super) fn is_a(object: Option<&gst::Object>, class: &str) -> bool {
    let factory = object.and_then(|o| o.downcast_ref::<gst::Element>()?.factory());
    let classes = factory.as_ref().and_then(|f| f.metadata("klass"));
    classes.is_some_and(|classes| classes.split('/').any(|c| c == class))
}

/// The element `name` of a pipeline that was described with it.
pub(crate) fn named<T: IsA<gst::Element>>(
    pipeline: &gst::Pipeline,
    name: &str,
) -> Result<T, CameraError> {
    pipeline
        .by_name(name)
        .and_then(|e| e.downcast::<T>().ok())
        .ok_or_else(|| CameraError::Gstreamer(format!("the pipeline has no element {name}")))
}

/// Runs `each` on every buffer that passes `pad` of `element`.
pub(super) fn probe(
    element: &gst::Element,
    pad: &str,
    each: impl Fn(&gst::Pad, &mut gst::Buffer) + Send + Sync + 'static,
) {
    if let Some(pad) = element.static_pad(pad) {
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
                each(pad, buffer);
            }
            gst::PadProbeReturn::Ok
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_names_its_package() {
        start().unwrap();
        let error = launch("nvarguscamerasrc ! fakesink", |reason| {
            CameraError::SourceSpec {
                given: String::new(),
                reason,
            }
        })
        .unwrap_err()
        .to_string();
        assert_eq!(
            error,
            "GStreamer has no element 'nvarguscamerasrc': install nvidia-l4t-gstreamer (apt install nvidia-l4t-gstreamer)"
        );
    }

    #[test]
    fn a_wrong_property_is_no_missing_element() {
        start().unwrap();
        let told = |line: &str| {
            let error = launch(line, |reason| CameraError::SourceSpec {
                given: "gst".into(),
                reason,
            });
            error.unwrap_err().to_string()
        };
        let error = told("videotestsrc colour=red ! fakesink");
        assert!(
            error.contains("colour") && !error.contains("install"),
            "{error}"
        );
        let error = told("souphttpsrc extra-headers=h,S3CRET ! fakesink");
        assert!(
            error.ends_with("extra-headers cannot be what is given"),
            "{error}"
        );
    }

    #[test]
    fn every_element_of_the_pipeline_itself_is_installed_here() {
        start().unwrap();
        for name in [
            "honesharpen",
            "appsink",
            "appsrc",
            "videoconvert",
            "decodebin",
        ] {
            assert!(installed(name), "{name}");
        }
    }
}
