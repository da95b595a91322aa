//! The names of the keys. The tag stands in literal braces, so that all keys of a script lie in one
//! slot of a cluster.

use std::io::{self, Write};

use cloakroom::{Prefix, SessionId, Tag};
use redis::{RedisWrite, ToRedisArgs};

/// A key, whose name is written where it is wanted: every call names one or two.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    prefix: &'a Prefix,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Session(SessionId),
    Index(Tag),
    Ended(Tag),
    Note(SessionId),
}

/// The hash of a session.
pub(crate) fn session<'a>(prefix: &'a Prefix, id: &SessionId) -> Key<'a> {
    Key { prefix, what: What::Session(*id) }
}

/// The index of the user to whom the session belongs; none for an anonymous one.
pub(crate) fn index<'a>(prefix: &'a Prefix, id: &SessionId) -> Option<Key<'a>> {
    match id.tag() {
        Tag::Anonymous(_) => None,
        tag @ Tag::User(_) => Some(index_of(prefix, tag)),
    }
}

/// The index of the user with this tag.
pub(crate) fn index_of(prefix: &Prefix, tag: Tag) -> Key<'_> {
    Key { prefix, what: What::Index(tag) }
}

/// What left that index all at once, and waits to be removed.
pub(crate) fn ended_of(prefix: &Prefix, tag: Tag) -> Key<'_> {
    Key { prefix, what: What::Ended(tag) }
}

/// The note that a session was restored.
pub(crate) fn note<'a>(prefix: &'a Prefix, id: &SessionId) -> Key<'a> {
    Key { prefix, what: What::Note(*id) }
}

impl Key<'_> {
    /// Piece by piece, which takes less than to format them together.
    fn write(&self, name: &mut impl Write) -> io::Result<()> {
        let (tag, word, id) = match self.what {
            What::Session(id) => (id.tag(), "session:", Some(id)),
            What::Index(tag) => (tag, "user", None),
            What::Ended(tag) => (tag, "ended", None),
            What::Note(id) => (id.tag(), "restored:", Some(id)),
        };
        name.write_all(self.prefix.as_str().as_bytes())?;
        name.write_all(b":{")?;
        write!(name, "{tag}")?;
        name.write_all(b"}:")?;
        name.write_all(word.as_bytes())?;
        id.map_or(Ok(()), |id| write!(name, "{id}"))
    }
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: RedisWrite + ?Sized>(&self, out: &mut W) {
        let written = self.write(&mut out.writer_for_next_arg());
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }
}

/// What every session's key looks like, for `SCAN`. Nothing in a prefix means more than itself.
pub(crate) fn every_session(prefix: &Prefix) -> String {
    format!("{}:{{*}}:session:*", prefix.as_str())
}

/// What every key of the prefix looks like, for `SCAN`.
pub(crate) fn every(prefix: &Prefix) -> String {
    format!("{}:{{*}}:*", prefix.as_str())
}

/// A key of the prefix as text, and the index of its tag.
pub(crate) fn beside_index(prefix: &Prefix, key: Vec<u8>) -> Option<(String, String)> {
    let key = String::from_utf8(key).ok()?;
    let (tag, _) = key.strip_prefix(prefix.as_str())?.strip_prefix(":{")?.split_once("}:")?;
    let index = format!("{}:{{{tag}}}:user", prefix.as_str());
    Some((key, index))
}

/// The id in a session's key, if it is one. Whether it is a user's the key doesn't tell; this says
/// that it is.
pub(crate) fn id_in(prefix: &Prefix, key: &[u8]) -> Option<SessionId> {
    let key = std::str::from_utf8(key).ok()?;
    let rest = key.strip_prefix(prefix.as_str())?.strip_prefix(":{")?;
    let (tag, hash) = rest.split_once("}:session:")?;
    SessionId::from_full(&format!("u{tag}.{hash}"))
}
