//! Starting a training from the best weights of an earlier one, instead of random ones.

use std::path::Path;

use anyhow::{Context, Result};
use tch::nn::VarStore;

use super::checkpoint::Checkpoint;
use crate::data::index;

/// Fills `network` with the best weights of the run in `from`, if any; gives their SHA-256.
///
/// # Errors
/// When the run has no weights, or those of a network of another shape.
pub(super) fn fill(network: &VarStore, from: Option<&Path>) -> Result<Option<String>> {
    let Some(from) = from else {
        return Ok(None);
    };
    let weights = from.join("best.safetensors");
    let checkpoint = Checkpoint::read(&weights)
        .with_context(|| format!("--from {}: no weights to start from", from.display()))?;
    checkpoint
        .fill("", network)
        .with_context(|| format!("--from {}: its network is not the recipe's", from.display()))?;
    Ok(Some(index::sha256(&weights)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::student::{StudentConfig, build};
    use hone_shared::student::Colour;
    use tch::Device;

    #[test]
    fn weights_are_taken_over_and_another_shape_is_refused() {
        tch::manual_seed(1);
        let network = |channels: usize| {
            let config =
                format!("architecture = 'plain'\nscale = 2\nchannels = {channels}\nconvs = 3");
            let config: StudentConfig = toml::from_str(&config).unwrap();
            let store = VarStore::new(Device::Cpu);
            build(&config, Colour::Luma, &store.root()).unwrap();
            store
        };
        let (old, new) = (network(8), network(8));
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::default();
        checkpoint.add("", &old);
        checkpoint
            .write(&folder.path().join("best.safetensors"))
            .unwrap();
        assert_eq!(fill(&new, None).unwrap(), None);
        let sha256 = fill(&new, Some(folder.path())).unwrap().unwrap();
        assert_eq!(sha256.len(), 64);
        let variables = new.variables();
        assert!(old.variables().iter().all(|(k, v)| variables[k] == *v));

        let error = fill(&network(4), Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("is not the recipe's"), "{error}");
        let error = fill(&new, Some(&folder.path().join("none"))).unwrap_err();
        assert!(error.to_string().contains("no weights"), "{error}");
    }
}
