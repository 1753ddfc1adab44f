//! The `[student]` table of a recipe.

use anyhow::{Result, bail, ensure};
use hone_shared::student::Colour;
use serde::{Deserialize, Serialize};
use tch::nn::Path;

use super::Student;
use super::chain::{ChainShape, ChainStudent};
use super::unet::GraphStudent;
use super::unit::ConvShape;

/// Largest number of convolutions or channels that a recipe may ask for.
const MAX_SIZE: usize = 1024;

/// Frames of a temporal student's training sequence: a first one, one after it, and one that comes
/// after two.
const UNROLLED: usize = 3;

/// Which student to build, and how large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum StudentConfig {
    /// Real-time chain of 3x3 convolutions behind SpaceToDepth.
    Plain(PlainConfig),
    /// Four convolutions with ReLU at full resolution: 3x3, C-16-32-16-C by default.
    Cnn4(Cnn4Config),
    /// Three 3x3 convolutions C-64-64-C... with 64 features, about 77 thousand parameters.
    Studentcnn(StudentCnnConfig),
    /// Five or six convolutions with batch normalisation and 64 features.
    Studentnet(StudentNetConfig),
    /// U-Net of depthwise separable convolutions.
    Dsunet(DsUnetConfig),
    /// Small NAFNet with grouped channel attention, about 3 million parameters.
    NafnetLite(NafnetLiteConfig),
}

/// Channels after each convolution but the last: one number, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "student.channels must be a number from 1 to 1024, or a list of them, one for each convolution but the last"
)]
pub enum Channels {
    /// The same everywhere.
    Uniform(usize),
    /// One number for each convolution but the last, as pruning leaves it.
    Each(Vec<usize>),
}

/// SpaceToDepth(`scale`), `convs` 3x3 convolutions of `channels`, DepthToSpace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainConfig {
    /// SpaceToDepth factor: 1, 2 or 4.
    pub scale: usize,
    /// Feature channels.
    pub channels: Channels,
    /// Number of convolutions, the first and the last included.
    pub convs: usize,
    /// Whether each convolution trains as several branches that fold into one.
    #[serde(default = "yes")]
    pub branches: bool,
    /// Whether it also sees what it gave for the frame before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub temporal: bool,
    /// Whether its output keeps to the range of [`hone_shared::limit`]: no halos at step edges.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
}

/// Four plain 3x3 convolutions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cnn4Config {
    /// Channels after the first three convolutions (two make it a three-convolution student).
    #[serde(default = "cnn4_channels")]
    pub channels: Vec<usize>,
}

/// C-64-64-64-C with 3x3 kernels: about 77 thousand parameters at C = 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentCnnConfig {
    /// Feature channels.
    #[serde(default = "sixty_four")]
    pub channels: usize,
}

/// Convolutions with batch normalisation, which folds away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentNetConfig {
    /// Number of convolutions.
    #[serde(default = "five")]
    pub convs: usize,
    /// Feature channels.
    #[serde(default = "sixty_four")]
    pub channels: usize,
}

/// Depthwise separable U-Net; under 5 MB by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DsUnetConfig {
    /// Channels at full resolution; doubled at each level.
    pub width: usize,
    /// Halvings, 1 to 5.
    pub depth: usize,
}

impl Default for DsUnetConfig {
    fn default() -> Self {
        Self {
            width: 32,
            depth: 4,
        }
    }
}

/// NAFNet's blocks in each level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NafnetLiteConfig {
    /// Channels at full resolution; doubled at each level.
    pub width: usize,
    /// Blocks in each encoder level, full resolution first.
    pub encoder: Vec<usize>,
    /// Blocks at the lowest resolution.
    pub middle: usize,
    /// Blocks in each decoder level, full resolution first.
    pub decoder: Vec<usize>,
    /// Groups of the channel attention's convolution.
    pub groups: usize,
}

impl Default for NafnetLiteConfig {
    fn default() -> Self {
        Self {
            width: 32,
            encoder: vec![2, 2, 4],
            middle: 4,
            decoder: vec![2, 2, 2],
            groups: 4,
        }
    }
}

fn yes() -> bool {
    true
}

fn five() -> usize {
    5
}

fn sixty_four() -> usize {
    64
}

fn cnn4_channels() -> Vec<usize> {
    vec![16, 32, 16]
}

impl StudentConfig {
    /// The name used in recipes.
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::Cnn4(_) => "cnn4",
            Self::Studentcnn(_) => "studentcnn",
            Self::Studentnet(_) => "studentnet",
            Self::Dsunet(_) => "dsunet",
            Self::NafnetLite(_) => "nafnet-lite",
        }
    }

    /// Frames that it sees at once: 2 when it is temporal.
    pub fn seen(&self) -> usize {
        match self {
            Self::Plain(plain) if plain.temporal => 2,
            _ => 1,
        }
    }

    /// Consecutive frames that it trains on at once: a temporal student's output goes back into it.
    pub fn unrolled(&self) -> usize {
        match self.seen() {
            1 => 1,
            _ => UNROLLED,
        }
    }

    /// Frames and crops must be multiples of this.
    pub fn multiple(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.scale,
            Self::Cnn4(_) | Self::Studentcnn(_) | Self::Studentnet(_) => 1,
            Self::Dsunet(net) => 1 << net.depth,
            Self::NafnetLite(net) => 1 << net.encoder.len(),
        }
    }

    /// Refuses sizes that cannot be built.
    ///
    /// # Errors
    /// A sentence that names the key and the allowed values.
    pub fn validate(&self) -> Result<()> {
        let size = |key: &str, value: usize| {
            ensure!(
                (1..=MAX_SIZE).contains(&value),
                "student.{key} is {value}; it must be 1 to {MAX_SIZE}"
            );
            Ok(())
        };
        match self {
            Self::Plain(plain) => {
                if ![1, 2, 4].contains(&plain.scale) {
                    bail!("student.scale is {}; it must be 1, 2 or 4", plain.scale);
                }
                size("convs", plain.convs)?;
                match &plain.channels {
                    Channels::Uniform(channels) => size("channels", *channels)?,
                    Channels::Each(list) => {
                        ensure!(
                            list.len() + 1 == plain.convs,
                            "student.channels lists {} numbers; {} convolutions need {}",
                            list.len(),
                            plain.convs,
                            plain.convs - 1
                        );
                        list.iter().try_for_each(|c| size("channels", *c))?;
                    }
                }
            }
            Self::Cnn4(cnn) => {
                ensure!(
                    (2..=3).contains(&cnn.channels.len()),
                    "student.channels lists {} numbers; cnn4 takes two or three",
                    cnn.channels.len()
                );
                cnn.channels.iter().try_for_each(|c| size("channels", *c))?;
            }
            Self::Studentcnn(cnn) => size("channels", cnn.channels)?,
            Self::Dsunet(net) => {
                size("width", net.width)?;
                let fits = (1..=5).contains(&net.depth);
                ensure!(fits, "student.depth is {}; it must be 1 to 5", net.depth);
            }
            Self::NafnetLite(net) => {
                size("width", net.width)?;
                size("middle", net.middle)?;
                let levels = net.encoder.len();
                let fits = (1..=5).contains(&levels) && net.decoder.len() == levels;
                ensure!(
                    fits,
                    "student.encoder and .decoder must list the same 1 to 5 levels"
                );
                let groups = net.groups;
                let fits = groups > 0 && net.width.is_multiple_of(groups);
                ensure!(
                    fits,
                    "student.groups is {groups}; it must divide the width {}",
                    net.width
                );
                net.encoder.iter().try_for_each(|n| size("encoder", *n))?;
                net.decoder.iter().try_for_each(|n| size("decoder", *n))?;
            }
            Self::Studentnet(net) => {
                size("channels", net.channels)?;
                ensure!(
                    (2..=64).contains(&net.convs),
                    "student.convs is {}; it must be 2 to 64",
                    net.convs
                );
            }
        }
        Ok(())
    }
}

impl PlainConfig {
    /// Output channels of each convolution but the last.
    pub fn widths(&self) -> Vec<usize> {
        match &self.channels {
            Channels::Uniform(c) => vec![*c; self.convs.saturating_sub(1)],
            Channels::Each(list) => list.clone(),
        }
    }
}

/// Builds a student's variables under `path`.
///
/// # Errors
/// When the configuration asks for sizes that cannot be built.
pub fn build(config: &StudentConfig, colour: Colour, path: &Path) -> Result<Box<dyn Student>> {
    config.validate()?;
    let chain = |scale: usize, widths: &[usize], branches: bool, norm: bool| -> Box<dyn Student> {
        let conv = |outputs: usize, norm: bool| ConvShape {
            outputs,
            branches,
            norm,
        };
        let mut convs: Vec<_> = widths.iter().map(|w| conv(*w, norm)).collect();
        convs.push(conv(colour.channels() * scale * scale, false));
        let shape = ChainShape {
            scale,
            temporal: config.seen() > 1,
            limited: matches!(config, StudentConfig::Plain(plain) if plain.limited),
            convs,
        };
        Box::new(ChainStudent::new(path, colour, &shape))
    };
    Ok(match config {
        StudentConfig::Plain(p) => chain(p.scale, &p.widths(), p.branches, false),
        StudentConfig::Cnn4(c) => chain(1, &c.channels, false, false),
        StudentConfig::Studentcnn(c) => chain(1, &[c.channels; 3], false, false),
        StudentConfig::Studentnet(c) => chain(1, &vec![c.channels; c.convs - 1], false, true),
        StudentConfig::Dsunet(c) => Box::new(GraphStudent::dsunet(c, colour, path)),
        StudentConfig::NafnetLite(c) => Box::new(GraphStudent::nafnet_lite(c, colour, path)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_without_blocks_is_named() {
        for (key, text) in [
            ("encoder", "encoder = [0, 2, 2]"),
            ("decoder", "decoder = [0, 2, 2]"),
        ] {
            let config = format!("architecture = 'nafnet-lite'\n{text}");
            let config: StudentConfig = toml::from_str(&config).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert_eq!(error, format!("student.{key} is 0; it must be 1 to 1024"));
        }
    }
}
