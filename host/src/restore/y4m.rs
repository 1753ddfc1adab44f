//! YUV4MPEG2 streams of 8-bit 4:4:4 frames: what ffmpeg and GStreamer both read and write, with the
//! size, the frame rate and the pixels' aspect in front.

use std::io::{self, BufRead, Read, Write};

use crate::picture::Picture;

/// Longest line and side accepted.
const MAX_LINE: u64 = 4096;
const MAX_SIDE: usize = 16_384;
/// What stands before each frame.
const FRAME: &[u8] = b"FRAME\n";

/// Size, rate and aspect of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Frames in `rate.1` seconds.
    pub rate: (u32, u32),
    /// Width and height of a pixel as it is shown.
    pub aspect: (u32, u32),
}

impl Format {
    /// Frames per second.
    pub fn fps(&self) -> f64 {
        f64::from(self.rate.0) / f64::from(self.rate.1)
    }
}

/// One frame: planes Y, U and V of the stream's size, studio range as video is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Luma, `height * width` bytes.
    pub y: Vec<u8>,
    /// Blue difference.
    pub u: Vec<u8>,
    /// Red difference.
    pub v: Vec<u8>,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the frame stream {what}"),
    )
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut bytes)?;
    if !bytes.is_empty() && bytes.pop() != Some(b'\n') {
        return Err(bad("has no end of line"));
    }
    String::from_utf8(bytes).map_err(|_| bad("has a header that is no text"))
}

fn ratio(text: &str) -> Option<(u32, u32)> {
    let (n, d) = text.split_once(':')?;
    let (n, d) = (n.parse().ok()?, d.parse().ok()?);
    (n > 0 && d > 0).then_some((n, d))
}

/// Reads the stream's header.
pub fn read_header(input: &mut impl BufRead) -> io::Result<Format> {
    let header = line(input)?;
    if header.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fields = header.split(' ');
    if fields.next() != Some("YUV4MPEG2") {
        return Err(bad("does not begin with YUV4MPEG2"));
    }
    let mut format = Format {
        width: 0,
        height: 0,
        rate: (30, 1),
        aspect: (1, 1),
    };
    for field in fields {
        let Some((key, value)) = field.split_at_checked(1) else {
            continue;
        };
        let number = || {
            value
                .parse()
                .map_err(|_| bad("has a size that is no number"))
        };
        match key {
            "W" => format.width = number()?,
            "H" => format.height = number()?,
            // 0:0 and 0:1 stand for "unknown".
            "F" => format.rate = ratio(value).unwrap_or(format.rate),
            "A" => format.aspect = ratio(value).unwrap_or(format.aspect),
            "C" if !value.starts_with("444") || value.starts_with("444p") => {
                return Err(bad("is not 8-bit 4:4:4"));
            }
            _ => {}
        }
    }
    if !(1..=MAX_SIDE).contains(&format.width) || !(1..=MAX_SIDE).contains(&format.height) {
        return Err(bad("has no usable size"));
    }
    Ok(format)
}

/// Reads a frame whose rows end in `padding` bytes that are no picture; `None` at the end of the stream.
pub fn read_frame(
    input: &mut impl BufRead,
    format: &Format,
    padding: usize,
) -> io::Result<Option<Frame>> {
    let header = line(input)?;
    if header.is_empty() {
        return Ok(None);
    }
    if !header.starts_with("FRAME") {
        return Err(bad("has no FRAME where one is due"));
    }
    let (width, stride) = (format.width, format.width + padding);
    let mut plane = || {
        let mut plane = vec![0; stride * format.height];
        input.read_exact(&mut plane)?;
        if padding > 0 {
            for row in 1..format.height {
                plane.copy_within(row * stride..row * stride + width, row * width);
            }
            plane.truncate(width * format.height);
        }
        io::Result::Ok(plane)
    };
    Ok(Some(Frame {
        y: plane()?,
        u: plane()?,
        v: plane()?,
    }))
}

/// Bytes at the end of each row that are no picture, and what had to be read to find out: GStreamer keeps
/// rows at multiples of four bytes, and some versions of its y4menc pass that padding on.
pub fn find_padding(input: &mut impl BufRead, format: &Format) -> io::Result<(usize, Vec<u8>)> {
    let padding = format.width.next_multiple_of(4) - format.width;
    let mut start = Vec::new();
    if padding == 0 {
        return Ok((0, start));
    }
    let tight = FRAME.len() + 3 * format.width * format.height;
    let wanted = (tight + FRAME.len()) as u64;
    input.take(wanted).read_to_end(&mut start)?;
    // Without padding another frame, or the end, comes next.
    match start.get(tight..) {
        Some(next) if !next.is_empty() && next != FRAME => Ok((padding, start)),
        _ => Ok((0, start)),
    }
}

/// Writes the stream's header.
pub fn write_header(output: &mut impl Write, format: &Format) -> io::Result<()> {
    let (w, h, (n, d)) = (format.width, format.height, format.rate);
    let (across, down) = format.aspect;
    writeln!(
        output,
        "YUV4MPEG2 W{w} H{h} F{n}:{d} Ip A{across}:{down} C444"
    )
}

/// Writes a frame.
pub fn write_frame(output: &mut impl Write, frame: &Frame) -> io::Result<()> {
    output.write_all(FRAME)?;
    output.write_all(&frame.y)?;
    output.write_all(&frame.u)?;
    output.write_all(&frame.v)
}

impl Frame {
    /// BT.601 studio-range YUV to R, G, B in 0..1 on the byte grid.
    pub fn to_picture(&self, format: &Format) -> Picture {
        let mut bytes = Vec::with_capacity(3 * self.y.len());
        for ((y, u), v) in self.y.iter().zip(&self.u).zip(&self.v) {
            let y = (f32::from(*y) - 16.0) * (255.0 / 219.0);
            let (u, v) = (
                (f32::from(*u) - 128.0) / 112.0,
                (f32::from(*v) - 128.0) / 112.0,
            );
            let r = y + 255.0 * 0.701 * v;
            let b = y + 255.0 * 0.886 * u;
            let g = (y - 0.299 * r - 0.114 * b) / 0.587;
            bytes.extend([r, g, b].map(|s| s.round_ties_even().clamp(0.0, 255.0) as u8));
        }
        Picture::from_bytes(3, format.height, format.width, &bytes)
    }

    /// The reverse of [`Self::to_picture`], up to rounding.
    pub fn from_picture(picture: &Picture) -> Self {
        let rgb = picture.to_bytes();
        let mut frame = Self {
            y: Vec::with_capacity(rgb.len() / 3),
            u: Vec::with_capacity(rgb.len() / 3),
            v: Vec::with_capacity(rgb.len() / 3),
        };
        for pixel in rgb.chunks_exact(3) {
            let [r, g, b] = [0, 1, 2].map(|c| f32::from(pixel[c]) / 255.0);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            let byte = |s: f32| s.round_ties_even().clamp(0.0, 255.0) as u8;
            frame.y.push(byte(16.0 + 219.0 * y));
            frame.u.push(byte(128.0 + 112.0 * (b - y) / 0.886));
            frame.v.push(byte(128.0 + 112.0 * (r - y) / 0.701));
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_survive_the_round_trip_and_name_damage() {
        let format = Format {
            width: 3,
            height: 2,
            rate: (30_000, 1001),
            aspect: (16, 11),
        };
        let frame = Frame {
            y: vec![1; 6],
            u: vec![2; 6],
            v: vec![3; 6],
        };
        let mut bytes = Vec::new();
        write_header(&mut bytes, &format).unwrap();
        write_frame(&mut bytes, &frame).unwrap();
        let mut input = &bytes[..];
        assert_eq!(read_header(&mut input).unwrap(), format);
        assert_eq!(read_frame(&mut input, &format, 0).unwrap(), Some(frame));
        assert_eq!(read_frame(&mut input, &format, 0).unwrap(), None);
        let mut short = &bytes[..bytes.len() - 1];
        read_header(&mut short).unwrap();
        assert!(read_frame(&mut short, &format, 0).is_err());
        let unknown = read_header(&mut &b"YUV4MPEG2 W3 H2 F0:0 A0:0 C444\n"[..]).unwrap();
        assert_eq!((unknown.rate, unknown.aspect), ((30, 1), (1, 1)));
        assert!(read_header(&mut &b"YUV4MPEG2 W3 H2 F1:1 C420jpeg\n"[..]).is_err());
        assert!(read_header(&mut &b"YUV4MPEG2 W99999999 H2 C444\n"[..]).is_err());
    }

    #[test]
    fn padded_rows_are_told_from_tight_ones() {
        let format = Format {
            width: 3,
            height: 2,
            rate: (10, 1),
            aspect: (1, 1),
        };
        let plane =
            |k: u8, end: &[u8]| [&[k, k + 1, k + 2], end, &[k + 3, k + 4, k + 5], end].concat();
        for (end, padding) in [(&[][..], 0), (&[0][..], 1)] {
            for frames in [1, 2] {
                let planes = [10, 20, 30].map(|k| plane(k, end)).concat();
                let bytes = [FRAME, &planes].concat().repeat(frames);
                let mut input = &bytes[..];
                let (found, start) = find_padding(&mut input, &format).unwrap();
                assert_eq!(found, padding, "{frames} frames");
                let mut input = (&start[..]).chain(input);
                for _ in 0..frames {
                    let frame = read_frame(&mut input, &format, found).unwrap().unwrap();
                    assert_eq!(frame.y, plane(10, &[]));
                    assert_eq!(frame.v, plane(30, &[]));
                }
                assert_eq!(read_frame(&mut input, &format, found).unwrap(), None);
            }
        }
    }

    #[test]
    fn colours_survive_the_round_trip_within_two() {
        let bytes: Vec<u8> = (0..3 * 64u32).map(|i| (i * i * 7 % 256) as u8).collect();
        let picture = Picture::from_bytes(3, 8, 8, &bytes);
        let format = Format {
            width: 8,
            height: 8,
            rate: (1, 1),
            aspect: (1, 1),
        };
        let back = Frame::from_picture(&picture).to_picture(&format).to_bytes();
        assert!(
            bytes.iter().zip(&back).all(|(a, b)| a.abs_diff(*b) <= 2),
            "{bytes:?} {back:?}"
        );
    }
}
