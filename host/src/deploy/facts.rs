//! What a board is and has, from one look through ssh.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hone_device::slots::State;
use hone_shared::config::Config;
use serde::Deserialize;

use super::ssh::{Answer, Ssh};

const PROBE: &str = include_str!("probe.sh");
/// Longest that a look may take: a small board hashes a program in some seconds.
const LOOK: Duration = Duration::from_secs(60);

/// How files of root can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The user is root.
    Self_,
    /// By sudo, without a password.
    Sudo,
    /// Not at all.
    No,
}

/// What a board's honed says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Newest format of bundles that it reads.
    pub bundle_format: u32,
    /// What is in the slots.
    pub slots: State,
}

/// A board.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// As `uname -m` says.
    pub machine: String,
    /// Bits of the system's own programs: 32 on a 64-bit kernel with 32-bit programs.
    pub bits: String,
    /// The C library with its version.
    pub libc: String,
    /// Name of the operating system.
    pub system: String,
    /// How files of root can be written.
    pub root: Root,
    /// Programs that a deploy needs and that are not there.
    pub missing: Vec<String>,
    /// What honed says, where there is one.
    pub status: Option<Status>,
    /// Why it says nothing, where there is one that does not start.
    pub broken: String,
    /// Its configuration, where there is one that can be read.
    pub config: Option<Config>,
    /// What systemctl says of the service.
    pub service: String,
    /// SHA-256 of the files asked for that are there.
    pub files: BTreeMap<String, String>,
}

impl Facts {
    /// Looks at a board.
    ///
    /// # Errors
    /// No connection, or an answer that is none.
    pub fn ask(ssh: &Ssh, board: &str, root: &str, files: &[String]) -> Result<(Self, Answer)> {
        let mut arguments = vec![root.to_owned()];
        arguments.extend_from_slice(files);
        let ssh = ssh.compressed().within(LOOK);
        let answer = ssh.run(board, PROBE, &arguments, |_| Ok(()))?;
        Ok((Self::parse(&answer.text)?, answer))
    }

    /// Version of the honed that runs, or would run, there.
    pub fn version(&self) -> Option<&str> {
        let status = self.status.as_ref()?;
        let own = status.slots.running().and_then(|r| r.program.as_ref());
        Some(own.map_or(&status.version, |program| &program.version))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut facts = Self {
            machine: String::new(),
            bits: String::new(),
            libc: String::new(),
            system: String::new(),
            root: Root::No,
            missing: Vec::new(),
            status: None,
            broken: String::new(),
            config: None,
            service: String::new(),
            files: BTreeMap::new(),
        };
        let mut complete = false;
        let mut config = String::new();
        for line in text.lines() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "machine" => value.clone_into(&mut facts.machine),
                "bits" => value.clone_into(&mut facts.bits),
                "libc" => value.clone_into(&mut facts.libc),
                "system" => value.clone_into(&mut facts.system),
                "root" => {
                    facts.root = match value {
                        "yes" => Root::Self_,
                        "sudo" => Root::Sudo,
                        _ => Root::No,
                    }
                }
                "missing" => facts.missing.push(value.to_owned()),
                "status" if !value.is_empty() => {
                    let status = serde_json::from_str(value);
                    facts.status = Some(status.context("its honed speaks another language")?);
                }
                "broken" => value.clone_into(&mut facts.broken),
                "config" => {
                    config.push_str(value);
                    config.push('\n');
                }
                "service" => value.clone_into(&mut facts.service),
                "file" => {
                    if let Some((sum, path)) = value.split_once(' ') {
                        facts.files.insert(path.to_owned(), sum.to_owned());
                    }
                }
                "end" => complete = true,
                // A login script may greet.
                _ => {}
            }
        }
        if !complete || facts.machine.is_empty() {
            bail!("its answer makes no sense: is it a Linux board with a shell?");
        }
        // One that is wrong is the board's honed's to refuse.
        facts.config = Config::parse_known(&config)
            .ok()
            .filter(|_| !config.is_empty())
            .map(|(config, _)| config);
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_half_a_one_is_not() {
        let state = serde_json::to_string(&State::default()).unwrap();
        let text = format!(
            "Welcome!\nmachine=aarch64\nbits=64\nlibc=glibc 2.36\nsystem=Debian GNU/Linux 12\nroot=sudo\n\
             missing=flock\nstatus={{\"version\":\"0.1.0\",\"architecture\":\"aarch64\",\"bundle_format\":1,\
             \"slots\":{state}}}\nconfig=[student]\nconfig=bundle = 'x=y'\nconfig=later = 1\nservice=active\nfile=abc /etc/x y\nend\n"
        );
        let facts = Facts::parse(&text).unwrap();
        assert_eq!(
            (facts.machine.as_str(), facts.root),
            ("aarch64", Root::Sudo)
        );
        assert_eq!(facts.missing, ["flock"]);
        assert_eq!(facts.version(), Some("0.1.0"));
        assert_eq!(facts.status.unwrap().slots, State::default());
        assert_eq!(facts.files["/etc/x y"], "abc");
        assert_eq!(facts.config.unwrap().student.bundle, "x=y");
        assert!(Facts::parse(text.strip_suffix("end\n").unwrap()).is_err());
        assert!(Facts::parse("").is_err());
    }
}
