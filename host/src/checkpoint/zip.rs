//! `torch.save` since 1.6: a zip archive of stored (never compressed) members.

use std::collections::HashMap;

use super::pickle::{self, Graph};
use super::tensor::Storages;
use super::{CheckpointError, Result};

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// The pickle's graph, and the storages by key.
pub fn read(bytes: &[u8]) -> Result<(Graph, Storages<'_>)> {
    let members = members(bytes)?;
    let pickle = members
        .keys()
        .find(|n| n.ends_with("/data.pkl") || **n == "data.pkl")
        .copied();
    let pickle = pickle.ok_or_else(|| {
        CheckpointError::damaged(
            "a zip archive without data.pkl; TorchScript and other archives are not read",
        )
    })?;
    let prefix = &pickle[..pickle.len() - "data.pkl".len()];
    if let Some(order) = members.get(format!("{prefix}byteorder").as_str())
        && *order != b"little"
    {
        return Err(CheckpointError::Refused(
            "its numbers are not little-endian".to_owned(),
        ));
    }
    let (graph, _) = pickle::load(members[pickle])?;
    let folder = format!("{prefix}data/");
    let storages = members
        .iter()
        .filter_map(|(name, data)| Some((name.strip_prefix(&folder)?, *data)));
    Ok((
        graph,
        storages.map(|(key, data)| (key.to_owned(), data)).collect(),
    ))
}

fn slice(bytes: &[u8], start: u64, length: u64) -> Result<&[u8]> {
    let range = usize::try_from(start)
        .ok()
        .zip(usize::try_from(length).ok());
    range
        .and_then(|(start, length)| bytes.get(start..start.checked_add(length)?))
        .ok_or_else(|| {
            CheckpointError::damaged("its zip directory points outside of the file (cut off?)")
        })
}

/// A little-endian number of `count` bytes at `at`.
fn number(bytes: &[u8], at: u64, count: u64) -> Result<u64> {
    let digits = slice(bytes, at, count)?.iter().rev();
    Ok(digits.fold(0, |sum, &digit| sum << 8 | u64::from(digit)))
}

/// Start and size of the central directory.
fn directory(bytes: &[u8]) -> Result<(u64, u64)> {
    let tail = bytes.len().saturating_sub(22 + 65_535);
    let end = bytes[tail..]
        .windows(4)
        .rposition(|w| w == END)
        .map(|at| (tail + at) as u64);
    let end = end.ok_or_else(|| {
        CheckpointError::damaged("the zip directory at its end is missing (cut off?)")
    })?;
    slice(bytes, end, 22)?;
    let (size, start) = (number(bytes, end + 12, 4)?, number(bytes, end + 16, 4)?);
    let locator = end
        .checked_sub(20)
        .filter(|&at| slice(bytes, at, 4).is_ok_and(|s| s == LOCATOR64));
    let Some(locator) = locator else {
        return Ok((start, size));
    };
    let end64 = number(bytes, locator + 8, 8)?;
    if slice(bytes, end64, 4)? != END64 {
        return Err(CheckpointError::damaged("its zip64 directory is missing"));
    }
    let field = |at: u64| number(bytes, end64.saturating_add(at), 8);
    Ok((field(48)?, field(40)?))
}

/// Name and bytes of every member, checksums verified.
fn members(bytes: &[u8]) -> Result<HashMap<&str, &[u8]>> {
    let (start, size) = directory(bytes)?;
    let directory = slice(bytes, start, size)?;
    let mut members = HashMap::new();
    let (mut at, mut total) = (0, 0u64);
    while at < size {
        if slice(directory, at, 4)? != DIRECTORY {
            return Err(CheckpointError::damaged(
                "its zip directory has a wrong entry",
            ));
        }
        let field = |offset: u64, count| number(directory, at + offset, count);
        let (flags, method, crc) = (field(8, 2)?, field(10, 2)?, field(16, 4)?);
        let (name_length, extra_length, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let name = slice(directory, at + 46, name_length)?;
        let name = std::str::from_utf8(name)
            .map_err(|_| CheckpointError::damaged("a member's name is no UTF-8"))?;
        let extra = slice(directory, at + 46 + name_length, extra_length)?;
        let sizes = sizes64(extra, [field(24, 4)?, field(20, 4)?, field(42, 4)?])?;
        let [size, packed, local] = sizes;
        if method != 0 || flags & 1 != 0 || size != packed {
            return Err(CheckpointError::Refused(format!(
                "the member {name:.80} is compressed or encrypted"
            )));
        }
        if slice(bytes, local, 4)? != LOCAL {
            return Err(CheckpointError::damaged(format!(
                "the member {name:.80} has no header"
            )));
        }
        // `local` lies within the file, so these sums cannot overflow.
        let skip = 30 + number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
        let data = slice(bytes, local + skip, size)?;
        // Members that share bytes would cost a checksum each: a bomb in time.
        total = total.saturating_add(size);
        if total > bytes.len() as u64 {
            return Err(CheckpointError::TooLarge(
                "its members together are larger than the file".to_owned(),
            ));
        }
        if u64::from(crc32fast::hash(data)) != crc {
            return Err(CheckpointError::damaged(format!(
                "the checksum of {name:.80} does not match"
            )));
        }
        members.insert(name, data);
        at += 46 + name_length + extra_length + comment;
    }
    Ok(members)
}

/// Replaces saturated 32-bit fields by those of the zip64 extra field, which has them in this order.
fn sizes64(extra: &[u8], mut fields: [u64; 3]) -> Result<[u64; 3]> {
    let mut at = 0;
    while at + 4 <= extra.len() as u64 {
        let (tag, length) = (number(extra, at, 2)?, number(extra, at + 2, 2)?);
        if tag == 1 {
            let mut next = at + 4;
            for field in fields.iter_mut().filter(|f| **f == 0xffff_ffff) {
                *field = number(extra, next, 8)?;
                next += 8;
            }
        }
        at += 4 + length;
    }
    Ok(fields)
}
