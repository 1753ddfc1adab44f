//! Numbers, strings and lines out of a pickle's bytes, none beyond its end.

use super::graph::Value;
use crate::checkpoint::{CheckpointError, Result};

/// Longest line of a text opcode: a module's or a type's name.
const MAX_LINE: usize = 512;

/// A position in bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest
            .get(..count)
            .ok_or_else(|| CheckpointError::damaged("its pickle ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    /// A little-endian number of `count` bytes, at most 8.
    pub fn number(&mut self, count: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A length written in `count` bytes.
    pub fn length(&mut self, count: usize) -> Result<usize> {
        let length = self.number(count)?;
        usize::try_from(length).map_err(|_| CheckpointError::damaged("a length beyond the file"))
    }

    /// A string of `count` bytes.
    pub fn text(&mut self, count: usize) -> Result<Value> {
        let text = std::str::from_utf8(self.take(count)?);
        let text = text.map_err(|_| CheckpointError::damaged("a string that is no UTF-8"))?;
        Ok(Value::Str(text.into()))
    }

    /// Up to the next line feed, which is left out.
    pub fn line(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(MAX_LINE).position(|&b| b == b'\n');
        let end = end.ok_or_else(|| CheckpointError::damaged("a name without an end"))?;
        let line = self.take(end)?;
        self.at += 1;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// A signed number behind a byte with its length. Of those longer than 8 bytes only a legacy
    /// file's magic number is written by `torch.save`, and that is compared elsewhere.
    pub fn long(&mut self) -> Result<Value> {
        let length = self.length(1)?;
        let taken = self.take(length)?;
        if length > 8 {
            return Ok(Value::Bytes);
        }
        let negative = taken.last().is_some_and(|b| b & 0x80 != 0);
        let mut bytes = [if negative { 0xff } else { 0 }; 8];
        bytes[..length].copy_from_slice(taken);
        Ok(Value::Int(i64::from_le_bytes(bytes)))
    }
}
