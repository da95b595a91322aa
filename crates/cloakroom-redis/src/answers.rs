//! What each error that a server answers means for the call. The one place where it is decided;
//! docs/deployments.md shows it as a table.
//!
//! 1. What a server refuses, it refuses before the script has written anything: that is how the
//!    scripts are ordered. So nothing has happened, and some refusals are worth another try.
//! 2. What a script ran into on its way is not tried again, and nobody knows whether it happened.
//! 3. What was sent and not answered is never sent again.

use cloakroom::store::Happened;
use redis::RedisError;

/// What is done next about a call that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Sent to this node, and all other calls of this slot from now on.
    Moved(String),
    /// Sent to this node, this one time.
    Ask(String),
    /// Sent again after a pause.
    Later,
    /// The connection is given up, the primary looked for, and the call sent again after a pause.
    Elsewhere,
    /// The connection is given up, and the call sent once more over a new one.
    Anew,
    /// Sent with the text of the script.
    WithText,
    /// Nothing more: the store is unavailable.
    Nothing,
}

/// What an answered error means; `None` if it is none, but a connection that broke.
pub(crate) fn about(error: &RedisError) -> Option<(Happened, Next)> {
    let (code, detail) = (code(error)?, error.detail().unwrap_or_default());
    let inside = is_of_a_script(detail);
    let node = || detail.split_ascii_whitespace().nth(1).map(str::to_owned);
    let next = match code {
        "MOVED" => node().map(Next::Moved),
        "ASK" => node().map(Next::Ask),
        // A slot is on its way, has no primary at the moment, or the server reads its data.
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" => Some(Next::Later),
        // It is a replica now, and without its primary. A script meets either at its first write.
        "READONLY" | "MASTERDOWN" => Some(Next::Elsewhere),
        "NOSCRIPT" => Some(Next::WithText),
        // The server was given a password after we connected.
        "NOAUTH" => Some(Next::Anew),
        // Full, unable to save, cut off from its replicas: refused to a script's first write.
        "OOM" | "MISCONF" | "NOREPLICAS" => Some(Next::Nothing),
        _ => None,
    };
    Some(match next {
        Some(next) => (Happened::No, next),
        // BUSY, NOPERM, WRONGPASS and whatever else refused the call as a whole.
        None if !inside => (Happened::No, Next::Nothing),
        // NOPERM, WRONGTYPE and whatever else a script met half way.
        None => (Happened::Perhaps, Next::Nothing),
    })
}

/// The code of an answered error. Before Redis 7 one inside a script is a part of another's text.
pub(crate) fn code(error: &RedisError) -> Option<&str> {
    let detail = error.detail().unwrap_or_default();
    let inside = is_of_a_script(detail).then(|| wrapped_code(detail)).flatten();
    error.code().map(|code| inside.unwrap_or(code))
}

/// Redis 7: `OOM command not allowed... script: SHA, on @user_script:42.`; before: `Error running
/// script (call to f_SHA): @user_script:42: -OOM command not allowed...`.
fn is_of_a_script(detail: &str) -> bool {
    detail.contains("@user_script")
}

fn wrapped_code(detail: &str) -> Option<&str> {
    let (_, rest) = detail.split_once("@user_script:")?;
    let (_, rest) = rest.split_once(": -")?;
    rest.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use redis::{Parser, Value};

    use super::*;

    fn answered(line: &str) -> RedisError {
        let value = Parser::new().parse_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().map(|value: Value| panic!("{value:?}")).unwrap_err()
    }

    #[test]
    fn every_refusal_has_its_answer() {
        use Happened::{No, Perhaps};
        let moved = Next::Moved("10.0.0.7:6381".into());
        let script = "script: 2c5b, on @user_script:42.";
        for (line, happened, next) in [
            ("MOVED 3999 10.0.0.7:6381", No, moved),
            ("ASK 3999 ::1:6381", No, Next::Ask("::1:6381".into())),
            ("MOVED", No, Next::Nothing),
            ("TRYAGAIN Multiple keys request during rehashing of slot", No, Next::Later),
            ("CLUSTERDOWN The cluster is down", No, Next::Later),
            ("LOADING Redis is loading the dataset in memory", No, Next::Later),
            ("READONLY You can't write against a read only replica.", No, Next::Elsewhere),
            ("MASTERDOWN Link with MASTER is down", No, Next::Elsewhere),
            ("NOSCRIPT No matching script. Please use EVAL.", No, Next::WithText),
            ("NOAUTH Authentication required.", No, Next::Anew),
            ("OOM command not allowed when used memory > 'maxmemory'.", No, Next::Nothing),
            ("MISCONF Errors writing to the AOF file", No, Next::Nothing),
            ("NOREPLICAS Not enough good replicas to write.", No, Next::Nothing),
            ("BUSY Redis is busy running a script.", No, Next::Nothing),
            ("NOPERM this user has no permissions to run the 'evalsha' command", No, Next::Nothing),
            ("WRONGPASS invalid username-password pair", No, Next::Nothing),
            ("WRONGTYPE Operation against a key holding the wrong kind", No, Next::Nothing),
            ("ERR max number of clients reached", No, Next::Nothing),
            (&format!("READONLY You can't write. {script}"), No, Next::Elsewhere),
            (&format!("OOM command not allowed. {script}"), No, Next::Nothing),
            (&format!("MISCONF Errors writing. {script}"), No, Next::Nothing),
            (&format!("NOREPLICAS Not enough. {script}"), No, Next::Nothing),
            (
                &format!("NOPERM no permissions to run the 'zadd' command {script}"),
                Perhaps,
                Next::Nothing,
            ),
            (&format!("WRONGTYPE Operation against a key {script}"), Perhaps, Next::Nothing),
            (
                &format!("ERR Script attempted to access a non local key {script}"),
                Perhaps,
                Next::Nothing,
            ),
            (
                "ERR Error running script (call to f_2c5b): @user_script:42: @user_script: 42: \
                 -READONLY You can't write against a read only replica.",
                No,
                Next::Elsewhere,
            ),
            (
                "ERR Error running script (call to f_2c5b): @user_script:42: -OOM command not \
                 allowed when used memory > 'maxmemory'.",
                No,
                Next::Nothing,
            ),
            (
                "ERR Error running script (call to f_2c5b): @user_script:42: -WRONGTYPE Operation",
                Perhaps,
                Next::Nothing,
            ),
        ] {
            assert_eq!(about(&answered(line)), Some((happened, next)), "{line}");
        }
        assert_eq!(about(&std::io::Error::other("reset").into()), None);
    }
}
