//! The names of the keys. The tag stands in literal braces, so that all keys of a script lie in one
//! slot of a cluster.

use cloakroom::{Prefix, SessionId, Tag};

/// The hash of a session.
pub(crate) fn session(prefix: &Prefix, id: &SessionId) -> String {
    format!("{}:{{{}}}:session:{id}", prefix.as_str(), id.tag())
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
    format!("{}:{{{tag}}}:user", prefix.as_str())
}

/// What left that index all at once, and waits to be removed.
pub(crate) fn ended_of(prefix: &Prefix, tag: Tag) -> String {
    format!("{}:{{{tag}}}:ended", prefix.as_str())
}
