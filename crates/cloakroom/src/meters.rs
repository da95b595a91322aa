//! What an operator watches, by the `metrics` facade and by spans. No label and no metric holds a
//! user, a session or a value; a span names the session, by its handle.
//!
//! The handles are taken once for a manager, so a request formats nothing and looks nothing up.
//! Without a recorder each is an `Option` that is `None`.

use std::time::Instant;

use metrics::{Counter, Histogram, Unit, counter, histogram};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use crate::outcome::SessionError;
use crate::store::{Applied, Created, Ended, EndedOf, Page, Rotated, StoreError};
use crate::token::SessionId;

const OPERATIONS: &str = "cloakroom_operations_total";
const DURATION: &str = "cloakroom_operation_duration_seconds";
const CREATED: &str = "cloakroom_sessions_created_total";
const ENDED: &str = "cloakroom_sessions_ended_total";
const NEWCOMERS: &str = "cloakroom_newcomers_refused_total";
const NOT_OURS: &str = "cloakroom_tokens_not_ours_total";

/// What the store is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Read,
    Write,
    LogIn,
    LogOut,
    Rotate,
    List,
    Count,
    Revoke,
    Erase,
    Check,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::LogIn,
        Self::LogOut,
        Self::Rotate,
        Self::List,
        Self::Count,
        Self::Revoke,
        Self::Erase,
        Self::Check,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::LogIn => "log_in",
            Self::LogOut => "log_out",
            Self::Rotate => "rotate",
            Self::List => "list",
            Self::Count => "count",
            Self::Revoke => "revoke",
            Self::Erase => "erase",
            Self::Check => "check",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It was for somebody logged in, and nobody was.
    Nobody,
    /// A compare-and-set found another value.
    Conflict,
    /// Over a limit, or not to be done to what is kept.
    Refused,
    /// The user has as many sessions as allowed.
    Full,
    /// The session had ended, or expired.
    Gone,
    /// The store failed, or did not answer in time.
    Unavailable,
    /// The request's patience was used up before.
    NotAsked,
    /// Whoever asked stopped waiting.
    Cancelled,
}

impl Outcome {
    const ALL: [Self; 9] = [
        Self::Done,
        Self::Nobody,
        Self::Conflict,
        Self::Refused,
        Self::Full,
        Self::Gone,
        Self::Unavailable,
        Self::NotAsked,
        Self::Cancelled,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nobody => "nobody",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Full => "full",
            Self::Gone => "gone",
            Self::Unavailable => "unavailable",
            Self::NotAsked => "not_asked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An answer of the store that was one.
pub(crate) trait Answered {
    fn outcome(&self) -> Outcome;
}

/// The handles of one manager.
#[derive(Debug)]
pub(crate) struct Meters {
    operations: [[Counter; Outcome::ALL.len()]; Kind::ALL.len()],
    durations: [Histogram; Kind::ALL.len()],
    pub(crate) created_anonymous: Counter,
    pub(crate) created_by_login: Counter,
    pub(crate) logged_out: Counter,
    pub(crate) revoked: Counter,
    pub(crate) pushed_out: Counter,
    pub(crate) stolen: Counter,
    pub(crate) expired: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) newcomers_refused: Counter,
    pub(crate) not_ours: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe();
        let created = |kind| counter!(CREATED, "kind" => kind);
        let ended = |reason| counter!(ENDED, "reason" => reason);
        Self {
            operations: Kind::ALL.map(|kind| {
                Outcome::ALL.map(|outcome| {
                    counter!(OPERATIONS, "operation" => kind.name(), "outcome" => outcome.name())
                })
            }),
            durations: Kind::ALL.map(|kind| histogram!(DURATION, "operation" => kind.name())),
            created_anonymous: created("anonymous"),
            created_by_login: created("user"),
            logged_out: ended("logged_out"),
            revoked: ended("revoked"),
            pushed_out: ended("pushed_out"),
            stolen: ended("stolen"),
            expired: ended("expired"),
            abandoned: ended("abandoned"),
            newcomers_refused: counter!(NEWCOMERS),
            not_ours: counter!(NOT_OURS),
        }
    }

    /// The store is asked, as of `at`.
    pub(crate) fn begin(&self, kind: Kind, session: Option<&SessionId>, at: Instant) -> Asking<'_> {
        let kind_of_it = kind.name();
        let span =
            tracing::debug_span!("operation", kind = kind_of_it, session = Empty, outcome = Empty);
        if let Some(session) = session {
            span.record("session", display(session));
        }
        Asking { meters: self, kind, at, outcome: Outcome::Cancelled, span }
    }

    /// It would have been asked, had the request any patience left.
    pub(crate) fn not_asked(&self, kind: Kind) -> SessionError {
        self.operations[kind as usize][Outcome::NotAsked as usize].increment(1);
        SessionError::OutOfPatience
    }
}

/// An operation under way; counted when it is dropped, also by who stops waiting.
pub(crate) struct Asking<'a> {
    meters: &'a Meters,
    kind: Kind,
    at: Instant,
    outcome: Outcome,
    span: Span,
}

impl Asking<'_> {
    pub(crate) async fn wait_for<T: Answered>(
        mut self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = answer.instrument(self.span.clone()).await;
        self.outcome = answer.as_ref().map_or(Outcome::Unavailable, Answered::outcome);
        answer
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let took = self.at.elapsed();
        self.meters.operations[self.kind as usize][self.outcome as usize].increment(1);
        self.meters.durations[self.kind as usize].record(took);
        if !self.span.is_disabled() {
            let outcome = self.outcome.name();
            self.span.record("outcome", outcome);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(parent: &self.span, event = "operation", micros);
        }
    }
}

fn describe() {
    use metrics::{describe_counter, describe_histogram};
    describe_counter!(OPERATIONS, "What the store was asked for, and what came of it");
    describe_histogram!(DURATION, Unit::Seconds, "How long the store took, its failures included");
    describe_counter!(CREATED, "Sessions made, anonymous ones and by logins");
    describe_counter!(ENDED, "Sessions that ended here, or were found to have expired");
    describe_counter!(
        NEWCOMERS,
        "Anonymous sessions that were not made: more than the rate allows"
    );
    describe_counter!(NOT_OURS, "Cookies that held no token of ours");
}

impl Answered for Applied {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Done(..) => Outcome::Done,
            Self::NotLoggedIn(_) => Outcome::Nobody,
            Self::Conflict(_) => Outcome::Conflict,
            Self::Refused(_) => Outcome::Refused,
            Self::Unknown | Self::Ended | Self::Stolen => Outcome::Gone,
        }
    }
}

impl Answered for Created {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Done(..) => Outcome::Done,
            Self::Full => Outcome::Full,
            Self::Taken => Outcome::Gone,
        }
    }
}

impl Answered for Rotated {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Done(..) => Outcome::Done,
            Self::Full => Outcome::Full,
            Self::Refused(_) => Outcome::Refused,
            Self::Unknown | Self::Ended | Self::Stolen | Self::Taken => Outcome::Gone,
        }
    }
}

impl Answered for Ended {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Now => Outcome::Done,
            Self::Before | Self::Unknown => Outcome::Gone,
        }
    }
}

impl Answered for EndedOf {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Done(_) => Outcome::Done,
            Self::Unknown | Self::Ended => Outcome::Gone,
        }
    }
}

impl Answered for Page {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

impl Answered for u64 {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

impl Answered for () {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handle_is_where_its_kind_and_outcome_look_for_it() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{}", outcome.name());
        }
    }
}
