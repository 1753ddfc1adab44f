//! Video files through an installed `ffmpeg` or `gst-launch-1.0`, as a child process with a pipe. Frames are
//! BT.601 of studio range, upright, whatever the file holds, and files are written and marked as such.

mod timing;

use std::ffi::OsString;
use std::io::{BufReader, BufWriter, Chain, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};

use anyhow::{Context, bail};

use super::codec::{Codec, Tool};
use super::y4m::{self, find_padding, read_frame, read_header};
pub use super::y4m::{Format, Frame};
use crate::data::clips::colours::{self, Colours};
use crate::data::clips::container;
use crate::data::part::Unfinished;

/// Endings of the files that are taken for videos; the last four are streams without a container.
const VIDEO_ENDINGS: [&str; 12] = [
    "mp4", "mkv", "mov", "avi", "webm", "m4v", "ts", "y4m", "h264", "264", "h265", "265",
];

/// Whether the ending is one of a video file.
pub fn is_video(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| VIDEO_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

/// ffmpeg turns pictures upright and, into this format, brings them to a constant rate by itself.
const FFMPEG_DECODES: &str = "-map 0:v:0 -vf scale=in_range=auto:out_range=tv:out_color_matrix=bt601 \
     -f yuv4mpegpipe -pix_fmt yuv444p -strict -1 -";
/// The end of ffmpeg's command for encoding. yuv420p wants even sides: the last row or column is cut off.
const FFMPEG_ENCODES: &str = "-v error -y -f yuv4mpegpipe -i - -vf crop=trunc(iw/2)*2:trunc(ih/2)*2 \
     -c:v libx264 -preset veryfast -crf 14 -pix_fmt yuv420p -color_range tv -colorspace smpte170m \
     -color_primaries smpte170m -color_trc smpte170m";

/// Frames of a video file, in order.
pub struct Reader {
    tool: Tool,
    output: Chain<Cursor<Vec<u8>>, BufReader<ChildStdout>>,
    format: Format,
    padding: usize,
    colours: Colours,
    announced: Option<u64>,
    decoded: u64,
}

impl Reader {
    /// Starts decoding at a constant rate: pictures of a video without one are repeated or left out, and
    /// standard error says so.
    ///
    /// # Errors
    /// When the file is missing, cut off or no video, or no decoder is installed.
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
                words.push(path.into());
                words.extend(self::words(FFMPEG_DECODES));
                words
            }
            Codec::GStreamer => {
                let stream = colours::probe(path)?;
                let rate = stream.and_then(|stream| stream.rate);
                let evened = match evenly {
                    true => timing::look(path, rate)?,
                    false => None,
                };
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
                        eprintln!("note: {words}");
                        announced = None;
                    }
                }
                let mut words = words("-q filesrc");
                words.push(colours::location(path));
                // y4menc passes buffers on as they lie in memory. Without an answer about memory, decoders
                // leave out the borders that they would like around each plane.
                words.extend(self::words(&format!(
                    "! decodebin ! videoconvert ! {even} {caps} ! videoflip video-direction=auto \
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

    /// Size and rate.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next frame; `None` at the end. An end that comes too early is told on standard error: what was
    /// decoded until then may be hours of work.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Frame>> {
        match read_frame(&mut self.output, &self.format, self.padding) {
            Ok(Some(mut frame)) => {
                self.decoded += 1;
                self.colours.to_studio(&mut frame);
                Ok(Some(frame))
            }
            Ok(None) => {
                self.tool.finish()?;
                let file = &self.tool.file;
                if let Some(words) = container::shortage(file, self.decoded, self.announced.take())
                {
                    eprintln!("warning: {words}");
                }
                Ok(None)
            }
            Err(error) => {
                let what = format!("cannot decode {}", self.tool.file.display());
                Err(self.tool.failure(error, what))
            }
        }
    }
}

/// Encodes frames into a video file (H.264 near visual losslessness in .mp4, .mkv or .mov), which
/// appears whole or not at all. H.264 wants even sides: the last column or row of odd ones is left out.
pub struct Writer {
    tool: Tool,
    input: Option<BufWriter<ChildStdin>>,
    part: PathBuf,
    path: PathBuf,
    unfinished: Unfinished,
}

impl Writer {
    /// Starts encoding frames of `format`.
    ///
    /// # Errors
    /// When the ending is not .mp4, .mkv or .mov, the folder cannot be written, or no encoder is
    /// installed.
    pub fn create(path: &Path, format: Format) -> anyhow::Result<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let muxer = match ending {
            "mp4" => "mp4mux",
            "mkv" => "matroskamux",
            "mov" => "qtmux",
            _ => bail!("{}: write videos as .mp4, .mkv or .mov", path.display()),
        };
        let codec = Codec::find()?;
        // A name that nobody gives to something that must stay.
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{stem}.hone-part.{ending}"));
        std::fs::File::create(&part).with_context(|| format!("cannot write {}", path.display()))?;
        let unfinished = Unfinished::new(&part, path);
        let (odd_w, odd_h) = (format.width % 2, format.height % 2);
        if (odd_w, odd_h) != (0, 0) {
            eprintln!(
                "note: {} becomes {}x{}: H.264 wants even sides, the last column or row of {}x{} is left out",
                path.display(),
                format.width - odd_w,
                format.height - odd_h,
                format.width,
                format.height
            );
        }
        let arguments = match codec {
            Codec::Ffmpeg => {
                let mut words = words(FFMPEG_ENCODES);
                words.push(part.clone().into());
                words
            }
            Codec::GStreamer => {
                // y4mdec would take large frames for BT.709.
                let mut words = words(&format!(
                    "-q fdsrc fd=0 ! y4mdec ! capssetter caps=video/x-raw,colorimetry=bt601 \
                     ! videocrop right={odd_w} bottom={odd_h} ! videoconvert \
                     ! video/x-raw,format=I420,colorimetry=bt601 \
                     ! x264enc speed-preset=veryfast pass=quant quantizer=14 \
                     ! h264parse ! {muxer} ! filesink"
                ));
                words.push(colours::location(&part));
                words
            }
        };
        let mut tool = Tool::start(codec, arguments, path)?;
        drop(tool.child.stdout.take());
        let input = tool.child.stdin.take().context("the encoder has no pipe")?;
        let mut input = BufWriter::with_capacity(1 << 20, input);
        y4m::write_header(&mut input, &format)?;
        Ok(Self {
            tool,
            input: Some(input),
            part,
            path: path.to_owned(),
            unfinished,
        })
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// When the encoder has stopped.
    pub fn push(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let Some(input) = &mut self.input else {
            bail!("{} is finished", self.path.display());
        };
        if let Err(error) = y4m::write_frame(input, frame) {
            self.input = None;
            self.tool.finish()?;
            return Err(error).with_context(|| format!("cannot write {}", self.path.display()));
        }
        Ok(())
    }

    /// Ends the video and puts it in place.
    ///
    /// # Errors
    /// When the encoder fails or the file cannot be renamed.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if let Some(mut input) = self.input.take() {
            // A broken pipe shows in the encoder's status, with its reason.
            let flushed = input.flush();
            drop(input);
            self.tool.finish()?;
            flushed?;
        }
        let named = self.unfinished.finish();
        named.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Renamed away when the video was finished.
        let _ = std::fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests;
