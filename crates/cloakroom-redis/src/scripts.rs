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
            text: concat!($(include_str!($part), "\n"),+),
            sha: LazyLock::new(|| sha_of(&$name)),
        };
    };
}

script! {
    /// Makes a session.
    CREATE: "scripts/session.lua", "scripts/moves.lua", "scripts/create.lua"
}
script! {
    /// Changes a session and returns it whole; also reads and increments.
    APPLY:
        "scripts/quick.lua", "scripts/session.lua", "scripts/apply.lua", "scripts/fields.lua",
        "scripts/change.lua"
}
script! {
    /// Ends one session and makes the one that takes its place.
    ROTATE:
        "scripts/session.lua", "scripts/fields.lua", "scripts/moves.lua", "scripts/along.lua",
        "scripts/rotate.lua"
}
script! {
    /// Ends a session and answers what goes along into the one that a login makes in another slot.
    SEAL:
        "scripts/session.lua", "scripts/fields.lua", "scripts/moves.lua", "scripts/along.lua",
        "scripts/seal.lua"
}
script! {
    /// Says whether a login would find room.
    ROOM: "scripts/session.lua", "scripts/moves.lua", "scripts/room.lua"
}
script! {
    /// Ends a session.
    END: "scripts/session.lua", "scripts/moves.lua", "scripts/end.lua"
}
script! {
    /// Reads a page of a user's index.
    LIST: "scripts/session.lua", "scripts/list.lua"
}
script! {
    /// Counts the sessions in a user's index.
    COUNT: "scripts/session.lua", "scripts/count.lua"
}
script! {
    /// Reads what sessions of a user say of themselves.
    LOOK: "scripts/session.lua", "scripts/look.lua"
}
script! {
    /// Ends sessions of a user, however many.
    END_OF: "scripts/session.lua", "scripts/moves.lua", "scripts/end_of.lua"
}
script! {
    /// Removes what sessions held that were ended all at once.
    TIDY: "scripts/session.lua", "scripts/tidy.lua"
}
script! {
    /// Reads a session, and leaves it as it is.
    PEEK: "scripts/session.lua", "scripts/peek.lua"
}
script! {
    /// Makes a session that was alive in another store.
    RESTORE: "scripts/session.lua", "scripts/moves.lua", "scripts/restore.lua"
}
script! {
    /// Says what is odd about a key, and gives it a time to live.
    ORPHAN: "scripts/session.lua", "scripts/orphan.lua"
}

fn sha_of(script: &Script) -> String {
    redis::Script::new(script.text).get_hash().to_owned()
}
