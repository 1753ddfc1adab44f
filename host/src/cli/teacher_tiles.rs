//! `--tile`, `--overlap`: how much of a picture a teacher sees at once.

use anyhow::{Context, bail};
use clap::Args;
use tch::{Kind, Tensor};

use crate::teacher::{Teacher, TeacherConfig, memory, tile};
use crate::train::memory::guard;

/// Arguments that cut large pictures.
#[derive(Debug, Args)]
pub struct TileArgs {
    /// Work in square tiles of this many pixels
    #[arg(long, value_name = "PIXELS")]
    tile: Option<i64>,
    /// Pixels that neighbouring tiles share; 32, or a quarter of a smaller tile, when absent
    #[arg(long, value_name = "PIXELS", requires = "tile")]
    overlap: Option<i64>,
}

impl TileArgs {
    /// Side and overlap of the tiles, where there are any.
    ///
    /// # Errors
    /// When the side is no length.
    pub fn sides(&self) -> anyhow::Result<Option<[i64; 2]>> {
        match self.tile {
            Some(side) if side < 1 => bail!("--tile must be at least 1, e.g. --tile 512"),
            side => Ok(side.map(|side| [side, self.overlap.unwrap_or(32.min(side / 4))])),
        }
    }

    /// Restores `x` `[N,C,H,W]`; `told` hears the number of tiles as each is done.
    ///
    /// # Errors
    /// When the memory does not suffice, or the tiles fit no picture.
    pub fn restore(
        &self,
        (config, teacher): (&TeacherConfig, &dyn Teacher),
        kind: Kind,
        x: &Tensor,
        told: impl FnMut(usize),
    ) -> anyhow::Result<Tensor> {
        let (n, _, height, width) = x.size4()?;
        let fits = |pixels| memory::ensure_fits(config, pixels, kind, x.device());
        match self.sides()? {
            None => {
                fits(n * height * width)?;
                enough_memory(|| Ok(tch::no_grad(|| teacher.forward(x))))
            }
            Some([side, overlap]) => {
                fits(n * side.min(height) * side.min(width))?;
                enough_memory(|| tch::no_grad(|| tile::run(teacher, x, side, overlap, told)))
            }
        }
    }
}

/// Runs `f`; want of memory becomes an error that says what to do.
fn enough_memory(f: impl FnOnce() -> anyhow::Result<Tensor>) -> anyhow::Result<Tensor> {
    // torch's panic is told as an error, once.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = guard(f);
    std::panic::set_hook(hook);
    outcome?.context("there is not enough memory for this picture at once; use --tile 512, or less")
}
