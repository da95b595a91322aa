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

/// Makes a session.
pub static CREATE: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/create.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&CREATE)),
};

/// Changes a session and returns it whole; also reads and increments.
pub static APPLY: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/apply.lua"),
        "\n",
        include_str!("scripts/fields.lua"),
        "\n",
        include_str!("scripts/change.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&APPLY)),
};

/// Ends one session and makes the one that takes its place.
pub static ROTATE: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/fields.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/along.lua"),
        "\n",
        include_str!("scripts/rotate.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&ROTATE)),
};

/// Ends a session and answers what goes along into the one that a login makes in another slot.
pub static SEAL: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/fields.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/along.lua"),
        "\n",
        include_str!("scripts/seal.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&SEAL)),
};

/// Says whether a login would find room.
pub static ROOM: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/room.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&ROOM)),
};

/// Ends a session.
pub static END: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/end.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&END)),
};

/// Reads a page of a user's index.
pub static LIST: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/list.lua")),
    sha: LazyLock::new(|| sha_of(&LIST)),
};

/// Counts the sessions in a user's index.
pub static COUNT: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/count.lua")),
    sha: LazyLock::new(|| sha_of(&COUNT)),
};

/// Reads what sessions of a user say of themselves.
pub static LOOK: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/look.lua")),
    sha: LazyLock::new(|| sha_of(&LOOK)),
};

/// Ends sessions of a user, however many.
pub static END_OF: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/end_of.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&END_OF)),
};

/// Removes what sessions held that were ended all at once.
pub static TIDY: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/tidy.lua")),
    sha: LazyLock::new(|| sha_of(&TIDY)),
};

/// Reads a session, and leaves it as it is.
pub static PEEK: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/peek.lua")),
    sha: LazyLock::new(|| sha_of(&PEEK)),
};

/// Makes a session that was alive in another store.
pub static RESTORE: Script = Script {
    text: concat!(
        include_str!("scripts/session.lua"),
        "\n",
        include_str!("scripts/moves.lua"),
        "\n",
        include_str!("scripts/restore.lua"),
    ),
    sha: LazyLock::new(|| sha_of(&RESTORE)),
};

/// Says what is odd about a key, and gives it a time to live.
pub static ORPHAN: Script = Script {
    text: concat!(include_str!("scripts/session.lua"), "\n", include_str!("scripts/orphan.lua")),
    sha: LazyLock::new(|| sha_of(&ORPHAN)),
};

fn sha_of(script: &Script) -> String {
    redis::Script::new(script.text).get_hash().to_owned()
}
