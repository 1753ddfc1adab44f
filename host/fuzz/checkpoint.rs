//! Any bytes as a checkpoint: an error or tensors whose data fill their shapes, never a panic, never
//! more memory than a file of this size may cost.
//!
//! The first byte says whether the rest is a whole file or the pickle of an archive with one storage,
//! because a fuzzer does not find checksums by itself.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports)]
#[path = "../src/checkpoint/mod.rs"]
mod checkpoint;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let archive;
    let file = if mode == b'P' {
        archive = wrap(rest);
        &archive
    } else {
        rest
    };
    for key in [None, Some("params")] {
        let Ok(got) = checkpoint::parse(file, key) else { continue };
        for entry in got.entries {
            let empty = entry.shape.contains(&0);
            let count: u64 = if empty { 0 } else { entry.shape.iter().product() };
            assert_eq!(entry.data.len() as u64, count * entry.element.size());
        }
    }
});

/// A zip archive as torch.save writes it: data.pkl and the storage "0" of 64 bytes.
fn wrap(pickle: &[u8]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let storage = [1; 64];
    for (name, data) in [("w/data.pkl", pickle), ("w/data/0", &storage[..])] {
        let mut common = vec![0; 10];
        common.extend(crc32fast::hash(data).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        directory.extend(b"PK\x01\x02\x00\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.bytes());
        file.extend(data);
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00");
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}
