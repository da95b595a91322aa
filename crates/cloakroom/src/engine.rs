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
//! 5. A record lies in memory as the bytes that are written down ([`Packed`]), and is read out of them
//!    by whoever asks: with millions of sessions what counts is how many places in memory that takes.

mod index;
mod packed;
mod shard;
mod records;
mod users;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::change::{Change, Fields, Refusal, Rejection};
use crate::clock::Clock;
use crate::expiry::{Life, Touch};
use crate::rotation::Current;
use crate::store::{Applied, Apply, Create, Created, Ended, OnlyIf, Rotate, Rotated, Why};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::token::{SessionId, Tag};

pub use packed::{Content, Packed, Record};
pub use shard::Changes;
use shard::{Found, NotMet, Shard, TwoShards, lock};

/// How many parts there are, each behind a lock of its own.
const SHARDS: usize = 64;

/// Sessions in memory, and what may be done to them.
pub struct Engine {
    shards: Vec<Mutex<Shard>>,
    clock: Clock,
    anonymous: AtomicUsize,
    anonymous_at_most: usize,
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
        records: impl IntoIterator<Item = (SessionId, Packed)>,
        then: impl FnOnce(),
    ) {
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        // Shard by shard: the tables of one lie in the processor's cache while they fill.
        let mut of_shard: Vec<Vec<_>> = shards.iter().map(|_| Vec::new()).collect();
        for (id, packed) in records {
            of_shard[shard_of(id.tag())].push((id, packed));
        }
        self.anonymous.store(0, Ordering::SeqCst);
        for (shard, records) in shards.iter_mut().zip(of_shard) {
            **shard = Shard::of(records, &self.anonymous);
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
        // Asked and taken in one step, and taken once: other shards make sessions at the same time.
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
        let snapshot = shard.insert(*new.id, session, now);
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
        let (mut session, ends, next_token) = match found {
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
        let mut snapshot = shard.touch(*apply.id, session, ends, apply.touch, now);
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
        match rotate.why {
            Why::Renewal => {
                shards.of_old().end_for_its_successor(rotate.old, now);
            }
            Why::Login { .. } => shards.of_old().end(rotate.old, now, &self.anonymous),
        }
        let snapshot = shards.of_new().insert(*rotate.new, session, now);
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
            let here = shard.sweep(now, &self.anonymous);
            if here > 0 {
                shard.tell(&mut journal);
            }
            swept += here;
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

#[cfg(test)]
mod tests;
