//! Any bytes in any pieces are messages or refused, within one frame of memory; what is read is sent
//! again as the same. The first byte of an input chooses: 0 takes the rest as it comes from a line, 1
//! as the content of one frame, so that mutations get past the checksum. The second is the length of
//! the pieces.
#![no_main]

use hone_shared::telemetry::{Decoder, VERSION, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [mode, piece, rest @ ..] = input else {
        return;
    };
    let line = match mode {
        1 => framed(rest),
        _ => rest.to_vec(),
    };
    let mut decoder = Decoder::default();
    let mut read = |bytes: &[u8]| {
        let mut got = Vec::new();
        decoder.push(bytes, &mut |message| got.extend(message));
        got
    };
    for bytes in line.chunks(usize::from(*piece).max(1)) {
        for message in read(bytes) {
            // A hostile sender may use more of a text than an honest one.
            let Ok(frame) = encode(&message) else {
                continue;
            };
            let mut again = Vec::new();
            Decoder::default().push(&frame, &mut |message| again.extend(message));
            assert_eq!(again.len(), 1);
            assert_eq!(encode(&again[0]), Ok(frame));
        }
    }
    read(&[0]);
    let end = read(&framed(&[]));
    assert!(end.is_empty(), "a frame without content is a message");
});

fn framed(content: &[u8]) -> Vec<u8> {
    let body = [&[VERSION], content].concat();
    let sum = crc32fast::hash(&body).to_le_bytes();
    let mut frame = vec![0];
    frame.extend(cobs::encode_vec(&[&body[..], &sum].concat()));
    frame.push(0);
    frame
}
