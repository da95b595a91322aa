//! One part of the sessions: its records, their users' indexes, and the order in which they expire.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use super::index::Index;
use super::packed::{Content, Packed, Record};
use crate::expiry::{Timestamp, Touch};
use crate::rotation::{Generation, Shown, Superseded};
use crate::store::{ENDED_FOR, Login, Snapshot, WhenFull};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::token::{SessionId, Tag};

/// How many records of a shard one sweep looks at, at most, so that it holds a lock only briefly.
const SWEPT_AT_ONCE: usize = 1_000;

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
    pub fn records(&self) -> impl Iterator<Item = (SessionId, Option<&'a Packed>)> + use<'a> {
        let shards = self.shards;
        self.ids.iter().map(move |id| {
            let mut slots = shards.into_iter().flatten().filter_map(|shard| shard.records.get(id));
            (*id, slots.next().map(|slot| &slot.packed))
        })
    }
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("ids", &self.ids).field("urgent", &self.urgent).finish()
    }
}

/// Nothing panics while it holds this lock; if something did, the shard would still be whole.
pub(super) fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct TwoShards<'a> {
    pub(super) old: MutexGuard<'a, Shard>,
    /// `None` when it is the same.
    pub(super) new: Option<MutexGuard<'a, Shard>>,
}

impl TwoShards<'_> {
    pub(super) fn of_old(&mut self) -> &mut Shard {
        &mut self.old
    }

    pub(super) fn of_new(&mut self) -> &mut Shard {
        self.new.as_mut().unwrap_or(&mut self.old)
    }

    /// As [`Shard::tell`], of both at once: a rotation is one change.
    pub(super) fn tell<T>(&mut self, journal: impl FnOnce(Changes<'_>) -> T) -> T {
        let Some(new) = &mut self.new else { return self.old.tell(journal) };
        let mut ids = std::mem::take(&mut self.old.changed);
        ids.append(&mut new.changed);
        ids.sort_unstable();
        ids.dedup();
        let urgent = std::mem::take(&mut self.old.urgent) | std::mem::take(&mut new.urgent);
        journal(Changes { ids: &ids, urgent, shards: [Some(&self.old), Some(new)] })
    }
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) records: HashMap<SessionId, Slot>,
    /// None of them is empty.
    pub(super) users: HashMap<Tag, Index>,
    /// Every record by when it is due, for the sweeper.
    expiring: BTreeSet<(Timestamp, SessionId)>,
    /// What the verb under way has changed so far, for its journal.
    changed: Vec<SessionId>,
    pub(super) urgent: bool,
}

pub(super) struct Slot {
    pub(super) packed: Packed,
    /// When the sweeper looks at it: no later than it expires. A use puts the end off and leaves
    /// this, so that it costs the order nothing; the sweeper, finding it alive, puts it off as far.
    due: Timestamp,
}

/// When a session is over.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) expires_at: Timestamp,
    indexed_until: Option<Timestamp>,
}

pub(super) enum Found {
    Alive(Content, Ends),
    Unknown,
    Ended,
}

/// Why a session is not there for who comes with a token.
pub(super) enum NotMet {
    Unknown,
    Ended,
    /// It was there, and has been ended.
    Stolen,
}

impl Shard {
    /// Ends a verb: its journal hears what it changed.
    pub(super) fn tell<T>(&mut self, journal: impl FnOnce(Changes<'_>) -> T) -> T {
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

    /// With these records.
    pub(super) fn of(records: Vec<(SessionId, Packed)>, anonymous: &AtomicUsize) -> Self {
        let mut shard = Self { records: HashMap::with_capacity(records.len()), ..Self::default() };
        for (id, packed) in records {
            anonymous.fetch_add(packed.is_anonymous().into(), Ordering::SeqCst);
            if let Some(until) = packed.indexed_until() {
                shard.enter_index(id, until);
            }
            let due = packed.expires_at();
            shard.records.insert(id, Slot { packed, due });
        }
        // Made at once, its nodes are full.
        shard.expiring = shard.records.iter().map(|(id, slot)| (slot.due, *id)).collect();
        shard
    }

    pub(super) fn find(
        &mut self,
        id: &SessionId,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Found {
        let Some(Slot { packed, .. }) = self.records.get(id) else {
            return Found::Unknown;
        };
        if packed.expires_at() <= now {
            self.forget(id, anonymous);
            return Found::Unknown;
        }
        let Record { content, expires_at, indexed_until } = packed.record();
        let Some(session) = content else {
            return Found::Ended;
        };
        if session.user.is_some() && indexed_until.is_none() {
            self.end(id, now, anonymous);
            return Found::Ended;
        }
        Found::Alive(session, Ends { expires_at, indexed_until })
    }

    /// The session for who comes with a token, when it expires, and the token to hand out. What is
    /// to be remembered of the token is in the session; a caller who keeps that keeps it.
    pub(super) fn find_for(
        &mut self,
        id: &SessionId,
        shown: Option<&Shown>,
        touch: Touch,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Result<(Content, Ends, Option<Generation>), NotMet> {
        let (session, ends) = match self.find(id, now, anonymous) {
            Found::Alive(session, ends) => (session, ends),
            Found::Unknown => return Err(NotMet::Unknown),
            Found::Ended => return Err(NotMet::Ended),
        };
        let Some(shown) = shown else { return Ok((session, ends, None)) };
        match session.token.meets(shown, now.since(session.life.created), touch) {
            // Not urgent: a token that a crash made us forget is current again when it comes.
            Ok((token, next)) => Ok((Content { token, ..session }, ends, next)),
            Err(Superseded::TooLate) => Err(NotMet::Ended),
            Err(Superseded::Stolen) => {
                self.urgent = true;
                self.end(id, now, anonymous);
                Err(NotMet::Stolen)
            }
        }
    }

    /// Renews the time to live as [`Touch`] says, and puts the session back.
    pub(super) fn touch(
        &mut self,
        id: SessionId,
        mut session: Content,
        ends: Ends,
        touch: Touch,
        now: Timestamp,
    ) -> Snapshot {
        let slack = match touch {
            Touch::Exactly => Some(Duration::ZERO),
            Touch::AtMostEvery(slack) => {
                let due = ends.expires_at < session.life.expires_at(now, Duration::ZERO);
                due.then_some(slack)
            }
            Touch::Never => None,
        };
        let Some(slack) = slack else {
            return self.put(id, session, ends, now);
        };
        let expires_at = session.life.expires_at(now, slack);
        if now.since(session.life.last_seen) >= session.life.seen_every() {
            session.life.last_seen = now;
        }
        // Only now and then: the index knows of more life than the session had.
        let indexed_until = match ends.indexed_until {
            Some(until) if until < expires_at => Some(session.life.indexed_until(expires_at)),
            other => other,
        };
        self.put(id, session, Ends { expires_at, indexed_until }, now)
    }

    /// The caller has taken a place for it among the anonymous sessions, if it is one.
    pub(super) fn insert(&mut self, id: SessionId, session: Content, now: Timestamp) -> Snapshot {
        let expires_at = session.life.expires_at(now, Duration::ZERO);
        self.insert_until(id, session, expires_at, now)
    }

    pub(super) fn insert_until(
        &mut self,
        id: SessionId,
        session: Content,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Snapshot {
        self.urgent = true;
        let indexed_until = session.user.is_some().then(|| session.life.indexed_until(expires_at));
        self.put(id, session, Ends { expires_at, indexed_until }, now)
    }

    fn put(&mut self, id: SessionId, session: Content, ends: Ends, now: Timestamp) -> Snapshot {
        let Ends { expires_at, indexed_until } = ends;
        let record = Record { content: Some(session), expires_at, indexed_until };
        self.keep(id, &record);
        // There: it was put in three lines above.
        let Some(Content { user, life, client, fields, .. }) = record.content else {
            unreachable!()
        };
        Snapshot { user, life, expires_at, now, client, fields, next_token: None }
    }

    /// The one place where records, index and the sweeper's order are written together.
    pub(super) fn keep(&mut self, id: SessionId, record: &Record) {
        let packed = Packed::of(record);
        let Record { expires_at, indexed_until, .. } = *record;
        let before = match self.records.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Slot { packed, due: expires_at });
                self.expiring.insert((expires_at, id));
                None
            }
            Entry::Occupied(mut entry) => {
                let slot = entry.get_mut();
                // A use that doesn't count and changes nothing is nothing to write down.
                if slot.packed == packed {
                    return;
                }
                let before = slot.packed.indexed_until();
                slot.packed = packed;
                if expires_at < slot.due {
                    self.expiring.remove(&(slot.due, id));
                    slot.due = expires_at;
                    self.expiring.insert((expires_at, id));
                }
                before
            }
        };
        self.changed.push(id);
        if before != indexed_until {
            self.leave_index(&id, before);
            if let Some(until) = indexed_until {
                self.enter_index(id, until);
            }
        }
    }

    /// Leaves a marker where a session was, and no trace of it elsewhere.
    pub(super) fn end(&mut self, id: &SessionId, now: Timestamp, anonymous: &AtomicUsize) {
        let was_anonymous = self.end_for_its_successor(id, now);
        anonymous.fetch_sub(was_anonymous.into(), Ordering::SeqCst);
    }

    /// As [`end`](Self::end), and its place among the anonymous sessions, if it had one, is its
    /// successor's: once given back, a newcomer could take it in between.
    pub(super) fn end_for_its_successor(&mut self, id: &SessionId, now: Timestamp) -> bool {
        let alive = self.records.get(id).is_some_and(|slot| !slot.packed.is_marker());
        if !alive {
            return false;
        }
        let was_anonymous = self.remove(id);
        let expires_at = now + ENDED_FOR;
        self.keep(*id, &Record { content: None, expires_at, indexed_until: None });
        was_anonymous
    }

    pub(super) fn forget_if_expired(
        &mut self,
        id: &SessionId,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) {
        if self.records.get(id).is_some_and(|slot| slot.packed.expires_at() <= now) {
            self.forget(id, anonymous);
        }
    }

    pub(super) fn forget(&mut self, id: &SessionId, anonymous: &AtomicUsize) {
        let was_anonymous = self.remove(id);
        anonymous.fetch_sub(was_anonymous.into(), Ordering::SeqCst);
    }

    /// Says whether it had a place among the anonymous sessions, which the caller gives back or hands on.
    fn remove(&mut self, id: &SessionId) -> bool {
        let Some(Slot { packed, due }) = self.records.remove(id) else { return false };
        self.changed.push(*id);
        self.expiring.remove(&(due, *id));
        self.leave_index(id, packed.indexed_until());
        packed.is_anonymous()
    }

    /// Removes what has expired, and says how many; looks at so many records at most.
    pub(super) fn sweep(&mut self, now: Timestamp, anonymous: &AtomicUsize) -> usize {
        let mut swept = 0;
        for _ in 0..SWEPT_AT_ONCE {
            if self.expiring.first().is_none_or(|(due, _)| *due > now) {
                break;
            }
            let Some((_, id)) = self.expiring.pop_first() else { break };
            match self.records.get_mut(&id) {
                Some(slot) if slot.packed.expires_at() > now => {
                    slot.due = slot.packed.expires_at();
                    self.expiring.insert((slot.due, id));
                }
                _ => {
                    self.forget(&id, anonymous);
                    swept += 1;
                }
            }
        }
        swept
    }

    fn enter_index(&mut self, id: SessionId, until: Timestamp) {
        match self.users.entry(id.tag()) {
            Entry::Vacant(entry) => {
                entry.insert(Index::of((until, id)));
            }
            Entry::Occupied(mut entry) => entry.get_mut().insert((until, id)),
        }
    }

    fn leave_index(&mut self, id: &SessionId, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        if let Some(index) = self.users.get_mut(&id.tag()) {
            index.remove(&(until, *id));
            if index.len() == 0 {
                self.users.remove(&id.tag());
            }
        }
    }

    /// Makes room for one more session of a user, who gives up the one named `in_place_of`; says
    /// who had to go for it. Changes nothing, and says `None`, when there is no room.
    pub(super) fn admit(
        &mut self,
        login: &Login<'_>,
        id: &SessionId,
        in_place_of: Option<&SessionId>,
        now: Timestamp,
        anonymous: &AtomicUsize,
    ) -> Option<Vec<SessionId>> {
        let first =
            |shard: &Self| shard.users.get(&id.tag()).and_then(|i| i.iter().next().copied());
        while let Some((_, dead)) = first(self).filter(|(until, _)| *until <= now) {
            self.forget(&dead, anonymous);
        }
        let Some(limit) = login.limit else { return Some(Vec::new()) };
        let Some(index) = self.users.get(&id.tag()) else { return Some(Vec::new()) };
        let entered = |id: &SessionId| self.records.get(id)?.packed.indexed_until();
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
