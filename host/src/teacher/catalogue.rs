//! The teachers that are worth naming: published configurations and where their weights are.

use serde::Serialize;

use super::TeacherConfig;
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
    /// Licence of code and weights.
    pub licence: &'static str,
    /// The publication.
    pub paper: &'static str,
}

/// Every configuration that `hone teacher list` shows.
pub fn all() -> Vec<Published> {
    vec![Published {
        name: "unet",
        config: TeacherConfig::UNet(UNetConfig::default()),
        parameters: 2_485_987,
        macs_per_pixel: 0,
        multiple: 8,
        weights: "train it: hone teacher train",
        licence: "MIT OR Apache-2.0",
        paper: "Ronneberger et al. 2015",
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::{build, layer};
    use tch::{Device, nn};

    #[test]
    fn the_figures_are_the_networks() {
        for published in all() {
            let vs = nn::VarStore::new(Device::Cpu);
            let teacher = build(&published.config, &vs.root()).unwrap();
            let name = published.name;
            assert_eq!(
                layer::parameters(&vs) as u64,
                published.parameters,
                "{name}"
            );
            assert_eq!(teacher.multiple() as u64, published.multiple, "{name}");
        }
    }
}
