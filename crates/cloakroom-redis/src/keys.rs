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
        tag @ Tag::User(_) => Some(format!("{}:{{{tag}}}:user", prefix.as_str())),
    }
}
