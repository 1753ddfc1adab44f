//! Video files through an installed `ffmpeg` or `gst-launch-1.0`, as a child process with a pipe. Frames are
//! progressive, upright and, unless one asks for what the film delivers, BT.601 of studio range, whatever the file
//! holds; files are written and marked as such.

mod timing;
mod writer;

use std::ffi::OsString;
use std::io::{BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;
use std::process::ChildStdout;

use anyhow::{Context, bail};
use hone_shared::print::tell;
use hone_shared::printable::printable;

use super::codec::{Codec, Tool};
pub use super::y4m::{Format, Frame};
use super::y4m::{find_padding, read_frame, read_header};
use crate::data::clips::colours::{self, Colours, Stream};
use crate::data::clips::container;
pub use crate::data::clips::is_clip as is_video;
pub use writer::Writer;

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

/// What ffmpeg reads or writes: `2026-11-27T10:00.mp4` would be a protocol to it, and `-` a pipe.
fn file_url(path: &Path) -> OsString {
    let mut word = OsString::from("file:");
    word.push(path);
    word
}

/// ffmpeg turns pictures upright and, into this format, brings them to a constant rate by itself.
const FFMPEG_DECODES: &str = "-map 0:v:0 -vf bwdif=mode=send_frame:deint=interlaced,scale=in_range=auto:out_range=tv:out_color_matrix=bt601 \
     -f yuv4mpegpipe -pix_fmt yuv444p -strict -1 -";

/// Frames of a video file, in order.
pub struct Reader {
    tool: Tool,
    output: Chain<Cursor<Vec<u8>>, BufReader<ChildStdout>>,
    format: Format,
    padding: usize,
    colours: Colours,
    announced: Option<u64>,
    decoded: u64,
    silent: bool,
}

impl Reader {
    /// Starts decoding at a constant rate: pictures of a video without one are repeated or left out, and
    /// standard error says so.
    ///
    /// # Errors
    /// When the file is missing, cut off or no video, when its pictures change to another size of as many pixels, or no
    /// decoder is installed.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::start(path, true)
    }

    /// Starts decoding the pictures as they are stored, each once.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_stored(path: &Path) -> anyhow::Result<Self> {
        Self::start(path, false)
    }

    fn start(path: &Path, evenly: bool) -> anyhow::Result<Self> {
        if !path.is_file() {
            bail!("cannot open {}: no such file", path.display());
        }
        let mut announced = container::announced(path)?;
        let codec = Codec::find()?;
        let mut colours = Colours::STUDIO;
        let arguments = match codec {
            Codec::Ffmpeg => {
                let mut words = words("-v error -nostdin -i");
                words.push(file_url(path));
                words.extend(self::words(FFMPEG_DECODES));
                words
            }
            Codec::GStreamer => {
                let stream = colours::probe(path)?;
                let deinterlacer = Stream::deinterlacer(stream);
                let rate = stream.and_then(|stream| stream.rate);
                // Pictures that change are refused whoever reads them; their times matter at a constant rate only.
                let evened = timing::look(path, rate)?.filter(|_| evenly);
                // No Y, U and V to begin with: then the converter has to know which are wanted.
                let mut caps = "video/x-raw,format=Y444".to_owned();
                match stream.and_then(|stream| stream.colours) {
                    Some(found) => colours = found,
                    None => caps.push_str(",colorimetry=bt601"),
                }
                let mut even = "";
                if let Some(evened) = evened {
                    even = "videorate skip-to-first=true !";
                    let (n, d) = evened.rate;
                    caps.push_str(&format!(",framerate={n}/{d}"));
                    if let Some(words) = evened.note(path) {
                        tell(format_args!("note: {words}"));
                        announced = None;
                    }
                }
                let mut words = words("-q filesrc");
                words.push(colours::location(path));
                // y4menc passes buffers on as they lie in memory. Without an answer about memory, decoders
                // leave out the borders that they would like around each plane.
                words.extend(self::words(&format!(
                    "! decodebin ! videoconvert ! {deinterlacer} ! {even} {caps} ! videoflip video-direction=auto \
                     ! identity drop-allocation=true ! y4menc ! fdsink fd=1"
                )));
                words
            }
        };
        let mut tool = Tool::start(codec, arguments, path)?;
        drop(tool.child.stdin.take());
        let output = tool
            .child
            .stdout
            .take()
            .context("the decoder has no pipe")?;
        let mut output = BufReader::with_capacity(1 << 20, output);
        let opened = read_header(&mut output).and_then(|format| {
            let (padding, start) = find_padding(&mut output, &format)?;
            Ok((format, padding, start))
        });
        match opened {
            Ok((format, padding, start)) => Ok(Self {
                tool,
                output: Cursor::new(start).chain(output),
                format,
                padding,
                colours,
                announced,
                decoded: 0,
                silent: false,
            }),
            Err(error) => {
                let what = format!(
                    "{} has no picture that can be decoded: it is damaged, cut off or no video",
                    path.display()
                );
                Err(tool.failure(error, what))
            }
        }
    }

    /// Tells of no damage: another reader of the film has.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Tells on standard error of the damage that the decoder painted over until now; at the end of a film that is done
    /// anyway.
    pub fn tell_damage(&self) {
        if let Some(words) = self.tool.damage().filter(|_| !self.silent) {
            let file = self.tool.file.display();
            let words = format_args!("{file}: {words}");
            tell(format_args!("warning: {}", printable(words)));
        }
    }

    /// Size, rate and aspect.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next frame, in BT.601 of studio range; `None` at the end.
    ///
    /// # Errors
    /// As for [`Self::next_delivered`].
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Frame>> {
        let frame = self.next_delivered()?;
        Ok(frame.map(|frame| self.studio(frame)))
    }

    /// A frame of [`Self::next_delivered`], in BT.601 of studio range.
    pub fn studio(&self, mut frame: Frame) -> Frame {
        self.colours.to_studio(&mut frame);
        frame
    }

    /// The next frame with the bytes that the film delivers, in its own colours, as a board restores them; `None` at
    /// the end. ffmpeg, which does not say what colours those are, has made them BT.601 of studio range. An end that
    /// comes too early, and damage that the decoder painted over, are told on standard error: what was decoded may be hours
    /// of work.
    ///
    /// # Errors
    /// When the file is damaged, or its pictures change their size.
    pub fn next_delivered(&mut self) -> anyhow::Result<Option<Frame>> {
        match read_frame(&mut self.output, &self.format, self.padding) {
            Ok(Some(frame)) => {
                self.decoded += 1;
                Ok(Some(frame))
            }
            Ok(None) => {
                self.tool.finish()?;
                self.tell_damage();
                let file = &self.tool.file;
                let shortage = container::shortage(file, self.decoded, self.announced.take());
                if let Some(words) = shortage.filter(|_| !self.silent) {
                    tell(format_args!("warning: {words}"));
                }
                Ok(None)
            }
            Err(error) => {
                // The stream tells its size only once. A larger picture, and several smaller ones, were taken for
                // one of that size until no other came after it; the rest of smaller ones ends too early.
                let changed = match error.kind() {
                    ErrorKind::InvalidData => self.decoded,
                    ErrorKind::UnexpectedEof if self.decoded > 0 => {
                        self.tool.finish()?;
                        self.decoded + 1
                    }
                    _ => 0,
                };
                let file = self.tool.file.display();
                if changed > 0 {
                    bail!(
                        "{file} changes the size of its pictures at frame {changed}: take its parts one by one"
                    );
                }
                let what = format!("cannot decode {file}");
                Err(self.tool.failure(error, what))
            }
        }
    }
}

#[cfg(test)]
mod tests;
