//! Whether this user may use every command that we use. Each is tried in a form that does nothing, in
//! a script as ours do; so one that is permitted leaves no trace, not even in the `ACL LOG`.

use redis::Value;

use crate::doctor::finding::Finding;
use crate::doctor::server::Patient;
use crate::doctor::wire::{error_in, text_in};

/// What the store's scripts call, on a key that is not there: reads find nothing, removals remove
/// nothing, `XX` writes only over what there is, and three words are too few for `HSET`.
const IN_SCRIPTS: [(&str, &[&str]); 25] = [
    ("time", &[]),
    ("exists", &["K"]),
    ("type", &["K"]),
    ("get", &["K"]),
    ("pttl", &["K"]),
    ("hgetall", &["K"]),
    ("hmget", &["K", "f"]),
    ("zcard", &["K"]),
    ("zrank", &["K", "m"]),
    ("zscore", &["K", "m"]),
    ("zcount", &["K", "0", "0"]),
    ("zrevrange", &["K", "0", "0"]),
    ("zrangebyscore", &["K", "0", "0"]),
    ("unlink", &["K"]),
    ("hdel", &["K", "f"]),
    ("zrem", &["K", "m"]),
    ("zremrangebyscore", &["K", "0", "0"]),
    ("zremrangebyrank", &["K", "0", "0"]),
    ("zunionstore", &["K", "1", "K"]),
    ("rename", &["K", "K"]),
    ("pexpire", &["K", "1"]),
    ("pexpireat", &["K", "1"]),
    ("set", &["K", "v", "XX", "PX", "1"]),
    ("zadd", &["K", "XX", "0", "m"]),
    ("hset", &["K", "f", "v", "g"]),
];

/// What else the store asks, outside of scripts.
pub(crate) type Beside = [(&'static str, &'static [&'static str])];
/// To know which node serves what, and to ask one to which a slot is on its way.
pub(crate) const ON_A_CLUSTER: &Beside =
    &[("cluster|slots", &["CLUSTER", "SLOTS"]), ("asking", &["ASKING"])];
/// To know that whom they name is a primary.
pub(crate) const BEHIND_SENTINELS: &Beside = &[("role", &["ROLE"])];

const TRY: &str = "local call = {}
for i, word in ipairs(ARGV) do call[i] = word == 'K' and KEYS[1] or word end
local reply = redis.pcall(unpack(call))
return type(reply) == 'table' and reply.err or ''";

pub(crate) fn permissions(
    server: &mut Patient<'_>,
    user: &str,
    prefix: &str,
    key: &str,
    beside: &Beside,
) -> Result<Finding, Finding> {
    let user = user.to_owned();
    let mut denied = Vec::new();
    let nothing = "0".repeat(40);
    let asked: [(&str, &[&str]); 2] =
        [("evalsha", &["EVALSHA", &nothing, "1", key]), ("eval", &["EVAL", "return ''", "1", key])];
    for (name, command) in asked {
        match verdict(&server.ask(command)?) {
            Tried::Permitted => {}
            Tried::Command => denied.push(name.to_owned()),
            Tried::Key => return Err(Finding::KeysDenied { user, prefix: prefix.to_owned() }),
            Tried::Elsewhere(error) => return Ok(Finding::PermissionsUnseen { error }),
        }
    }
    if denied.iter().all(|name| name != "eval") {
        for (name, words) in IN_SCRIPTS {
            let command = [&["EVAL", TRY, "1", key, name], words].concat();
            match verdict(&server.ask(&command)?) {
                Tried::Permitted => {}
                Tried::Key => return Err(Finding::KeysDenied { user, prefix: prefix.to_owned() }),
                Tried::Command | Tried::Elsewhere(_) => denied.push(name.to_owned()),
            }
        }
    }
    for (name, command) in beside {
        if let Tried::Command = verdict(&server.ask(command)?) {
            denied.push((*name).to_owned());
        }
    }
    if denied.is_empty() {
        // With PING, which was used before; HELLO nobody can be denied.
        Ok(Finding::AllPermitted { commands: IN_SCRIPTS.len() + asked.len() + beside.len() + 1 })
    } else {
        Err(Finding::CommandsDenied { user, commands: denied })
    }
}

enum Tried {
    Permitted,
    Command,
    Key,
    /// The key belongs to another node of the cluster.
    Elsewhere(String),
}

/// Reads the words of Redis 6.2, of 7.0, and of Valkey.
fn verdict(said: &Value) -> Tried {
    let error = error_in(said).or_else(|| text_in(said)).unwrap_or_default();
    let has = |words: &str| error.contains(words);
    if error.starts_with("MOVED") || error.starts_with("ASK ") {
        Tried::Elsewhere(error)
    } else if has("access a key")
        || has("access one of the keys")
        || has("access at least one of the keys")
    {
        Tried::Key
    } else if has("NOPERM") || has("no permissions") || has("can't run this command") {
        Tried::Command
    } else {
        Tried::Permitted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cloakroom_redis::scripts;

    use super::*;

    #[test]
    fn every_command_of_the_scripts_is_tried() {
        let mut called = BTreeSet::new();
        // What a service calls; `peek`, `restore` and `orphan` are an operator's.
        let of_a_service = [
            &scripts::CREATE,
            &scripts::APPLY,
            &scripts::ROTATE,
            &scripts::SEAL,
            &scripts::ROOM,
            &scripts::END,
            &scripts::LIST,
            &scripts::COUNT,
            &scripts::LOOK,
            &scripts::END_OF,
            &scripts::TIDY,
        ];
        for script in of_a_service {
            for opening in ["redis.call('", "redis.pcall('", "in_pieces('"] {
                for call in script.text.split(opening).skip(1) {
                    called.insert(call.split('\'').next().unwrap().to_lowercase());
                }
            }
        }
        let tried = IN_SCRIPTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(called, tried);
    }
}
