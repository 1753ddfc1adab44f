//! Why a source failed, in words for people: the first error on its bus, and what a network camera
//! answers instead of a stream.

use std::path::PathBuf;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::address::{Address, without_password};
use super::elements;
use super::error::CameraError;

/// What ended a source.
#[derive(Debug)]
pub(super) struct Fault {
    /// The error as it is told.
    pub(super) error: CameraError,
    /// GStreamer's words, when it may only have failed to reach the camera and does not say so.
    pub(super) vague: Option<String>,
}

/// A source, as far as its faults are told by it.
pub(super) struct Faulty<'a> {
    /// The text given, without passwords.
    pub(super) name: &'a str,
    /// That of a network source.
    pub(super) address: Option<&'a Address<'a>>,
    /// It has shown no picture.
    pub(super) dark: bool,
    /// The image on its way, of a folder of them.
    pub(super) image: Option<PathBuf>,
}

/// The first error on `bus` of `source`.
pub(super) fn first(bus: &gst::Bus, source: &Faulty<'_>) -> Option<Fault> {
    let (name, address) = (source.name, source.address);
    let mut missing = Vec::new();
    while let Some(message) = bus.pop() {
        match message.view() {
            gst::MessageView::Element(element) => {
                let plugin = element.structure().filter(|s| s.name() == "missing-plugin");
                missing.extend(plugin.and_then(|s| s.get::<String>("name").ok()));
            }
            gst::MessageView::Error(error) => {
                // Whoever writes a launch line asks for what GStreamer says of it.
                let pictureless = || {
                    let led = source.dark && !name.starts_with("gst:") && leads_nowhere(error);
                    (led && !pictured(error)).then(|| CameraError::NoFrame {
                        source_name: name.to_owned(),
                        reason: "there is only sound in it, or something else".into(),
                    })
                };
                if let Some(error) = undecodable(&missing, name).or_else(pictureless) {
                    return Some(Fault { error, vague: None });
                }
                let answer = address.and_then(|address| answer(error, address));
                let unknown = address.is_some() && answer.is_none() && may_be_unreachable(error);
                let mut reason =
                    answer.unwrap_or_else(|| without_password(&elements::bus_error(error)));
                if let Some(image) = &source.image {
                    reason = format!("{reason}, in {}", image.display());
                }
                return Some(Fault {
                    vague: unknown.then(|| reason.clone()),
                    error: CameraError::Source {
                        source_name: name.to_owned(),
                        reason,
                    },
                });
            }
            _ => {}
        }
    }
    None
}

/// The error for a stream of which nothing installed makes pictures; `missing` are the names of
/// the plugins that would.
fn undecodable(missing: &[String], name: &str) -> Option<CameraError> {
    let first = missing.first()?;
    let mut kinds = missing.iter().map(|plugin| kind(plugin));
    // What no picture is made of does not matter where something else is missing.
    Some(match kinds.find(|kind| !kind.starts_with("text/")) {
        Some(what) => CameraError::MissingDecoder {
            source_name: name.to_owned(),
            what: what.to_owned(),
            package: "gstreamer1.0-libav",
        },
        None => CameraError::NoFrame {
            source_name: name.to_owned(),
            reason: format!(
                "it is a web page or text ({}), no video; give the address of the stream itself",
                kind(first)
            ),
        },
    })
}

/// Whether a demultiplexer found nothing that takes its streams.
fn leads_nowhere(error: &gst::message::Error) -> bool {
    let debug = error.debug();
    error.error().matches(gst::StreamError::Failed)
        && debug.is_some_and(|text| text.contains("not-linked"))
}

/// Whether there are pictures in what the pipeline of this error reads, whatever became of them.
fn pictured(error: &gst::message::Error) -> bool {
    let top = std::iter::successors(error.src().cloned(), |object| object.parent()).last();
    top.and_then(|top| top.downcast::<gst::Bin>().ok())
        .is_some_and(|pipeline| pipeline.iterate_recurse().find(gives_pictures).is_some())
}

fn gives_pictures(element: gst::Element) -> bool {
    let is_a = |class: &&str| elements::is_a(Some(element.upcast_ref()), class);
    let named = |caps: gst::Caps| caps.structure(0).map(|s| s.name().to_string());
    let mut carried = element
        .src_pads()
        .into_iter()
        .filter_map(|pad| named(pad.current_caps()?));
    // Further up it is named after the container: a file that holds only sound may be `video/quicktime`.
    ["Demuxer", "Parser", "Decoder"].iter().any(is_a)
        && carried.any(|name| name.starts_with("video/") || name.starts_with("image/"))
}

/// What a plugin is for, from GStreamer's name of it.
fn kind(plugin: &str) -> &str {
    plugin.strip_suffix(" decoder").unwrap_or(plugin)
}

/// What a network camera answered, if it answered.
fn answer(error: &gst::message::Error, address: &Address<'_>) -> Option<String> {
    let status = error
        .details()
        .and_then(|details| details.get::<u32>("http-status-code").ok());
    let said = error.error();
    let words = said.message().lines().next().unwrap_or_default();
    let words = without_password(words.trim_end_matches('.'));
    let status = status.map(|status| format!("{status} "));
    let said_so = format!("{}{words}", status.clone().unwrap_or_default());
    if matches!(status.as_deref(), Some("401 " | "403 "))
        || said.matches(gst::ResourceError::NotAuthorized)
    {
        return Some(if address.login {
            format!("the camera does not take this user and password ({said_so})")
        } else {
            format!(
                "the camera asks for user and password ({said_so}): write {}://USER:PASSWORD@ before \
                 the host",
                address.scheme()
            )
        });
    }
    // Over http, a host that is not found is called so too.
    let no_path =
        address.scheme().starts_with("rtsp") && said.matches(gst::ResourceError::NotFound);
    if status.as_deref() == Some("404 ") || no_path {
        return Some(format!(
            "the camera has nothing under this path ({said_so}): look up its stream's address"
        ));
    }
    if said.matches(gst::StreamError::WrongType) {
        return Some(
            "it is a web page or text, no video; give the address of the stream itself".into(),
        );
    }
    status.map(|_| format!("the camera answers '{said_so}' and sends no stream"))
}

/// GStreamer calls a connection that it did not get a stream error, or a resource it cannot open.
fn may_be_unreachable(error: &gst::message::Error) -> bool {
    let said = error.error();
    elements::is_a(error.src(), "Source")
        && (said.matches(gst::StreamError::Failed) || said.is::<gst::ResourceError>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: &[gst::Message], address: &str) -> (String, bool) {
        gst::init().unwrap();
        let bus = gst::Bus::new();
        for message in messages {
            bus.post(message.clone()).unwrap();
        }
        let name = if address.starts_with("gst:") {
            address
        } else {
            "cam"
        };
        let address = Address::of(address);
        let source = Faulty {
            name,
            address: address.as_ref(),
            dark: true,
            image: None,
        };
        let fault = first(&bus, &source).unwrap();
        (fault.error.to_string(), fault.vague.is_some())
    }

    fn missing(name: &str) -> gst::Message {
        let plugin = gst::Structure::builder("missing-plugin").field("name", name);
        gst::message::Element::new(plugin.build())
    }

    #[test]
    fn text_is_no_video_and_nothing_is_to_be_installed_for_it() {
        gst::init().unwrap();
        let error = gst::message::Error::new(gst::CoreError::MissingPlugin, "missing");
        let page = [missing("text/html decoder"), error.clone()];
        let (told_of_page, _) = told(&page, "http://cam/");
        assert_eq!(
            told_of_page,
            "cam holds no picture: it is a web page or text (text/html), no video; give the address \
             of the stream itself"
        );
        let film = [
            missing("text/x-titles decoder"),
            missing("H.266 decoder"),
            error,
        ];
        assert_eq!(
            told(&film, "film.mkv").0,
            "nothing installed decodes H.266 of cam: install gstreamer1.0-libav"
        );
    }

    #[test]
    fn debug_text_and_passwords_are_not_told() {
        gst::init().unwrap();
        let words = "Cannot get http://bob:S3CRET@cam/a.ts?token=S3CRET: ../soup/soup.c(7): parse ()\nURL: \
                     http://bob:S3CRET@cam/";
        let error = gst::message::Error::new(gst::ResourceError::NotFound, words);
        let (words, _) = told(&[error], "http://cam/live.m3u8");
        assert_eq!(
            words,
            "the source cam failed: Cannot get http://cam/a.ts?token=..."
        );
    }

    #[test]
    fn only_a_stream_without_pictures_that_leads_nowhere_is_only_sound() {
        gst::init().unwrap();
        let told_after = |line: &str, name: &str, why: &str| {
            let pipeline = gst::parse::launch(line).unwrap();
            pipeline.set_state(gst::State::Paused).unwrap();
            let _ = pipeline.state(gst::ClockTime::from_seconds(10));
            let error = gst::message::Error::builder(gst::StreamError::Failed, "Internal.");
            let (words, _) = told(&[error.debug(why).src(&pipeline).build()], name);
            pipeline.set_state(gst::State::Null).unwrap();
            words
        };
        let sound = "audiotestsrc ! wavenc ! wavparse ! fakesink";
        let film = "videotestsrc ! jpegenc ! jpegparse ! fakesink";
        for (line, name, why, want) in [
            (sound, "a", "not-linked", "there is only sound in it"),
            (sound, "a", "error (-5)", "Internal"),
            (sound, "gst:a", "not-linked", "Internal"),
            (film, "a", "not-linked", "Internal"),
        ] {
            let words = told_after(line, name, why);
            assert!(words.contains(want), "{line}, {name}, {why}: {words}");
        }
    }

    #[test]
    fn what_a_camera_answers_is_told_and_the_rest_is_vague() {
        gst::init().unwrap();
        let http = |status: u32, words: &str| {
            let details = gst::Structure::builder("details").field("http-status-code", status);
            gst::message::Error::builder(gst::ResourceError::Failed, words)
                .details(details.build())
                .build()
        };
        let denied = [http(401, "Unauthorized")];
        let (open, vague) = told(&denied, "http://cam/x");
        assert!(
            open.contains("write http://USER:PASSWORD@") && !vague,
            "{open}"
        );
        let (login, _) = told(&denied, "http://u:p@cam/x");
        assert!(login.contains("does not take this user"), "{login}");
        let (gone, _) = told(&[http(404, "Not Found")], "http://cam/x");
        assert!(
            gone.contains("nothing under this path (404 Not Found)"),
            "{gone}"
        );
        let (broken, vague) = told(&[http(503, "Busy")], "http://cam/x");
        assert!(broken.contains("answers '503 Busy'") && !vague, "{broken}");
        let source = gst::ElementFactory::make("filesrc")
            .name("source")
            .build()
            .unwrap();
        let closed = gst::message::Error::builder(gst::ResourceError::OpenReadWrite, "Could not.")
            .src(&source)
            .build();
        let (words, vague) = told(std::slice::from_ref(&closed), "rtsp://cam/x");
        assert!(
            words.ends_with("failed: Could not (said source)") && vague,
            "{words}"
        );
        assert!(!told(&[closed], "film.mkv").1);
    }
}
