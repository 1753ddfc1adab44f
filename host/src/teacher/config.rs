//! Which teacher, with which options: a table of a recipe, or a JSON file.

use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::Teacher;
use super::mprnet::{MprNet, MprNetConfig};
use super::nafnet::{NafNet, NafNetConfig};
use super::restormer::{Restormer, RestormerConfig};
use super::swinir::{SwinIr, SwinIrConfig};
use super::unet::{UNet, UNetConfig};

/// An architecture and its options under the names of its publication.
///
/// ```
/// use hone_host::teacher::TeacherConfig;
/// let config: TeacherConfig = toml::from_str("architecture = 'unet'\nwidth = 16").unwrap();
/// assert_eq!(config.name(), "unet");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
pub enum TeacherConfig {
    /// A plain U-Net.
    UNet(UNetConfig),
    /// Restormer.
    Restormer(RestormerConfig),
    /// SwinIR.
    SwinIr(SwinIrConfig),
    /// MPRNet.
    MprNet(MprNetConfig),
    /// NAFNet, global or local.
    NafNet(NafNetConfig),
}

impl TeacherConfig {
    /// The value of `architecture`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UNet(_) => "unet",
            Self::Restormer(_) => "restormer",
            Self::SwinIr(_) => "swinir",
            Self::MprNet(_) => "mprnet",
            Self::NafNet(_) => "nafnet",
        }
    }
}

/// Builds a teacher with fresh weights in `vs`.
///
/// # Errors
/// When an option is out of range or two of them contradict each other.
pub fn build(config: &TeacherConfig, vs: &nn::Path) -> anyhow::Result<Box<dyn Teacher>> {
    Ok(match config {
        TeacherConfig::UNet(options) => Box::new(UNet::new(options, vs)?),
        TeacherConfig::Restormer(options) => Box::new(Restormer::new(options, vs)?),
        TeacherConfig::SwinIr(options) => Box::new(SwinIr::new(options, vs)?),
        TeacherConfig::MprNet(options) => Box::new(MprNet::new(options, vs)?),
        TeacherConfig::NafNet(options) => Box::new(NafNet::new(options, vs)?),
    })
}

/// A configuration file: the options, and where in the checkpoint the weights are nested.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// The architecture with its options.
    pub config: TeacherConfig,
    /// `checkpoint_key`: `params`, `state_dict`, ...; found by itself when absent.
    pub checkpoint_key: Option<String>,
}

/// Reads a `.json` or `.toml` file: [`TeacherConfig`]'s options and, if wanted, `checkpoint_key`,
/// `parameters` and `state_dict_entries` (the latter two describe the file and are not used).
///
/// # Errors
/// When the file cannot be read or an option is unknown or of the wrong type.
pub fn read_file(path: &Path) -> anyhow::Result<ConfigFile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the teacher's configuration {}", path.display()))?;
    let in_file = || format!("in the teacher's configuration {}", path.display());
    let mut table: serde_json::Map<String, serde_json::Value> =
        if path.extension().is_some_and(|e| e == "toml") {
            toml::from_str(&text).with_context(in_file)?
        } else {
            serde_json::from_str(&text).with_context(in_file)?
        };
    let checkpoint_key = match table.remove("checkpoint_key") {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(key)) => Some(key),
        Some(other) => bail!(
            "{}: checkpoint_key is {other}, not a string",
            path.display()
        ),
    };
    table.remove("parameters");
    table.remove("state_dict_entries");
    let config = serde_json::from_value(table.into()).with_context(in_file)?;
    Ok(ConfigFile {
        config,
        checkpoint_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        std::fs::write(&path, r#"{"architecture":"unet","widht":8}"#).unwrap();
        let error = format!("{:#}", read_file(&path).unwrap_err());
        assert!(
            error.contains("c.json") && error.contains("widht"),
            "{error}"
        );
        std::fs::write(&path, r#"{"architecture":"unet","width":8,"parameters":7}"#).unwrap();
        let expected = UNetConfig {
            width: 8,
            ..UNetConfig::default()
        };
        assert_eq!(
            read_file(&path).unwrap().config,
            TeacherConfig::UNet(expected)
        );
    }
}
