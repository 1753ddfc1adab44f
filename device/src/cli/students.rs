//! The students of a run: those that are asked for, or what stands in for a bundle that is broken: the
//! last one that sharpened here, and then none.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::bail;
use hone_shared::bundle::{self, Policy};
use hone_shared::config::Config;
use hone_shared::student::Precision;

use super::on_trial::OnTrial;
use super::serve::Job;
use crate::atomic;
use crate::camera::dials::Dials;
use crate::camera::sharpener::{Level, Sharpener};
use crate::camera::student::{self, Source, StudentError};
use crate::journal::Journal;
use crate::{systemd, trust};

/// Name of the copy beside the slots.
const LAST_GOOD: &str = "last-good.hone";

/// The students of `job`, whose source is the one that was loaded in the end. A service whose bundle is
/// broken goes on with the last good one, or without any, and says so.
///
/// # Errors
/// Not for a service: what is wrong with the bundle, or that its trial ended.
pub(super) fn load(
    job: &mut Job,
    trial: Option<&mut OnTrial>,
    dials: &Arc<Dials>,
) -> anyhow::Result<Sharpener> {
    let levels = match student::load(&job.student, &job.choice) {
        Ok(levels) => levels,
        Err(error) => {
            if let Some(reason) = trial.and_then(|trial| trial.give_up(&error.to_string())) {
                bail!("{reason}");
            }
            stand_in(job, error)?
        }
    };
    Ok(Sharpener::new(levels, dials.clone())?)
}

/// The configuration of a run on a camera that may go on without its student. Who names one by a flag at a terminal, or waits
/// for a film, wants that student or to hear what is wrong with it.
fn served(job: &Job) -> Option<&Config> {
    let (_, config) = job.config.as_ref()?;
    let named = &config.student;
    let bundle = match &job.student {
        Source::Bundle { path, .. } => *path == Path::new(&named.bundle),
        Source::Model(_) => false,
        _ => true,
    };
    let precision = job.choice.precision.map_or("", Precision::name);
    let level = job.choice.level.as_deref().unwrap_or_default();
    let as_named = bundle && level == named.level && precision == named.precision;
    let meant = as_named || systemd::is_service();
    (job.keep_trying && job.source.comes_back() && meant).then_some(config)
}

fn stand_in(job: &mut Job, error: StudentError) -> anyhow::Result<Vec<Level>> {
    let Some(config) = served(job) else {
        return Err(error.into());
    };
    if let Source::Bundle { policy, .. } = &job.student {
        let last_good = Source::Bundle {
            path: Path::new(&config.slots.folder).join(LAST_GOOD),
            policy: policy.clone(),
        };
        if let Ok(levels) = student::load(&last_good, &job.choice) {
            job.journal.say(format_args!(
                "warning: {error}; the last good one, {}, runs until honed starts again",
                last_good.title()
            ));
            job.student = last_good;
            return Ok(levels);
        }
    }
    job.journal.say(format_args!(
        "warning: {error}; frames pass as they come until honed starts again"
    ));
    Ok(Vec::new())
}

/// Keeps a bundle as the last good one, once it has sharpened enough frames.
#[derive(Debug)]
pub(super) struct Keeper {
    candidate: Option<Candidate>,
    writing: Option<JoinHandle<()>>,
    journal: Journal,
}

#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    policy: Policy,
    digest: [u8; 32],
    keep_as: PathBuf,
    frames: u64,
}

impl Keeper {
    /// What `job`'s bundle has to show; only a service's is kept.
    pub(super) fn new(job: &Job) -> Self {
        Self {
            candidate: Candidate::of(job),
            writing: None,
            journal: job.journal.clone(),
        }
    }

    /// Looks whether enough frames are `sharpened`. The copy is written on a thread of its own: a card
    /// takes longer than a frame.
    pub(super) fn look(&mut self, sharpened: u64) {
        let proven = self.candidate.take_if(|c| sharpened >= c.frames);
        let Some(candidate) = proven else { return };
        let journal = self.journal.clone();
        let write = move || {
            if let Err(error) = candidate.keep() {
                journal.say(format_args!(
                    "note: should this bundle break, none can stand in for it: {error}"
                ));
            }
        };
        match std::thread::Builder::new()
            .name("keeper".into())
            .spawn(write)
        {
            Ok(thread) => self.writing = Some(thread),
            Err(error) => self.journal.say(format_args!("note: no thread: {error}")),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(thread) = self.writing.take() {
            // It says itself what went wrong.
            let _ = thread.join();
        }
    }
}

impl Candidate {
    /// `None` where there is nothing to keep.
    fn of(job: &Job) -> Option<Self> {
        let config = served(job)?;
        let Source::Bundle { path, policy } = &job.student else {
            return None;
        };
        let keep_as = Path::new(&config.slots.folder).join(LAST_GOOD);
        let digest = |path: &Path| trust::open(path, policy).map(|bundle| *bundle.digest());
        let loaded = digest(path).ok()?;
        // A card is not written to for what it holds already.
        let known = digest(&keep_as).is_ok_and(|kept| kept == loaded);
        (!known).then(|| Self {
            path: path.clone(),
            policy: policy.clone(),
            digest: loaded,
            keep_as,
            frames: config.slots.trial_frames,
        })
    }

    /// Copies it beside the slots, unless the file is another by now.
    fn keep(&self) -> io::Result<()> {
        let bytes = std::fs::read(&self.path)?;
        let same = bundle::read(bytes.as_slice()).is_ok_and(|read| {
            *read.digest() == self.digest && bundle::verify(&read, &self.policy).is_ok()
        });
        if same {
            atomic::write_bytes(&self.keep_as, &bytes)?;
        }
        Ok(())
    }
}
