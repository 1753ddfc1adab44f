//! Which architecture with which options a checkpoint is for, told from names and shapes.

use std::collections::HashMap;

use super::TeacherConfig;
use super::mprnet::MprNetConfig;
use super::nafnet::NafNetConfig;
use super::restormer::{Norm, RestormerConfig};
use super::swinir::SwinIrConfig;
use super::unet::UNetConfig;
use crate::checkpoint::Entry;

/// Names and shapes of a checkpoint.
struct Shapes<'a>(HashMap<&'a str, &'a [u64]>);

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn side(&self, name: &str, axis: usize) -> Option<i64> {
        i64::try_from(*self.0.get(name)?.get(axis)?).ok()
    }

    /// How many of `prefix 0 suffix`, `prefix 1 suffix`, ... there are.
    fn count(&self, prefix: &str, suffix: &str) -> i64 {
        (0..)
            .take_while(|i| self.has(&format!("{prefix}{i}{suffix}")))
            .count() as i64
    }
}

/// The configuration that fits `entries`, or `None` for an unknown architecture. What shapes do not
/// tell is the publications' choice: SwinIR's range is 255 with window 7, NAFNet pools globally.
pub fn infer(entries: &[Entry]) -> Option<TeacherConfig> {
    let shapes = Shapes(
        entries
            .iter()
            .map(|e| (e.name.as_str(), e.shape.as_slice()))
            .collect(),
    );
    if shapes.has("patch_embed.proj.weight") {
        return restormer(&shapes).map(TeacherConfig::Restormer);
    }
    if shapes.has("conv_first.weight") {
        return swinir(&shapes).map(TeacherConfig::SwinIr);
    }
    if shapes.has("shallow_feat1.0.weight") {
        return mprnet(&shapes).map(TeacherConfig::MprNet);
    }
    if shapes.has("intro.weight") {
        return nafnet(&shapes).map(TeacherConfig::NafNet);
    }
    // The output has channels * scale^2 planes: 1, 4, 16 for luma, 3, 12, 48 for RGB.
    let planes = shapes.side("output.weight", 0)?;
    let channels = if planes % 3 == 0 { 3 } else { 1 };
    Some(TeacherConfig::UNet(UNetConfig {
        channels,
        scale: (planes / channels).isqrt(),
        width: shapes.side("encoder_level1.conv1.weight", 0)?,
        depth: (1..7)
            .take_while(|i| shapes.has(&format!("down{i}.weight")))
            .count() as i64,
    }))
}

fn restormer(s: &Shapes<'_>) -> Option<RestormerConfig> {
    let dim = s.side("patch_embed.proj.weight", 0)?;
    let levels = [
        "encoder_level1",
        "encoder_level2",
        "encoder_level3",
        "latent",
    ];
    let mut heads = [1; 4];
    for (head, level) in heads.iter_mut().zip(levels) {
        *head = s.side(&format!("{level}.0.attn.temperature"), 0)?;
    }
    let hidden = |level: &str| Some(s.side(&format!("{level}.0.ffn.project_in.weight"), 0)? / 2);
    let exact = (hidden("latent")? as f64 + 0.5) / (dim * 8) as f64;
    let rounded = (exact * 100.0).round() / 100.0;
    let fits = levels
        .iter()
        .enumerate()
        .all(|(i, level)| hidden(level) == Some(((dim << i) as f64 * rounded) as i64));
    Some(RestormerConfig {
        inp_channels: s.side("patch_embed.proj.weight", 1)?,
        out_channels: s.side("output.weight", 0)?,
        dim,
        num_blocks: levels.map(|level| s.count(&format!("{level}."), ".attn.temperature")),
        num_refinement_blocks: s.count("refinement.", ".attn.temperature"),
        heads,
        ffn_expansion_factor: if fits { rounded } else { exact },
        bias: s.has("output.bias"),
        LayerNorm_type: if s.has("latent.0.norm1.body.bias") {
            Norm::WithBias
        } else {
            Norm::BiasFree
        },
        dual_pixel_task: s.has("skip_conv.weight"),
    })
}

fn swinir(s: &Shapes<'_>) -> Option<SwinIrConfig> {
    let in_chans = s.side("conv_first.weight", 1)?;
    let table =
        |i: i64| format!("layers.{i}.residual_group.blocks.0.attn.relative_position_bias_table");
    let groups = (0..64).take_while(|&i| s.has(&table(i))).count() as i64;
    let embed_dim = s.side("conv_first.weight", 0)?;
    let window_size = (s.side(&table(0), 0)?.isqrt() + 1) / 2;
    let upsampler = match (
        s.has("conv_before_upsample.0.weight"),
        s.has("conv_up1.weight"),
    ) {
        (true, true) => "nearest+conv",
        (true, false) => "pixelshuffle",
        (false, _) if s.has("upsample.0.weight") => "pixelshuffledirect",
        _ => "",
    };
    let upscale = match upsampler {
        "nearest+conv" => {
            if s.has("conv_up2.weight") {
                4
            } else {
                2
            }
        }
        "pixelshuffledirect" => (s.side("upsample.0.weight", 0)? / in_chans.max(1)).isqrt(),
        "pixelshuffle" if s.side("upsample.0.weight", 0)? == 9 * 64 => 3,
        "pixelshuffle" => (0..3)
            .take_while(|i| s.has(&format!("upsample.{}.weight", 2 * i)))
            .fold(1, |scale, _| scale * 2),
        _ => 1,
    };
    let mask = s.side("layers.0.residual_group.blocks.1.attn_mask", 0);
    let hidden = s.side("layers.0.residual_group.blocks.0.mlp.fc1.weight", 0)?;
    Some(SwinIrConfig {
        upscale,
        in_chans,
        img_size: mask.map_or(8, i64::isqrt) * window_size,
        window_size,
        img_range: if window_size == 7 { 255.0 } else { 1.0 },
        depths: (0..groups)
            .map(|i| {
                s.count(
                    &format!("layers.{i}.residual_group.blocks."),
                    ".norm1.weight",
                )
            })
            .collect(),
        embed_dim,
        num_heads: (0..groups)
            .map(|i| s.side(&table(i), 1))
            .collect::<Option<_>>()?,
        mlp_ratio: mlp_ratio(hidden, embed_dim.max(1)),
        upsampler: upsampler.to_owned(),
        resi_connection: if s.has("conv_after_body.weight") {
            "1conv"
        } else {
            "3conv"
        }
        .to_owned(),
    })
}

/// The ratio whose product with `embed_dim`, cut to a whole number as the network does, is `hidden`.
fn mlp_ratio(hidden: i64, embed_dim: i64) -> f64 {
    let ratio = hidden as f64 / embed_dim as f64;
    if (embed_dim as f64 * ratio) as i64 == hidden {
        ratio
    } else {
        (hidden as f64 + 0.5) / embed_dim as f64
    }
}

fn mprnet(s: &Shapes<'_>) -> Option<MprNetConfig> {
    let n_feat = s.side("shallow_feat1.0.weight", 0)?;
    Some(MprNetConfig {
        in_c: s.side("shallow_feat1.0.weight", 1)?,
        out_c: s.side("tail.weight", 0)?,
        n_feat,
        scale_unetfeats: s.side("stage1_encoder.down12.down.1.weight", 0)? - n_feat,
        scale_orsnetfeats: s.side("concat23.weight", 0)? - n_feat,
        num_cab: s.count("stage3_orsnet.orb1.body.", ".CA.conv_du.0.weight"),
        kernel_size: s.side("shallow_feat1.0.weight", 2)?,
        reduction: n_feat / s.side("shallow_feat1.1.CA.conv_du.0.weight", 0)?.max(1),
        bias: s.has("tail.bias"),
    })
}

fn nafnet(s: &Shapes<'_>) -> Option<NafNetConfig> {
    let levels = s.count("downs.", ".weight");
    let blocks = |part: &str| -> Vec<i64> {
        (0..levels)
            .map(|l| s.count(&format!("{part}.{l}."), ".beta"))
            .collect()
    };
    Some(NafNetConfig {
        img_channel: s.side("intro.weight", 1)?,
        width: s.side("intro.weight", 0)?,
        middle_blk_num: s.count("middle_blks.", ".beta"),
        enc_blk_nums: blocks("encoders"),
        dec_blk_nums: blocks("decoders"),
        local_window: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mlp_ratio_gives_the_hidden_channels_back() {
        for embed in 1..=256 {
            for hidden in 1..=4 * embed {
                let back = (embed as f64 * mlp_ratio(hidden, embed)) as i64;
                assert_eq!(back, hidden, "of {embed}");
            }
        }
        assert_eq!(mlp_ratio(360, 180), 2.0);
    }
}
