//! The store without a server: sessions in the memory of one process. Nothing survives it.
//!
//! It is for tests, demos and the first hour; two instances don't share it. It keeps the whole
//! contract: atomic per session, expiry checked whenever a session is read, a sweeper that ends
//! with the store, and a cap on anonymous sessions, so that strangers can't fill the memory.
//!
//! ```
//! use cloakroom::{Manager, MemoryStore, Settings};
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::ready;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::change::{Change, Fields, Rejection};
use crate::clock::Clock;
use crate::expiry::{Life, Timestamp, Touch};
use crate::store::{
    Answer, Applied, Apply, Create, Created, ENDED_FOR, Ended, Happened, Login, OnlyIf, Patience,
    Rotate, Rotated, Snapshot, Store, StoreError, User, Verb, WhenFull, Why,
};
use crate::token::{Prefix, SessionId, Tag};

/// A store in the memory of this process. Clones are handles to the same sessions.
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

/// How many parts the store has, each behind a lock of its own.
const SHARDS: usize = 64;
/// How many records of a shard one sweep removes at most, so that it holds a lock only briefly.
const SWEPT_AT_ONCE: usize = 1_000;
const SWEPT_EVERY: Duration = Duration::from_secs(1);

struct Inner {
    shards: Vec<Mutex<Shard>>,
    clock: Clock,
    /// Nobody else is in this memory, so it needs no other.
    prefix: Prefix,
    anonymous: AtomicUsize,
    anonymous_at_most: usize,
    /// Dropped with the store, which ends the sweeper.
    _sweeper: mpsc::Sender<()>,
}

impl MemoryStore {
    /// How many anonymous sessions there can be at once, unless told otherwise.
    pub const ANONYMOUS_AT_MOST: usize = 100_000;

    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store on the given clock.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self::with_cap(clock, Self::ANONYMOUS_AT_MOST)
    }

    /// An empty store that refuses to make more anonymous sessions at once than `at_most`. Users
    /// can log in all the same.
    #[must_use]
    pub fn with_cap(clock: Clock, at_most: usize) -> Self {
        let (sender, receiver) = mpsc::channel();
        let inner = Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            clock,
            prefix: Prefix::default(),
            anonymous: AtomicUsize::new(0),
            anonymous_at_most: at_most,
            _sweeper: sender,
        });
        let swept = Arc::downgrade(&inner);
        let thread = std::thread::Builder::new().name("cloakroom-sweeper".into());
        if let Err(error) = thread.spawn(move || sweep_until_dropped(&swept, &receiver)) {
            // Expiry is checked on every read: without a sweeper memory is freed later, that's all.
            tracing::warn!(%error, "the memory store has no sweeper");
        }
        Self(inner)
    }

    /// Removes expired sessions, at most 64,000 of them, and says how many. The store does so by
    /// itself every second.
    pub fn sweep(&self) -> usize {
        self.0.sweep()
    }

    /// How many records it holds, expired ones that wait for the sweeper included.
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    // Says how much it holds, and nothing of what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.len()).finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }

    fn create<'a>(&'a self, new: Create<'a>, _: Patience) -> Answer<'a, Created> {
        Box::pin(ready(self.0.create(&new)))
    }

    fn apply<'a>(&'a self, apply: Apply<'a>, _: Patience) -> Answer<'a, Applied> {
        Box::pin(ready(Ok(self.0.apply(&apply))))
    }

    fn rotate<'a>(&'a self, rotate: Rotate<'a>, _: Patience) -> Answer<'a, Rotated> {
        Box::pin(ready(Ok(self.0.rotate(&rotate))))
    }

    fn end<'a>(&'a self, id: &'a SessionId, _: Patience) -> Answer<'a, Ended> {
        Box::pin(ready(Ok(self.0.end(id))))
    }

    fn check(&self, _: Patience) -> Answer<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn abandon(&self, id: SessionId) {
        let _ = self.0.end(&id);
    }
}

impl Inner {
    // The clock is read under the lock: those who wait for it come later.

    fn create(&self, new: &Create<'_>) -> Result<Created, StoreError> {
        let mut shard = self.shard(new.id.tag());
        let now = self.clock.now();
        shard.forget_if_expired(new.id, now, &self.anonymous);
        if shard.records.contains_key(new.id) {
            return Ok(Created::Taken);
        }
        let cap = self.anonymous_at_most;
        if new.login.is_none() && self.anonymous.load(Ordering::SeqCst) >= cap {
            return Err(StoreError {
                verb: Verb::Create,
                session: Some(*new.id),
                store: "memory".into(),
                happened: Happened::No,
                reason: format!("there are {cap} anonymous sessions, as many as allowed").into(),
            });
        }
        if let Some(login) = &new.login
            && !shard.admit(login, new.id, None, now)
        {
            return Ok(Created::Full);
        }
        let session = Session {
            user: new.login.map(|login| login.user.clone()),
            life: Life::beginning(now, new.lifetime, new.remembered),
            fields: new.fields.clone(),
        };
        Ok(Created::Done(shard.insert(*new.id, session, now, &self.anonymous)))
    }

    fn apply(&self, apply: &Apply<'_>) -> Applied {
        let mut shard = self.shard(apply.id.tag());
        let now = self.clock.now();
        let (mut session, expires_at) = match shard.find(apply.id, now, &self.anonymous) {
            Found::Alive(session, expires_at) => (session, expires_at),
            Found::Unknown => return Applied::Unknown,
            Found::Ended => return Applied::Ended,
        };
        let nobody = apply.only_if == OnlyIf::LoggedIn && session.user.is_none();
        let mut answer = None;
        if !nobody {
            match apply.change.apply(&session.fields, apply.limits) {
                Ok((fields, answered)) => (session.fields, answer) = (fields, answered),
                Err(Rejection::Conflict(kept)) => return Applied::Conflict(kept),
                Err(Rejection::Refused(refusal)) => return Applied::Refused(refusal),
            }
        }
        let snapshot = shard.touch(*apply.id, session, expires_at, apply.touch, now);
        if nobody { Applied::NotLoggedIn(snapshot) } else { Applied::Done(snapshot, answer) }
    }

    fn rotate(&self, rotate: &Rotate<'_>) -> Rotated {
        let mut shards = self.two_shards(rotate.old.tag(), rotate.new.tag());
        let now = self.clock.now();
        shards.of_new().forget_if_expired(rotate.new, now, &self.anonymous);
        if shards.of_new().records.contains_key(rotate.new) {
            return Rotated::Taken;
        }
        let found = shards.of_old().find(rotate.old, now, &self.anonymous);
        let session = match (&rotate.why, found) {
            (Why::Renewal, Found::Unknown) => return Rotated::Unknown,
            (Why::Renewal, Found::Ended) => return Rotated::Ended,
            (Why::Renewal, Found::Alive(old, _)) => match written(&old.fields, rotate) {
                Ok(fields) => Session { fields, life: Life { last_seen: now, ..old.life }, ..old },
                Err(rejection) => return rejection,
            },
            (Why::Login { login, lifetime, remembered, carried, fields }, found) => {
                let mut kept = Fields::new();
                if let Found::Alive(old, _) = found {
                    let same_user = old.user.as_ref() == Some(login.user);
                    if same_user || old.user.is_none() {
                        kept = match written(&old.fields, rotate) {
                            Ok(fields) => fields,
                            Err(rejection) => return rejection,
                        };
                        kept.retain(|field, _| same_user || carried.contains(field));
                    }
                }
                let set = fields.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
                let change = Change { writes: set.collect(), operation: None };
                match change.apply(&kept, rotate.limits) {
                    Ok((fields, _)) => Session {
                        user: Some(login.user.clone()),
                        life: Life::beginning(now, *lifetime, *remembered),
                        fields,
                    },
                    Err(rejection) => return refused(rejection),
                }
            }
        };
        if let Why::Login { login, .. } = &rotate.why
            && !shards.of_new().admit(login, rotate.new, Some(rotate.old), now)
        {
            return Rotated::Full;
        }
        shards.of_old().end(rotate.old, now, &self.anonymous);
        Rotated::Done(shards.of_new().insert(*rotate.new, session, now, &self.anonymous))
    }

    fn end(&self, id: &SessionId) -> Ended {
        let mut shard = self.shard(id.tag());
        let now = self.clock.now();
        match shard.find(id, now, &self.anonymous) {
            Found::Alive(..) => {
                shard.end(id, now, &self.anonymous);
                Ended::Now
            }
            Found::Ended => Ended::Before,
            Found::Unknown => Ended::Unknown,
        }
    }

    fn sweep(&self) -> usize {
        let now = self.clock.now();
        let mut swept = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            for _ in 0..SWEPT_AT_ONCE {
                let Some((_, id)) = shard.expiring.first().filter(|(at, _)| *at <= now).copied()
                else {
                    break;
                };
                shard.forget(&id, &self.anonymous);
                swept += 1;
            }
        }
        swept
    }

    /// A user's sessions and their index share a tag, and so a shard: one lock makes a step atomic.
    fn shard_of(tag: Tag) -> usize {
        let mut hasher = DefaultHasher::new();
        tag.hash(&mut hasher);
        hasher.finish() as usize % SHARDS
    }

    fn shard(&self, tag: Tag) -> MutexGuard<'_, Shard> {
        lock(&self.shards[Self::shard_of(tag)])
    }

    /// Locked in the order of their numbers, so that two rotations never wait for each other.
    fn two_shards(&self, old: Tag, new: Tag) -> TwoShards<'_> {
        let (old, new) = (Self::shard_of(old), Self::shard_of(new));
        if old == new {
            return TwoShards { old: lock(&self.shards[old]), new: None };
        }
        let first = lock(&self.shards[old.min(new)]);
        let second = lock(&self.shards[old.max(new)]);
        let (old, new) = if old < new { (first, second) } else { (second, first) };
        TwoShards { old, new: Some(new) }
    }
}

/// What the waiting writes of a rotation make of the fields, or why it can't happen.
fn written(fields: &Fields, rotate: &Rotate<'_>) -> Result<Fields, Rotated> {
    let change = Change { writes: rotate.writes.clone(), operation: None };
    change.apply(fields, rotate.limits).map(|(fields, _)| fields).map_err(refused)
}

fn refused(rejection: Rejection) -> Rotated {
    match rejection {
        Rejection::Refused(refusal) => Rotated::Refused(refusal),
        // Plain writes expect nothing, so they can't conflict.
        Rejection::Conflict(_) => unreachable!("plain writes can't conflict"),
    }
}

struct TwoShards<'a> {
    old: MutexGuard<'a, Shard>,
    /// `None` when it is the same.
    new: Option<MutexGuard<'a, Shard>>,
}

impl TwoShards<'_> {
    fn of_old(&mut self) -> &mut Shard {
        &mut self.old
    }

    fn of_new(&mut self) -> &mut Shard {
        self.new.as_mut().unwrap_or(&mut self.old)
    }
}

/// Nothing panics while it holds this lock; if something did, the shard would still be whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Shard {
    records: HashMap<SessionId, Record>,
    users: HashMap<Tag, Index>,
    /// Every record by when it ends, for the sweeper.
    expiring: BTreeSet<(Timestamp, SessionId)>,
}

struct Record {
    /// `None` is a marker: the session was ended a short while ago.
    session: Option<Session>,
    expires_at: Timestamp,
}

#[derive(Clone)]
struct Session {
    user: Option<User>,
    life: Life,
    fields: Fields,
}

/// The sessions of one user: which, and until when each can still be alive.
#[derive(Default)]
struct Index {
    until: HashMap<SessionId, Timestamp>,
    /// The same, the one with the least life left first.
    order: BTreeSet<(Timestamp, SessionId)>,
}

enum Found {
    /// And when it expires.
    Alive(Session, Timestamp),
    Unknown,
    Ended,
}

impl Shard {
    fn find(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) -> Found {
        self.forget_if_expired(id, now, anonymous);
        let Some(record) = self.records.get(id) else {
            return Found::Unknown;
        };
        let Some(session) = &record.session else {
            return Found::Ended;
        };
        let indexed = || self.users.get(&id.tag()).is_some_and(|i| i.until.contains_key(id));
        if session.user.is_some() && !indexed() {
            self.end(id, now, anonymous);
            return Found::Ended;
        }
        Found::Alive(session.clone(), record.expires_at)
    }

    /// Renews the time to live as [`Touch`] says, and puts the session back.
    fn touch(
        &mut self,
        id: SessionId,
        mut session: Session,
        expires_at: Timestamp,
        touch: Touch,
        now: Timestamp,
    ) -> Snapshot {
        let slack = match touch {
            Touch::Exactly => Some(Duration::ZERO),
            Touch::AtMostEvery(slack) => {
                let due = expires_at < session.life.expires_at(now, Duration::ZERO);
                due.then_some(slack)
            }
            Touch::Never => None,
        };
        let Some(slack) = slack else {
            return self.put(id, session, expires_at, now);
        };
        let expires_at = session.life.expires_at(now, slack);
        if now.since(session.life.last_seen) >= session.life.seen_every() {
            session.life.last_seen = now;
        }
        if let Some(index) = self.users.get_mut(&id.tag()) {
            // Only now and then: the index knows of more life than the session had.
            if index.until.get(&id).is_some_and(|until| *until < expires_at) {
                index.enter(id, session.life.indexed_until(expires_at));
            }
        }
        self.put(id, session, expires_at, now)
    }

    fn insert(
        &mut self,
        id: SessionId,
        session: Session,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Snapshot {
        let expires_at = session.life.expires_at(now, Duration::ZERO);
        if session.user.is_some() {
            let until = session.life.indexed_until(expires_at);
            self.users.entry(id.tag()).or_default().enter(id, until);
        } else {
            anonymous.fetch_add(1, Ordering::SeqCst);
        }
        self.put(id, session, expires_at, now)
    }

    fn put(
        &mut self,
        id: SessionId,
        session: Session,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Snapshot {
        let snapshot = Snapshot {
            user: session.user.clone(),
            life: session.life,
            expires_at,
            now,
            fields: session.fields.clone(),
        };
        self.keep(id, Record { session: Some(session), expires_at });
        snapshot
    }

    fn keep(&mut self, id: SessionId, record: Record) {
        let expires_at = record.expires_at;
        if let Some(before) = self.records.insert(id, record) {
            self.expiring.remove(&(before.expires_at, id));
        }
        self.expiring.insert((expires_at, id));
    }

    /// Leaves a marker in the place of a session, and no trace of it elsewhere.
    fn end(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) {
        let alive = self.records.get(id).is_some_and(|record| record.session.is_some());
        if alive {
            self.forget(id, anonymous);
            self.keep(*id, Record { session: None, expires_at: now + ENDED_FOR });
        }
    }

    fn forget_if_expired(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) {
        if self.records.get(id).is_some_and(|record| record.expires_at <= now) {
            self.forget(id, anonymous);
        }
    }

    fn forget(&mut self, id: &SessionId, anonymous: &AtomicUsize) {
        let Some(record) = self.records.remove(id) else { return };
        self.expiring.remove(&(record.expires_at, *id));
        match record.session {
            Some(Session { user: None, .. }) => {
                anonymous.fetch_sub(1, Ordering::SeqCst);
            }
            Some(Session { user: Some(_), .. }) => self.leave_index(id),
            None => {}
        }
    }

    fn leave_index(&mut self, id: &SessionId) {
        if let Some(index) = self.users.get_mut(&id.tag()) {
            index.leave(id);
            if index.until.is_empty() {
                self.users.remove(&id.tag());
            }
        }
    }

    /// Makes room for one more session of a user, who gives up the one named `in_place_of`; says
    /// whether there is room. Changes nothing when there is none.
    fn admit(
        &mut self,
        login: &Login<'_>,
        id: &SessionId,
        in_place_of: Option<&SessionId>,
        now: Timestamp,
    ) -> bool {
        let index = self.users.entry(id.tag()).or_default();
        while let Some((_, dead)) = index.order.first().filter(|(until, _)| *until <= now).copied()
        {
            index.leave(&dead);
        }
        let Some(limit) = login.limit else { return true };
        let given_up = in_place_of.is_some_and(|old| index.until.contains_key(old));
        let others = index.until.len() - usize::from(given_up);
        let surplus = (others + 1).saturating_sub(limit.at_most.get() as usize);
        if surplus > 0 && limit.when_full == WhenFull::Refuse {
            return false;
        }
        let oldest: Vec<SessionId> = index
            .order
            .iter()
            .map(|(_, id)| *id)
            .filter(|id| Some(id) != in_place_of)
            .take(surplus)
            .collect();
        for id in oldest {
            // Its record stays until it is next looked at, and is a marker from then on.
            index.leave(&id);
        }
        true
    }
}

impl Index {
    fn enter(&mut self, id: SessionId, until: Timestamp) {
        self.leave(&id);
        self.until.insert(id, until);
        self.order.insert((until, id));
    }

    fn leave(&mut self, id: &SessionId) {
        if let Some(until) = self.until.remove(id) {
            self.order.remove(&(until, *id));
        }
    }
}

fn sweep_until_dropped(store: &Weak<Inner>, dropped: &mpsc::Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(SWEPT_EVERY) {
        let Some(store) = store.upgrade() else { return };
        store.sweep();
    }
}
