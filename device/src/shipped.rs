//! The bundle that comes with the program: what `honed run` shows when nothing else is named or installed.

use std::path::Path;

use hone_shared::bundle::{self, Bundle, BundleError, Policy, PublicKey};

/// The students for any camera, `models/mixed.hone`.
const BUNDLE: &[u8] = include_bytes!("../../models/mixed.hone");
/// The key that the project's bundles are signed with.
const KEY: &str = include_str!("../../models/release.pub");

/// What messages call it, in place of a path.
pub fn name() -> &'static Path {
    Path::new("the bundle that comes with honed")
}

/// The bundle, checked like any other; only the project's own signature counts.
///
/// # Errors
/// When the program was built with a bundle that is damaged or signed by another key.
pub fn bundle() -> Result<Bundle, BundleError> {
    let bundle = bundle::read(BUNDLE)?;
    let policy = Policy {
        trusted: vec![PublicKey::parse(KEY)?],
        allow_unsigned: false,
    };
    bundle::verify(&bundle, &policy)?;
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hone_shared::student::Precision;

    #[test]
    fn the_shipped_bundle_is_ours_and_whole() {
        let bundle = bundle().unwrap();
        for level in ["nano", "small", "medium", "large"] {
            for precision in [Precision::F32, Precision::Int8] {
                let model = bundle.manifest().model(level, precision);
                assert!(model.is_some(), "{level} {precision}");
            }
        }
    }
}
