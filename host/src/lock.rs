//! Locks of files and folders. The kernel takes them back at any end of their process.

use std::fs::{File, TryLockError};

/// Locks an open file or folder until the handle goes; `false` where another handle holds it. Some network file systems
/// lock nothing: there everything goes on without.
pub(crate) fn take(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}
