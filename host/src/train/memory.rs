//! What happens when the memory runs out, the GPU's or the processor's.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use anyhow::{Context, Result, anyhow, ensure};
use hone_shared::print::tell;
use tch::Tensor;
use tch::kind::FLOAT_CPU;

thread_local! {
    /// How many [`guard`]s this thread is in.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// What to do where it is the size of a training.
pub(super) const ADVICE: &str = "free some of it, or compute on another --device; a run of its own may have \
                                 training.precision = \"bf16\", lower crops of the stages or a lower data.validation_crop";

/// Runs `work`; gives `None` when there was no memory left for it. torch tells that by an exception
/// which tch turns into a panic inside a forward pass, into an error elsewhere.
///
/// # Errors
/// Any other error of `work`, and torch's other exceptions.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(quieter(panic::take_hook())));
    let tracking = tracks_gradients();
    GUARDS.set(GUARDS.get() + 1);
    // Gradients that a broken pass leaves behind are zeroed before the next one.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDS.set(GUARDS.get() - 1);
    if done.is_err() && tracking {
        // A panic leaves `tch::no_grad` without turning them on again; such a guard does as it goes.
        drop(tch::with_grad(tch::no_grad_guard));
    }
    match done {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if exhausted(&format!("{error:#}")) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(payload) => match text(payload.as_ref()) {
            Some(text) if exhausted(text) => Ok(None),
            Some(text) => Err(anyhow!("torch failed: {}", first_line(text))),
            None => panic::resume_unwind(payload),
        },
    }
}

/// Runs `work`, which there is no smaller way to do.
///
/// # Errors
/// As [`guard`], and when there was no memory left for `what`; `advice` says what to do.
pub(crate) fn demand<T>(what: &str, advice: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    guard(work)?.with_context(|| format!("the memory does not hold {what}: {advice}"))
}

/// Into how many pieces `batch` patches are cut after the memory ran out for `pieces`.
///
/// # Errors
/// When each had one patch only.
pub(super) fn halve(batch: usize, pieces: usize) -> Result<usize> {
    let length = batch.div_ceil(pieces);
    ensure!(
        length > 1,
        "the memory does not hold a single patch of this training: free some of it; a run of its own may have a lower crop of \
         the stage, training.precision = \"bf16\", or a cached teacher (hone teacher cache)"
    );
    let pieces = (2 * pieces).min(batch);
    let shorter = batch.div_ceil(pieces);
    tell(format_args!(
        "note: the memory does not hold {length} patches: going on with pieces of {shorter}, the gradients of {} of them \
         make one update",
        batch.div_ceil(shorter)
    ));
    Ok(pieces)
}

/// Whether torch tracks gradients on this thread, which only a tensor tells.
fn tracks_gradients() -> bool {
    let x = Tensor::zeros([1], FLOAT_CPU).set_requires_grad(true);
    (x + 1.0).requires_grad()
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// `report`, but for what a [`guard`] survives: a backtrace looks like the end of what goes on.
fn quieter(report: Hook) -> Hook {
    Box::new(move |info| {
        let guarded = GUARDS.try_with(Cell::get).is_ok_and(|guards| guards > 0);
        if !guarded || !text(info.payload()).is_some_and(exhausted) {
            report(info);
        }
    })
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied())
}

fn exhausted(text: &str) -> bool {
    // torch's own on either side, those of its libraries, and the C++ standard library's.
    [
        "out of memory",
        "can't allocate memory",
        "ALLOC_FAILED",
        "ALLOCATION_FAILED",
        "std::bad_alloc",
    ]
    .iter()
    .any(|words| text.contains(words))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhausted_memory_is_caught() {
        let panicking = || -> Result<u8> { panic!("CUDA out of memory. Tried to allocate 2 GiB") };
        assert_eq!(guard(panicking).unwrap(), None);
        let failing = || -> Result<u8> { Err(anyhow!("CUDA out of memory")) };
        assert_eq!(guard(failing).unwrap(), None);
        let on_cpu = || -> Result<u8> { panic!("DefaultCPUAllocator: can't allocate memory: you") };
        assert_eq!(guard(on_cpu).unwrap(), None);
        let library =
            || -> Result<u8> { panic!("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`") };
        assert_eq!(guard(library).unwrap(), None);
        assert_eq!(guard(|| Ok(7)).unwrap(), Some(7));
        let other = || -> Result<u8> { panic!("shapes do not fit\nat frame 3") };
        let error = guard(other).unwrap_err().to_string();
        assert_eq!(error, "torch failed: shapes do not fit");
    }

    #[test]
    fn gradients_are_tracked_as_before() {
        let failing = || -> Result<u8> { tch::no_grad(|| panic!("CUDA out of memory")) };
        assert_eq!(guard(failing).unwrap(), None);
        assert!(tracks_gradients());
        tch::no_grad(|| {
            assert_eq!(guard(failing).unwrap(), None);
            assert!(!tracks_gradients());
        });
        assert!(tracks_gradients());
    }

    #[test]
    fn what_is_survived_makes_no_noise() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};

        // Installs the hook, so that it does not wrap the one below.
        guard(|| Ok(())).unwrap();
        let before = panic::take_hook();
        let heard = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&heard);
        panic::set_hook(quieter(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })));
        let exhausted = || -> Result<u8> { panic!("CUDA out of memory") };
        let survived = guard(|| guard(exhausted)).unwrap();
        let quiet = heard.load(Ordering::Relaxed);
        let other = guard(|| -> Result<u8> { panic!("shapes do not fit") });
        let unguarded = panic::catch_unwind(exhausted);
        panic::set_hook(before);
        assert_eq!((survived, quiet), (Some(None), 0));
        assert!(other.is_err() && unguarded.is_err());
        assert_eq!(heard.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_the_memory_does_not_hold_is_named() {
        let failing = || -> Result<u8> { panic!("CUDA out of memory") };
        let error = demand("the pictures", "take smaller ones", failing).unwrap_err();
        let sentence = "the memory does not hold the pictures: take smaller ones";
        assert_eq!(error.to_string(), sentence);
        // Told already.
        let again = demand("all of it", "wait", || Err::<u8, _>(error)).unwrap_err();
        assert_eq!(again.to_string(), sentence);
    }
}
