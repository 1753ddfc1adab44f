//! Named tensors and a line of text in a safetensors file, written whole or not at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, View};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// A checkpoint in memory.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The file's metadata.
    pub metadata: HashMap<String, String>,
}

struct Bytes {
    kind: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.kind
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn to_bytes(name: &str, tensor: &Tensor) -> Result<Bytes> {
    let kind = match tensor.kind() {
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Int64 => Dtype::I64,
        other => bail!("checkpoints do not hold {other:?} tensors such as '{name}'"),
    };
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let mut data = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut data, tensor.numel())?;
    let shape = tensor.size().iter().map(|s| *s as usize).collect();
    Ok(Bytes { kind, shape, data })
}

impl Checkpoint {
    /// Takes every variable of `store`, its name behind `prefix`.
    pub fn add(&mut self, prefix: &str, store: &VarStore) {
        for (name, tensor) in store.variables() {
            self.tensors.insert(format!("{prefix}{name}"), tensor);
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// When a tensor is of a kind that files do not hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let views = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name.as_str(), to_bytes(name, tensor)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(safetensors::serialize(views, Some(self.metadata.clone()))?)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When the file cannot be written; an older one stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = self
            .to_bytes()
            .with_context(|| format!("cannot encode {}", path.display()))?;
        Ok(hone_device::atomic::write_bytes(path, &bytes)?)
    }

    /// Reads the file onto the CPU.
    ///
    /// # Errors
    /// When the file is missing, damaged, or holds numbers of an unknown format.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let damaged = || {
            format!(
                "{} is no safetensors file, or a damaged one",
                path.display()
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
        let file = SafeTensors::deserialize(&bytes).with_context(damaged)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let kind = match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::F16 => Kind::Half,
                Dtype::BF16 => Kind::BFloat16,
                Dtype::I64 => Kind::Int64,
                other => bail!("{}: '{name}' holds {other:?} numbers", path.display()),
            };
            let shape: Vec<i64> = view.shape().iter().map(|s| *s as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?;
            tensors.insert(name.to_owned(), tensor);
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { tensors, metadata })
    }

    /// Copies tensors behind `prefix` into every variable of `store`.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn fill(&self, prefix: &str, store: &VarStore) -> Result<()> {
        for (name, mut variable) in store.variables() {
            let saved = self.get(&format!("{prefix}{name}"))?;
            ensure!(
                saved.size() == variable.size(),
                "'{name}' has shape {:?} in the checkpoint, {:?} in the network",
                saved.size(),
                variable.size()
            );
            tch::no_grad(|| variable.copy_(saved));
        }
        Ok(())
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let found = self.tensors.get(name);
        found.with_context(|| format!("the checkpoint holds no '{name}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let mut checkpoint = Checkpoint::default();
        let weights = Tensor::rand([3, 5], tch::kind::FLOAT_CPU);
        checkpoint.tensors.insert("w".into(), weights.copy());
        checkpoint
            .metadata
            .insert("state".into(), "step = 7".into());
        checkpoint.write(&path).unwrap();
        let back = Checkpoint::read(&path).unwrap();
        assert_eq!(back.get("w").unwrap(), &weights);
        assert_eq!(back.metadata["state"], "step = 7");
        assert!(back.get("v").unwrap_err().to_string().contains("no 'v'"));

        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let error = format!("{:#}", Checkpoint::read(&path).unwrap_err());
        assert!(error.contains("damaged"), "{error}");
    }
}
