//! Two questions of whoever runs the process: does it live, and can it serve?
//!
//! `/livez` says that the process answers, whatever the store does: restarting it would not help.
//! `/readyz` says whether the store answers too. However often it is asked, by however many at
//! once, the store is asked by one at a time, and not again while the answer is fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use cloakroom::Manager;
use tokio::sync::Mutex;

/// For how long an answer of the store is good enough.
const FRESH_FOR: Duration = Duration::from_millis(250);

/// Whether this instance can serve.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<Inner>);

struct Inner {
    manager: Manager,
    stopping: AtomicBool,
    /// When the store was asked last, and whether it answered. Held while it is asked.
    answer: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(crate) fn of(manager: Manager) -> Self {
        Self(Arc::new(Inner {
            manager,
            stopping: AtomicBool::new(false),
            answer: Mutex::new(None),
        }))
    }

    /// From now on it takes nothing new.
    pub(crate) fn no_longer(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    async fn is_ready(&self) -> bool {
        !self.0.stopping.load(Ordering::Relaxed) && self.store_answers().await
    }

    async fn store_answers(&self) -> bool {
        let mut answer = self.0.answer.lock().await;
        if let Some((when, answers)) = *answer
            && when.elapsed() < FRESH_FOR
        {
            return answers;
        }
        let checked = self.0.manager.check().await;
        if let Err(error) = &checked {
            tracing::warn!(event = "not_ready", %error, "the session store does not answer");
        }
        *answer = Some((Instant::now(), checked.is_ok()));
        checked.is_ok()
    }
}

pub(crate) fn routes(readiness: Readiness) -> Router {
    let live = || async { say(StatusCode::OK, "alive\n") };
    let ready = |State(readiness): State<Readiness>| async move {
        match readiness.is_ready().await {
            true => say(StatusCode::OK, "ready\n"),
            false => say(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        }
    };
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).with_state(readiness)
}

fn say(status: StatusCode, text: &'static str) -> impl IntoResponse {
    (status, [(CACHE_CONTROL, "no-store")], text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloakroom::{MemoryStore, Settings};

    #[tokio::test]
    async fn one_that_stops_is_not_ready() {
        let readiness = Readiness::of(Manager::new(MemoryStore::new(), Settings::default()));
        assert!(readiness.is_ready().await);
        readiness.no_longer();
        assert!(!readiness.is_ready().await);
    }
}
