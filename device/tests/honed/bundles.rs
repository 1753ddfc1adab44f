//! Bundles that are signed, and by whom.

use hone_shared::bundle::{Bundle, SecretKey};

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// A bundle of one student, unsigned.
pub fn street(release: &str) -> Bundle {
    super::pack::bundle(release, &[("small", 1.0)])
}
