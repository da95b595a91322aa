//! The scripts, for those who write to sessions from another language: load one with `SCRIPT LOAD`
//! and call it as its head says. A bare `HINCRBY` is safe only on a session known to be alive; on a
//! dead one it makes a key that never expires.

use std::sync::LazyLock;

/// A script and its name by which the server knows it.
#[derive(Debug)]
pub struct Script {
    /// The text, the shared parts first.
    pub text: &'static str,
    sha: LazyLock<String>,
}

impl Script {
    /// The SHA-1 of the text in hexadecimal, as `EVALSHA` takes it.
    pub fn sha(&self) -> &str {
        &self.sha
    }
}

/// A script, of these files one after the other.
macro_rules! script {
    ($(#[$doc:meta])+ $name:ident: $($part:literal),+) => {
        $(#[$doc])+
        pub static $name: Script = Script {
            text: concat!($(include_str!(concat!("scripts/", $part)), "\n"),+),
            sha: LazyLock::new(|| sha_of(&$name)),
        };
    };
}

script! {
    /// Makes a session.
    CREATE: "session.lua", "moves.lua", "create.lua"
}
script! {
    /// Changes a session and returns it whole; also reads and increments.
    APPLY: "quick.lua", "session.lua", "apply.lua", "fields.lua", "change.lua"
}
script! {
    /// Ends one session and makes the one that takes its place.
    ROTATE: "session.lua", "fields.lua", "moves.lua", "along.lua", "rotate.lua"
}
script! {
    /// Ends a session and answers what goes along into the one that a login makes in another slot.
    SEAL: "session.lua", "fields.lua", "moves.lua", "along.lua", "seal.lua"
}
script! {
    /// Says whether a login would find room.
    ROOM: "session.lua", "moves.lua", "room.lua"
}
script! {
    /// Ends a session.
    END: "session.lua", "moves.lua", "end.lua"
}
script! {
    /// Reads a page of a user's index.
    LIST: "session.lua", "list.lua"
}
script! {
    /// Counts the sessions in a user's index.
    COUNT: "session.lua", "count.lua"
}
script! {
    /// Reads what sessions of a user say of themselves.
    LOOK: "session.lua", "look.lua"
}
script! {
    /// Ends sessions of a user, however many.
    END_OF: "session.lua", "moves.lua", "end_of.lua"
}
script! {
    /// Removes what sessions held that were ended all at once.
    TIDY: "session.lua", "tidy.lua"
}
script! {
    /// Reads a session, and leaves it as it is.
    PEEK: "session.lua", "peek.lua"
}
script! {
    /// Makes a session that was alive in another store.
    RESTORE: "session.lua", "moves.lua", "restore.lua"
}
script! {
    /// Says what is odd about a key, and gives it a time to live.
    ORPHAN: "session.lua", "orphan.lua"
}

fn sha_of(script: &Script) -> String {
    redis::Script::new(script.text).get_hash().to_owned()
}
