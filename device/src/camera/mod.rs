//! Live video: sources, the student at work, outputs.
//!
//! ```text
//!  source pipeline                                            one pipeline for each output
//!  SRC ! decode ! queue ! videoconvert ! honesharpen ! appsink -> appsrc ! queue ! encoder ! file
//!                  one frame,             Sharpener         |
//!                  leaky when live        (ladder, dials)   +---> appsrc ! queue ! display
//!                                                        Session
//! ```
//!
//! Live sources never wait: every queue holds one frame, and a newer one replaces it. Files are
//! read whole: every queue blocks, and no frame is lost.

mod address;
pub mod capture;
mod damage;
pub mod dials;
pub mod discovery;
pub mod element;
pub mod elements;
pub mod encoder;
pub mod error;
mod fault;
pub mod feed;
mod gst_output;
mod head;
pub mod histogram;
mod images;
mod levels;
mod mjpeg;
pub mod output;
mod picture;
mod planes;
mod quota;
mod reach;
pub mod report;
#[cfg(feature = "rtsp")]
pub mod rtsp;
pub mod rtsp_address;
pub mod session;
pub mod sharpener;
pub mod sink;
pub mod slate;
pub mod source;
pub mod status;
pub mod student;
pub mod tap;
pub mod timeline;
mod truncation;
#[cfg(test)]
pub mod twin;
mod upright;
