//! A walk over all live sessions: paced, and with its progress shown to who waits at a terminal.

use std::io::{self, IsTerminal};
use std::time::Instant;

use cloakroom::records::{Cursor, Page, Record, Records};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::place::{PATIENCE, failed};
use crate::store::Problem;

const PAGE: u32 = 250;

/// Goes over the sessions page by page. A session can be on more than one.
pub(super) struct Walk<'a> {
    store: &'a dyn Records,
    next: Option<Cursor>,
    begun: Option<Instant>,
    progress: ProgressBar,
}

impl<'a> Walk<'a> {
    pub(super) fn over(store: &'a dyn Records) -> Self {
        Self {
            store,
            next: Some(Cursor::default()),
            begun: None,
            progress: progress_in("sessions"),
        }
    }

    /// The same without progress.
    pub(super) fn in_silence(store: &'a dyn Records) -> Self {
        Self { progress: ProgressBar::hidden(), ..Self::over(store) }
    }

    /// The next page, `None` after the last. Rests before it as long as the page before took, with
    /// what was done to it, so that a server has time for others.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<Record>>, Problem> {
        let Some(place) = self.next.take() else {
            self.progress.finish_and_clear();
            return Ok(None);
        };
        if let Some(begun) = self.begun {
            // So that a server has time for others.
            tokio::time::sleep(begun.elapsed()).await;
        }
        self.begun = Some(Instant::now());
        let Page { sessions, next } =
            self.store.walk(&place, PAGE, PATIENCE).await.map_err(failed)?;
        self.next = next;
        self.progress.inc(sessions.len() as u64);
        Ok(Some(sessions))
    }
}

/// Says to who waits at a terminal how many there were so far, and for how long it has gone on.
pub(super) fn progress_in(what: &'static str) -> ProgressBar {
    let progress = ProgressBar::no_length().with_message(what);
    if !io::stderr().is_terminal() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {elapsed}") {
        progress.set_style(style);
    }
    progress
}
