//! A student on the workstation: the engine of the board, given whole pictures.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use hone_device::engine::{self, Engine, EngineOptions, FrameView, FrameViewMut, PixelFormat};
use hone_shared::student::{Colour, Precision};
use hone_shared::tiling::spans;

use super::Restore;
use crate::bundle;
use crate::onnx;
use crate::picture::Picture;

/// Side of the tiles of large pictures: bounds memory, and is large against any halo.
const TILE: usize = 1024;

/// What the model's file costs.
#[derive(Debug, Clone, Copy)]
struct FileSize {
    bytes: u64,
    parameters: Option<usize>,
}

/// An exported student and how strongly it is applied.
pub struct Student {
    engine: Box<dyn Engine>,
    name: String,
    file: Option<FileSize>,
    strength: f32,
    tile: usize,
    /// Whether pictures are consecutive frames.
    sequence: bool,
    elapsed: Duration,
}

impl Student {
    /// Loads an ONNX student from a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no student.
    pub fn open(path: &Path, options: EngineOptions) -> anyhow::Result<Self> {
        let model =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::from_bytes(&model, &name, options).with_context(|| path.display().to_string())
    }

    /// Loads an ONNX student that lies in memory.
    ///
    /// # Errors
    /// When the bytes hold no student.
    pub fn from_bytes(model: &[u8], name: &str, options: EngineOptions) -> anyhow::Result<Self> {
        let engine = engine::load(model, options)?;
        let mut student = Self::new(engine, name.to_owned());
        student.file = Some(FileSize {
            bytes: model.len() as u64,
            parameters: onnx::parameters(model),
        });
        Ok(student)
    }

    /// Loads a student out of a bundle: of the given level, or the largest; in the given number format, or the one that
    /// boards take. Signatures are for boards to check; the workstation takes unsigned bundles too.
    ///
    /// # Errors
    /// When the bundle is damaged or has no such student.
    pub fn from_bundle(
        path: &Path,
        level: Option<&str>,
        precision: Option<Precision>,
        options: EngineOptions,
    ) -> anyhow::Result<Self> {
        let bundle = bundle::open(path)?;
        let ladder = bundle.ladder(level, precision, engine::is_fused);
        let ladder = ladder.map_err(|lack| anyhow!("{}: {lack}", path.display()))?;
        let model = ladder
            .first()
            .with_context(|| format!("{} holds no student", path.display()))?;
        let name = format!("{} {}", model.name, model.precision);
        Self::from_bytes(bundle.model_bytes(model), &name, options)
            .with_context(|| path.display().to_string())
    }

    /// Every student of a bundle, in the manifest's order.
    ///
    /// # Errors
    /// When the bundle is damaged or empty.
    pub fn all_of_bundle(path: &Path, options: EngineOptions) -> anyhow::Result<Vec<Self>> {
        let bundle = bundle::open(path)?;
        let students = bundle.manifest().models.iter().map(|model| {
            let name = format!("{} {}", model.name, model.precision);
            Self::from_bytes(bundle.model_bytes(model), &name, options)
                .with_context(|| path.display().to_string())
        });
        let students: Vec<Self> = students.collect::<Result<_, _>>()?;
        ensure!(!students.is_empty(), "{} holds no student", path.display());
        Ok(students)
    }

    /// Takes a loaded engine.
    pub fn new(engine: Box<dyn Engine>, name: String) -> Self {
        Self {
            engine,
            name,
            file: None,
            strength: 1.0,
            tile: TILE,
            sequence: false,
            elapsed: Duration::ZERO,
        }
    }

    /// Sets the share of the residual that is added, 0..=1.
    #[must_use]
    pub fn with_strength(mut self, strength: f32) -> Self {
        self.strength = strength;
        self
    }

    /// Sets the side of tiles in pixels; at least 64.
    #[must_use]
    pub fn with_tile(mut self, tile: usize) -> Self {
        self.tile = tile.max(64);
        self
    }

    /// Sets the name that tables show.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Planes the student restores.
    pub fn colour(&self) -> Colour {
        self.engine.student().colour
    }

    /// Number format of its convolutions.
    pub fn precision(&self) -> Precision {
        self.engine.student().precision
    }

    /// One line about the executor.
    pub fn description(&self) -> String {
        self.engine.description()
    }

    /// Restores a plane of luma (1 byte a pixel) or RGB (3 bytes a pixel), as the student's colour
    /// is, exactly as the board would. Tiles with the student's halo keep memory bounded; temporal
    /// students take frames whole, because they see what they gave for the same frame before.
    ///
    /// # Errors
    /// When `bytes` does not fit the size or inference fails.
    pub fn restore_planes(
        &mut self,
        width: usize,
        height: usize,
        bytes: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        if !self.sequence {
            self.engine.reset();
        }
        let info = self.engine.student();
        let channels = info.colour.channels();
        let format = match info.colour {
            Colour::Luma => PixelFormat::Gray8,
            Colour::Rgb => PixelFormat::Rgb8,
        };
        FrameView::packed(format, width, height, bytes)?;
        // A convolution that looks a block further sees up to a whole square more.
        let grid = self.engine.grid();
        let align = grid * info.scale;
        // Without a halo every pixel sees the whole frame, and cutting would change the result.
        let cut = |length: usize| match info.halo.filter(|_| !info.temporal) {
            Some(halo) => spans(length, length.div_ceil(self.tile), grid * halo, align),
            None => spans(length, 1, 0, info.scale),
        };
        let (rows, columns) = (cut(height), cut(width));
        let mut out = vec![0; width * height * channels];
        let (mut tile, mut restored) = (Vec::new(), Vec::new());
        let mut elapsed = Duration::ZERO;
        for row in &rows {
            for column in &columns {
                let tile_w = column.read_end - column.read_start;
                tile.clear();
                for y in row.read_start..row.read_end {
                    let start = (y * width + column.read_start) * channels;
                    tile.extend_from_slice(&bytes[start..start + tile_w * channels]);
                }
                restored.resize(tile.len(), 0);
                let tile_h = row.read_end - row.read_start;
                let start = Instant::now();
                self.engine.run(
                    &FrameView::packed(format, tile_w, tile_h, &tile)?,
                    &mut FrameViewMut::packed(format, tile_w, tile_h, &mut restored)?,
                    self.strength,
                )?;
                elapsed += start.elapsed();
                let length = (column.end - column.start) * channels;
                for y in row.start..row.end {
                    let from = ((y - row.read_start) * tile_w + column.start - column.read_start)
                        * channels;
                    let to = (y * width + column.start) * channels;
                    out[to..to + length].copy_from_slice(&restored[from..from + length]);
                }
            }
        }
        self.elapsed = elapsed;
        Ok(out)
    }

    /// Restores interleaved RGB bytes whatever the student's colour: a luma student changes Y and
    /// leaves chroma, which adds the same difference to R, G and B.
    ///
    /// # Errors
    /// As [`Self::restore_planes`].
    pub fn restore_rgb(
        &mut self,
        width: usize,
        height: usize,
        rgb: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        if self.colour() == Colour::Rgb {
            return self.restore_planes(width, height, rgb);
        }
        let luma: Vec<u8> = rgb.chunks_exact(3).map(luma_byte).collect();
        let restored = self.restore_planes(width, height, &luma)?;
        let change = restored.iter().zip(&luma);
        let pixels = rgb.chunks_exact(3).zip(change);
        Ok(pixels
            .flat_map(|(pixel, (after, before))| {
                let add = i16::from(*after) - i16::from(*before);
                [0, 1, 2].map(|c| (i16::from(pixel[c]) + add).clamp(0, 255) as u8)
            })
            .collect())
    }
}

/// BT.601 full-range luma of R, G, B, rounded half to even, as [`Picture::luma`] gives.
fn luma_byte(rgb: &[u8]) -> u8 {
    let sum = 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]);
    sum.round_ties_even() as u8
}

impl Restore for Student {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        let (w, h) = (input.width, input.height);
        let restored = self.restore_bytes(input.channels, w, h, &input.to_bytes())?;
        Ok(Picture::from_bytes(input.channels, h, w, &restored))
    }

    fn restore_bytes(
        &mut self,
        channels: usize,
        width: usize,
        height: usize,
        bytes: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        match (channels, self.colour()) {
            (3, _) => self.restore_rgb(width, height, bytes),
            (1, Colour::Luma) => self.restore_planes(width, height, bytes),
            _ => anyhow::bail!("{} restores RGB, the picture has one plane", self.name),
        }
    }

    fn follow(&mut self, sequence: bool) {
        self.sequence = sequence;
        self.engine.reset();
    }

    fn is_temporal(&self) -> bool {
        self.engine.student().temporal
    }

    fn takes_luma(&self) -> bool {
        self.colour() == Colour::Luma
    }

    fn elapsed(&self) -> Option<Duration> {
        Some(self.elapsed)
    }

    fn macs_per_pixel(&self) -> Option<f64> {
        Some(self.engine.student().macs_per_pixel)
    }

    fn parameters(&self) -> Option<usize> {
        self.file?.parameters
    }

    fn file_bytes(&self) -> Option<u64> {
        self.file.map(|file| file.bytes)
    }
}
