//! The machine that a program was compiled for, from the first bytes of its ELF file.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// The machine as `uname -m` names it.
///
/// # Errors
/// The bytes are no 64-bit program for Linux on ARM or x86.
pub fn machine(program: &[u8], path: &Path) -> Result<&'static str> {
    let header = program
        .get(..20)
        .filter(|header| header.starts_with(b"\x7fELF"))
        .with_context(|| format!("{} is no program for Linux", path.display()))?;
    // Byte 4 is 2 in 64-bit files; bytes 18 and 19 are the machine.
    match (header[4], u16::from_le_bytes([header[18], header[19]])) {
        (2, 183) => Ok("aarch64"),
        (2, 62) => Ok("x86_64"),
        (1, _) => bail!(
            "{} is a 32-bit program: honed is made for 64-bit systems only",
            path.display()
        ),
        _ => bail!(
            "{} is for a machine that honed does not know",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart() {
        let path = Path::new("honed");
        let elf = |class: u8, machine: u8| {
            let mut bytes = vec![0; 64];
            bytes[..5].copy_from_slice(&[0x7f, b'E', b'L', b'F', class]);
            bytes[18] = machine;
            bytes
        };
        assert_eq!(machine(&elf(2, 183), path).unwrap(), "aarch64");
        assert_eq!(machine(&elf(2, 62), path).unwrap(), "x86_64");
        assert!(
            machine(&elf(1, 40), path)
                .unwrap_err()
                .to_string()
                .contains("32-bit")
        );
        assert!(machine(b"#!/bin/sh", path).is_err());
        assert!(machine(b"\x7fELF", path).is_err());
    }
}
