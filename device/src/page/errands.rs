//! Work that takes seconds: snapshots, and what the doctor looks at.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Does such work one piece after another, so that a thread is left for logins and all else that is quick.
#[derive(Debug, Clone)]
pub(super) struct Errands(Arc<Semaphore>);

impl Default for Errands {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Errands {
    /// Does `work` when all that was asked for before is done, or never if whoever asks is gone by then. `None` when it
    /// panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.0.clone().acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            // Once begun it goes on, whoever is gone.
            let _turn = turn;
            work()
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn quick_work_waits_for_none_that_takes_long() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(2).build();
        let (begun, beginning) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let (errands, wait) = (Errands::default(), Arc::new(std::sync::Mutex::new(wait)));
        runtime.unwrap().block_on(async {
            let errand = |name: &'static str| {
                let (errands, begun, wait) = (errands.clone(), begun.clone(), wait.clone());
                tokio::spawn(async move {
                    let work = move || {
                        begun.send(name).unwrap();
                        wait.lock().unwrap().recv().unwrap();
                    };
                    errands.run(work).await
                })
            };
            let (first, gone, last) = (errand("first"), errand("gone"), errand("last"));
            // The first has begun, and the others have asked for their turn.
            let begun_with = loop {
                tokio::task::yield_now().await;
                if let Ok(name) = beginning.try_recv() {
                    break name;
                }
            };
            assert_eq!(begun_with, "first");
            let quick = async { tokio::task::spawn_blocking(|| ()).await.unwrap() };
            let patience = Duration::from_secs(60);
            tokio::time::timeout(patience, quick).await.unwrap();
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
            for _ in 0..2 {
                go.send(()).unwrap();
            }
            assert_eq!(first.await.unwrap(), Some(()));
            assert_eq!(last.await.unwrap(), Some(()));
        });
        drop(begun);
        let order: Vec<_> = beginning.iter().collect();
        assert_eq!(order, ["last"]);
    }
}
