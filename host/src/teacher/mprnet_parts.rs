//! The building blocks of MPRNet.

use tch::Tensor;
use tch::nn::Path;

use super::layer::{Conv, in_kind_of};
use super::mprnet::{MprNetConfig, excite};

/// Maps at full, half and quarter resolution.
pub type Levels = [Tensor; 3];

/// Channel-attention block.
#[derive(Debug)]
pub struct Cab {
    conv1: Conv,
    conv2: Conv,
    squeeze: Conv,
    expand: Conv,
    prelu: Tensor,
}

impl Cab {
    /// Of `n` channels, with the shared `prelu`.
    pub fn new(vs: &Path, n: i64, c: &MprNetConfig, prelu: &Tensor) -> Self {
        let (body, du) = (vs / "body", vs / "CA" / "conv_du");
        let conv = |i: i64| Conv::new(&(&body / i), n, n, c.kernel_size, c.bias);
        Self {
            conv1: conv(0),
            conv2: conv(2),
            squeeze: Conv::new(&(&du / 0), n, n / c.reduction, 1, c.bias),
            expand: Conv::new(&(&du / 2), n / c.reduction, n, 1, c.bias),
            prelu: prelu.shallow_clone(),
        }
    }

    /// `[N,n,H,W]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.conv1.forward(x).prelu(&in_kind_of(&self.prelu, x));
        let y = self.conv2.forward(&y);
        let weights = excite(&y, &self.squeeze, &self.expand);
        y * weights + x
    }
}

fn pair(vs: &Path, n: i64, c: &MprNetConfig, prelu: &Tensor) -> [Cab; 2] {
    [0, 1].map(|i: i64| Cab::new(&(vs / i), n, c, prelu))
}

fn run(blocks: &[Cab], x: &Tensor) -> Tensor {
    blocks
        .iter()
        .fold(x.shallow_clone(), |x, block| block.forward(&x))
}

fn halve(x: &Tensor) -> Tensor {
    let (_, _, h, w) = x.size4().unwrap_or_default();
    x.upsample_bilinear2d([h / 2, w / 2], false, 0.5, 0.5)
}

fn double(x: &Tensor) -> Tensor {
    let (_, _, h, w) = x.size4().unwrap_or_default();
    x.upsample_bilinear2d([2 * h, 2 * w], false, 2.0, 2.0)
}

/// Three levels down, with features of the stage before if there is one.
#[derive(Debug)]
pub struct Encoder {
    levels: [[Cab; 2]; 3],
    downs: [Conv; 2],
    /// From the encoder and the decoder of the stage before.
    fusion: Option<[[Conv; 2]; 3]>,
}

impl Encoder {
    /// With cross-stage feature fusion when `csff`.
    pub fn new(vs: &Path, c: &MprNetConfig, prelu: &Tensor, csff: bool) -> Self {
        let at = |l: i64| c.n_feat + l * c.scale_unetfeats;
        let down = |name: &str, l| Conv::new(&(vs / name / "down" / 1), at(l), at(l + 1), 1, false);
        let fuse = |l: i64| {
            ["enc", "dec"].map(|side| {
                Conv::new(
                    &(vs / format!("csff_{side}{}", l + 1)),
                    at(l),
                    at(l),
                    1,
                    c.bias,
                )
            })
        };
        Self {
            levels: [0, 1, 2]
                .map(|l| pair(&(vs / format!("encoder_level{}", l + 1)), at(l), c, prelu)),
            downs: [down("down12", 0), down("down23", 1)],
            fusion: csff.then(|| [0, 1, 2].map(fuse)),
        }
    }

    /// `[N,n_feat,H,W]` to its three levels.
    pub fn forward(&self, x: &Tensor, before: Option<(&Levels, &Levels)>) -> Levels {
        let level = |l: usize, x: &Tensor| {
            let y = run(&self.levels[l], x);
            match (&self.fusion, before) {
                (Some(fusion), Some((encoded, decoded))) => {
                    y + fusion[l][0].forward(&encoded[l]) + fusion[l][1].forward(&decoded[l])
                }
                _ => y,
            }
        };
        let first = level(0, x);
        let second = level(1, &self.downs[0].forward(&halve(&first)));
        let third = level(2, &self.downs[1].forward(&halve(&second)));
        [first, second, third]
    }
}

/// Three levels up.
#[derive(Debug)]
pub struct Decoder {
    levels: [[Cab; 2]; 3],
    skips: [Cab; 2],
    ups: [Conv; 2],
}

impl Decoder {
    /// A decoder for [`Encoder`]'s levels.
    pub fn new(vs: &Path, c: &MprNetConfig, prelu: &Tensor) -> Self {
        let at = |l: i64| c.n_feat + l * c.scale_unetfeats;
        let up = |name: &str, l| Conv::new(&(vs / name / "up" / 1), at(l + 1), at(l), 1, false);
        Self {
            levels: [0, 1, 2]
                .map(|l| pair(&(vs / format!("decoder_level{}", l + 1)), at(l), c, prelu)),
            skips: [0, 1].map(|l| Cab::new(&(vs / format!("skip_attn{}", l + 1)), at(l), c, prelu)),
            ups: [up("up21", 0), up("up32", 1)],
        }
    }

    /// Levels to levels of the same shapes.
    pub fn forward(&self, encoded: &Levels) -> Levels {
        let up = |l: usize, below: &Tensor| {
            let y = self.ups[l].forward(&double(below)) + self.skips[l].forward(&encoded[l]);
            run(&self.levels[l], &y)
        };
        let third = run(&self.levels[2], &encoded[2]);
        let second = up(1, &third);
        let first = up(0, &second);
        [first, second, third]
    }
}

/// Supervised attention between stages.
#[derive(Debug)]
pub struct Sam([Conv; 3]);

impl Sam {
    /// Of `n` channels, with 1x1 convolutions.
    pub fn new(vs: &Path, n: i64, bias: bool) -> Self {
        let sizes = [("conv1", n, n), ("conv2", n, 3), ("conv3", 3, n)];
        Self(sizes.map(|(name, i, o)| Conv::new(&(vs / name), i, o, 1, bias)))
    }

    /// The attended features and the stage's restored image.
    pub fn forward(&self, x: &Tensor, image: &Tensor) -> (Tensor, Tensor) {
        let image = self.0[1].forward(x) + image;
        let weights = self.0[2].forward(&image).sigmoid();
        (self.0[0].forward(x) * weights + x, image)
    }
}

/// Stage 3: full resolution throughout.
#[derive(Debug)]
pub struct OrsNet {
    orbs: Vec<(Vec<Cab>, Conv)>,
    /// For the encoder's and the decoder's maps: 1x1 convolutions after bilinear doubling.
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    up1: Conv,
    up2: [Conv; 2],
    convs: [Conv; 3],
}

impl Side {
    fn new(vs: &Path, c: &MprNetConfig, name: &str) -> Self {
        let (n, s) = (c.n_feat, c.scale_unetfeats);
        let up = |vs: Path, i, o| Conv::new(&(vs / "up" / 1), i, o, 1, false);
        let second = vs / format!("up_{name}2");
        Self {
            up1: up(vs / format!("up_{name}1"), n + s, n),
            up2: [up(&second / 0, n + 2 * s, n + s), up(&second / 1, n + s, n)],
            convs: [1, 2, 3].map(|i| {
                Conv::new(
                    &(vs / format!("conv_{name}{i}")),
                    n,
                    n + c.scale_orsnetfeats,
                    1,
                    c.bias,
                )
            }),
        }
    }

    fn forward(&self, level: usize, maps: &Levels) -> Tensor {
        let map = &maps[level];
        let full = match level {
            0 => map.shallow_clone(),
            1 => self.up1.forward(&double(map)),
            _ => self.up2[1].forward(&double(&self.up2[0].forward(&double(map)))),
        };
        self.convs[level].forward(&full)
    }
}

impl OrsNet {
    /// Of `n_feat + scale_orsnetfeats` channels.
    pub fn new(vs: &Path, c: &MprNetConfig, prelu: &Tensor) -> Self {
        let wide = c.n_feat + c.scale_orsnetfeats;
        let orb = |i: i64| {
            let body = vs / format!("orb{i}") / "body";
            let cabs = (0..c.num_cab)
                .map(|j| Cab::new(&(&body / j), wide, c, prelu))
                .collect();
            (
                cabs,
                Conv::new(&(&body / c.num_cab), wide, wide, c.kernel_size, c.bias),
            )
        };
        Self {
            orbs: (1..=3).map(orb).collect(),
            sides: ["enc", "dec"].map(|name| Side::new(vs, c, name)),
        }
    }

    /// `[N,wide,H,W]` to the same shape.
    pub fn forward(&self, x: &Tensor, encoded: &Levels, decoded: &Levels) -> Tensor {
        let orb = |x: Tensor, (level, (cabs, conv)): (usize, &(Vec<Cab>, Conv))| {
            let y = conv.forward(&run(cabs, &x)) + x;
            y + self.sides[0].forward(level, encoded) + self.sides[1].forward(level, decoded)
        };
        self.orbs.iter().enumerate().fold(x.shallow_clone(), orb)
    }
}
