//! What `hone teacher run` reads and writes: images, or tensors in safetensors files.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use hone_shared::print::tell;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Kind, Tensor};

use super::overwrite;
use crate::checkpoint;
use crate::evaluate::recolour;
use crate::picture::Picture;
use crate::teacher::load;

/// An input file's content.
#[derive(Debug)]
pub struct Given {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Picture(Picture),
    Tensor(Tensor),
}

impl Given {
    /// Reads an image, or the tensor `input` of a `.safetensors` file.
    ///
    /// # Errors
    /// When the file cannot be read, or has no tensor `input` of four dimensions.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let content = if is_safetensors(path) {
            let entries = checkpoint::read(path, None)?.entries;
            let input = entries.iter().find(|e| e.name == "input");
            let input =
                input.with_context(|| format!("{} has no tensor 'input'", path.display()))?;
            let x = load::tensor(input)?;
            ensure!(
                x.dim() == 4 && x.numel() > 0,
                "{}: the tensor 'input' is {:?}, not [N,C,H,W]",
                path.display(),
                x.size()
            );
            Content::Tensor(x.to_kind(Kind::Float))
        } else {
            Content::Picture(Picture::load(path)?)
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    /// As `[N,channels,H,W]`, f32; a picture becomes its luma for a teacher of one channel, and comes along where it has
    /// colours that this leaves out.
    ///
    /// # Errors
    /// When the channels differ otherwise.
    pub fn into_tensor(self, channels: i64) -> anyhow::Result<(Tensor, Option<Picture>)> {
        let (x, coloured) = match self.content {
            Content::Tensor(x) => (x, None),
            Content::Picture(picture) if channels == 1 => {
                (tensor(&picture.luma()), Some(picture).filter(has_colours))
            }
            Content::Picture(picture) => (tensor(&picture), None),
        };
        let has = x.size()[1];
        ensure!(
            has == channels,
            "{} has {has} channels, and this teacher takes {channels}",
            self.path.display()
        );
        Ok((x, coloured))
    }
}

fn tensor(picture: &Picture) -> Tensor {
    let sides = [picture.channels, picture.height, picture.width].map(|s| s as i64);
    Tensor::from_slice(&picture.data).view(sides).unsqueeze(0)
}

fn has_colours(picture: &Picture) -> bool {
    let mut planes = picture.data.chunks(picture.height * picture.width);
    let first = planes.next();
    planes.any(|plane| Some(plane) != first)
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "safetensors")
}

/// Finds out before the work whether the result could be written.
///
/// # Errors
/// When the ending is unknown or the folder is not there.
pub fn check_output(path: &Path) -> anyhow::Result<()> {
    let known = ["safetensors", "png", "jpg", "jpeg"];
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    ensure!(
        known.contains(&ending.to_ascii_lowercase().as_str()),
        "{}: unknown ending; write a .png, .jpg or .safetensors",
        path.display()
    );
    overwrite::refuse_nowhere(path)
}

/// Writes `y` `[N,C,H,W]`, contiguous f32 on the CPU, as an image or as the tensor `output`. An image of luma gets the colours
/// of `coloured`, the picture that it was made from.
///
/// # Errors
/// When there are several pictures for one image, or the file cannot be written.
pub fn write(path: &Path, y: &Tensor, coloured: Option<&Picture>) -> anyhow::Result<()> {
    let size: Vec<usize> = y.size().iter().map(|&s| s as usize).collect();
    let values = Vec::<f32>::try_from(y.flatten(0, -1))?;
    if is_safetensors(path) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, size, &bytes)?;
        let file = safetensors::serialize([("output", view)], None)?;
        return Ok(hone_device::atomic::write_bytes(path, &file)?);
    }
    ensure!(
        size[0] == 1,
        "{} pictures do not fit one image; write a .safetensors",
        size[0]
    );
    let mut picture = Picture {
        channels: size[1],
        height: size[2],
        width: size[3],
        data: values,
    };
    if let Some(before) = coloured {
        if (before.height, before.width) == (picture.height, picture.width) {
            picture.data.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
            picture = recolour(before, &before.luma(), &picture);
        } else {
            tell(format_args!(
                "note: {} is grey: this teacher enlarges luma, and colours of that size are not there",
                path.display()
            ));
        }
    }
    picture.save(path)
}
