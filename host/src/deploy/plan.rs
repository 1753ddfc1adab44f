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
        if let Some(config) = facts.config.as_ref().filter(|_| goods.config.is_none()) {
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
            // Where one does not start, that of a slot may not either: install would let it go along.
            let broken = !facts.broken.is_empty();
            let mut plan = Self::of(goods, facts, Some(program).filter(|_| broken));
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
        // An update that is on trial is given up for this one, and its program goes with it.
        let program = program.filter(|p| !proven || runs.as_ref() != Some(&p.sha256()));
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

    /// How many bytes are sent.
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.bytes.len());
        let bundle = self.bundle.then_some(self.bundle_bytes);
        let program = self.program.map(|program| program.bytes.len());
        files.chain(bundle).chain(program).sum::<usize>() as u64
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
pub(super) mod tests;
