//! What a store does that keeps its sessions in its own memory: the decisions of the contract, made
//! once for the memory store and for stores that keep a durable copy beside it.
//!
//! 1. Sessions lie in shards, each behind a lock of its own. A user's sessions and their index share
//!    a tag, and so a shard: one lock makes a step atomic. A rotation takes two, in their order.
//! 2. Every verb tells its *journal* what it changed, once, while the locks are still held: what is
//!    written down in the order of the journals is in the order of the memory. The journal's answer
//!    comes back with the verb's.
//! 3. What a journal is told is *urgent* when somebody must be able to rely on it. A use that only
//!    moved the end of a session is not, nor is the removal of what has expired.
//! 4. The clock is read under the lock: those who wait for it come later.

mod records;
mod users;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::change::{Change, Fields, Refusal, Rejection};
use crate::client::Client;
use crate::clock::Clock;
use crate::expiry::{Life, Timestamp, Touch};
use crate::rotation::{Current, Generation, Shown, Superseded};
use crate::store::{
    Applied, Apply, Create, Created, ENDED_FOR, Ended, Login, OnlyIf, Rotate, Rotated, Snapshot,
    User, WhenFull, Why,
};
use crate::token::{SessionId, Tag};

/// How many parts there are, each behind a lock of its own.
const SHARDS: usize = 64;
/// How many records of a shard one sweep removes at most, so that it holds a lock only briefly.
const SWEPT_AT_ONCE: usize = 1_000;

/// Sessions in memory, and what may be done to them.
pub struct Engine {
    shards: Vec<Mutex<Shard>>,
    clock: Clock,
    anonymous: AtomicUsize,
    anonymous_at_most: usize,
}

/// What is kept under a session's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `None` is a marker: the session was ended a short while ago.
    pub content: Option<Content>,
    /// From then on it is not there.
    pub expires_at: Timestamp,
    /// Its entry in its user's index: the last instant at which it can still be alive. A user's
    /// session without one was revoked.
    pub indexed_until: Option<Timestamp>,
}

/// What a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Who is logged in.
    pub user: Option<User>,
    /// When it began and how long it may live.
    pub life: Life,
    /// The client that logged in, if that was told.
    pub client: Option<Client>,
    /// Which of its tokens is the current one.
    pub token: Current,
    /// The application's fields.
    pub fields: Fields,
}

/// What a verb changed, for its journal; it may be nothing.
#[derive(Clone, Copy)]
pub struct Changes<'a> {
    ids: &'a [SessionId],
    urgent: bool,
    shards: [Option<&'a Shard>; 2],
}

impl<'a> Changes<'a> {
    /// Whether somebody must be able to rely on it.
    pub fn urgent(&self) -> bool {
        self.urgent
    }

    /// Every record that changed, once, as it is now: `None` if it is gone.
    pub fn records(&self) -> impl Iterator<Item = (SessionId, Option<&'a Record>)> + use<'a> {
        let shards = self.shards;
        self.ids.iter().map(move |id| {
            (*id, shards.into_iter().flatten().find_map(|shard| shard.records.get(id)))
        })
    }
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("ids", &self.ids).field("urgent", &self.urgent).finish()
    }
}

/// There are as many anonymous sessions as allowed; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} anonymous sessions, as many as allowed")]
pub struct TooManyAnonymous(pub usize);

impl Engine {
    /// Without sessions. It refuses to make more anonymous ones at once than `anonymous_at_most`.
    #[must_use]
    pub fn new(clock: Clock, anonymous_at_most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            clock,
            anonymous: AtomicUsize::new(0),
            anonymous_at_most,
        }
    }

    /// The clock that decides what has expired.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many records there are, expired ones that wait for the sweeper included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, takes these records, and does `then` before anybody sees them.
    pub fn replace(
        &self,
        records: impl IntoIterator<Item = (SessionId, Record)>,
        then: impl FnOnce(),
    ) {
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        for shard in &mut shards {
            **shard = Shard::default();
        }
        self.anonymous.store(0, Ordering::SeqCst);
        for (id, record) in records {
            shards[shard_of(id.tag())].seed(id, record, &self.anonymous);
        }
        then();
    }

    /// [`Store::create`](crate::Store::create).
    pub fn create<T>(
        &self,
        new: &Create<'_>,
        journal: impl FnOnce(Changes<'_>) -> T,
    ) -> (Result<Created, TooManyAnonymous>, T) {
        let mut shard = self.shard(new.id.tag());
        let created = self.create_in(&mut shard, new);
        (created, shard.tell(journal))
    }

    fn create_in(&self, shard: &mut Shard, new: &Create<'_>) -> Result<Created, TooManyAnonymous> {
        let now = self.clock.now();
        shard.forget_if_expired(new.id, now, &self.anonymous);
        if shard.records.contains_key(new.id) {
            return Ok(Created::Taken);
        }
        let cap = self.anonymous_at_most;
        // Asked and taken in one step: other shards make sessions at the same time.
        let one_more = |count| (count < cap).then_some(count + 1);
        let place = || self.anonymous.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        if new.login.is_none() && place().is_err() {
            return Err(TooManyAnonymous(cap));
        }
        let mut pushed_out = Vec::new();
        if let Some(login) = &new.login {
            match shard.admit(login, new.id, None, now, &self.anonymous) {
                Some(out) => pushed_out = out,
                None => return Ok(Created::Full),
            }
        }
        let session = Content {
            user: new.login.map(|login| login.user.clone()),
            life: Life::beginning(now, new.lifetime, new.remembered),
            client: new.login.and_then(|login| login.client.cloned()),
            token: Current::default(),
            fields: new.fields.clone(),
        };
        let snapshot = shard.insert(*new.id, session, now, &self.anonymous);
        if new.login.is_none() {
            // It has counted itself.
            self.anonymous.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(Created::Done(snapshot, pushed_out))
    }

    /// [`Store::apply`](crate::Store::apply).
    pub fn apply<T>(
        &self,
        apply: &Apply<'_>,
        journal: impl FnOnce(Changes<'_>) -> T,
    ) -> (Applied, T) {
        let mut shard = self.shard(apply.id.tag());
        let applied = self.apply_in(&mut shard, apply);
        (applied, shard.tell(journal))
    }

    fn apply_in(&self, shard: &mut Shard, apply: &Apply<'_>) -> Applied {
        let now = self.clock.now();
        let shown = apply.token.as_ref();
        let found = shard.find_for(apply.id, shown, apply.touch, now, &self.anonymous);
        let (mut session, expires_at, next_token) = match found {
            Ok(met) => met,
            Err(NotMet::Unknown) => return Applied::Unknown,
            Err(NotMet::Ended) => return Applied::Ended,
            Err(NotMet::Stolen) => return Applied::Stolen,
        };
        let nobody = apply.only_if == OnlyIf::LoggedIn && session.user.is_none();
        let mut answer = None;
        if !nobody && !apply.change.is_read() {
            match apply.change.apply(&session.fields, apply.limits) {
                Ok((fields, answered)) => {
                    // Taking what is not there, or writing what is, leaves nothing to rely on.
                    shard.urgent |= session.fields != fields;
                    (session.fields, answer) = (fields, answered);
                }
                Err(Rejection::Conflict(kept)) => return Applied::Conflict(kept),
                Err(Rejection::Refused(refusal)) => return Applied::Refused(refusal),
            }
        }
        let mut snapshot = shard.touch(*apply.id, session, expires_at, apply.touch, now);
        snapshot.next_token = next_token;
        if nobody { Applied::NotLoggedIn(snapshot) } else { Applied::Done(snapshot, answer) }
    }

    /// [`Store::rotate`](crate::Store::rotate).
    pub fn rotate<T>(
        &self,
        rotate: &Rotate<'_>,
        journal: impl FnOnce(Changes<'_>) -> T,
    ) -> (Rotated, T) {
        let mut shards = self.two_shards(rotate.old.tag(), rotate.new.tag());
        let rotated = self.rotate_in(&mut shards, rotate);
        (rotated, shards.tell(journal))
    }

    fn rotate_in(&self, shards: &mut TwoShards<'_>, rotate: &Rotate<'_>) -> Rotated {
        let now = self.clock.now();
        shards.of_new().forget_if_expired(rotate.new, now, &self.anonymous);
        if shards.of_new().records.contains_key(rotate.new) {
            return Rotated::Taken;
        }
        let shown = rotate.token.as_ref();
        let old = shards.of_old();
        let found = old.find_for(rotate.old, shown, Touch::Never, now, &self.anonymous);
        let session = match (&rotate.why, found) {
            (_, Err(NotMet::Stolen)) => return Rotated::Stolen,
            (Why::Renewal, Err(NotMet::Unknown)) => return Rotated::Unknown,
            (Why::Renewal, Err(NotMet::Ended)) => return Rotated::Ended,
            (Why::Renewal, Ok((old, ..))) => match written(&old.fields, rotate) {
                Ok(fields) => {
                    let life = Life { last_seen: now, ..old.life };
                    Content { fields, life, token: Current::default(), ..old }
                }
                Err(refusal) => return Rotated::Refused(refusal),
            },
            (Why::Login { login, lifetime, remembered, carried, fields }, found) => {
                let same_user = |old: &Content| old.user.as_ref() == Some(login.user);
                let before = match found {
                    Ok((old, ..)) if same_user(&old) => Some((old.fields, true)),
                    Ok((old, ..)) if old.user.is_none() => Some((old.fields, false)),
                    // Who comes with an expired session is a newcomer: their writes count.
                    Err(NotMet::Unknown) => Some((Fields::new(), false)),
                    Ok(_) | Err(_) => None,
                };
                let mut kept = Fields::new();
                if let Some((fields, keeps_all)) = before {
                    kept = match written(&fields, rotate) {
                        Ok(fields) => fields,
                        Err(refusal) => return Rotated::Refused(refusal),
                    };
                    kept.retain(|field, _| keeps_all || carried.contains(field));
                }
                let set = fields.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
                let change = Change { writes: set.collect(), operation: None };
                match change.apply(&kept, rotate.limits) {
                    Ok((fields, _)) => Content {
                        user: Some(login.user.clone()),
                        life: Life::beginning(now, *lifetime, *remembered),
                        client: login.client.cloned(),
                        token: Current::default(),
                        fields,
                    },
                    Err(rejection) => return Rotated::Refused(refused(rejection)),
                }
            }
        };
        let mut pushed_out = Vec::new();
        if let Why::Login { login, .. } = &rotate.why {
            let old = Some(rotate.old);
            match shards.of_new().admit(login, rotate.new, old, now, &self.anonymous) {
                Some(out) => pushed_out = out,
                None => return Rotated::Full,
            }
        }
        shards.of_old().end(rotate.old, now, &self.anonymous);
        let snapshot = shards.of_new().insert(*rotate.new, session, now, &self.anonymous);
        Rotated::Done(snapshot, pushed_out)
    }

    /// [`Store::end`](crate::Store::end).
    pub fn end<T>(&self, id: &SessionId, journal: impl FnOnce(Changes<'_>) -> T) -> (Ended, T) {
        let mut shard = self.shard(id.tag());
        let now = self.clock.now();
        let ended = match shard.find(id, now, &self.anonymous) {
            Found::Alive(..) => {
                shard.urgent = true;
                shard.end(id, now, &self.anonymous);
                Ended::Now
            }
            Found::Ended => Ended::Before,
            Found::Unknown => Ended::Unknown,
        };
        (ended, shard.tell(journal))
    }

    /// Removes expired records, at most 64,000 of them, and says how many. The journal is told of
    /// each shard that lost some.
    pub fn sweep(&self, mut journal: impl FnMut(Changes<'_>)) -> usize {
        let now = self.clock.now();
        let mut swept = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = swept;
            for _ in 0..SWEPT_AT_ONCE {
                let Some((_, id)) = shard.expiring.first().filter(|(at, _)| *at <= now).copied()
                else {
                    break;
                };
                shard.forget(&id, &self.anonymous);
                swept += 1;
            }
            if swept > before {
                shard.tell(&mut journal);
            }
        }
        swept
    }

    fn shard(&self, tag: Tag) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(tag)])
    }

    /// Locked in the order of their numbers, so that two rotations never wait for each other.
    fn two_shards(&self, old: Tag, new: Tag) -> TwoShards<'_> {
        let (old, new) = (shard_of(old), shard_of(new));
        if old == new {
            return TwoShards { old: lock(&self.shards[old]), new: None };
        }
        let first = lock(&self.shards[old.min(new)]);
        let second = lock(&self.shards[old.max(new)]);
        let (old, new) = if old < new { (first, second) } else { (second, first) };
        TwoShards { old, new: Some(new) }
    }
}

impl fmt::Debug for Engine {
    // Says how much it holds, and nothing of what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("records", &self.len()).finish_non_exhaustive()
    }
}

fn shard_of(tag: Tag) -> usize {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    hasher.finish() as usize % SHARDS
}

/// What the waiting writes of a rotation make of the fields, or why it can't happen.
fn written(fields: &Fields, rotate: &Rotate<'_>) -> Result<Fields, Refusal> {
    let change = Change { writes: rotate.writes.clone(), operation: None };
    change.apply(fields, rotate.limits).map(|(fields, _)| fields).map_err(refused)
}

fn refused(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::Refused(refusal) => refusal,
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

    /// As [`Shard::tell`], of both at once: a rotation is one change.
    fn tell<T>(&mut self, journal: impl FnOnce(Changes<'_>) -> T) -> T {
        let Some(new) = &mut self.new else { return self.old.tell(journal) };
        let mut ids = std::mem::take(&mut self.old.changed);
        ids.append(&mut new.changed);
        ids.sort_unstable();
        ids.dedup();
        let urgent = std::mem::take(&mut self.old.urgent) | std::mem::take(&mut new.urgent);
        journal(Changes { ids: &ids, urgent, shards: [Some(&self.old), Some(new)] })
    }
}

/// Nothing panics while it holds this lock; if something did, the shard would still be whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Shard {
    records: HashMap<SessionId, Record>,
    /// The index of each user: the sessions with an entry, the one with the least life left first.
    users: HashMap<Tag, BTreeSet<(Timestamp, SessionId)>>,
    /// Every record by when it ends, for the sweeper.
    expiring: BTreeSet<(Timestamp, SessionId)>,
    /// What the verb under way has changed so far, for its journal.
    changed: Vec<SessionId>,
    urgent: bool,
}

enum Found {
    /// And when it expires.
    Alive(Content, Timestamp),
    Unknown,
    Ended,
}

/// Why a session is not there for who comes with a token.
enum NotMet {
    Unknown,
    Ended,
    /// It was there, and has been ended.
    Stolen,
}

impl Shard {
    /// Ends a verb: its journal hears what it changed.
    fn tell<T>(&mut self, journal: impl FnOnce(Changes<'_>) -> T) -> T {
        let mut ids = std::mem::take(&mut self.changed);
        ids.sort_unstable();
        ids.dedup();
        let urgent = std::mem::take(&mut self.urgent);
        let answer = journal(Changes { ids: &ids, urgent, shards: [Some(self), None] });
        // Given back, so that the next verb needs no memory for it.
        ids.clear();
        self.changed = ids;
        answer
    }

    fn seed(&mut self, id: SessionId, record: Record, anonymous: &AtomicUsize) {
        match &record.content {
            Some(Content { user: None, .. }) => {
                anonymous.fetch_add(1, Ordering::SeqCst);
            }
            Some(Content { user: Some(_), .. }) => {
                if let Some(until) = record.indexed_until {
                    self.users.entry(id.tag()).or_default().insert((until, id));
                }
            }
            None => {}
        }
        self.expiring.insert((record.expires_at, id));
        self.records.insert(id, record);
    }

    fn find(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) -> Found {
        self.forget_if_expired(id, now, anonymous);
        let Some(record) = self.records.get(id) else {
            return Found::Unknown;
        };
        let Some(session) = &record.content else {
            return Found::Ended;
        };
        if session.user.is_some() && record.indexed_until.is_none() {
            self.end(id, now, anonymous);
            return Found::Ended;
        }
        Found::Alive(session.clone(), record.expires_at)
    }

    /// The session for who comes with a token, when it expires, and the token to hand out. What is
    /// to be remembered of the token is in the session; a caller who keeps that keeps it.
    fn find_for(
        &mut self,
        id: &SessionId,
        shown: Option<&Shown>,
        touch: Touch,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Result<(Content, Timestamp, Option<Generation>), NotMet> {
        let (session, expires_at) = match self.find(id, now, anonymous) {
            Found::Alive(session, expires_at) => (session, expires_at),
            Found::Unknown => return Err(NotMet::Unknown),
            Found::Ended => return Err(NotMet::Ended),
        };
        let Some(shown) = shown else { return Ok((session, expires_at, None)) };
        match session.token.meets(shown, now.since(session.life.created), touch) {
            // Not urgent: a token that a crash made us forget is current again when it comes.
            Ok((token, next)) => Ok((Content { token, ..session }, expires_at, next)),
            Err(Superseded::TooLate) => Err(NotMet::Ended),
            Err(Superseded::Stolen) => {
                self.urgent = true;
                self.end(id, now, anonymous);
                Err(NotMet::Stolen)
            }
        }
    }

    /// Renews the time to live as [`Touch`] says, and puts the session back.
    fn touch(
        &mut self,
        id: SessionId,
        mut session: Content,
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
        let indexed_until = self.records.get(&id).and_then(|record| record.indexed_until);
        let Some(slack) = slack else {
            return self.put(id, session, expires_at, indexed_until, now);
        };
        let expires_at = session.life.expires_at(now, slack);
        if now.since(session.life.last_seen) >= session.life.seen_every() {
            session.life.last_seen = now;
        }
        // Only now and then: the index knows of more life than the session had.
        let indexed_until = match indexed_until {
            Some(until) if until < expires_at => Some(session.life.indexed_until(expires_at)),
            other => other,
        };
        self.put(id, session, expires_at, indexed_until, now)
    }

    fn insert(
        &mut self,
        id: SessionId,
        session: Content,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Snapshot {
        let expires_at = session.life.expires_at(now, Duration::ZERO);
        self.insert_until(id, session, expires_at, now, anonymous)
    }

    fn insert_until(
        &mut self,
        id: SessionId,
        session: Content,
        expires_at: Timestamp,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Snapshot {
        self.urgent = true;
        let indexed_until = if session.user.is_some() {
            Some(session.life.indexed_until(expires_at))
        } else {
            anonymous.fetch_add(1, Ordering::SeqCst);
            None
        };
        self.put(id, session, expires_at, indexed_until, now)
    }

    fn put(
        &mut self,
        id: SessionId,
        session: Content,
        expires_at: Timestamp,
        indexed_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Snapshot {
        let snapshot = Snapshot {
            user: session.user.clone(),
            life: session.life,
            expires_at,
            now,
            fields: session.fields.clone(),
            next_token: None,
        };
        self.keep(id, Record { content: Some(session), expires_at, indexed_until });
        snapshot
    }

    /// The one place where records, index and the sweeper's order are written together.
    fn keep(&mut self, id: SessionId, record: Record) {
        let Record { expires_at, indexed_until, .. } = record;
        // A use that doesn't count and changes nothing is nothing to write down.
        let before = self.records.insert(id, record);
        if before.as_ref() == self.records.get(&id) {
            return;
        }
        self.changed.push(id);
        if let Some(before) = before {
            self.expiring.remove(&(before.expires_at, id));
            if before.indexed_until != indexed_until {
                self.leave_index(&id, before.indexed_until);
            }
        }
        self.expiring.insert((expires_at, id));
        if let Some(until) = indexed_until {
            self.users.entry(id.tag()).or_default().insert((until, id));
        }
    }

    /// Leaves a marker in the place of a session, and no trace of it elsewhere.
    fn end(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) {
        let alive = self.records.get(id).is_some_and(|record| record.content.is_some());
        if alive {
            self.forget(id, anonymous);
            let expires_at = now + ENDED_FOR;
            self.keep(*id, Record { content: None, expires_at, indexed_until: None });
        }
    }

    fn forget_if_expired(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) {
        if self.records.get(id).is_some_and(|record| record.expires_at <= now) {
            self.forget(id, anonymous);
        }
    }

    fn forget(&mut self, id: &SessionId, anonymous: &AtomicUsize) {
        let Some(record) = self.records.remove(id) else { return };
        self.changed.push(*id);
        self.expiring.remove(&(record.expires_at, *id));
        self.leave_index(id, record.indexed_until);
        if let Some(Content { user: None, .. }) = record.content {
            anonymous.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn leave_index(&mut self, id: &SessionId, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        if let Some(index) = self.users.get_mut(&id.tag()) {
            index.remove(&(until, *id));
            if index.is_empty() {
                self.users.remove(&id.tag());
            }
        }
    }

    /// Makes room for one more session of a user, who gives up the one named `in_place_of`; says
    /// who had to go for it. Changes nothing, and says `None`, when there is no room.
    fn admit(
        &mut self,
        login: &Login<'_>,
        id: &SessionId,
        in_place_of: Option<&SessionId>,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Option<Vec<SessionId>> {
        let first = |shard: &Self| shard.users.get(&id.tag()).and_then(|i| i.first().copied());
        while let Some((_, dead)) = first(self).filter(|(until, _)| *until <= now) {
            self.forget(&dead, anonymous);
        }
        let Some(limit) = login.limit else { return Some(Vec::new()) };
        let nobody = BTreeSet::new();
        let index = self.users.get(&id.tag()).unwrap_or(&nobody);
        let entered = |id: &SessionId| self.records.get(id).and_then(|r| r.indexed_until);
        // Another user's session has its entry in another index.
        let given_up = in_place_of
            .and_then(|old| Some((entered(old)?, *old)))
            .is_some_and(|entry| index.contains(&entry));
        let others = index.len() - usize::from(given_up);
        let surplus = (others + 1).saturating_sub(limit.at_most.get() as usize);
        if surplus > 0 && limit.when_full == WhenFull::Refuse {
            return None;
        }
        let oldest: Vec<SessionId> = index
            .iter()
            .map(|(_, id)| *id)
            .filter(|id| Some(id) != in_place_of)
            .take(surplus)
            .collect();
        for id in &oldest {
            self.end(id, now, anonymous);
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use crate::change::{Limits, Operation, Writes};
    use crate::expiry::Lifetime;
    use crate::field::FieldName;
    use crate::token::{Prefix, TokenMint};

    use super::*;

    const LIMITS: Limits = Limits { fields: 9, value_bytes: 99, session_bytes: 999 };
    const COUNT: FieldName = FieldName::new("count");

    /// What a journal was told: whether it is urgent, and of which records, that are there or gone.
    type Told = (bool, Vec<(SessionId, bool)>);

    fn told(changes: Changes<'_>) -> Told {
        (changes.urgent(), changes.records().map(|(id, record)| (id, record.is_some())).collect())
    }

    fn id() -> SessionId {
        TokenMint::new(Prefix::default(), "session", None).issue_anonymous().unwrap().id
    }

    fn create(engine: &Engine, id: &SessionId) -> Told {
        let hour = Duration::from_secs(3600);
        let lifetime = Lifetime::new(hour / 2, hour).unwrap();
        let fields = &Fields::new();
        let new = Create { id, lifetime, remembered: false, fields, login: None };
        engine.create(&new, told).1
    }

    fn apply(engine: &Engine, id: &SessionId, change: &Change) -> Told {
        let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
        let apply = Apply { id, change, only_if, touch, limits: &LIMITS, token: None };
        engine.apply(&apply, told).1
    }

    #[test]
    fn a_journal_hears_of_every_change_once_and_how_urgent_it_is() {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let engine = Engine::new(clock, 9);
        let id = id();
        assert_eq!(create(&engine, &id), (true, vec![(id, true)]));
        assert_eq!(create(&engine, &id), (false, vec![]));
        let count = Operation::Increment { field: COUNT, by: 1, never_below_zero: true };
        assert_eq!(apply(&engine, &id, &Change::of(count)), (true, vec![(id, true)]));

        // Nothing has changed, not even the end, until the clock goes on.
        assert_eq!(apply(&engine, &id, &Change::read()), (false, vec![]));
        hands.advance(Duration::from_secs(1));
        assert_eq!(apply(&engine, &id, &Change::read()), (false, vec![(id, true)]));
        let nothing = Operation::Take { field: FieldName::new("nothing") };
        assert_eq!(apply(&engine, &id, &Change::of(nothing)), (false, vec![]));

        assert_eq!(engine.end(&id, told), (Ended::Now, (true, vec![(id, true)])));
        assert_eq!(engine.end(&id, told), (Ended::Before, (false, vec![])));
        hands.advance(ENDED_FOR);
        let mut swept = Vec::new();
        assert_eq!(engine.sweep(|changes| swept.push(told(changes))), 1);
        assert_eq!(swept, [(false, vec![(id, false)])]);
    }

    #[test]
    fn a_rotation_is_one_change_of_two_records() {
        let engine = Engine::new(Clock::system(), 9);
        let old = id();
        let _ = create(&engine, &old);
        let (new, writes) = (id(), Writes::new());
        let (limits, why) = (&LIMITS, Why::Renewal);
        let rotate = Rotate { old: &old, new: &new, writes: &writes, limits, why, token: None };
        let (rotated, (urgent, mut records)) = engine.rotate(&rotate, told);
        assert!(matches!(rotated, Rotated::Done(..)));
        records.sort_unstable_by_key(|(id, _)| *id == new);
        assert_eq!((urgent, records), (true, vec![(old, true), (new, true)]));
    }

    #[test]
    fn an_engine_that_is_given_records_is_as_the_one_they_came_from() {
        let (clock, _) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let engine = Engine::new(clock.clone(), 1);
        let id = id();
        let mut records = Vec::new();
        let hour = Duration::from_secs(3600);
        let fields = &Fields::new();
        let lifetime = Lifetime::new(hour, hour).unwrap();
        let new = Create { id: &id, lifetime, remembered: false, fields, login: None };
        let (created, ()) = engine.create(&new, |changes| {
            records.extend(changes.records().map(|(id, record)| (id, record.unwrap().clone())));
        });
        assert!(matches!(created, Ok(Created::Done(..))));
        let other = Engine::new(clock, 1);
        other.replace(records, || ());
        assert_eq!(other.create(&new, |_| ()).0, Ok(Created::Taken));
        // The cap counts what was given.
        let another = self::id();
        let one_more = Create { id: &another, ..new };
        assert_eq!(other.create(&one_more, |_| ()).0, Err(TooManyAnonymous(1)));
        assert_eq!(other.end(&id, |_| ()).0, Ended::Now);
    }
}
