//! Files of a pool: a few patches each, whole or not there.
//!
//! `"honepool"`, the manifest's key (64 hexadecimal digits), the number of records (u32), for each
//! record its length and CRC-32 (u32 each), then the records. Integers are little-endian.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Patches in a chunk; the last one may hold fewer.
pub const CHUNK: usize = 32;
const MAGIC: &[u8; 8] = b"honepool";
const KEY: usize = 64;

/// Writes a chunk of the manifest with this key; returns its size.
///
/// # Errors
/// When it cannot be written.
pub fn write_chunk(path: &Path, key: &str, records: &[Vec<u8>]) -> Result<u64> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&u32::try_from(records.len())?.to_le_bytes());
    for record in records {
        bytes.extend_from_slice(&u32::try_from(record.len())?.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    }
    bytes.extend(records.iter().flatten());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    hone_device::atomic::write_bytes(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Where the records of a chunk lie.
#[derive(Debug)]
pub(super) struct ChunkIndex {
    path: PathBuf,
    /// Offset, length, CRC-32.
    records: Vec<(u64, usize, u32)>,
}

impl ChunkIndex {
    /// Reads the head of a chunk that must hold `count` records of at most about `largest` bytes
    /// before deflating.
    pub(super) fn open(path: &Path, key: &str, count: usize, largest: usize) -> Result<Self> {
        let name = path.display();
        let mut file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let length = file.metadata()?.len();
        let mut head = vec![0; MAGIC.len() + KEY + 4 + 8 * count];
        file.read_exact(&mut head).with_context(|| {
            format!("{name} is cut off: remove it and run hone teacher cache again")
        })?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (its_key, rest) = rest.split_at(KEY);
        let (its_count, table) = rest.split_at(4);
        ensure!(magic == MAGIC, "{name} is no chunk of a teacher cache");
        ensure!(
            its_key == key.as_bytes(),
            "{name} is stale: it belongs to other pictures, another degradation or another teacher"
        );
        ensure!(
            its_count == (count as u32).to_le_bytes(),
            "{name} does not hold {count} patches"
        );
        let mut records = Vec::with_capacity(count);
        let mut offset = head.len() as u64;
        for entry in table.chunks_exact(8) {
            let word = |at: usize| {
                u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
            };
            let size = word(0) as usize;
            // Deflate never grows data by more than a few bytes in 16 KiB.
            ensure!(size <= largest + largest / 1000 + 64, "{name} is damaged");
            records.push((offset, size, word(4)));
            offset += size as u64;
        }
        ensure!(
            offset == length,
            "{name} is damaged: it has {length} bytes, not {offset}; remove it and run hone \
             teacher cache again"
        );
        let path = path.to_path_buf();
        Ok(Self { path, records })
    }

    /// Reads one record.
    pub(super) fn read(&self, number: usize) -> Result<Vec<u8>> {
        let name = self.path.display();
        let (offset, size, crc) = *self.records.get(number).context("no such patch")?;
        let mut bytes = vec![0; size];
        let file = File::open(&self.path).with_context(|| format!("cannot open {name}"))?;
        file.read_exact_at(&mut bytes, offset)
            .with_context(|| format!("cannot read {name}"))?;
        ensure!(
            crc32fast::hash(&bytes) == crc,
            "{name} is damaged: remove it and run hone teacher cache again"
        );
        Ok(bytes)
    }
}
