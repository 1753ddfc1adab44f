//! Matroska and WebM, as far as their first bytes tell.

pub(super) const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
pub(super) const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
const TRACKS: [u8; 4] = [0x16, 0x54, 0xae, 0x6b];
const TRACK: [u8; 1] = [0xae];
const VIDEO: [u8; 1] = [0xe0];
const COLOUR: [u8; 2] = [0x55, 0xb0];
const MATRIX: [u8; 2] = [0x55, 0xb1];

/// Where the segment ends; `None` when it was recorded without a length.
pub(super) fn segment_end(start: &[u8]) -> Option<u64> {
    let (header, mut at) = varint(start, EBML.len())?;
    at = at.checked_add(usize::try_from(header?).ok()?)?;
    if start.get(at..at.checked_add(4)?)? != SEGMENT {
        return None;
    }
    let (size, at) = varint(start, at + SEGMENT.len())?;
    Some((at as u64).saturating_add(size?))
}

/// The matrix of the first picture track, where it is named.
pub(super) fn matrix(start: &[u8]) -> Option<u16> {
    let tracks = all(all(start, &SEGMENT).next()?, &TRACKS).next()?;
    let video = all(tracks, &TRACK).find_map(|track| all(track, &VIDEO).next())?;
    let number = all(all(video, &COLOUR).next()?, &MATRIX).next()?;
    let number = number.iter().fold(0, |n, &b| n << 8 | u64::from(b));
    u16::try_from(number).ok()
}

/// The content of each element of this kind, as far as `bytes` go.
fn all<'a>(mut bytes: &'a [u8], kind: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        loop {
            let width = bytes.first()?.leading_zeros() as usize + 1;
            let (size, start) = varint(bytes, width)?;
            let rest = bytes.get(start..)?;
            // Without a length: to the end.
            let size = size.map_or(rest.len(), |size| rest.len().min(size as usize));
            let (content, next) = rest.split_at(size);
            let found = bytes.starts_with(kind);
            bytes = next;
            if found {
                return Some(content);
            }
        }
    })
}

/// An EBML length, which may be unknown, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(Option<u64>, usize)> {
    let first = *bytes.get(at)?;
    let width = first.leading_zeros() as usize + 1;
    let all = bytes.get(at..at + width).filter(|_| width <= 8)?;
    let number = all.iter().fold(0_u64, |n, &b| n << 8 | u64::from(b));
    let mask = (1_u64 << (7 * width)) - 1;
    let number = number & mask;
    Some(((number != mask).then_some(number), at + width))
}
