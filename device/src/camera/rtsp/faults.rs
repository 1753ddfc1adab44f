//! Why a pipeline of the server fails.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp_server as gst_rtsp;
use gstreamer_rtsp_server::prelude::*;

use crate::camera::address::without_password;
use crate::camera::elements::bus_error;
use crate::camera::sharpener::lock;

/// Most causes of failure that are told of a run.
const CAUSES: usize = 16;

/// Why viewers got no picture.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Causes that were told already, or soon are.
    causes: Vec<String>,
    /// Not told yet.
    news: VecDeque<String>,
    was_crowded: bool,
}

impl Faults {
    /// Keeps why a pipeline failed, of each cause the first time: with the next viewer it comes again.
    fn add(&mut self, error: &gst::message::Error) {
        let cause = error.error().message().to_owned();
        if self.causes.len() < CAUSES && !self.causes.contains(&cause) {
            self.causes.push(cause);
            let reason = without_password(&bus_error(error));
            self.news
                .push_back(format!("viewers get no picture: {reason}"));
        }
    }

    /// Keeps that connections of an address were refused, once.
    pub(super) fn crowded(&mut self, address: IpAddr, most: usize, most_of_one: usize) {
        if !std::mem::replace(&mut self.was_crowded, true) {
            self.news.push_back(format!(
                "{address} was refused another connection: there is room for {most}, {most_of_one} of them of one address"
            ));
        }
    }

    /// The oldest that was not told yet.
    pub(super) fn next(&mut self) -> Option<String> {
        self.news.pop_front()
    }
}

/// Keeps the first error of `media`'s pipeline, from which others follow. The server itself drops them, and viewers only
/// hear that the service is unavailable.
pub(super) fn listen(media: &gst_rtsp::RTSPMedia, faults: &Arc<Mutex<Faults>>) {
    let pipeline = media.element().parent();
    let Some(bus) = pipeline.and_then(|p| p.downcast::<gst::Pipeline>().ok()?.bus()) else {
        return;
    };
    let (faults, failed) = (faults.clone(), AtomicBool::new(false));
    bus.enable_sync_message_emission();
    bus.connect_sync_message(Some("error"), move |_, message| {
        if let gst::MessageView::Error(error) = message.view()
            && !failed.swap(true, Ordering::Relaxed)
        {
            lock(&faults).add(error);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_that_fails_is_told_once() {
        gst::init().unwrap();
        let faults = Arc::<Mutex<Faults>>::default();
        let fail = |causes: &[&str]| {
            let line = "appsrc name=in ! identity name=exit ! fakesink";
            let bin = gst::parse::bin_from_description(line, false).unwrap();
            let exit = bin.by_name("exit").unwrap();
            let media = gst_rtsp::RTSPMedia::new(bin);
            let pipeline = gst::Pipeline::new();
            media.take_pipeline(&pipeline);
            listen(&media, &faults);
            pipeline.set_state(gst::State::Ready).unwrap();
            for cause in causes {
                gst::element_error!(exit, gst::StreamError::Encode, ("{cause}"));
            }
            pipeline.set_state(gst::State::Null).unwrap();
            std::iter::from_fn(|| lock(&faults).next()).collect::<Vec<_>>()
        };
        let told = fail(&["no memory left.", "what follows"]);
        assert_eq!(told, ["viewers get no picture: no memory left (said exit)"]);
        assert!(fail(&["no memory left."]).is_empty());
        assert_eq!(fail(&["too wide"]).len(), 1);
        for _ in 0..2 {
            lock(&faults).crowded([10, 0, 0, 7].into(), 48, 16);
        }
        assert!(
            lock(&faults)
                .next()
                .unwrap()
                .starts_with("10.0.0.7 was refused")
        );
        assert_eq!(lock(&faults).next(), None);
    }
}
