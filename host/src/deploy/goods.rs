//! What a deploy brings: the bundle, a program for the board, and the files around them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hone_shared::bundle::{Bundle, PublicKey, hex};
use hone_shared::config::{Config, DEFAULT};
use sha2::{Digest, Sha256};

use super::{elf, settings};

/// Where honed itself lies on a board.
pub const PROGRAM: &str = "/usr/local/bin/honed";
const CONFIG: &str = "/etc/honed.toml";
const SERVICE: &str = "/etc/systemd/system/honed.service";
const USER: &str = "/etc/sysusers.d/honed.conf";
const RULES: &str = "/etc/udev/rules.d/60-honed.rules";
/// Paths in the files below that lie elsewhere when the root is another folder.
const ROOTED: [&str; 3] = [PROGRAM, "/etc/honed", "/var/lib/honed"];

/// A file for a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardFile {
    /// Where it belongs, below the root.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
    /// Whether one that is there already is left as it is.
    pub only_if_missing: bool,
}

impl BoardFile {
    /// Hexadecimal SHA-256 of the content.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }
}

/// A honed to install.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file it came from.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The machine it was compiled for.
    pub machine: &'static str,
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// The file cannot be read or is no program for a board.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            machine: elf::machine(&bytes, path)?,
            path: path.to_owned(),
            bytes,
        })
    }

    /// Hexadecimal SHA-256 of the file.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// The file as the board's own honed, which starts the slots.
    pub fn file(&self) -> BoardFile {
        BoardFile {
            path: PROGRAM.to_owned(),
            bytes: self.bytes.clone(),
            executable: true,
            only_if_missing: false,
        }
    }
}

/// Everything that a deploy may bring.
#[derive(Debug, Clone)]
pub struct Goods {
    /// The bundle.
    pub bundle: Bundle,
    /// Its file.
    pub bundle_bytes: Vec<u8>,
    /// Programs, at most one for each machine.
    pub programs: Vec<Program>,
    /// The files around them.
    pub files: Vec<BoardFile>,
    /// The configuration that they bring in place of the board's, if they do.
    pub config: Option<Config>,
    /// Folder of the board to install below, empty for `/`.
    pub root: String,
}

impl Goods {
    /// Reads bundle, programs, keys and configuration. `root` is the folder of the board to install
    /// below, empty for `/`.
    ///
    /// # Errors
    /// One sentence with the file named.
    pub fn read(
        bundle: &Path,
        programs: &[PathBuf],
        keys: &[PathBuf],
        config: Option<&Path>,
        root: &str,
    ) -> Result<Self> {
        let bundle_bytes =
            std::fs::read(bundle).with_context(|| format!("cannot read {}", bundle.display()))?;
        let opened = hone_shared::bundle::read(bundle_bytes.as_slice())
            .with_context(|| format!("cannot use {}", bundle.display()))?;
        let programs: Vec<Program> = programs
            .iter()
            .map(|p| Program::read(p))
            .collect::<Result<_>>()?;
        for (at, program) in programs.iter().enumerate() {
            if let Some(first) = programs[..at].iter().find(|p| p.machine == program.machine) {
                bail!(
                    "{} and {} are both for {}: give one",
                    first.path.display(),
                    program.path.display(),
                    program.machine
                );
            }
        }
        let mut files = vec![
            text_file(
                SERVICE,
                &rooted(include_str!("../../../cross/honed.service"), root),
            ),
            text_file(USER, include_str!("../../../cross/honed.sysusers")),
            text_file(RULES, include_str!("../../../cross/honed.rules")),
        ];
        let mut brought = None;
        files.push(match config {
            Some(path) => {
                let text = read_text(path)?;
                let config = Config::parse(&text).with_context(|| path.display().to_string())?;
                settings::check(&config, root, Some(path), opened.manifest())?;
                brought = Some(config);
                text_file(CONFIG, &text)
            }
            None => BoardFile {
                only_if_missing: true,
                ..text_file(CONFIG, &rooted(&board_default(), root))
            },
        });
        for path in keys {
            let text = read_text(path)?;
            let key = PublicKey::parse(&text)
                .with_context(|| format!("cannot use {}", path.display()))?;
            // Named by its fingerprint: the same key twice is one file.
            let name = format!("/etc/honed/trusted-keys/{}.pub", key.fingerprint());
            files.push(text_file(&name, &key.to_text()));
        }
        Ok(Self {
            bundle: opened,
            bundle_bytes,
            programs,
            files,
            config: brought,
            root: root.to_owned(),
        })
    }

    /// Paths whose state on the board decides what is sent. The program there is hashed, which takes a
    /// board a while, only when there is one to compare it with.
    pub fn paths(&self) -> Vec<String> {
        let files = self.files.iter().map(|file| file.path.clone());
        let program = (!self.programs.is_empty()).then(|| PROGRAM.to_owned());
        files.chain(program).collect()
    }
}

/// The configuration for a board that has none: a service has no display, but a network to be watched on.
fn board_default() -> String {
    DEFAULT.replace("sinks = [\"display\"]", "sinks = [\"rtsp\"]")
}

fn rooted(text: &str, root: &str) -> String {
    let mut text = text.to_owned();
    for path in ROOTED {
        text = text.replace(path, &format!("{root}{path}"));
    }
    text
}

fn text_file(path: &str, text: &str) -> BoardFile {
    BoardFile {
        path: path.to_owned(),
        bytes: text.as_bytes().to_vec(),
        executable: false,
        only_if_missing: false,
    }
}

fn read_text(path: &Path) -> Result<String> {
    let length = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    ensure!(
        length <= 1 << 20,
        "{} is too long for a configuration or a key",
        path.display()
    );
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_default_is_a_configuration_without_display() {
        let config = Config::parse(&rooted(&board_default(), "/tmp/x")).unwrap();
        assert_eq!(config.output.sinks, ["rtsp"]);
        assert_eq!(config.slots.folder, "/tmp/x/var/lib/honed");
        assert_eq!(
            config.student.trusted_keys,
            ["/tmp/x/etc/honed/trusted-keys"]
        );
    }
}
