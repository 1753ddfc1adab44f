//! Tensors as bytes: views of storages made contiguous.

use std::collections::HashMap;

use super::nest::bare;
use super::pickle::{StorageRef, TensorRef};
use super::{CheckpointError, Result};

/// The bytes of every storage by key.
pub type Storages<'a> = HashMap<String, &'a [u8]>;

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    F32,
    F64,
    F16,
    BF16,
    I64,
    I32,
    U8,
    Bool,
}

impl Element {
    /// Bytes of one.
    pub fn size(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::U8 | Self::Bool => 1,
        }
    }
}

/// A named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name, e.g. `encoder_level1.0.attn.qkv.weight`.
    pub name: String,
    /// Type of its elements.
    pub element: Element,
    /// Its sides; none for a scalar.
    pub shape: Vec<u64>,
    /// Its elements, little-endian, row-major.
    pub data: Vec<u8>,
}

/// How many bytes of tensors may still be made.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// Views may share storages, but a file cannot unfold to many times its size.
    pub fn for_file(length: usize) -> Self {
        Self((length as u64).saturating_mul(8).saturating_add(1 << 20))
    }
}

/// Copies the view `tensor` of `storage` out of `storages`.
pub fn gather(
    name: &str,
    tensor: &TensorRef,
    storage: &StorageRef,
    storages: &Storages<'_>,
    budget: &mut Budget,
) -> Result<Entry> {
    let size = storage.element.size();
    let too_large = || {
        CheckpointError::TooLarge(format!(
            "the tensor {name:.80} {:?} is larger than the file's data for it",
            tensor.shape
        ))
    };
    let data = storages.get(&*storage.key).copied();
    let data =
        data.ok_or_else(|| CheckpointError::damaged(format!("the data of {name:.80} is missing")))?;
    let held = data.len() as u64 / size;
    let limit = storage
        .start
        .checked_add(storage.count)
        .filter(|&l| l <= held)
        .ok_or_else(too_large)?;
    let count = elements(&tensor.shape).ok_or_else(too_large)?;
    let first = storage
        .start
        .checked_add(tensor.offset)
        .ok_or_else(too_large)?;
    let mut last = first;
    for (&side, &stride) in tensor.shape.iter().zip(&tensor.strides) {
        let reach = side.saturating_sub(1).checked_mul(stride);
        last = reach
            .and_then(|r| last.checked_add(r))
            .ok_or_else(too_large)?;
    }
    if count > storage.count || (count > 0 && last >= limit) {
        return Err(too_large());
    }
    let bytes = count * size;
    // A name may be shared by all entries of the pickle; here each gets its own.
    let cost = bytes + name.len() as u64;
    budget.0 = budget.0.checked_sub(cost).ok_or_else(too_large)?;
    let entry = |data| Entry {
        name: name.to_owned(),
        element: storage.element,
        shape: tensor.shape.clone(),
        data,
    };
    if is_contiguous(tensor) {
        let start = if count > 0 {
            (first * size) as usize
        } else {
            0
        };
        return Ok(entry(data[start..start + bytes as usize].to_vec()));
    }
    let mut copy = Vec::with_capacity(bytes as usize);
    let mut index = vec![0u64; tensor.shape.len()];
    for _ in 0..count {
        let at = index
            .iter()
            .zip(&tensor.strides)
            .map(|(i, s)| i * s)
            .sum::<u64>()
            + first;
        let at = (at * size) as usize;
        copy.extend_from_slice(&data[at..at + size as usize]);
        for (i, &side) in index.iter_mut().zip(&tensor.shape).rev() {
            *i += 1;
            if *i < side {
                break;
            }
            *i = 0;
        }
    }
    Ok(entry(copy))
}

/// The product of `sides`; `None` when that of the sides that are not 0 is beyond what torch can
/// count in bytes.
fn elements(sides: &[u64]) -> Option<u64> {
    let mut counted = sides.iter().filter(|&&side| side > 0);
    let product = counted.try_fold(1u64, |n, &side| n.checked_mul(side))?;
    let empty = sides.contains(&0);
    (product <= i64::MAX as u64 / 8).then_some(if empty { 0 } else { product })
}

fn is_contiguous(tensor: &TensorRef) -> bool {
    let mut expected = 1;
    tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .rev()
        .all(|(&side, &stride)| {
            let fits = side <= 1 || stride == expected;
            expected *= side;
            fits
        })
}

/// The tensors of a safetensors file, sorted by name, `module.` prefixes removed.
pub fn from_safetensors(bytes: &[u8]) -> Result<Vec<Entry>> {
    use safetensors::{Dtype, SafeTensors};
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| CheckpointError::damaged(format!("not a whole safetensors file ({e})")))?;
    let mut names = file.names();
    names.sort_unstable();
    let mut entries = Vec::with_capacity(names.len());
    for (&name, bare) in names.iter().zip(bare(names.clone())) {
        let view = file
            .tensor(name)
            .map_err(|e| CheckpointError::damaged(e.to_string()))?;
        let element = match view.dtype() {
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::BF16,
            Dtype::I64 => Element::I64,
            Dtype::I32 => Element::I32,
            Dtype::U8 => Element::U8,
            Dtype::BOOL => Element::Bool,
            other => {
                return Err(CheckpointError::Refused(format!(
                    "{name:.80} has elements of type {other:?}"
                )));
            }
        };
        let shape: Vec<u64> = view.shape().iter().map(|&side| side as u64).collect();
        elements(&shape).ok_or_else(|| {
            CheckpointError::TooLarge(format!("the tensor {name:.80} {shape:?} is too large"))
        })?;
        entries.push(Entry {
            name: bare.to_owned(),
            element,
            shape,
            data: view.data().to_vec(),
        });
    }
    Ok(entries)
}
