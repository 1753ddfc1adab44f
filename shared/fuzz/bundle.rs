//! Any bytes are read or refused, never more than that; what is read comes back byte for byte.
//! The first byte of an input chooses: 0 takes the rest as a file, 1 as the part of one that the
//! SHA-256 covers, 2 as a manifest without parts, so that mutations get past the digests.
#![no_main]

use hone_shared::bundle::{MAGIC, Policy, read, verify, write};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let file = match mode {
        1 => sealed(rest.to_vec()),
        2 => {
            let length = (rest.len() as u32).to_le_bytes();
            let version = 1_u32.to_le_bytes();
            sealed([&MAGIC[..], &version, &length, rest].concat())
        }
        _ => rest.to_vec(),
    };
    let Ok(bundle) = read(file.as_slice()) else {
        return;
    };
    for model in &bundle.manifest().models {
        assert!(!bundle.model_bytes(model).is_empty() || bundle.parts().any(|(p, _)| p.length == 0));
    }
    assert!(verify(&bundle, &Policy::default()).is_err(), "trusted without a key");
    let mut again = Vec::new();
    if write(&bundle, &mut again).is_err() || again != file {
        panic!("what was read is not what is written");
    }
});

/// An unsigned file of which `body` is all that is hashed.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&body);
    body.extend_from_slice(&digest);
    body.push(0);
    body
}
