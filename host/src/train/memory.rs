//! What happens when the memory runs out, the GPU's or the processor's.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use anyhow::{Result, anyhow};

/// Runs `work`; gives `None` when there was no memory left for it. torch tells that by an exception
/// which tch turns into a panic inside a forward pass, into an error elsewhere.
///
/// # Errors
/// Any other error of `work`, and torch's other exceptions.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    // Gradients that a broken pass leaves behind are zeroed before the next one.
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if exhausted(&format!("{error:#}")) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(payload) => match text(payload.as_ref()) {
            Some(text) if exhausted(text) => Ok(None),
            Some(text) => Err(anyhow!("torch failed: {}", first_line(text))),
            None => panic::resume_unwind(payload),
        },
    }
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied())
}

fn exhausted(text: &str) -> bool {
    text.contains("out of memory") || text.contains("can't allocate memory")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhausted_memory_is_caught() {
        let panicking = || -> Result<u8> { panic!("CUDA out of memory. Tried to allocate 2 GiB") };
        assert_eq!(guard(panicking).unwrap(), None);
        let failing = || -> Result<u8> { Err(anyhow!("CUDA out of memory")) };
        assert_eq!(guard(failing).unwrap(), None);
        let on_cpu = || -> Result<u8> { panic!("DefaultCPUAllocator: can't allocate memory: you") };
        assert_eq!(guard(on_cpu).unwrap(), None);
        assert_eq!(guard(|| Ok(7)).unwrap(), Some(7));
        let other = || -> Result<u8> { panic!("shapes do not fit\nat frame 3") };
        let error = guard(other).unwrap_err().to_string();
        assert_eq!(error, "torch failed: shapes do not fit");
    }
}
