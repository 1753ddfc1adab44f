//! Videos through the installed encoder.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use anyhow::{Context, bail};
use hone_shared::print::tell;

use super::super::codec::{Codec, Tool};
use super::super::y4m::{self, Format, Frame};
use super::words;
use crate::data::clips::colours;
use crate::data::part::Unfinished;

/// The end of ffmpeg's command for encoding. yuv420p wants even sides: the last row or column is cut off.
const FFMPEG_ENCODES: &str = "-v error -y -f yuv4mpegpipe -i - -vf crop=trunc(iw/2)*2:trunc(ih/2)*2 \
     -c:v libx264 -preset veryfast -crf 14 -pix_fmt yuv420p -color_range tv -colorspace smpte170m \
     -color_primaries smpte170m -color_trc smpte170m";

/// Encodes frames into a video file (H.264 near visual losslessness in .mp4, .mkv or .mov), which
/// appears whole or not at all. H.264 wants even sides: the last column or row of odd ones is left out.
pub struct Writer {
    tool: Tool,
    input: Option<BufWriter<ChildStdin>>,
    path: PathBuf,
    /// Behind the encoder, which writes into it until it is dropped.
    unfinished: Unfinished,
}

impl Writer {
    /// Starts encoding frames of `format`.
    ///
    /// # Errors
    /// When the ending is not .mp4, .mkv or .mov, the folder cannot be written, another process writes the video, or no
    /// encoder is installed.
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
        let unfinished = Unfinished::file(&part, path)?;
        let (odd_w, odd_h) = (format.width % 2, format.height % 2);
        if (odd_w, odd_h) != (0, 0) {
            tell(format_args!(
                "note: {} becomes {}x{}: H.264 wants even sides, the last column or row of {}x{} is left out",
                path.display(),
                format.width - odd_w,
                format.height - odd_h,
                format.width,
                format.height
            ));
        }
        let arguments = match codec {
            Codec::Ffmpeg => {
                let mut words = words(FFMPEG_ENCODES);
                words.push(super::file_url(&part));
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
