//! What an operator does to sessions in memory: [`Records`](crate::records::Records).
//!
//! A walk goes shard by shard, in the order of the ids, and its cursor is the last id. The note that
//! a restore leaves is a marker under an id of its own, in the same shard: it is written down, kept
//! and swept as every other.

use super::shard::{Shard, lock};
use super::{Changes, Content, Engine, shard_of};
use crate::expiry::Timestamp;
use crate::records::{Cursor, NotOfItsKind, Page, Record, Restored};
use crate::rotation::Current;
use crate::sync::Ordering;
use crate::token::SessionId;

impl Engine {
    /// [`Records::walk`](crate::records::Records::walk). Holds a shard, of 64, only as long as it
    /// takes to look at its ids and copy a page: a millisecond with millions of sessions.
    pub fn walk(&self, from: &Cursor, at_most: u32) -> Page {
        let from = SessionId::from_full(from.as_str());
        let first = from.map_or(0, |id| shard_of(id.tag()));
        let (mut after, mut left) = (from, at_most.max(1) as usize);
        let mut sessions = Vec::new();
        for shard in &self.shards[first..] {
            let shard = lock(shard);
            let now = self.clock.now();
            let ids = shard.next_ids(after.take(), left);
            sessions.extend(ids.iter().filter_map(|id| shard.record(id, now)));
            left -= ids.len();
            if let (0, Some(last)) = (left, ids.last()) {
                return Page { sessions, next: Some(Cursor::new(last.in_full())) };
            }
        }
        Page { sessions, next: None }
    }

    /// [`Records::peek`](crate::records::Records::peek).
    pub fn peek(&self, id: &SessionId) -> Option<Record> {
        let shard = self.shard(id.tag());
        shard.record(id, self.clock.now())
    }

    /// [`Records::restore`](crate::records::Records::restore).
    pub fn restore<T>(
        &self,
        record: &Record,
        journal: impl FnOnce(Changes<'_>) -> T,
    ) -> (Result<Restored, NotOfItsKind>, T) {
        let mut shard = self.shard(record.id.tag());
        let restored = record.check().map(|()| self.restore_in(&mut shard, record));
        (restored, shard.tell(journal))
    }

    fn restore_in(&self, shard: &mut Shard, record: &Record) -> Restored {
        let now = self.clock.now();
        let (id, note) = (record.id, record.id.note());
        for id in [&id, &note] {
            shard.forget_if_expired(id, now, &self.anonymous);
        }
        if shard.record(&id, now).is_some() {
            return Restored::There;
        }
        if shard.records.contains_key(&id) || shard.records.contains_key(&note) {
            return Restored::Ended;
        }
        let expires_at = record.expires_at.min(record.life.deadline());
        if expires_at <= now {
            return Restored::Expired;
        }
        let Record { user, life, client, fields, .. } = record.clone();
        let token = Current::default();
        let content = Content { user, life, client, token, fields };
        // However many there are: who restores has decided that they are to be there.
        self.anonymous.fetch_add(content.user.is_none().into(), Ordering::SeqCst);
        shard.insert_until(id, content, expires_at, now);
        shard.keep(note, &super::Record { content: None, expires_at, indexed_until: None });
        Restored::Done
    }
}

impl Shard {
    /// So many ids at most that come after this one, in their order. Looks at all of the shard: an
    /// order kept for the rare walk would cost every request.
    fn next_ids(&self, after: Option<SessionId>, at_most: usize) -> Vec<SessionId> {
        let is_next = |id: &&SessionId| after.is_none_or(|after| **id > after);
        let mut ids: Vec<SessionId> = self.records.keys().filter(is_next).copied().collect();
        if ids.len() > at_most {
            ids.select_nth_unstable(at_most);
            ids.truncate(at_most);
        }
        ids.sort_unstable();
        ids
    }

    /// The live session under this id. What is over stays where it is, for whoever uses it next or
    /// sweeps.
    fn record(&self, id: &SessionId, now: Timestamp) -> Option<Record> {
        let kept = &self.records.get(id)?.packed;
        if kept.expires_at() <= now {
            return None;
        }
        let super::Record { content, expires_at, indexed_until } = kept.record();
        let Content { user, life, client, fields, .. } = content?;
        if user.is_some() && indexed_until.is_none() {
            return None;
        }
        Some(Record { id: *id, user, life, expires_at, client, fields })
    }
}
