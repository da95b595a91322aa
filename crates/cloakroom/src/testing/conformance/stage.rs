//! What the checks share: a store with a mint beside it, and short words for its verbs. Every
//! session and every user is fresh, so that checks don't meet on a server that they share.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::change::{Change, Fields, Limits, Operation, Writes};
use crate::expiry::{Lifetime, Touch};
use crate::field::{FieldName, Kept};
use crate::store::{
    Applied, Apply, Create, Created, Cursor, EndOf, Ended, EndedOf, ListOf, Login, OnlyIf, Page,
    Patience, Rotate, Rotated, SessionLimit, Snapshot, Store, StoreError, User, WhenFull, Which,
    Why,
};
use crate::testing::Harness;
use crate::token::{SessionId, TokenMint};

/// Long, for the suite is about what a store does, not about how fast.
pub(super) const PATIENCE: Patience = Patience(Duration::from_secs(30));

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// More than any check needs that is not about limits.
pub(super) static ROOMY: Limits =
    Limits { fields: 1_024, value_bytes: 1 << 20, session_bytes: 4 << 20 };
pub(super) static NO_FIELDS: Fields = Fields::new();
pub(super) static NO_WRITES: Writes = Writes::new();

pub(super) struct Stage<'h, H> {
    here: &'h H,
    store: Arc<dyn Store>,
    mint: TokenMint,
}

impl<'h, H: Harness> Stage<'h, H> {
    pub(super) fn set(here: &'h H) -> Self {
        let store = here.store();
        let mint = TokenMint::new(store.prefix().clone(), "session", None);
        Self { here, store, mint }
    }

    /// The same on the other instance.
    pub(super) fn second(&self) -> Self {
        Self { here: self.here, store: self.here.second(), mint: self.mint.clone() }
    }

    /// One instance or the other, for the thread of this number.
    pub(super) fn of_thread(&self, number: usize) -> Self {
        let store = if number.is_multiple_of(2) { self.store.clone() } else { self.here.second() };
        Self { here: self.here, store, mint: self.mint.clone() }
    }

    pub(super) fn pass(&self, millis: u64) {
        self.here.pass(Duration::from_millis(millis));
    }

    pub(super) fn rounds(&self, share: u32) -> usize {
        (self.here.rounds() / share).max(1) as usize
    }

    pub(super) fn logs_in_by_two_steps(&self) -> bool {
        self.here.logs_in_by_two_steps()
    }

    // Names.

    pub(super) fn anonymous(&self) -> SessionId {
        self.mint.issue_anonymous().unwrap().id
    }

    pub(super) fn user(&self, name: &str) -> User {
        let fresh = self.anonymous().hash();
        User::new(format!("{name} {}", &fresh[..16])).unwrap()
    }

    pub(super) fn id_of(&self, user: &User) -> SessionId {
        self.mint.issue_for(user.as_str()).unwrap().id
    }

    /// An id for the session that is `old`'s renewal.
    pub(super) fn id_like(&self, old: &SessionId) -> SessionId {
        self.mint.issue(old.tag()).unwrap().id
    }

    // Verbs.

    #[track_caller]
    pub(super) fn create(&self, new: Create<'_>) -> Created {
        known(self.here.run(async { self.store.create(new, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn apply(&self, apply: Apply<'_>) -> Applied {
        known(self.here.run(async { self.store.apply(apply, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn rotate(&self, rotate: Rotate<'_>) -> Rotated {
        known(self.here.run(async { self.store.rotate(rotate, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn end(&self, id: &SessionId) -> Ended {
        known(self.here.run(async { self.store.end(id, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn page(&self, user: &User, after: Option<Cursor>, at_most: u32) -> Page {
        let at_most = NonZeroU32::new(at_most).unwrap();
        let list = ListOf { user, after, at_most };
        known(self.here.run(async { self.store.sessions_of(list, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn count_of(&self, user: &User) -> u64 {
        known(self.here.run(async { self.store.count_of(user, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn end_of(
        &self,
        user: &User,
        which: Which<'_>,
        asked_by: Option<&SessionId>,
    ) -> EndedOf {
        let end = EndOf { user, which, asked_by };
        known(self.here.run(async { self.store.end_of(end, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn erase(&self, user: &User) -> u64 {
        known(self.here.run(async { self.store.erase(user, PATIENCE).await }))
    }

    #[track_caller]
    pub(super) fn check(&self) {
        known(self.here.run(async { self.store.check(PATIENCE).await }));
    }

    pub(super) fn abandon(&self, id: SessionId) {
        self.here.run(async { self.store.abandon(id) });
    }

    // Verbs whose outcome is known.

    #[track_caller]
    pub(super) fn created(&self, new: Create<'_>) -> Snapshot {
        match self.create(new) {
            Created::Done(snapshot, _) => snapshot,
            other => panic!("not created: {other:?}"),
        }
    }

    /// A new anonymous session that lives long.
    #[track_caller]
    pub(super) fn with(&self, fields: &Fields) -> SessionId {
        let id = self.anonymous();
        self.created(creating(&id, fields));
        id
    }

    /// A new session of `user` that lives long.
    #[track_caller]
    pub(super) fn of(&self, user: &User) -> SessionId {
        self.of_user_with(user, &NO_FIELDS)
    }

    #[track_caller]
    pub(super) fn of_user_with(&self, user: &User, fields: &Fields) -> SessionId {
        let id = self.id_of(user);
        let login = Some(Login { user, limit: None, client: None });
        self.created(Create { login, ..creating(&id, fields) });
        id
    }

    /// A new session of `user` that is alive for so many minutes from now unless it is used.
    #[track_caller]
    pub(super) fn of_user_for(&self, user: &User, minutes: u64) -> SessionId {
        let id = self.id_of(user);
        let lifetime = lifetime(minutes * 60_000, minutes * 60_000);
        let login = Some(Login { user, limit: None, client: None });
        self.created(Create { login, lifetime, ..creating(&id, &NO_FIELDS) });
        id
    }

    #[track_caller]
    pub(super) fn changed(&self, id: &SessionId, change: &Change) -> Snapshot {
        done(self.apply(applying(id, change)))
    }

    #[track_caller]
    pub(super) fn used(&self, id: &SessionId, touch: Touch) -> Snapshot {
        done(self.apply(Apply { touch, ..applying(id, &Change::read()) }))
    }

    #[track_caller]
    pub(super) fn rotated(&self, rotate: Rotate<'_>) -> Snapshot {
        match self.rotate(rotate) {
            Rotated::Done(snapshot, _) => snapshot,
            other => panic!("not rotated: {other:?}"),
        }
    }

    /// Looks without being noticed: nothing is renewed.
    pub(super) fn look(&self, id: &SessionId) -> Applied {
        self.apply(Apply { touch: Touch::Never, ..applying(id, &Change::read()) })
    }

    #[track_caller]
    pub(super) fn peek(&self, id: &SessionId) -> Snapshot {
        done(self.look(id))
    }

    pub(super) fn is_alive(&self, id: &SessionId) -> bool {
        matches!(self.look(id), Applied::Done(..))
    }

    // What must be the case.

    #[track_caller]
    pub(super) fn holds(&self, id: &SessionId, fields: &Fields) {
        assert_same(&self.peek(id).fields, fields);
    }

    #[track_caller]
    pub(super) fn is_ended(&self, id: &SessionId) {
        assert_eq!(self.look(id), Applied::Ended);
    }

    #[track_caller]
    pub(super) fn is_unknown(&self, id: &SessionId) {
        assert_eq!(self.look(id), Applied::Unknown);
    }

    /// Whatever is done to it is answered with `answer`, and doing it makes nothing.
    #[track_caller]
    pub(super) fn is_dead_to_every_verb(&self, id: &SessionId, answer: &Applied) {
        for change in every_kind_of_change() {
            for touch in [Touch::Exactly, Touch::AtMostEvery(HOUR), Touch::Never] {
                for only_if in [OnlyIf::Alive, OnlyIf::LoggedIn] {
                    let applied = self.apply(Apply { touch, only_if, ..applying(id, &change) });
                    assert_eq!(&applied, answer, "{} {touch:?} {only_if:?}", said(&change));
                }
            }
        }
        let new = self.id_like(id);
        let writes = writes([("late", Some("request"))]);
        let rotated = self.rotate(Rotate { writes: &writes, ..renewing(id, &new) });
        let (renewal, ended) = match answer {
            Applied::Ended => (Rotated::Ended, Ended::Before),
            _ => (Rotated::Unknown, Ended::Unknown),
        };
        assert_eq!(rotated, renewal);
        self.is_unknown(&new);
        assert_eq!(self.end(id), ended);
        assert_eq!(&self.look(id), answer, "after every verb");
    }
}

#[track_caller]
fn known<T>(answer: Result<T, StoreError>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
pub(super) fn done(applied: Applied) -> Snapshot {
    done_and_answered(applied).0
}

#[track_caller]
pub(super) fn done_and_answered(applied: Applied) -> (Snapshot, Option<Kept>) {
    match applied {
        Applied::Done(snapshot, answer) => (snapshot, answer),
        other => panic!("not applied: {other:?}"),
    }
}

// Arguments, to be changed where a check is about them.

pub(super) fn lifetime(idle: u64, absolute: u64) -> Lifetime {
    Lifetime::new(Duration::from_millis(idle), Duration::from_millis(absolute)).unwrap()
}

pub(super) fn creating<'a>(id: &'a SessionId, fields: &'a Fields) -> Create<'a> {
    let lifetime = Lifetime::new(HOUR, 8 * HOUR).unwrap();
    Create { id, lifetime, remembered: false, fields, login: None }
}

pub(super) fn applying<'a>(id: &'a SessionId, change: &'a Change) -> Apply<'a> {
    let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
    Apply { id, change, only_if, touch, limits: &ROOMY, token: None }
}

pub(super) fn renewing<'a>(old: &'a SessionId, new: &'a SessionId) -> Rotate<'a> {
    let (limits, why) = (&ROOMY, Why::Renewal);
    Rotate { old, new, writes: &NO_WRITES, limits, why, token: None }
}

/// A login by rotation.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) login: Login<'a>,
    pub(super) lifetime: Lifetime,
    pub(super) remembered: bool,
    pub(super) carried: &'a [FieldName],
    pub(super) fields: &'a Fields,
}

impl<'a> Entry<'a> {
    pub(super) fn of(user: &'a User) -> Self {
        Self {
            login: Login { user, limit: None, client: None },
            lifetime: Lifetime::new(HOUR, 8 * HOUR).unwrap(),
            remembered: false,
            carried: &[],
            fields: &NO_FIELDS,
        }
    }

    pub(super) fn with_limit(user: &'a User, limit: SessionLimit) -> Self {
        Self { login: Login { user, limit: Some(limit), client: None }, ..Self::of(user) }
    }

    pub(super) fn from(self, old: &'a SessionId, new: &'a SessionId) -> Rotate<'a> {
        let Self { login, lifetime, remembered, carried, fields } = self;
        let why = Why::Login { login, lifetime, remembered, carried, fields };
        Rotate { why, ..renewing(old, new) }
    }
}

pub(super) fn at_most(sessions: u32, when_full: WhenFull) -> SessionLimit {
    SessionLimit { at_most: NonZeroU32::new(sessions).unwrap(), when_full }
}

pub(super) fn name(name: &str) -> FieldName {
    FieldName::named(name).unwrap()
}

pub(super) fn kept(value: impl AsRef<[u8]>) -> Kept {
    Kept(value.as_ref().to_vec())
}

pub(super) fn fields<const N: usize>(of: [(&str, &str); N]) -> Fields {
    of.into_iter().map(|(field, value)| (name(field), kept(value))).collect()
}

pub(super) fn writes<const N: usize>(of: [(&str, Option<&str>); N]) -> Writes {
    of.into_iter().map(|(field, value)| (name(field), value.map(kept))).collect()
}

pub(super) fn writing<const N: usize>(of: [(&str, Option<&str>); N]) -> Change {
    Change { writes: writes(of), operation: None }
}

pub(super) fn increment(field: &str, by: i64) -> Operation {
    Operation::Increment { field: name(field), by, never_below_zero: false }
}

pub(super) fn compare_and_set(field: &str, expected: Option<&str>, new: &str) -> Operation {
    Operation::CompareAndSet { field: name(field), expected: expected.map(kept), new: kept(new) }
}

pub(super) fn take(field: &str) -> Operation {
    Operation::Take { field: name(field) }
}

pub(super) fn append(field: &str, item: &str, keep: u32) -> Operation {
    Operation::Append { field: name(field), item: kept(item), keep }
}

/// A change of each kind, which a session that holds nothing allows.
pub(super) fn every_kind_of_change() -> Vec<Change> {
    vec![
        Change::read(),
        writing([("written", Some("late")), ("removed", None)]),
        writing([("removed", None)]),
        Change::of(increment("count", 1)),
        Change::of(compare_and_set("compared", None, "late")),
        Change::of(take("taken")),
        Change::of(append("list", "1", 3)),
        Change {
            writes: writes([("written", Some("late"))]),
            operation: Some(increment("count", 1)),
        },
    ]
}

// What is shown when a check fails. The values are the suite's own, so they may be shown; `Debug`
// of the contract's types hides them.

#[track_caller]
pub(super) fn assert_same(found: &Fields, expected: &Fields) {
    if found != expected {
        panic!("the session holds {:#?}, and not {:#?}", shown(found), shown(expected));
    }
}

fn shown(fields: &Fields) -> BTreeMap<&str, String> {
    fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

pub(super) fn text(value: &[u8]) -> String {
    const SHOWN: usize = 200;
    match value.get(..SHOWN) {
        None => value.escape_ascii().to_string(),
        Some(beginning) => format!("{}... ({} bytes)", beginning.escape_ascii(), value.len()),
    }
}

pub(super) fn number_of(kept: Option<&[u8]>) -> i64 {
    text(kept.expect("an increment answers a number")).parse().unwrap()
}

pub(super) fn said(change: &Change) -> String {
    let option = |value: Option<&Kept>| value.map_or("nothing".into(), |value| text(value));
    let mut words: Vec<String> = change
        .writes
        .iter()
        .map(|(field, value)| format!("{field} := {}", option(value.as_ref())))
        .collect();
    words.extend(change.operation.as_ref().map(|operation| match operation {
        Operation::Increment { field, by, never_below_zero } => {
            let floor = if *never_below_zero { ", never below 0" } else { "" };
            format!("{field} += {by}{floor}")
        }
        Operation::CompareAndSet { field, expected, new } => {
            format!("{field} := {} if it is {}", text(new), option(expected.as_ref()))
        }
        Operation::Take { field } => format!("take {field}"),
        Operation::Append { field, item, keep } => {
            format!("append {} to {field}, keep {keep}", text(item))
        }
    }));
    if words.is_empty() { "read".into() } else { words.join("; ") }
}

/// Runs `each` on that many threads, of which none begins before all are there.
pub(super) fn at_once<T: Send>(threads: usize, each: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let (start, each) = (&start, &each);
        let running: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    start.wait();
                    each(number)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
