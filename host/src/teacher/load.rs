//! Filling a teacher with the weights of a file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use tch::{Device, Kind, Tensor, nn};

use crate::allocator::keep_freed_memory;
use crate::checkpoint::{self, Element, Entry};

use super::layer::{channels_last, count_parameters};
use super::{Taps, Teacher, TeacherConfig, build, finite};

/// How [`load_with`] loads.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where the weights go.
    pub device: Device,
    /// What the network computes in: `Float`, `BFloat16` or `Half`. Input and output stay f32.
    pub kind: Kind,
    /// Where in the file the weights are nested; found by itself when `None`.
    pub key: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            kind: Kind::Float,
            key: None,
        }
    }
}

/// A network has at most so many times the values of the file that it is filled from, and [`SPARE`] more. Beside a little
/// more than the file's the differences are worth a list; beside a thousand times as many the machine's memory goes first.
const TIMES: i64 = 8;
/// See [`TIMES`].
const SPARE: i64 = 1 << 24;

/// Builds the teacher of `config` and fills it from `weights`; its parameters need no gradient.
///
/// # Errors
/// When the file cannot be read, or its entries are not the network's: each missing, unexpected
/// or wrongly shaped one is listed.
pub fn load_with(
    config: &TeacherConfig,
    weights: &Path,
    options: &LoadOptions,
) -> anyhow::Result<Box<dyn Teacher>> {
    let file = checkpoint::read(weights, options.key.as_deref())?;
    from_entries(config, &file.entries, options)
        .with_context(|| format!("{} does not fit {}", weights.display(), config.name()))
}

/// Builds the teacher of `config` and fills it from a checkpoint's entries; its parameters need no
/// gradient and lie as inference is fastest.
///
/// # Errors
/// When an option is out of range, or entries are missing, unexpected or wrongly shaped: each is
/// listed.
pub fn from_entries(
    config: &TeacherConfig,
    entries: &[Entry],
    options: &LoadOptions,
) -> anyhow::Result<Box<dyn Teacher>> {
    let vs = nn::VarStore::new(options.device);
    let teacher = filled(config, entries, &vs)?;
    Ok(ready(teacher, vs, options.kind))
}

/// Builds the teacher of `config` in `vs` and fills it from a checkpoint's entries.
///
/// # Errors
/// As [`from_entries`].
pub fn filled(
    config: &TeacherConfig,
    entries: &[Entry],
    vs: &nn::VarStore,
) -> anyhow::Result<Box<dyn Teacher>> {
    // Before anything is allocated: a small file can claim to be of a huge network.
    let nothing = nn::VarStore::new(Device::Cpu);
    let (built, needed) = count_parameters(|| build(config, &nothing.root()));
    built?;
    let values = |entry: &Entry| entry.data.len() as i64 / entry.element.size() as i64;
    let held: i64 = entries.iter().map(values).sum();
    ensure!(
        needed <= TIMES.saturating_mul(held).saturating_add(SPARE),
        "{} of these options has {needed} values, and the file holds {held}",
        config.name()
    );
    let teacher = build(config, &vs.root())?;
    fill(teacher.as_ref(), vs, &tensors(entries)?)?;
    Ok(teacher)
}

/// A teacher with random weights, for measuring.
///
/// # Errors
/// When an option is out of range.
pub fn untrained(
    config: &TeacherConfig,
    options: &LoadOptions,
) -> anyhow::Result<Box<dyn Teacher>> {
    let vs = nn::VarStore::new(options.device);
    let teacher = build(config, &vs.root())?;
    Ok(ready(teacher, vs, options.kind))
}

/// Freezes the weights and lays them out as inference is fastest.
fn ready(teacher: Box<dyn Teacher>, mut vs: nn::VarStore, kind: Kind) -> Box<dyn Teacher> {
    keep_freed_memory();
    vs.freeze();
    match kind {
        Kind::Half => vs.half(),
        Kind::BFloat16 => vs.bfloat16(),
        _ => (),
    }
    for mut variable in vs.variables().into_values().filter(|v| v.dim() == 4) {
        let reordered = channels_last(&variable);
        variable.set_data(&reordered);
    }
    Box::new(Inference {
        inner: teacher,
        kind,
    })
}

/// The tensors of a weights file by name, on the CPU.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn read_weights(path: &Path, key: Option<&str>) -> anyhow::Result<Vec<(String, Tensor)>> {
    tensors(&checkpoint::read(path, key)?.entries)
}

/// A checkpoint's entries as tensors on the CPU.
///
/// # Errors
/// When the data of one do not fill its shape.
pub fn tensors(entries: &[Entry]) -> anyhow::Result<Vec<(String, Tensor)>> {
    let named = |entry: &Entry| Ok((entry.name.clone(), tensor(entry)?));
    entries.iter().map(named).collect()
}

/// A checkpoint's entry as a tensor on the CPU.
///
/// # Errors
/// When its data do not fill its shape.
pub fn tensor(entry: &Entry) -> anyhow::Result<Tensor> {
    let kind = match entry.element {
        Element::F32 => Kind::Float,
        Element::F64 => Kind::Double,
        Element::F16 => Kind::Half,
        Element::BF16 => Kind::BFloat16,
        Element::I64 => Kind::Int64,
        Element::I32 => Kind::Int,
        Element::U8 => Kind::Uint8,
        Element::Bool => Kind::Bool,
    };
    let shape = entry
        .shape
        .iter()
        .map(|&s| i64::try_from(s))
        .collect::<Result<Vec<_>, _>>()?;
    if entry.data.is_empty() {
        return Ok(Tensor::f_zeros(shape, (kind, Device::Cpu))?);
    }
    Ok(Tensor::f_from_data_size(&entry.data, &shape, kind)?)
}

/// Copies `entries` into the variables of `vs`, which `teacher` was built in.
///
/// # Errors
/// When entries are missing, unexpected, wrongly shaped or not all finite: all of them are listed.
pub fn fill(
    teacher: &dyn Teacher,
    vs: &nn::VarStore,
    entries: &[(String, Tensor)],
) -> anyhow::Result<()> {
    let variables: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
    let mut complaints = Vec::new();
    let mut found: HashMap<String, &Tensor> = HashMap::new();
    for (name, value) in entries {
        let Some(parameter) = teacher.parameter_of(name) else {
            continue;
        };
        match variables.get(parameter.as_ref()) {
            None => complaints.push(format!("unexpected: {name} {:?}", value.size())),
            Some(variable) if variable.size() != value.size() => complaints.push(format!(
                "wrong shape: {name} is {:?}, the network has {:?}",
                value.size(),
                variable.size()
            )),
            Some(_) if !finite(value) => {
                complaints.push(format!("damaged, not all finite: {name}"))
            }
            Some(_) => {
                found.insert(parameter.into_owned(), value);
            }
        }
    }
    let absent = |name: &&String| {
        !entries
            .iter()
            .any(|(n, _)| teacher.parameter_of(n).is_some_and(|p| p == name.as_str()))
    };
    let missing = variables
        .keys()
        .filter(|name| !found.contains_key(*name))
        .filter(absent);
    complaints.extend(missing.map(|name| format!("missing: {name} {:?}", variables[name].size())));
    if !complaints.is_empty() {
        bail!(
            "{} entries do not fit:\n  {}",
            complaints.len(),
            complaints.join("\n  ")
        );
    }
    tch::no_grad(|| {
        for (name, variable) in &variables {
            if let Some(value) = found.get(name) {
                variable.shallow_clone().f_copy_(value)?;
            }
        }
        Ok(())
    })
}

/// A loaded teacher: computes in its own kind and channels-last, f32 outside.
#[derive(Debug)]
struct Inference {
    inner: Box<dyn Teacher>,
    kind: Kind,
}

impl Teacher for Inference {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn channels(&self) -> i64 {
        self.inner.channels()
    }

    fn multiple(&self) -> i64 {
        self.inner.multiple()
    }

    fn padding(&self) -> super::Padding {
        self.inner.padding()
    }

    fn scale(&self) -> i64 {
        self.inner.scale()
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let x = channels_last(&x.to_kind(self.kind));
        let outputs = self.inner.stages(&x, taps).into_iter();
        outputs
            .map(|y| y.to_kind(Kind::Float).contiguous())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::infer::infer;
    use crate::teacher::unet::UNetConfig;

    fn small() -> TeacherConfig {
        TeacherConfig::UNet(UNetConfig {
            channels: 1,
            width: 4,
            depth: 1,
            scale: 1,
        })
    }

    #[test]
    fn saved_weights_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let vs = nn::VarStore::new(Device::Cpu);
        let teacher = build(&small(), &vs.root()).unwrap();
        let mut weight = vs.variables()["output.weight"].shallow_clone();
        let _ = tch::no_grad(|| weight.fill_(0.1));
        vs.save(&path).unwrap();
        let x = Tensor::rand([1, 1, 8, 8], (Kind::Float, Device::Cpu));
        let loaded = load_with(&small(), &path, &LoadOptions::default()).unwrap();
        let error = loaded.forward(&x) - teacher.forward(&x);
        assert!(error.abs().max().double_value(&[]) < 1e-6);
        assert!(!loaded.forward(&x).requires_grad());
        let options = LoadOptions {
            kind: Kind::BFloat16,
            ..LoadOptions::default()
        };
        let reduced = load_with(&small(), &path, &options).unwrap().forward(&x);
        assert_eq!(reduced.kind(), Kind::Float);
        let error = (reduced - teacher.forward(&x))
            .abs()
            .max()
            .double_value(&[]);
        assert!(error > 0.0 && error < 0.05, "{error}");
    }

    #[test]
    fn what_does_not_fit_is_listed() {
        let vs = nn::VarStore::new(Device::Cpu);
        let teacher = build(&small(), &vs.root()).unwrap();
        let mut entries: Vec<_> = vs.variables().into_iter().collect();
        entries.retain(|(name, _)| name != "latent.conv1.bias");
        entries.push(("tail.weight".to_owned(), Tensor::from_slice(&[1f32, 2.0])));
        for (name, value) in &mut entries {
            if name == "output.bias" {
                *value = Tensor::from_slice(&[1f32, 2.0, 3.0]);
            }
        }
        for (name, value) in &mut entries {
            if name == "output.weight" {
                *value = value.full_like(f64::NAN);
            }
        }
        let error = fill(teacher.as_ref(), &vs, &entries)
            .unwrap_err()
            .to_string();
        assert!(error.contains("4 entries"), "{error}");
        assert!(
            error.contains("damaged, not all finite: output.weight"),
            "{error}"
        );
        assert!(error.contains("missing: latent.conv1.bias [8]"), "{error}");
        assert!(error.contains("unexpected: tail.weight [2]"), "{error}");
        assert!(
            error.contains("wrong shape: output.bias is [3], the network has [1]"),
            "{error}"
        );
    }

    #[test]
    fn a_small_file_of_a_huge_network_is_refused_before_it_is_built() {
        let entry = |name: &str, shape: &[u64]| Entry {
            name: name.to_owned(),
            element: Element::F32,
            shape: shape.to_vec(),
            data: vec![0; 4 * shape.iter().product::<u64>() as usize],
        };
        let mut entries = vec![
            entry("patch_embed.proj.weight", &[128, 3, 1, 1]),
            entry("output.weight", &[3, 1, 1, 1]),
        ];
        let levels = [
            "encoder_level1",
            "encoder_level2",
            "encoder_level3",
            "latent",
        ];
        for (level, name) in levels.into_iter().enumerate() {
            let hidden = [512 << level, 1, 1, 1];
            entries.push(entry(&format!("{name}.0.ffn.project_in.weight"), &hidden));
            entries.push(entry(&format!("{name}.0.attn.temperature"), &[1, 1, 1]));
        }
        let config = infer(&entries).unwrap();
        let refused = from_entries(&config, &entries, &LoadOptions::default());
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with("restormer of these options"), "{error}");
    }
}
