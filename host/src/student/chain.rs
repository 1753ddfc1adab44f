//! Students that are a chain of convolutions: SpaceToDepth, convolutions with ReLU between them,
//! DepthToSpace, Add.

use anyhow::{Result, anyhow, ensure};
use hone_shared::student::{Colour, ConvChain, ConvLayer};
use tch::nn::Path;
use tch::{Kind, Tensor};

use super::unit::{ConvShape, Unit};
use super::{Student, StudentOutput, depth_to_space, limit, space_to_depth};

/// Shape of a chain to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainShape {
    pub scale: usize,
    pub temporal: bool,
    pub limited: bool,
    pub convs: Vec<ConvShape>,
}

/// A trainable [`ConvChain`].
#[derive(Debug)]
pub struct ChainStudent {
    colour: Colour,
    scale: usize,
    temporal: bool,
    limited: bool,
    units: Vec<Unit>,
}

impl ChainStudent {
    /// Builds the chain's variables under `path`; ReLU follows every convolution but the last. The
    /// last starts at a tenth of the usual size, so that training starts near `restored = frame`.
    /// A `temporal` chain reads the frame before as well.
    pub(super) fn new(path: &Path, colour: Colour, build: &ChainShape) -> Self {
        let ChainShape {
            scale,
            temporal,
            limited,
            convs: ref shapes,
        } = *build;
        let seen = if temporal { 2 } else { 1 };
        let mut inputs = (seen * colour.channels() * scale * scale) as i64;
        let mut units = Vec::with_capacity(shapes.len());
        for (i, shape) in shapes.iter().enumerate() {
            let gain = if i + 1 == shapes.len() { 0.1 } else { 1.0 };
            let path = path / format!("conv{}", i + 1);
            units.push(Unit::new(&path, inputs, *shape, gain));
            inputs = shape.outputs as i64;
        }
        if let Some(last) = units.last() {
            last.begin_near_zero();
        }
        Self {
            colour,
            scale,
            temporal,
            limited,
            units,
        }
    }
}

/// Sides `[O,I,k,k]` of a layer's kernel.
fn sides(layer: &ConvLayer) -> [i64; 4] {
    [layer.outputs, layer.inputs, layer.kernel, layer.kernel].map(|side| side as i64)
}

impl Student for ChainStudent {
    fn forward_in(&self, frame: &Tensor, train: bool, kind: Kind) -> StudentOutput {
        let scale = self.scale as i64;
        let planes = self.colour.channels() as i64;
        let seen = match self.temporal && frame.size()[1] == planes {
            true => super::joined(frame, Some(frame)),
            false => frame.shallow_clone(),
        };
        let mut x = space_to_depth(&seen.to_kind(kind), scale);
        let mut features = Vec::with_capacity(self.units.len());
        for (i, unit) in self.units.iter().enumerate() {
            x = unit.forward(&x, train);
            if i + 1 < self.units.len() {
                x = x.relu();
                features.push((format!("conv{}", i + 1), x.shallow_clone()));
            }
        }
        let frame = frame.narrow(1, 0, planes);
        let mut restored = &frame + depth_to_space(&x, scale).to_kind(Kind::Float);
        if self.limited {
            restored = limit(&restored, &frame);
        }
        StudentOutput { restored, features }
    }

    fn multiple(&self) -> usize {
        self.scale
    }

    fn fold(&self) -> Result<ConvChain> {
        let fold_all = || -> Result<Vec<ConvLayer>> {
            let last = self.units.len() - 1;
            let fold_one = |(i, unit): (usize, &Unit)| {
                let (kernel, bias) = unit.folded()?;
                let size = kernel.size();
                Ok(ConvLayer {
                    outputs: size[0] as usize,
                    inputs: size[1] as usize,
                    kernel: size[2] as usize,
                    weights: floats(&kernel)?,
                    bias: floats(&bias)?,
                    relu: i < last,
                })
            };
            self.units.iter().enumerate().map(fold_one).collect()
        };
        let chain = ConvChain {
            colour: self.colour,
            scale: self.scale,
            layers: tch::no_grad(fold_all)?,
            limited: self.limited,
        };
        chain
            .validate()
            .map_err(|e| anyhow!("the student does not fold: {e}"))?;
        Ok(chain)
    }

    fn unfold(&self, chain: &ConvChain) -> Result<()> {
        let (own, theirs) = (shape(&self.fold()?), shape(chain));
        ensure!(
            own == theirs,
            "its shape is {theirs}; the recipe's is {own}"
        );
        for (unit, layer) in self.units.iter().zip(&chain.layers) {
            let kernel = Tensor::from_slice(&layer.weights).reshape(sides(layer));
            unit.unfold(&kernel, &Tensor::from_slice(&layer.bias))?;
        }
        Ok(())
    }
}

/// What a chain looks like, for people: chains that say the same take each other's weights.
pub fn shape(chain: &ConvChain) -> String {
    let layer = |l: &ConvLayer| {
        let relu = if l.relu { " ReLU" } else { "" };
        format!("{}-{} {2}x{2}{relu}", l.inputs, l.outputs, l.kernel)
    };
    let layers: Vec<String> = chain.layers.iter().map(layer).collect();
    let (colour, scale) = (chain.colour, chain.scale);
    format!("{colour}, SpaceToDepth {scale}, {}", layers.join(", "))
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor
        .detach()
        .to_device(tch::Device::Cpu)
        .to_kind(Kind::Float);
    Ok(Vec::try_from(flat.contiguous().flatten(0, -1))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::student::unit::convolve;
    use crate::student::{StudentConfig, build};
    use tch::{Device, nn::VarStore};

    fn run(chain: &ConvChain, frame: &Tensor) -> Tensor {
        let s = chain.scale as i64;
        let mut x = space_to_depth(frame, s);
        for l in &chain.layers {
            let (o, i, k) = (l.outputs as i64, l.inputs as i64, l.kernel as i64);
            let kernel = Tensor::from_slice(&l.weights).reshape([o, i, k, k]);
            x = convolve(&x, &kernel, &Tensor::from_slice(&l.bias));
            if l.relu {
                x = x.relu();
            }
        }
        let frame = frame.narrow(1, 0, chain.colour.channels() as i64);
        let restored = &frame + depth_to_space(&x, s);
        match chain.limited {
            true => limit(&restored, &frame),
            false => restored,
        }
    }

    #[test]
    fn a_temporal_student_sees_what_it_gave_before() {
        tch::manual_seed(4);
        let text = "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 3\ntemporal = true";
        let config: StudentConfig = toml::from_str(text).unwrap();
        let store = VarStore::new(Device::Cpu);
        let student = build(&config, Colour::Luma, &store.root()).unwrap();
        let student = student.as_ref();
        let frame = || Tensor::rand([1, 1, 7, 10], tch::kind::FLOAT_CPU);
        let (first, second) = (frame(), frame());
        tch::no_grad(|| {
            let one = crate::student::restore(student, &first);
            let still = super::super::joined(&first, Some(&first));
            assert_eq!(one, crate::student::restore(student, &still));
            let after = crate::student::restore_after(student, &[first], &second);
            let before = crate::student::fed_back(&one);
            let by_hand = super::super::joined(&second, Some(&before));
            assert_eq!(after, crate::student::restore(student, &by_hand));
            assert_ne!(after, crate::student::restore(student, &second));
            assert_eq!(after.size(), [1, 1, 7, 10]);
        });
    }

    #[test]
    fn training_starts_near_the_frame_however_many_channels_there_are() {
        tch::manual_seed(5);
        let frame = Tensor::rand([1, 1, 32, 32], tch::kind::FLOAT_CPU);
        for shape in [
            "scale = 4\nchannels = 12\nconvs = 3",
            // The last convolution, or the only one, gives as many planes as it gets.
            "scale = 4\nchannels = 16\nconvs = 3",
            "scale = 2\nchannels = 8\nconvs = 1",
        ] {
            let text = format!("architecture = 'plain'\n{shape}");
            let config: StudentConfig = toml::from_str(&text).unwrap();
            let store = VarStore::new(Device::Cpu);
            let student = build(&config, Colour::Luma, &store.root()).unwrap();
            let restored = tch::no_grad(|| student.forward(&frame, false).restored);
            let far = (restored - &frame)
                .abs()
                .mean(Kind::Float)
                .double_value(&[]);
            assert!(far < 0.1, "{shape}: {far}");
        }
    }

    #[test]
    fn folding_keeps_the_output_and_is_undone() {
        tch::manual_seed(1);
        let recipes = [
            "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 4",
            "architecture = 'plain'\nscale = 1\nchannels = [8, 12]\nconvs = 3\nbranches = false",
            "architecture = 'studentnet'\nconvs = 5\nchannels = 8",
            "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 3\ntemporal = true",
            "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 3\nlimited = true",
            "architecture = 'cnn4'",
            "architecture = 'studentcnn'",
        ];
        for text in recipes {
            for colour in [Colour::Luma, Colour::Rgb] {
                let config: StudentConfig = toml::from_str(text).unwrap();
                let store = VarStore::new(Device::Cpu);
                let student = build(&config, colour, &store.root()).unwrap();
                let planes = (config.seen() * colour.channels()) as i64;
                let frame = Tensor::rand([2, planes, 16, 24], tch::kind::FLOAT_CPU);
                tch::no_grad(|| {
                    // Moves running statistics away from their start.
                    for _ in 0..3 {
                        student.forward(&frame, true);
                    }
                    let chain = student.fold().unwrap();
                    let error = (run(&chain, &frame) - student.forward(&frame, false).restored)
                        .abs()
                        .max()
                        .double_value(&[]);
                    assert!(error < 1e-5, "{text}: {error}");

                    let store = VarStore::new(Device::Cpu);
                    let other = build(&config, colour, &store.root()).unwrap();
                    other.unfold(&chain).unwrap();
                    let back = other.fold().unwrap();
                    for (a, b) in back.layers.iter().zip(&chain.layers) {
                        let weights = a.weights.iter().zip(&b.weights);
                        let far = weights.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        assert!(far < 1e-6 && a.bias == b.bias, "{text}: {far}");
                    }
                });
            }
        }
    }
}
