//! Students that are no chain: encoder and decoder with skips, described as graphs.

use anyhow::{Result, bail};
use hone_shared::student::{Colour, ConvChain};
use tch::nn::Path;

use super::config::{DsUnetConfig, NafnetLiteConfig};
use super::graph::{ConvSpec, Graph, Node, Op};
use super::{Student, StudentOutput};
use tch::{Kind, Tensor};

/// A student that torch runs from its graph.
#[derive(Debug)]
pub struct GraphStudent {
    name: &'static str,
    graph: Graph,
}

impl Student for GraphStudent {
    fn forward_in(&self, frame: &Tensor, _train: bool, kind: Kind) -> StudentOutput {
        let (residual, features) = self.graph.run(&frame.to_kind(kind));
        StudentOutput {
            restored: frame + residual.to_kind(Kind::Float),
            features,
        }
    }

    fn multiple(&self) -> usize {
        self.graph.multiple
    }

    fn fold(&self) -> Result<ConvChain> {
        bail!(
            "student '{}' is no chain of convolutions, which is what this needs; `hone export` and `hone quantize` take it",
            self.name
        )
    }

    fn unfold(&self, _: &ConvChain) -> Result<()> {
        bail!(
            "student '{}' is no chain of convolutions: start it from the folder of an earlier run",
            self.name
        )
    }

    fn graph(&self) -> Option<&Graph> {
        Some(&self.graph)
    }

    fn macs_per_pixel(&self) -> Result<f64> {
        Ok(self.graph.macs_per_pixel())
    }
}

impl GraphStudent {
    /// A U-Net of depthwise separable convolutions (Howard et al., "MobileNets", 2017) with
    /// additive skips: `depth` halvings, `width` channels at full resolution, doubled at each level.
    pub(super) fn dsunet(config: &DsUnetConfig, colour: Colour, path: &Path) -> Self {
        let colours = colour.channels() as i64;
        let (width, depth) = (config.width as i64, config.depth as i64);
        let mut g = Graph::new(1 << depth);
        let mut x = g.conv(&(path / "head"), 0, ConvSpec::new(colours, width, 3));
        x = g.add(Op::Relu, &[x]);
        let mut skips = Vec::new();
        for level in 0..depth {
            let channels = width << level;
            let part = path / format!("encoder{}", level + 1);
            x = separable(&mut g, &(&part / "a"), x, channels, channels, 1);
            g.tap(format!("encoder{}", level + 1), x);
            skips.push(x);
            x = separable(&mut g, &(&part / "down"), x, channels, channels * 2, 2);
        }
        x = separable(
            &mut g,
            &(path / "middle"),
            x,
            width << depth,
            width << depth,
            1,
        );
        g.tap("middle".into(), x);
        for level in (0..depth).rev() {
            let channels = width << level;
            let part = path / format!("decoder{}", level + 1);
            x = g.conv(
                &(&part / "narrow"),
                x,
                ConvSpec::new(channels * 2, channels, 1),
            );
            x = g.add(Op::Upsample, &[x]);
            x = g.add(Op::Add, &[x, skips[level as usize]]);
            x = separable(&mut g, &(&part / "a"), x, channels, channels, 1);
            g.tap(format!("decoder{}", level + 1), x);
        }
        tail(&mut g, &(path / "tail"), x, width, colours);
        Self {
            name: "dsunet",
            graph: g,
        }
    }

    /// NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022) with its channel
    /// attention's 1x1 in groups.
    pub(super) fn nafnet_lite(config: &NafnetLiteConfig, colour: Colour, path: &Path) -> Self {
        let colours = colour.channels() as i64;
        let width = config.width as i64;
        let depth = config.encoder.len();
        let groups = config.groups as i64;
        let mut g = Graph::new(1 << depth);
        let mut x = g.conv(&(path / "head"), 0, ConvSpec::new(colours, width, 3));
        let blocks = |g: &mut Graph, name: String, mut x: Node, channels: i64, count: usize| {
            for i in 0..count {
                x = naf_block(g, &(path / &name / i), x, channels, groups);
            }
            g.tap(name, x);
            x
        };
        let mut skips = Vec::new();
        for (level, count) in config.encoder.iter().enumerate() {
            let channels = width << level;
            x = blocks(&mut g, format!("encoder{}", level + 1), x, channels, *count);
            skips.push(x);
            let spec = ConvSpec {
                stride: 2,
                ..ConvSpec::new(channels, channels * 2, 2)
            };
            x = g.conv(&(path / format!("down{}", level + 1)), x, spec);
        }
        x = blocks(&mut g, "middle".into(), x, width << depth, config.middle);
        for level in (0..depth).rev() {
            let channels = width << level;
            let part = path / format!("up{}", level + 1);
            x = g.conv(&part, x, ConvSpec::new(channels * 2, channels * 4, 1));
            x = g.add(Op::PixelShuffle(2), &[x]);
            x = g.add(Op::Add, &[x, skips[level]]);
            x = blocks(
                &mut g,
                format!("decoder{}", level + 1),
                x,
                channels,
                config.decoder[level],
            );
        }
        tail(&mut g, &(path / "tail"), x, width, colours);
        Self {
            name: "nafnet-lite",
            graph: g,
        }
    }
}

/// The last convolution, a tenth of the usual size, so that training starts near the input.
fn tail(g: &mut Graph, path: &Path, x: Node, width: i64, colours: i64) {
    let spec = ConvSpec {
        gain: 0.1,
        ..ConvSpec::new(width, colours, 3)
    };
    g.conv(path, x, spec);
}

/// Depthwise 3x3, then 1x1, then ReLU.
fn separable(g: &mut Graph, path: &Path, x: Node, inputs: i64, outputs: i64, stride: i64) -> Node {
    let depthwise = ConvSpec {
        stride,
        groups: inputs,
        ..ConvSpec::new(inputs, inputs, 3)
    };
    let x = g.conv(&(path / "depthwise"), x, depthwise);
    let x = g.conv(&(path / "pointwise"), x, ConvSpec::new(inputs, outputs, 1));
    g.add(Op::Relu, &[x])
}

/// Figure 3c of the paper: gated depthwise branch with channel attention, gated feed-forward.
fn naf_block(g: &mut Graph, path: &Path, input: Node, c: i64, groups: i64) -> Node {
    let norm = |g: &mut Graph, name: &str, x: Node| {
        let op = Op::LayerNorm {
            scale: (path / name).ones("scale", &[c]),
            shift: (path / name).zeros("shift", &[c]),
            epsilon: 1e-6,
        };
        g.add(op, &[x])
    };
    let gate = |g: &mut Graph, x: Node| {
        let first = g.add(
            Op::Slice {
                start: 0,
                length: c,
            },
            &[x],
        );
        let second = g.add(
            Op::Slice {
                start: c,
                length: c,
            },
            &[x],
        );
        g.add(Op::Mul, &[first, second])
    };
    let skip = |g: &mut Graph, name: &str, x: Node, input: Node| {
        // The paper starts these factors at 0.
        let scaled = g.add(Op::Scale(path.zeros(name, &[1, c, 1, 1])), &[x]);
        g.add(Op::Add, &[input, scaled])
    };
    let linear = |g: &mut Graph, name: &str, x: Node, inputs: i64, outputs: i64, groups: i64| {
        let spec = ConvSpec {
            groups,
            gain: 0.577,
            ..ConvSpec::new(inputs, outputs, 1)
        };
        g.conv(&(path / name), x, spec)
    };
    let mut x = norm(g, "norm1", input);
    x = linear(g, "expand", x, c, 2 * c, 1);
    let depthwise = ConvSpec {
        groups: 2 * c,
        gain: 0.577,
        ..ConvSpec::new(2 * c, 2 * c, 3)
    };
    x = g.conv(&(path / "depthwise"), x, depthwise);
    x = gate(g, x);
    let pooled = g.add(Op::GlobalPool, &[x]);
    let attention = linear(g, "attention", pooled, c, c, groups);
    x = g.add(Op::Mul, &[x, attention]);
    x = linear(g, "project", x, c, c, 1);
    let middle = skip(g, "beta", x, input);
    x = norm(g, "norm2", middle);
    x = linear(g, "widen", x, c, 2 * c, 1);
    x = gate(g, x);
    x = linear(g, "narrow", x, c, c, 1);
    skip(g, "gamma", x, middle)
}

#[cfg(test)]
mod tests {
    use crate::student::{StudentConfig, build};
    use hone_shared::student::Colour;
    use tch::{Device, Kind, Tensor, nn::VarStore};

    #[test]
    fn graph_students_keep_the_shape_and_learn_through_every_weight() {
        let recipes = [
            "architecture = 'dsunet'\nwidth = 8\ndepth = 2",
            "architecture = 'nafnet-lite'\nwidth = 8\nencoder = [1, 1]\nmiddle = 1\ndecoder = [1, 1]\ngroups = 2",
        ];
        for text in recipes {
            let config: StudentConfig = toml::from_str(text).unwrap();
            let store = VarStore::new(Device::Cpu);
            let student = build(&config, Colour::Rgb, &store.root()).unwrap();
            let frame = Tensor::rand([2, 3, 16, 24], (Kind::Float, Device::Cpu));
            tch::no_grad(|| {
                for mut variable in store.trainable_variables() {
                    // Factors that start at 0 would hide a branch.
                    let noise = variable.randn_like() * 0.05;
                    variable += noise;
                }
            });
            let output = student.forward(&frame, true);
            assert_eq!(output.restored.size(), frame.size());
            output.restored.square().mean(Kind::Float).backward();
            for (name, variable) in store.variables() {
                let slope = variable.grad().abs().sum(Kind::Float).double_value(&[]);
                assert!(slope > 0.0, "{text}: {name} takes no part");
            }
            assert!(student.fold().is_err() && student.macs_per_pixel().unwrap() > 0.0);
        }
    }
}
