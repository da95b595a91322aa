//! What is looked at once, at the store's first connection: whether the server is one on which
//! sessions are safe. It warns and never refuses; a server that lets nobody look is taken as it is.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::Value;
use redis::aio::MultiplexedConnection;

/// As whom we are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Default,
    Named,
}

#[derive(Debug, Default)]
pub(crate) struct Survey {
    done: AtomicBool,
}

impl Survey {
    /// A part of connecting, so that no command of ours comes between those of requests later.
    pub(crate) async fn once(&self, connection: &mut MultiplexedConnection, who: Who) {
        if self.done.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut commands = redis::pipe();
        commands.cmd("INFO");
        // A user of a name has the least that a service needs, and asking for more leaves a trace in
        // the server's `ACL LOG`.
        if who == Who::Default {
            commands.cmd("CONFIG").arg("GET").arg("save");
        }
        let asked = commands.len();
        let answers = connection.send_packed_commands(&commands, 0, asked).await;
        let Ok(answers) = answers else { return };
        let info = answers.first().and_then(text);
        let Some(info) = info else { return };
        for (event, what) in findings(&info, answers.get(1).and_then(saves)) {
            tracing::warn!(event, "{what}");
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// Whether snapshots are configured; `None` where nobody may look.
fn saves(value: &Value) -> Option<bool> {
    let answer = match value {
        Value::Map(pairs) => &pairs.first()?.1,
        Value::Array(words) => words.get(1)?,
        _ => return None,
    };
    text(answer).map(|schedule| !schedule.is_empty())
}

/// What an operator should know, each under the name of its event.
fn findings(info: &str, saves: Option<bool>) -> Vec<(&'static str, String)> {
    let figure = |name: &str| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
        info.lines().find_map(of)
    };
    let mut found = Vec::new();

    let (engine, version, range) = match figure("valkey_version") {
        Some(version) => ("Valkey", Some(version), ((7, 2), 9)),
        None => ("Redis", figure("redis_version"), ((6, 2), 8)),
    };
    let parsed = version.as_deref().and_then(|version| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
        Some((parts.next()??, parts.next()??))
    });
    if let (Some(parsed), Some(version)) = (parsed, version) {
        let ((major, minor), newest) = range;
        if parsed < (major, minor) {
            let what = format!(
                "{engine} {version} is older than {major}.{minor}, the oldest that sessions are tested on"
            );
            found.push(("server_too_old", what));
        } else if parsed.0 > newest {
            let what = format!(
                "{engine} {version} is newer than {newest}, the newest known when this was written"
            );
            found.push(("server_unknown", what));
        }
    }

    // Those end the sessions that end soonest, or none.
    let policy = figure("maxmemory_policy").unwrap_or_default();
    if !matches!(policy.as_str(), "" | "noeviction" | "volatile-ttl") {
        let what = format!(
            "maxmemory-policy {policy} logs people out at random when the server is full, and with \
             an index all sessions of its user: set noeviction"
        );
        found.push(("evicts_sessions", what));
    }

    let is = |name: &str, value: &str| figure(name).is_some_and(|found| found == value);
    let kept_nowhere = is("aof_enabled", "0") && saves == Some(false);
    if kept_nowhere && is("role", "master") && is("connected_slaves", "0") {
        let what = "the server keeps sessions in memory alone, without a file or a replica: its restart logs everybody out (appendonly yes)";
        found.push(("keeps_nothing", what.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_danger_is_found_and_nothing_else() {
        let good = "redis_version:7.0.15\r\nrole:master\r\nconnected_slaves:0\r\n\
                    maxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let found = |from: &str, to: &str, saves| {
            let info = good.replace(from, to);
            assert!(from.is_empty() || info != good);
            findings(&info, saves).into_iter().map(|(event, _)| event).collect::<Vec<_>>()
        };
        assert_eq!(found("", "", Some(false)), [""; 0]);
        assert_eq!(found("7.0.15", "6.0.16", None), ["server_too_old"]);
        assert_eq!(found("7.0.15", "8.2.1", None), [""; 0]);
        assert_eq!(found("7.0.15", "9.0.0", None), ["server_unknown"]);
        let valkey = "redis_version:7.2.4\r\nvalkey_version:";
        assert_eq!(found("redis_version:7.0.15", &format!("{valkey}9.1.2"), None), [""; 0]);
        assert_eq!(
            found("redis_version:7.0.15", &format!("{valkey}10.0.0"), None),
            ["server_unknown"]
        );
        assert_eq!(found("noeviction", "volatile-lru", None), ["evicts_sessions"]);
        assert_eq!(found("noeviction", "allkeys-random", None), ["evicts_sessions"]);
        assert_eq!(found("noeviction", "volatile-ttl", None), [""; 0]);
        assert_eq!(found("aof_enabled:1", "aof_enabled:0", Some(false)), ["keeps_nothing"]);
        assert_eq!(found("aof_enabled:1", "aof_enabled:0", Some(true)), [""; 0]);
        // Nobody may look, as on ElastiCache.
        assert_eq!(found("aof_enabled:1", "aof_enabled:0", None), [""; 0]);
        let replicated =
            good.replace("slaves:0", "slaves:1").replace("aof_enabled:1", "aof_enabled:0");
        assert!(findings(&replicated, Some(false)).is_empty());
        assert!(findings("", None).is_empty());
    }
}
