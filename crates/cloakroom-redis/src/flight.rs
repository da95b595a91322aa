//! Work that many want and one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// One piece of work at a time, in a task of its own: whoever asks meanwhile waits for that one, and it
/// goes on if they stop waiting.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    under_way: Arc<AtomicBool>,
    /// How many have landed.
    landed: watch::Sender<u64>,
}

impl Flight {
    pub(crate) fn new() -> Self {
        Self { under_way: Arc::default(), landed: watch::Sender::new(0) }
    }

    /// Begins, unless it is under way.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        if !self.under_way.swap(true, Ordering::SeqCst) {
            let landing = Landing(self.clone());
            tokio::spawn(async move {
                let _landing = landing;
                work.await;
            });
        }
    }

    /// Begins, unless it is under way, and waits for its end.
    pub(crate) async fn join(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut landed = self.landed.subscribe();
        self.begin(work);
        // We hold the other end ourselves.
        let _ = landed.changed().await;
    }
}

/// Lands also when the task is ended half way.
struct Landing(Flight);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::SeqCst);
        self.0.landed.send_modify(|landed| *landed += 1);
    }
}
