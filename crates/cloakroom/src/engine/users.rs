//! What may be asked and done of all sessions of a user at once.

use super::shard::{Found, Shard};
use super::{Changes, Content, Engine, Record};
use crate::expiry::Timestamp;
use crate::store::{Cursor, EndOf, EndedOf, ListOf, Listed, Page, User, Which};
use crate::token::{SessionId, Tag};

impl Engine {
    /// [`Store::sessions_of`](crate::Store::sessions_of), for a user with this tag.
    pub fn sessions_of(&self, tag: Tag, list: &ListOf<'_>) -> Page {
        let shard = self.shard(tag);
        let now = self.clock.now();
        let mut page = Page { sessions: Vec::new(), next: None, now };
        let Some(index) = shard.users.get(&tag) else { return page };
        let before = list.after.map(|Cursor { until, id }| (until, id));
        let at_most = list.at_most.get().min(Page::AT_MOST) as usize;
        let mut entries = index.before(before.as_ref()).rev();
        let mut last = None;
        for entry in entries.by_ref().take(at_most) {
            last = Some(Cursor { until: entry.0, id: entry.1 });
            page.sessions.extend(shard.listed(&entry.1, list.user, now));
        }
        page.next = entries.next().and(last);
        page
    }

    /// [`Store::count_of`](crate::Store::count_of), for a user with this tag.
    pub fn count_of(&self, tag: Tag) -> u64 {
        let shard = self.shard(tag);
        let now = self.clock.now();
        shard.users.get(&tag).map_or(0, |index| {
            let dead = index.iter().take_while(|(until, _)| *until <= now).count();
            (index.len() - dead) as u64
        })
    }

    /// [`Store::end_of`](crate::Store::end_of), for a user with this tag.
    pub fn end_of<T>(
        &self,
        tag: Tag,
        end: &EndOf<'_>,
        journal: impl FnOnce(Changes<'_>) -> T,
    ) -> (EndedOf, T) {
        let mut shard = self.shard(tag);
        let ended = self.end_of_in(&mut shard, tag, end);
        (ended, shard.tell(journal))
    }

    fn end_of_in(&self, shard: &mut Shard, tag: Tag, end: &EndOf<'_>) -> EndedOf {
        let now = self.clock.now();
        if let Some(asker) = end.asked_by {
            // Whose tag is another's is not the user's, and lies in any shard but by chance here.
            if asker.tag() != tag {
                return EndedOf::Unknown;
            }
            let theirs = |session: &Content| session.user.as_ref() == Some(end.user);
            match shard.find(asker, now, &self.anonymous) {
                Found::Alive(session, _) if theirs(&session) => {}
                Found::Alive(..) | Found::Unknown => return EndedOf::Unknown,
                Found::Ended => return EndedOf::Ended,
            }
        }
        let ending: Vec<SessionId> = match end.which {
            Which::One(id) => shard.alive_of(tag, now).filter(|other| other == id).collect(),
            Which::All => shard.alive_of(tag, now).collect(),
            Which::AllBut(id) => shard.alive_of(tag, now).filter(|other| other != id).collect(),
        };
        for id in &ending {
            shard.end(id, now, &self.anonymous);
        }
        shard.urgent |= !ending.is_empty();
        EndedOf::Done(ending.len() as u64)
    }
}

impl Shard {
    /// The sessions in a user's index that are alive.
    fn alive_of(&self, tag: Tag, now: Timestamp) -> impl Iterator<Item = SessionId> {
        let index = self.users.get(&tag).into_iter().flat_map(|index| index.iter());
        let alive = move |id: &SessionId| {
            self.records.get(id).is_some_and(|slot| slot.packed.expires_at() > now)
        };
        index.map(|(_, id)| *id).filter(alive)
    }

    fn listed(&self, id: &SessionId, user: &User, now: Timestamp) -> Option<Listed> {
        let Record { content, expires_at, .. } = self.records.get(id)?.packed.record();
        let Content { user: theirs, life, client, .. } = content?;
        let alive = theirs.as_ref() == Some(user) && expires_at > now;
        alive.then_some(Listed { id: *id, life, expires_at, client })
    }
}
