//! Cores that threads may run on, and keeping one to a core of its own.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores that the calling thread may use, by number.
pub(super) fn allowed() -> std::io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

/// Keeps the calling thread on one core.
pub(super) fn pin(core: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
