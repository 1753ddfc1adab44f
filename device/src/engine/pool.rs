//! A persistent pool of threads that share one job after another: spin briefly, then sleep.
//!
//! Frames come every few milliseconds; waking a sleeping thread costs a good part of that, spinning
//! for ever heats the board. So a worker spins for about as long as a wake-up takes and sleeps then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use super::affinity;

/// Turns of the spin loop before a worker sleeps.
const SPINS: u32 = 4000;

/// The job of a round; the pointee lives until every worker has said that it is done.
type Job = *const (dyn Fn(usize) + Sync);

struct Slot {
    job: Option<Job>,
    stop: bool,
}

// SAFETY: the pointer is only read by workers between the start of a round and their `done`, and
// `Pool::run` keeps the pointee, which is `Sync`, alive and borrowed for that long.
unsafe impl Send for Slot {}

struct Shared {
    slot: Mutex<Slot>,
    wake: Condvar,
    round: AtomicUsize,
    working: AtomicUsize,
    panicked: AtomicBool,
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job panicked in one of the threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

/// `threads - 1` workers and the calling thread.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts the workers; `threads` = 0 takes one thread for each core. With `pinned`, each worker
    /// keeps to one core; the calling thread, which is not the pool's, is left the first.
    ///
    /// # Errors
    /// The system's, when a thread cannot be started or not be kept to a core.
    pub fn new(threads: usize, pinned: bool) -> std::io::Result<Self> {
        let cores = if pinned {
            affinity::allowed()?
        } else {
            Vec::new()
        };
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot {
                job: None,
                stop: false,
            }),
            wake: Condvar::new(),
            round: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        let mut pool = Self {
            shared,
            workers: Vec::new(),
        };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let core = (!cores.is_empty()).then(|| cores[index % cores.len()]);
            let (started, ready) = mpsc::channel();
            let worker = std::thread::Builder::new()
                .name(format!("hone-engine-{index}"))
                .spawn(move || {
                    let pinned = core.map_or(Ok(()), affinity::pin);
                    let able = pinned.is_ok();
                    // The pool waits for it below.
                    let _ = started.send(pinned);
                    if able {
                        work(&shared, index);
                    }
                })?;
            pool.workers.push(worker);
            // A thread that is gone without a word panicked before it began.
            ready.recv().map_err(std::io::Error::other)??;
        }
        Ok(pool)
    }

    /// Threads that run a job, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(i)` once on every thread, i in `0..threads`, and waits for all of them.
    pub fn run(&mut self, job: &(dyn Fn(usize) + Sync)) -> Result<(), Panicked> {
        let shared = &*self.shared;
        // SAFETY: only the lifetime is changed; this function does not return before every worker
        // has finished with the job (`working` is 0), and `&mut self` keeps rounds apart.
        let erased = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(job) };
        shared.panicked.store(false, Ordering::Relaxed);
        {
            let mut slot = shared.slot();
            slot.job = Some(erased);
            shared.working.store(self.workers.len(), Ordering::Relaxed);
            shared.round.fetch_add(1, Ordering::Release);
        }
        if !self.workers.is_empty() {
            shared.wake.notify_all();
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        let mut turns = 0_u32;
        while shared.working.load(Ordering::Acquire) != 0 {
            turns += 1;
            if turns < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        shared.slot().job = None;
        if own.is_err() || shared.panicked.load(Ordering::Relaxed) {
            return Err(Panicked);
        }
        Ok(())
    }
}

fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        let mut turns = 0;
        while shared.round.load(Ordering::Acquire) == seen && turns < SPINS {
            std::hint::spin_loop();
            turns += 1;
        }
        let mut slot = shared.slot();
        while shared.round.load(Ordering::Acquire) == seen && !slot.stop {
            slot = shared
                .wake
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if slot.stop {
            return;
        }
        seen = shared.round.load(Ordering::Acquire);
        let job = slot.job;
        drop(slot);
        if let Some(job) = job {
            // SAFETY: `Pool::run` waits for this worker's `working` below before it lets go of the
            // job, which is `Sync`.
            let job = unsafe { &*job };
            if catch_unwind(AssertUnwindSafe(|| job(index))).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        shared.working.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.slot().stop = true;
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches what its jobs throw; there is nothing left to report here.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_takes_part_in_every_round() {
        let mut pool = Pool::new(3, false).unwrap();
        assert_eq!(pool.threads(), 3);
        for _ in 0..200 {
            let seen = AtomicUsize::new(0);
            pool.run(&|i| {
                seen.fetch_add(1 << (8 * i), Ordering::Relaxed);
            })
            .unwrap();
            assert_eq!(seen.into_inner(), 0x01_01_01);
        }
        // Longer than the spin: the workers have gone to sleep.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let seen = AtomicUsize::new(0);
        pool.run(&|_| {
            seen.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(seen.into_inner(), 3);
    }

    #[test]
    fn pinned_workers_keep_to_one_core_each() {
        let all = affinity::allowed().unwrap();
        let mut pool = Pool::new(3, true).unwrap();
        let seen = Mutex::new(vec![Vec::new(); 3]);
        pool.run(&|i| seen.lock().unwrap()[i] = affinity::allowed().unwrap())
            .unwrap();
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen[0], all, "the caller's thread is not the pool's");
        for (index, cores) in seen.iter().enumerate().skip(1) {
            assert_eq!(cores, &[all[index % all.len()]]);
        }
    }

    #[test]
    fn a_panic_is_reported_and_the_pool_goes_on() {
        let mut pool = Pool::new(2, false).unwrap();
        assert_eq!(
            pool.run(&|i| assert!(i != 1, "meant to fail")),
            Err(Panicked)
        );
        assert_eq!(pool.run(&|_| ()), Ok(()));
    }
}
