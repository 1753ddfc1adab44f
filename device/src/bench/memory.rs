//! How much the process's resident memory grows, by Linux's own account.

/// A point in time from which growth counts.
pub(super) struct Growth {
    resident: Option<usize>,
}

impl Growth {
    /// From now on. Forgets the process's earlier peak where the system allows it; where it does
    /// not, growth may be overstated.
    pub fn start() -> Self {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self {
            resident: status("VmRSS:"),
        }
    }

    /// Bytes by which the peak since then exceeds what was resident; `None` without `/proc`.
    pub fn bytes(&self) -> Option<usize> {
        Some(status("VmHWM:")?.saturating_sub(self.resident?))
    }
}

/// A line of `/proc/self/status`, in bytes.
pub(crate) fn status(key: &str) -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kilobytes: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen() {
        let growth = Growth::start();
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        drop(block);
        let bytes = growth.bytes();
        assert!(bytes.is_some_and(|bytes| bytes > 16 << 20), "{bytes:?}");
    }
}
