//! The teachers that are worth naming: published configurations and where their weights are.

use serde::Serialize;

use super::TeacherConfig;
use super::mprnet::MprNetConfig;
use super::nafnet::NafNetConfig;
use super::restormer::{Norm, RestormerConfig};
use super::swinir::SwinIrConfig;
use super::unet::UNetConfig;

/// One published configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Published {
    /// Short name, e.g. `restormer-deblurring`.
    pub name: &'static str,
    /// Architecture and options.
    pub config: TeacherConfig,
    /// Number of learned values.
    pub parameters: u64,
    /// Multiply-accumulates for each input pixel.
    pub macs_per_pixel: u64,
    /// Sides are padded to a multiple of this.
    pub multiple: u64,
    /// Where the authors publish weights, if they do.
    pub weights: &'static str,
    /// Licence of the authors' repository; that of their training pictures may say less.
    pub licence: &'static str,
    /// The publication.
    pub paper: &'static str,
}

const NAFNET_W32: &str = "https://drive.google.com/file/d/1Fr2QadtDCEXg6iwWX8OzeZLbHOx2t5Bj";
const NAFNET_W64: &str = "https://drive.google.com/file/d/1S0PVRbyTakYY9a82kujgZLbMihfNBLfC";
/// Where SwinIR's authors publish their files, under these names.
macro_rules! swinir_release {
    () => {
        "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/"
    };
}
/// Copies of its LICENSE.md hold the academic terms; others note MIT since October 2025, which was not seen.
const RESTORMER_LICENCE: &str = "Academic Public (non-commercial); MIT since 2025-10 is unverified";

/// Every configuration that `hone teacher list` shows.
pub fn all() -> Vec<Published> {
    let restormer = |name, options, parameters, macs, weights| Published {
        name,
        config: TeacherConfig::Restormer(options),
        parameters,
        macs_per_pixel: macs,
        multiple: 8,
        weights,
        licence: RESTORMER_LICENCE,
        paper: "Zamir et al., CVPR 2022",
    };
    let swinir = |name, options: SwinIrConfig, parameters, macs, weights| Published {
        name,
        multiple: options.window_size.unsigned_abs(),
        config: TeacherConfig::SwinIr(options),
        parameters,
        macs_per_pixel: macs,
        weights,
        licence: "Apache-2.0",
        paper: "Liang et al., ICCVW 2021",
    };
    let nafnet = |name, width, local_window, parameters, macs, weights| Published {
        name,
        config: TeacherConfig::NafNet(NafNetConfig {
            width,
            local_window,
            ..NafNetConfig::default()
        }),
        parameters,
        macs_per_pixel: macs,
        multiple: 16,
        weights,
        licence: "MIT, parts Apache-2.0 (BasicSR)",
        paper: "Chen et al., ECCV 2022",
    };
    let base = SwinIrConfig::default;
    let biasfree = RestormerConfig {
        LayerNorm_type: Norm::BiasFree,
        ..RestormerConfig::default()
    };
    vec![
        restormer(
            "restormer-deblurring",
            RestormerConfig::default(),
            26_126_644,
            2_363_312,
            "https://github.com/swz30/Restormer/releases/download/v1.0/motion_deblurring.pth",
        ),
        restormer(
            "restormer-denoising",
            biasfree,
            26_111_668,
            2_363_312,
            "https://github.com/swz30/Restormer/releases/download/v1.0/real_denoising.pth",
        ),
        Published {
            name: "mprnet-deblurring",
            config: TeacherConfig::MprNet(MprNetConfig::default()),
            parameters: 20_127_073,
            macs_per_pixel: 11_587_680,
            multiple: 8,
            weights: "https://drive.google.com/file/d/1QwQUVbk6YVOJViCsOKYNykCsdJSVGRtb",
            licence: "Academic Public (non-commercial)",
            paper: "Zamir et al., CVPR 2021",
        },
        nafnet(
            "nafnet-gopro-w32",
            32,
            None,
            17_111_907,
            243_436,
            NAFNET_W32,
        ),
        nafnet(
            "nafnet-gopro-w32-local",
            32,
            Some(384),
            17_111_907,
            243_436,
            NAFNET_W32,
        ),
        nafnet(
            "nafnet-gopro-w64",
            64,
            None,
            67_888_835,
            962_008,
            NAFNET_W64,
        ),
        nafnet(
            "nafnet-gopro-w64-local",
            64,
            Some(384),
            67_888_835,
            962_008,
            NAFNET_W64,
        ),
        swinir(
            "swinir-denoising",
            base(),
            11_504_163,
            12_211_560,
            concat!(
                swinir_release!(),
                "005_colorDN_DFWB_s128w8_SwinIR-M_noise15.pth"
            ),
        ),
        swinir(
            "swinir-jpeg",
            SwinIrConfig {
                window_size: 7,
                img_size: 126,
                img_range: 255.0,
                ..base()
            },
            11_492_067,
            12_017_160,
            concat!(
                swinir_release!(),
                "006_colorCAR_DFWB_s126w7_SwinIR-M_jpeg40.pth"
            ),
        ),
        swinir(
            "swinir-classical-x2",
            SwinIrConfig {
                upscale: 2,
                img_size: 64,
                upsampler: "pixelshuffle".to_owned(),
                ..base()
            },
            11_752_487,
            12_464_748,
            concat!(
                swinir_release!(),
                "001_classicalSR_DF2K_s64w8_SwinIR-M_x2.pth"
            ),
        ),
        swinir(
            "swinir-lightweight-x2",
            SwinIrConfig {
                upscale: 2,
                img_size: 64,
                depths: vec![6; 4],
                embed_dim: 60,
                num_heads: vec![6; 4],
                upsampler: "pixelshuffledirect".to_owned(),
                ..base()
            },
            910_152,
            1_045_620,
            concat!(
                swinir_release!(),
                "002_lightweightSR_DIV2K_s64w8_SwinIR-S_x2.pth"
            ),
        ),
        Published {
            name: "unet",
            config: TeacherConfig::UNet(UNetConfig::default()),
            parameters: 2_485_987,
            macs_per_pixel: 161_472,
            multiple: 8,
            weights: "none: train it (hone teacher train)",
            licence: "MIT OR Apache-2.0",
            paper: "Ronneberger et al., MICCAI 2015",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::{build, layer};
    use tch::{Device, Kind, Tensor, nn};

    #[test]
    fn the_figures_are_the_networks() {
        // Many small operations: threads only wait for each other.
        tch::set_num_threads(1);
        let mut wrong = Vec::new();
        for published in all() {
            let vs = nn::VarStore::new(Device::Cpu);
            let teacher = build(&published.config, &vs.root()).unwrap();
            let nothing = nn::VarStore::new(Device::Cpu);
            let (_, counted) =
                layer::count_parameters(|| build(&published.config, &nothing.root()));
            assert_eq!(counted as u64, published.parameters);
            assert!(nothing.variables().is_empty());
            let side = 32 / teacher.multiple() * teacher.multiple();
            let x = Tensor::zeros(
                [1, teacher.channels(), side, side],
                (Kind::Float, Device::Cpu),
            );
            let (_, macs) = tch::no_grad(|| layer::count_macs(|| teacher.forward(&x)));
            let got = (
                layer::parameters(&vs) as u64,
                (macs / (side * side)) as u64,
                teacher.multiple() as u64,
            );
            if got
                != (
                    published.parameters,
                    published.macs_per_pixel,
                    published.multiple,
                )
            {
                wrong.push((published.name, got));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
