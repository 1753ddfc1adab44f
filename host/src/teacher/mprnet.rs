//! MPRNet for deblurring (Zamir et al., CVPR 2021), under the names of github.com/swz30/MPRNet.
//! Stage 1 sees quarters, stage 2 halves, stage 3 the whole picture at full resolution.

use std::borrow::Cow;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{Init, Path};

use super::layer::{Conv, spatial_mean, variable};
use super::mprnet_parts::{Cab, Decoder, Encoder, Levels, OrsNet, Sam};
use super::{Taps, Teacher};

/// Options of [`MprNet`]; the defaults are the deblurring network's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MprNetConfig {
    /// Channels of the input.
    pub in_c: i64,
    /// Channels of the output.
    pub out_c: i64,
    /// Channels of the first level.
    pub n_feat: i64,
    /// Channels added at each lower level.
    pub scale_unetfeats: i64,
    /// Channels added in stage 3.
    pub scale_orsnetfeats: i64,
    /// Channel-attention blocks in each block of stage 3.
    pub num_cab: i64,
    /// Kernel side.
    pub kernel_size: i64,
    /// Channels over those inside the channel attention.
    pub reduction: i64,
    /// Whether convolutions have biases.
    pub bias: bool,
}

impl Default for MprNetConfig {
    fn default() -> Self {
        Self {
            in_c: 3,
            out_c: 3,
            n_feat: 96,
            scale_unetfeats: 48,
            scale_orsnetfeats: 32,
            num_cab: 8,
            kernel_size: 3,
            reduction: 4,
            bias: false,
        }
    }
}

/// The one PReLU that all blocks share, under the first of its names in the authors' files.
const SHARED_PRELU: &str = "shallow_feat1.1.body.1.weight";

/// See the module.
#[derive(Debug)]
pub struct MprNet {
    config: MprNetConfig,
    shallow: Vec<(Conv, Cab)>,
    stage1_encoder: Encoder,
    stage1_decoder: Decoder,
    stage2_encoder: Encoder,
    stage2_decoder: Decoder,
    stage3_orsnet: OrsNet,
    sam12: Sam,
    sam23: Sam,
    concat12: Conv,
    concat23: Conv,
    tail: Conv,
}

impl MprNet {
    /// A network with fresh weights in `vs`.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(config: &MprNetConfig, vs: &Path) -> anyhow::Result<Self> {
        let c = config;
        ensure!(
            c.in_c == 3 && c.out_c == 3,
            "mprnet: in_c and out_c must be 3"
        );
        ensure!(
            (1..=512).contains(&c.n_feat)
                && (0..=512).contains(&c.scale_unetfeats)
                && (0..=512).contains(&c.scale_orsnetfeats),
            "mprnet: channels must be at most 512"
        );
        ensure!(
            (1..=64).contains(&c.num_cab),
            "mprnet: num_cab must be 1 to 64"
        );
        ensure!(
            [1, 3, 5, 7].contains(&c.kernel_size),
            "mprnet: kernel_size must be 1, 3, 5 or 7"
        );
        ensure!(
            (1..=c.n_feat).contains(&c.reduction),
            "mprnet: reduction must be 1 to n_feat"
        );
        let (n, k, wide) = (c.n_feat, c.kernel_size, c.n_feat + c.scale_orsnetfeats);
        let at = vs / "shallow_feat1" / 1 / "body" / 1;
        let prelu = variable(&at, "weight", &[1], Init::Const(0.25));
        let conv = |name: &str, i, o| Conv::new(&(vs / name), i, o, k, c.bias);
        let shallow = |i: i64| {
            let vs = vs / format!("shallow_feat{i}");
            (
                Conv::new(&(&vs / 0), 3, n, k, c.bias),
                Cab::new(&(&vs / 1), n, c, &prelu),
            )
        };
        Ok(Self {
            config: c.clone(),
            shallow: (1..=3).map(shallow).collect(),
            stage1_encoder: Encoder::new(&(vs / "stage1_encoder"), c, &prelu, false),
            stage1_decoder: Decoder::new(&(vs / "stage1_decoder"), c, &prelu),
            stage2_encoder: Encoder::new(&(vs / "stage2_encoder"), c, &prelu, true),
            stage2_decoder: Decoder::new(&(vs / "stage2_decoder"), c, &prelu),
            stage3_orsnet: OrsNet::new(&(vs / "stage3_orsnet"), c, &prelu),
            sam12: Sam::new(&(vs / "sam12"), n, c.bias),
            sam23: Sam::new(&(vs / "sam23"), n, c.bias),
            concat12: conv("concat12", 2 * n, n),
            concat23: conv("concat23", 2 * n, wide),
            tail: conv("tail", wide, 3),
        })
    }

    fn shallow(&self, stage: usize, x: &Tensor) -> Tensor {
        let (conv, cab) = &self.shallow[stage - 1];
        cab.forward(&conv.forward(x))
    }
}

fn join(a: &Levels, b: &Levels, axis: i64) -> Levels {
    std::array::from_fn(|i| Tensor::cat(&[&a[i], &b[i]], axis))
}

impl Teacher for MprNet {
    fn name(&self) -> &'static str {
        "mprnet"
    }

    fn channels(&self) -> i64 {
        self.config.in_c
    }

    fn multiple(&self) -> i64 {
        8
    }

    fn parameter_of<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        let shared = name.strip_suffix(".body.1.weight").is_some_and(|block| {
            !block
                .rsplit('.')
                .next()
                .is_some_and(|last| last.starts_with("orb"))
        });
        Some(Cow::Borrowed(if shared { SHARED_PRELU } else { name }))
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let halves = x.chunk(2, 2);
        let first = |half: &Tensor| {
            let quarters = half.chunk(2, 3);
            let [left, right] = [0, 1].map(|i| {
                self.stage1_encoder
                    .forward(&self.shallow(1, &quarters[i]), None)
            });
            let encoded = join(&left, &right, 3);
            let decoded = self.stage1_decoder.forward(&encoded);
            let (attended, image) = self.sam12.forward(&decoded[0], half);
            let joined = Tensor::cat(&[self.shallow(2, half), attended], 1);
            let joined = self.concat12.forward(&joined);
            let second = self
                .stage2_encoder
                .forward(&joined, Some((&encoded, &decoded)));
            (image, second)
        };
        let ((top_image, top), (bottom_image, bottom)) = (first(&halves[0]), first(&halves[1]));
        let stage1 = Tensor::cat(&[top_image, bottom_image], 2);
        let encoded = join(&top, &bottom, 2);
        let decoded = self.stage2_decoder.forward(&encoded);
        taps.offer("stage2_encoder", &encoded[0]);
        taps.offer("stage2_decoder", &decoded[0]);
        let (attended, stage2) = self.sam23.forward(&decoded[0], x);
        let y = self
            .concat23
            .forward(&Tensor::cat(&[self.shallow(3, x), attended], 1));
        let y = self.stage3_orsnet.forward(&y, &encoded, &decoded);
        taps.offer("stage3_orsnet", &y);
        vec![self.tail.forward(&y) + x, stage2, stage1]
    }
}

/// Squeeze-and-excitation weights in 0..1.
pub(super) fn excite(x: &Tensor, squeeze: &Conv, expand: &Conv) -> Tensor {
    expand
        .forward(&squeeze.forward(&spatial_mean(x)).relu())
        .sigmoid()
}
