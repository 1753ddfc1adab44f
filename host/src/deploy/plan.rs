//! What a deploy has to do on one board, or why it does nothing.

use anyhow::{Result, bail, ensure};
use hone_shared::bundle::{FORMAT_VERSION, Release, hex};

use super::facts::{Facts, Root};
use super::goods::{BoardFile, Goods, PROGRAM, Program};
use super::settings;

/// What one board gets.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Files to write, honed itself among them at the first time.
    pub files: Vec<BoardFile>,
    /// Whether the bundle goes into the slot that is not in use.
    pub bundle: bool,
    /// Program that goes into that slot too.
    pub program: Option<&'a Program>,
    /// Size of the bundle in bytes.
    bundle_bytes: usize,
}

impl<'a> Plan<'a> {
    /// Compares what a board has with what it is to have.
    ///
    /// # Errors
    /// One sentence that says why nothing must be done, and what to do.
    pub fn make(facts: &Facts, goods: &'a Goods, force: bool) -> Result<Self> {
        fitting(facts)?;
        if let Some(config) = facts.config.as_ref().filter(|_| !goods.configure()) {
            settings::check(config, &goods.root, None, goods.bundle.manifest())?;
        }
        let program = goods.programs.iter().find(|p| p.machine == facts.machine);
        if let (None, Some(other)) = (program, goods.programs.first()) {
            bail!(
                "the board is {}, {} is for {}",
                facts.machine,
                other.path.display(),
                other.machine
            );
        }
        let Some(status) = &facts.status else {
            let Some(program) = program else {
                let lack = match facts.broken.as_str() {
                    "" => "the board has no honed yet".to_owned(),
                    broken => format!("the board's honed does not start ({broken})"),
                };
                bail!(
                    "{lack}: build one for {} (cross/build.sh) and give it with --program",
                    facts.machine
                );
            };
            let mut plan = Self::of(goods, facts, None);
            plan.files.push(program.file());
            plan.bundle = true;
            return Ok(plan);
        };
        let running = status.slots.running();
        let own = || facts.files.get(PROGRAM).cloned();
        let runs = running
            .and_then(|r| r.program.as_ref())
            .map(|p| p.sha256.clone());
        let runs = runs.or_else(own);
        let proven = status.slots.trial.is_none();
        let mut slots = status.slots.active.into_iter();
        let other = slots.find_map(|slot| status.slots.installed(slot.other()));
        let way_back = other.is_some_and(|o| !o.failed && o.program.is_none());
        // The program that starts the slots follows once it has proved itself in one of them, unless the other slot still
        // runs by the one that is there.
        let starter = program
            .filter(|p| proven && !way_back && runs.as_ref() == Some(&p.sha256()) && own() != runs)
            .map(Program::file);
        let program = program.filter(|p| runs.as_ref() != Some(&p.sha256()));
        ensure!(
            program.is_some() || status.bundle_format >= FORMAT_VERSION,
            "the board's honed {} reads bundles up to format {}, this one has {FORMAT_VERSION}: give a newer honed with --program",
            status.version,
            status.bundle_format
        );
        let manifest = goods.bundle.manifest();
        let same = running.is_some_and(|r| {
            r.sha256 == hex(goods.bundle.digest())
                && r.signed_by == goods.bundle.signature().map(|s| s.key.fingerprint())
        });
        let older = running
            .filter(|r| r.bundle == manifest.name && !force)
            .and_then(|r| r.release.parse::<Release>().ok())
            .filter(|release| manifest.release < *release);
        if let Some(release) = older {
            bail!(
                "{} {} is older than {release}, which runs there: say --force to go back, or hone rollback",
                manifest.name,
                manifest.release
            );
        }
        let mut plan = Self::of(goods, facts, program);
        plan.files.extend(starter);
        plan.bundle = !same || program.is_some() || !proven;
        Ok(plan)
    }

    fn of(goods: &'a Goods, facts: &Facts, program: Option<&'a Program>) -> Self {
        let differs = |file: &&BoardFile| match facts.files.get(&file.path) {
            Some(sum) => !file.only_if_missing && *sum != file.sha256(),
            None => true,
        };
        Self {
            files: goods.files.iter().filter(differs).cloned().collect(),
            bundle: false,
            program,
            bundle_bytes: goods.bundle_bytes.len(),
        }
    }

    /// Whether the board has everything already.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.bundle
    }

    /// One line for each thing that is sent.
    pub fn lines(&self) -> Vec<String> {
        let line = |what: &str, bytes: usize| format!("{what} ({bytes} bytes)");
        let mut lines: Vec<String> = self
            .files
            .iter()
            .map(|file| line(&file.path, file.bytes.len()))
            .collect();
        if self.bundle {
            lines.push(line("bundle into the free slot", self.bundle_bytes));
        }
        if let Some(program) = self.program {
            lines.push(line("honed into the free slot", program.bytes.len()));
        }
        if lines.is_empty() {
            lines.push("nothing: the board has it all".into());
        }
        lines
    }
}

/// Whether honed can run on such a board, and be put there.
fn fitting(facts: &Facts) -> Result<()> {
    ensure!(
        matches!(facts.machine.as_str(), "aarch64" | "x86_64"),
        "the board is {}: honed needs a 64-bit ARM or x86 system",
        facts.machine
    );
    ensure!(
        facts.bits != "32",
        "its kernel is 64-bit but its system is 32-bit: install the 64-bit Raspberry Pi OS"
    );
    ensure!(
        facts.missing.is_empty(),
        "the board lacks {}",
        facts.missing.join(", ")
    );
    ensure!(
        facts.root != Root::No,
        "sudo asks for a password there: connect as root, or allow the user sudo without password"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::deploy::facts::Status;
    use hone_device::slots::{Installed, Slot, State, Trial};
    use hone_shared::bundle::{
        Bundle, Manifest, ModelEntry, Part, PartKind, Provenance, SecretKey,
    };
    use hone_shared::config::Config;
    use hone_shared::student::{Colour, Precision};

    fn goods(release: &str, program: Option<&'static str>) -> Goods {
        let model = ModelEntry {
            name: "small".into(),
            precision: Precision::Int8,
            colour: Colour::Luma,
            scale: 2,
            halo: Some(8),
            macs_per_pixel: 1.0,
            part: 0,
            metrics: Vec::new(),
        };
        let manifest = Manifest {
            name: "street".into(),
            release: release.parse().unwrap(),
            models: vec![model],
            parts: Vec::new(),
            provenance: Provenance::default(),
        };
        let part = Part {
            name: "small.onnx".into(),
            kind: PartKind::Model,
            bytes: release.as_bytes().to_vec(),
        };
        let bundle = Bundle::new(manifest, vec![part]).unwrap();
        Goods {
            bundle: bundle.signed(&SecretKey::from_seed([1; 32])),
            bundle_bytes: vec![0; 100],
            programs: program
                .map(|text| Program {
                    path: "honed".into(),
                    bytes: text.as_bytes().to_vec(),
                    machine: "aarch64",
                })
                .into_iter()
                .collect(),
            files: vec![BoardFile {
                path: "/etc/x".into(),
                bytes: b"x".to_vec(),
                executable: false,
                only_if_missing: false,
            }],
            root: String::new(),
        }
    }

    /// A board that runs what these goods bring.
    fn board(goods: &Goods) -> Facts {
        let manifest = goods.bundle.manifest();
        let mut slots = State::default();
        slots.active = Some(Slot::A);
        slots.a = Some(Installed {
            bundle: manifest.name.clone(),
            release: manifest.release.to_string(),
            sha256: hex(goods.bundle.digest()),
            signed_by: goods.bundle.signature().map(|s| s.key.fingerprint()),
            program: None,
            failed: false,
        });
        let mut files: BTreeMap<String, String> = goods
            .files
            .iter()
            .map(|file| (file.path.clone(), file.sha256()))
            .collect();
        if let Some(program) = goods.programs.first() {
            files.insert(PROGRAM.into(), program.sha256());
        }
        Facts {
            machine: "aarch64".into(),
            bits: "64".into(),
            libc: "glibc 2.36".into(),
            system: "Debian".into(),
            root: Root::Sudo,
            missing: Vec::new(),
            broken: String::new(),
            status: Some(Status {
                version: "0.1.0".into(),
                bundle_format: FORMAT_VERSION,
                slots,
            }),
            config: None,
            service: "active".into(),
            files,
        }
    }

    #[test]
    fn only_what_differs_is_sent() {
        let old = goods("1.0.0", Some("old"));
        let facts = board(&old);
        assert!(Plan::make(&facts, &old, false).unwrap().is_empty());
        let new = goods("1.1.0", Some("old"));
        let plan = Plan::make(&facts, &new, false).unwrap();
        assert_eq!(plan.lines(), ["bundle into the free slot (100 bytes)"]);
        let mut new = goods("1.0.0", Some("new"));
        new.files[0].bytes.push(b'y');
        let plan = Plan::make(&facts, &new, false).unwrap();
        let want = [
            "/etc/x (2 bytes)",
            "bundle into the free slot (100 bytes)",
            "honed into the free slot (3 bytes)",
        ];
        assert_eq!(plan.lines(), want);
        new.files[0].only_if_missing = true;
        assert_eq!(Plan::make(&facts, &new, false).unwrap().files.len(), 0);
    }

    #[test]
    fn a_proven_program_becomes_the_boards_own() {
        let mut facts = board(&goods("1.0.0", Some("old")));
        let new = goods("1.0.0", Some("new"));
        let slots = &mut facts.status.as_mut().unwrap().slots;
        slots.a.as_mut().unwrap().program = Some(hone_device::slots::Program {
            version: "0.2.0".into(),
            sha256: new.programs[0].sha256(),
        });
        let plan = Plan::make(&facts, &new, false).unwrap();
        assert_eq!(plan.lines(), ["/usr/local/bin/honed (3 bytes)"]);
        // The slot to go back to has none of its own: it needs the board's.
        let slots = &mut facts.status.as_mut().unwrap().slots;
        slots.b = slots.a.clone().map(|a| Installed { program: None, ..a });
        assert!(Plan::make(&facts, &new, false).unwrap().is_empty());
        facts.status.as_mut().unwrap().slots.trial = Some(Trial::default());
        assert!(Plan::make(&facts, &new, false).unwrap().files.is_empty());
    }

    #[test]
    fn what_must_not_be_done_is_refused_before_anything_is_sent() {
        let goods = goods("1.0.0", None);
        let refused = |change: &dyn Fn(&mut Facts), words: &str| {
            let mut facts = board(&goods);
            change(&mut facts);
            let error = Plan::make(&facts, &goods, false).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(&|f| f.machine = "armv7l".into(), "64-bit ARM or x86");
        refused(&|f| f.bits = "32".into(), "64-bit Raspberry Pi OS");
        refused(&|f| f.missing = vec!["flock".into()], "lacks flock");
        refused(&|f| f.root = Root::No, "sudo asks for a password");
        refused(&|f| f.status = None, "no honed yet");
        refused(
            &|f| {
                f.status = None;
                f.broken = "libgstapp-1.0.so.0 is missing".into();
            },
            "does not start (libgstapp-1.0.so.0 is missing)",
        );
        refused(
            &|f| f.config = Some(Config::parse("student.bundle = '/b.hone'").unwrap()),
            "names a bundle of its own, /b.hone: empty student.bundle or deploy with --config",
        );
        refused(
            &|f| f.status.as_mut().unwrap().bundle_format = 0,
            "--program",
        );
        refused(
            &|f| {
                let slots = &mut f.status.as_mut().unwrap().slots;
                slots.a.as_mut().unwrap().release = "1.0.1".into();
            },
            "older than 1.0.1",
        );
        let x86 = self::goods("1.0.0", Some("new"));
        let mut facts = board(&x86);
        facts.machine = "x86_64".into();
        let error = Plan::make(&facts, &x86, false).unwrap_err().to_string();
        assert!(
            error.contains("the board is x86_64, honed is for aarch64"),
            "{error}"
        );
    }
}
