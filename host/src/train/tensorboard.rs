//! TensorBoard event files: records of length, data and masked CRC-32C around protobuf messages
//! (`tensorflow/core/util/event.proto` and `framework/summary.proto`, the few fields needed).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::ImageFormat;
use prost::Message;

use crate::picture::Picture;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// `tensorflow.SessionLog`: status 1 starts a session, and TensorBoard forgets what older files say
/// about its steps and later ones.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<SummaryImage>,
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
struct SummaryImage {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// One sitting's event file.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a file in `folder`; what older files say about `step` and later ones is void.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(folder: &Path, step: u64, wall_time: f64) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        // Sittings of one second must not share a file.
        let micros = (wall_time * 1e6) as u64;
        let path = folder.join(format!(
            "events.out.tfevents.{}.hone.{}",
            micros / 1_000_000,
            micros % 1_000_000
        ));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let mut events = Self { path, file };
        events.append(&Event {
            wall_time,
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })?;
        events.append(&Event {
            wall_time,
            step: step as i64,
            session_log: Some(SessionLog { status: 1 }),
            ..Event::default()
        })?;
        Ok(events)
    }

    /// Writes named numbers of a step.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: u64, wall_time: f64, values: &[(String, f64)]) -> Result<()> {
        let value = |(tag, value): &(String, f64)| SummaryValue {
            tag: tag.clone(),
            simple_value: Some(*value as f32),
            image: None,
        };
        let value = values.iter().map(value).collect();
        self.summary(step, wall_time, value)
    }

    /// Writes a picture of a step, as PNG.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn image(&mut self, step: u64, wall_time: f64, tag: &str, picture: &Picture) -> Result<()> {
        let image = SummaryImage {
            width: picture.width as i32,
            height: picture.height as i32,
            colorspace: picture.channels as i32,
            encoded_image_string: picture.encode(ImageFormat::Png)?,
        };
        let value = SummaryValue {
            tag: tag.to_owned(),
            simple_value: None,
            image: Some(image),
        };
        self.summary(step, wall_time, vec![value])
    }

    fn summary(&mut self, step: u64, wall_time: f64, value: Vec<SummaryValue>) -> Result<()> {
        self.append(&Event {
            wall_time,
            step: step as i64,
            summary: Some(Summary { value }),
            ..Event::default()
        })
    }

    fn append(&mut self, event: &Event) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let record = record(&event.encode_to_vec());
        self.file.write_all(&record).with_context(failed)
    }
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&masked(crc32c(&length)).to_le_bytes());
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&masked(crc32c(data)).to_le_bytes());
    bytes
}

/// A checksum of data that holds checksums is weak: TensorFlow stores them rotated and shifted.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), bit by bit: event files are small.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0x82f6_3b78 * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn events_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 7, 1.5).unwrap();
        events.scalars(8, 2.5, &[("loss/l1".into(), 0.25)]).unwrap();
        let grid = Picture::new(1, 2, 4);
        events.image(8, 2.5, "samples", &grid).unwrap();
        let mut bytes: &[u8] = &std::fs::read(&events.path).unwrap();
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let data = &bytes[12..12 + length];
            assert_eq!(record(data), &bytes[..length + 16]);
            found.push(Event::decode(data).unwrap());
            bytes = &bytes[length + 16..];
        }
        assert_eq!(found[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(
            (found[1].step, found[1].session_log.clone()),
            (7, Some(SessionLog { status: 1 }))
        );
        let value = &found[2].summary.as_ref().unwrap().value[0];
        assert_eq!(
            (value.tag.as_str(), value.simple_value),
            ("loss/l1", Some(0.25))
        );
        let image = found[3].summary.as_ref().unwrap().value[0]
            .image
            .clone()
            .unwrap();
        assert_eq!((image.width, image.height), (4, 2));
    }
}
