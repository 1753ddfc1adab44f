//! Messages as bytes: postcard, CRC-32, COBS, a zero at the end.

use super::{MAX_NAME, Message, VERSION};

/// Longest frame in bytes, its zero not counted.
pub const MAX_FRAME: usize = 1024;
/// Bytes of the CRC-32 at a frame's end, little endian.
const CHECKSUM: usize = 4;
/// Most characters of a text in a message; what comes beyond is cut off.
const MAX_TEXT: usize = 96;

/// Why bytes are no message, or a message makes no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More bytes than a frame may have came without a zero.
    #[error("more than {MAX_FRAME} bytes without an end")]
    TooLong,
    /// The bytes are no COBS.
    #[error("the frame is damaged")]
    Framing,
    /// The checksum does not fit.
    #[error("the frame's checksum is wrong")]
    Checksum,
    /// The frame is of another version.
    #[error(
        "the board speaks version {0} of the telemetry format, this program version {VERSION}: bring both to one release"
    )]
    Version(u8),
    /// The content is no message.
    #[error("the frame's content is no message: {0}")]
    Content(String),
}

/// `message` as a frame, with its zero. Texts are cut to 96 characters, control characters left out.
///
/// # Errors
/// [`FrameError::TooLong`] when the texts need more than the format has room for.
pub fn encode(message: &Message) -> Result<Vec<u8>, FrameError> {
    let mut message = message.clone();
    message.board = plain(&message.board, MAX_NAME);
    let state = &mut message.state;
    for text in [
        &mut state.model,
        &mut state.version,
        &mut state.bundle,
        &mut state.level,
        &mut state.notice,
    ] {
        *text = plain(text, MAX_TEXT);
    }
    let body = postcard::to_extend(&message, vec![VERSION])
        .map_err(|error| FrameError::Content(error.to_string()))?;
    let sum = crc32fast::hash(&body).to_le_bytes();
    let mut frame = cobs::encode_vec(&[&body[..], &sum].concat());
    if frame.len() > MAX_FRAME {
        return Err(FrameError::TooLong);
    }
    frame.push(0);
    Ok(frame)
}

fn plain(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// One frame without its zero as a message.
fn decode(frame: &mut [u8]) -> Result<Message, FrameError> {
    let length = cobs::decode_in_place(frame).map_err(|_| FrameError::Framing)?;
    let split = length.checked_sub(CHECKSUM).ok_or(FrameError::Framing)?;
    let (body, sum) = frame[..length].split_at(split);
    if crc32fast::hash(body).to_le_bytes() != sum {
        return Err(FrameError::Checksum);
    }
    match body.split_first() {
        None => Err(FrameError::Framing),
        Some((&VERSION, content)) => {
            // A later release may have added to the end.
            let (message, _added) = postcard::take_from_bytes::<Message>(content)
                .map_err(|error| FrameError::Content(error.to_string()))?;
            check(&message)?;
            Ok(message)
        }
        Some((&version, _)) => Err(FrameError::Version(version)),
    }
}

/// What a terminal or a table must not be given.
fn check(message: &Message) -> Result<(), FrameError> {
    let wrong = |what: &str| Err(FrameError::Content(what.to_owned()));
    let state = &message.state;
    let texts = [
        &message.board,
        &state.model,
        &state.version,
        &state.bundle,
        &state.level,
        &state.notice,
    ];
    if texts.iter().any(|text| text.contains(char::is_control)) {
        return wrong("a text has control characters");
    }
    if message.board.is_empty() || message.board.chars().count() > MAX_NAME {
        return wrong("the board has no name, or one that is too long");
    }
    let numbers = [
        state.fps,
        state.age_p50_ms,
        state.age_p99_ms,
        state.engine_ms,
        state.celsius.unwrap_or_default(),
    ];
    if numbers.iter().any(|number| !number.is_finite()) {
        return wrong("a figure is no number");
    }
    Ok(())
}

/// Takes bytes as they come, from anywhere in a stream, and gives messages. It never holds more than
/// one frame, and after damage it goes on at the next zero.
#[derive(Debug, Default)]
pub struct Decoder {
    frame: Vec<u8>,
    /// The frame is too long already; nothing counts until its end.
    skipping: bool,
}

impl Decoder {
    /// The messages that `bytes` complete, and what was wrong in between. Empty frames count as
    /// nothing, so that a sender may begin with a zero to end what the line had before.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(Result<Message, FrameError>)) {
        for part in bytes.split_inclusive(|byte| *byte == 0) {
            let (part, ends) = match part.split_last() {
                Some((0, rest)) => (rest, true),
                _ => (part, false),
            };
            if !self.skipping && self.frame.len() + part.len() > MAX_FRAME {
                self.frame.clear();
                self.skipping = true;
                take(Err(FrameError::TooLong));
            }
            if !self.skipping {
                self.frame.extend_from_slice(part);
            }
            if !ends {
                continue;
            }
            if !self.skipping && !self.frame.is_empty() {
                take(decode(&mut self.frame));
            }
            self.frame.clear();
            self.skipping = false;
        }
    }
}
