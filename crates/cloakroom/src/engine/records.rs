//! What an operator does to sessions in memory: [`Records`](crate::records::Records).
//!
//! A walk goes shard by shard, in the order of the ids, and its cursor is the last id. The note that a restore leaves is a marker
//! under an id of its own, in the same shard: it is written down, kept and swept as every other.

use std::ops::Bound;

use super::{Changes, Content, Engine, Shard, lock, shard_of};
use crate::expiry::Timestamp;
use crate::records::{Cursor, NotOfItsKind, Page, Record, Restored};
use crate::token::SessionId;

impl Engine {
    /// [`Records::walk`](crate::records::Records::walk). Holds a shard only as long as it takes to
    /// copy a page of it.
    pub fn walk(&self, from: &Cursor, at_most: u32) -> Page {
        let from = SessionId::from_full(from.as_str());
        let first = from.map_or(0, |id| shard_of(id.tag()));
        let (mut beyond, mut left) =
            (from.map_or(Bound::Unbounded, Bound::Excluded), at_most.max(1));
        let mut sessions = Vec::new();
        for shard in &self.shards[first..] {
            let shard = lock(shard);
            let now = self.clock.now();
            for (id, _) in shard.records.range((beyond, Bound::Unbounded)).take(left as usize) {
                sessions.extend(shard.record(id, now));
                left -= 1;
                if left == 0 {
                    return Page { sessions, next: Some(Cursor::new(id.in_full())) };
                }
            }
            beyond = Bound::Unbounded;
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
        let content = Content { user, life, client, fields };
        shard.insert_until(id, content, expires_at, now, &self.anonymous);
        shard.keep(note, super::Record { content: None, expires_at, indexed_until: None });
        Restored::Done
    }
}

impl Shard {
    /// The live session under this id. What is over stays where it is, for whoever uses it next or
    /// sweeps.
    fn record(&self, id: &SessionId, now: Timestamp) -> Option<Record> {
        let kept = self.records.get(id).filter(|kept| kept.expires_at > now)?;
        let content = kept.content.as_ref()?;
        if content.user.is_some() && kept.indexed_until.is_none() {
            return None;
        }
        let Content { user, life, client, fields } = content.clone();
        Some(Record { id: *id, user, life, expires_at: kept.expires_at, client, fields })
    }
}
