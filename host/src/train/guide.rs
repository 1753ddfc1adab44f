//! The frozen teacher beside a training.

use anyhow::{Result, bail, ensure};
use hone_shared::student::Colour;
use tch::{Kind, Tensor};

use crate::loss::constant;
use crate::recipe::Stage;
use crate::teacher::{Teacher, checked};

/// A teacher and what the student wants of it.
#[derive(Debug)]
pub struct Guide {
    teacher: Box<dyn Teacher>,
    features: bool,
    colour: Colour,
}

/// What a teacher says about a batch, in the student's colour.
#[derive(Debug)]
pub struct Guidance {
    /// `[N,C,H,W]`.
    pub output: Tensor,
    /// Named maps.
    pub features: Vec<(String, Tensor)>,
}

impl Guidance {
    /// Refuses an answer that is no number somewhere.
    ///
    /// # Errors
    /// When it is.
    pub fn check(&self) -> Result<()> {
        let maps = self.features.iter().map(|(_, map)| map);
        for map in std::iter::once(&self.output).chain(maps) {
            let _ = checked(map.shallow_clone())?;
        }
        Ok(())
    }
}

impl Guide {
    /// Puts `teacher` beside a student of `colour` that is trained in `stages`; `features` asks for inner maps too.
    ///
    /// # Errors
    /// When the teacher's planes, or its size of the stages' crops, cannot serve the student.
    pub fn new(
        teacher: Box<dyn Teacher>,
        features: bool,
        colour: Colour,
        stages: &[Stage],
    ) -> Result<Self> {
        let scale = teacher.scale();
        for Stage { crop, .. } in stages {
            ensure!(
                (*crop as i64) % scale == 0,
                "teacher {} enlarges {scale} times, and a stage crops {crop} pixels: choose a multiple of {scale}",
                teacher.name()
            );
        }
        match (teacher.channels(), colour) {
            (3, _) | (1, Colour::Luma) => Ok(Self {
                teacher,
                features,
                colour,
            }),
            (1, Colour::Rgb) => bail!(
                "teacher {} restores luma only and cannot teach an RGB student",
                teacher.name()
            ),
            (other, _) => bail!(
                "teacher {} takes {other} channels; distillation gives it 1 or 3",
                teacher.name()
            ),
        }
    }

    /// Colour that batches must be loaded in.
    pub fn batch_colour(&self) -> Colour {
        if self.teacher.channels() == 3 {
            Colour::Rgb
        } else {
            Colour::Luma
        }
    }

    /// Runs the teacher without gradients on `input` `[N,c,H,W]` in [`Guide::batch_colour`].
    pub fn guide(&self, input: &Tensor) -> Guidance {
        tch::no_grad(|| {
            let scale = self.teacher.scale();
            // An upscaling teacher gets the picture that its output size belongs to.
            let size = input.size();
            let small = [size[2] / scale, size[3] / scale];
            let input = match scale {
                1 => input.shallow_clone(),
                _ => input.internal_upsample_bicubic2d_aa(small, false, None, None),
            };
            let (output, features) = match self.features {
                true => self.teacher.features(&input),
                false => (self.teacher.forward(&input), Vec::new()),
            };
            Guidance {
                output: to_colour(&output, self.colour),
                features,
            }
        })
    }
}

/// BT.601 luma `[N,1,H,W]` of RGB `[N,3,H,W]` when luma is wanted; anything else as it is.
pub fn to_colour(x: &Tensor, colour: Colour) -> Tensor {
    if colour != Colour::Luma || x.size()[1] != 3 {
        return x.shallow_clone();
    }
    let weights = constant(&[0.299, 0.587, 0.114], x).reshape([1, 3, 1, 1]);
    (x * weights).sum_dim_intlist([1i64].as_slice(), true, None::<Kind>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::load::untrained;
    use crate::teacher::{LoadOptions, TeacherConfig};

    #[test]
    fn crops_fit_a_teacher_that_enlarges() {
        let config: TeacherConfig = toml::from_str(
            "architecture = 'swinir'\nupscale = 3\nupsampler = 'pixelshuffle'\nembed_dim = 8\n\
             depths = [1]\nnum_heads = [2]",
        )
        .unwrap();
        let guide = |crop: usize| {
            let teacher = untrained(&config, &LoadOptions::default()).unwrap();
            let stage = Stage {
                epochs: 1,
                steps: 1,
                batch: 1,
                crop,
            };
            Guide::new(teacher, false, Colour::Rgb, &[stage])
        };
        assert!(guide(48).is_ok());
        let error = guide(64).unwrap_err().to_string();
        assert!(error.ends_with("choose a multiple of 3"), "{error}");
    }
}
