//! What should not be on a server, for an operator who looks after it: keys that never expire,
//! sessions that are in no index, and sessions bigger than they should be.
//!
//! Cloakroom leaves none of the first two. Who writes to sessions past the scripts can, and so can
//! whoever restores half a copy.

use cloakroom::records::Cursor;
use cloakroom::store::{Patience, Verb};
use cloakroom::{StoreError, User};
use redis::Value;
use tokio::task::JoinSet;

use crate::keys;
use crate::scan::scan;
use crate::scripts;
use crate::server::{Failure, Server};
use crate::store::{Pace, RedisStore};
use crate::wire::{Call, Garbled};

/// What is odd about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Odd {
    /// It has no time to live.
    Endless,
    /// It had no time to live, and has one now: as long as it can be of any use, so that no session
    /// ends early.
    Fixed,
    /// A user's session that is not in that user's index. It is over, whatever its hash says.
    NotIndexed,
    /// A hash in the bigger encoding, several times the memory: some value is above 64 bytes, or
    /// there are many fields.
    Hashtable,
    /// It holds more than it may.
    Oversize,
}

/// A key and what is odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The key.
    pub key: String,
    /// At least one.
    pub odd: Vec<Odd>,
}

/// Some of the odd keys of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphans {
    /// How many keys were looked at.
    pub looked_at: u64,
    /// Those that are odd. A key can be on more than one page.
    pub orphans: Vec<Orphan>,
    /// Where it goes on; `None` at the end.
    pub next: Option<Cursor>,
}

/// What is done with a key that has no time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// It is told.
    Tell,
    /// It is given one.
    Fix,
}

impl RedisStore {
    /// The odd ones among the next keys under this store's prefix, after looking at about `at_most`
    /// keys of the server. A session is oversize with more than `most_bytes` in names and values.
    ///
    /// A key that is there from the first page to the last is looked at, on every node of a cluster.
    ///
    /// Costs a trip, and one a key, all under way at once. Reads each session whole.
    pub async fn orphans(
        &self,
        from: &Cursor,
        at_most: u32,
        most_bytes: u32,
        endless: Endless,
        patience: Patience,
    ) -> Result<Orphans, StoreError> {
        let failed = |failure| self.failed(Verb::Walk, None, failure);
        let every = keys::every(&self.prefix);
        let scanned = scan(&self.server, &every, from, at_most, patience).await.map_err(failed)?;
        let mut page = Orphans { looked_at: 0, orphans: Vec::new(), next: scanned.next };
        let mut looking = JoinSet::new();
        for key in scanned.keys {
            // What is no text is not ours.
            let Some((key, index)) = keys::beside_index(&self.prefix, key) else { continue };
            let server = self.server.clone();
            looking.spawn(
                async move { look(&server, key, index, most_bytes, endless, patience).await },
            );
        }
        while let Some(looked) = looking.join_next().await {
            let orphan = looked.map_err(|error| failed(Failure::before(error)))?.map_err(failed)?;
            page.looked_at += 1;
            page.orphans.extend(Some(orphan).filter(|orphan| !orphan.odd.is_empty()));
        }
        Ok(page)
    }

    /// Removes what was held by sessions of a user that were ended all at once, which
    /// [`Store::end_of`](cloakroom::Store::end_of) leaves to the background: for a program that ends
    /// before that does. Two trips for each 200 sessions, and one more.
    pub async fn remove_ended(&self, user: &User, patience: Patience) -> Result<(), StoreError> {
        let tidied = self.tidy(self.tag_of(user), Pace::AWAITED, || patience).await;
        tidied.map_err(|failure| self.failed(Verb::EndOf, None, failure))
    }
}

async fn look(
    server: &Server,
    key: String,
    index: String,
    most_bytes: u32,
    endless: Endless,
    patience: Patience,
) -> Result<Orphan, Failure> {
    let endless = match endless {
        Endless::Tell => "look",
        Endless::Fix => "fix",
    };
    let keys = [key, index];
    let mut call = Call::of(&scripts::ORPHAN, keys.iter());
    call.number(most_bytes);
    call.text(endless);
    let [key, _] = keys;
    Ok(Orphan { key, odd: odd(server.call(&call, patience).await?)? })
}

fn odd(value: Value) -> Result<Vec<Odd>, Garbled> {
    let words: Vec<String> =
        redis::from_redis_value(value).map_err(|_| Garbled("no list of what is odd"))?;
    let words = words.iter().map(|word| match &**word {
        "no-ttl" => Ok(Odd::Endless),
        "fixed" => Ok(Odd::Fixed),
        "not-indexed" => Ok(Odd::NotIndexed),
        "hashtable" => Ok(Odd::Hashtable),
        "oversize" => Ok(Odd::Oversize),
        _ => Err(Garbled("something odd that orphan does not know")),
    });
    words.collect()
}
