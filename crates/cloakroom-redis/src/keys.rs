//! The names of the keys. The tag stands in literal braces, so that all keys of a script lie in one
//! slot of a cluster.

use std::fmt::{self, Write};

use cloakroom::{Prefix, SessionId, Tag};

/// The hash of a session.
pub(crate) fn session(prefix: &Prefix, id: &SessionId) -> String {
    key(format_args!("{}:{{{}}}:session:{id}", prefix.as_str(), id.tag()))
}

/// Every call makes some, and none is longer than this room.
fn key(key: fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(128);
    // Writing into a string can't fail.
    let _ = text.write_fmt(key);
    text
}

/// The index of the user to whom the session belongs; none for an anonymous one.
pub(crate) fn index(prefix: &Prefix, id: &SessionId) -> Option<String> {
    match id.tag() {
        Tag::Anonymous(_) => None,
        tag @ Tag::User(_) => Some(index_of(prefix, tag)),
    }
}

/// The index of the user with this tag.
pub(crate) fn index_of(prefix: &Prefix, tag: Tag) -> String {
    key(format_args!("{}:{{{tag}}}:user", prefix.as_str()))
}

/// What left that index all at once, and waits to be removed.
pub(crate) fn ended_of(prefix: &Prefix, tag: Tag) -> String {
    format!("{}:{{{tag}}}:ended", prefix.as_str())
}

/// The note that a session was restored.
pub(crate) fn note(prefix: &Prefix, id: &SessionId) -> String {
    format!("{}:{{{}}}:restored:{id}", prefix.as_str(), id.tag())
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
