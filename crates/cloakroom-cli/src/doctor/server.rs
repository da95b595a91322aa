//! What a server that speaks says of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis::Value;

use crate::doctor::finding::{Finding, Ms};
use crate::doctor::network::{Greeted, Target, lost};
use crate::doctor::wire::{Line, error_in, text_in};

const PINGS: usize = 100;
/// So many are asked for in any case: one hiccup decides nothing.
const PINGS_AT_LEAST: usize = 20;
const PINGING_FOR: Duration = Duration::from_secs(1);
/// Two trips of this length leave little of the 250 ms that a request waits.
const SLOW: Duration = Duration::from_millis(100);
/// A replica may be so many bytes behind.
const BEHIND: u64 = 1024 * 1024;
/// Clocks may differ so much.
const SKEW: Duration = Duration::from_secs(30);

/// What `HELLO` and `INFO` say.
#[derive(Default)]
pub(crate) struct About {
    hello: BTreeMap<String, String>,
    /// Empty if it was denied.
    info: BTreeMap<String, String>,
}

impl About {
    fn info<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.info.get(name)?.parse().ok()
    }

    fn hello(&self, name: &str) -> &str {
        self.hello.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.hello("mode") == "cluster"
    }

    pub(crate) fn is_sentinel(&self) -> bool {
        self.hello("mode") == "sentinel"
    }
}

/// A connection, and the time for each answer.
pub(crate) struct Patient<'a> {
    pub(crate) line: &'a mut Line,
    pub(crate) timeout: Duration,
}

impl Patient<'_> {
    pub(crate) fn ask(&mut self, command: &[&str]) -> Result<Value, Finding> {
        self.line.ask(command).map_err(|broken| lost(&broken, self.timeout))
    }
}

/// Logs in as the store does.
pub(crate) fn log_in(
    greeted: &mut Greeted,
    target: &Target,
    timeout: Duration,
) -> Result<(About, Finding), Finding> {
    let first = error_in(&greeted.said).unwrap_or_default();
    let begins = |word: &str| first.starts_with(word);
    if begins("DENIED") {
        return Err(Finding::ProtectedMode);
    } else if begins("ERR max number of clients") {
        return Err(Finding::TooManyClients);
    } else if begins("LOADING") {
        return Err(Finding::Loading);
    } else if begins("BUSY") {
        return Err(Finding::Busy);
    }
    let mut server = Patient { line: &mut greeted.line, timeout };
    let mut hello = vec!["HELLO", "3"];
    if let Some(password) = &target.password {
        hello.extend(["AUTH", target.user(), password]);
    }
    let said = server.ask(&hello)?;
    if let Some(error) = error_in(&said) {
        return Err(refused(error, target));
    }
    let about = About { hello: pairs(&said), ..About::default() };
    if target.database != 0 {
        let said = server.ask(&["SELECT", &target.database.to_string()])?;
        if let Some(error) = error_in(&said) {
            return Err(Finding::NoDatabase { database: target.database, error });
        }
    }
    let here = greeted.peer.is_none_or(|peer| peer.is_loopback());
    let finding = match &target.password {
        Some(_) => Finding::LoggedIn { user: target.user().to_owned() },
        None if here => Finding::NoPasswordNeeded,
        None => Finding::Open,
    };
    Ok((about, finding))
}

fn refused(error: String, target: &Target) -> Finding {
    let user = target.user().to_owned();
    let word = error.split(' ').next().unwrap_or_default();
    match (word, &target.password) {
        ("NOAUTH", None) => Finding::PasswordMissing,
        ("WRONGPASS", Some(password)) if password.contains("Action=connect") => {
            match token_age(password) {
                Some(age) if age > Duration::from_secs(900) => {
                    Finding::IamExpired { ago_ms: Ms(age - Duration::from_secs(900)) }
                }
                _ => Finding::IamRefused { user },
            }
        }
        ("WRONGPASS", _) => Finding::PasswordWrong { user },
        ("NOPROTO", _) => Finding::NoHello { error },
        _ if error.contains("unknown command") => Finding::NoHello { error },
        _ => Finding::LoginRefused { error },
    }
}

/// How old an IAM token is by this machine's clock, from its `X-Amz-Date=20301231T235959Z`.
fn token_age(token: &str) -> Option<Duration> {
    let date = token.split_once("X-Amz-Date=")?.1.get(..16)?;
    let part = |range: std::ops::Range<usize>| date.get(range);
    let date = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    now().duration_since(humantime::parse_rfc3339(&date).ok()?).ok()
}

#[expect(clippy::disallowed_methods, reason = "whether this clock is right is the question")]
fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn ping(server: &mut Patient<'_>, user: &str) -> Result<Finding, Finding> {
    let begin = Instant::now();
    let mut trips = Vec::new();
    while trips.len() < PINGS && (trips.len() < PINGS_AT_LEAST || begin.elapsed() < PINGING_FOR) {
        let sent = Instant::now();
        let said = server.ask(&["PING"])?;
        trips.push(sent.elapsed());
        match error_in(&said) {
            Some(error) if error.starts_with("NOPERM") => {
                return Err(Finding::PingDenied { user: user.to_owned() });
            }
            // Then PING is refused as writes are.
            Some(error) if error.starts_with("MISCONF") => return Err(Finding::Misconfigured),
            Some(error) if !error.starts_with("MASTERDOWN") => {
                return Err(Finding::LoginRefused { error });
            }
            _ => {}
        }
    }
    trips.sort_unstable();
    let within = |percent: usize| Ms(trips[(trips.len() * percent).div_ceil(100) - 1]);
    let (count, p50_ms, p90_ms) = (trips.len(), within(50), within(90));
    let (p99_ms, max_ms) = (within(99), within(100));
    Ok(if p90_ms.0 < SLOW {
        Finding::Quick { count, p50_ms, p90_ms, p99_ms, max_ms }
    } else {
        Finding::Slow { count, p50_ms, p90_ms, p99_ms, max_ms }
    })
}

pub(crate) fn role(
    server: &mut Patient<'_>,
    about: &mut About,
    may_be_replica: bool,
) -> Result<Vec<Finding>, Finding> {
    if about.is_sentinel() {
        return Err(Finding::Sentinel);
    }
    let said = server.ask(&["INFO"])?;
    let mut findings = Vec::new();
    match (error_in(&said), text_in(&said)) {
        (Some(error), _) => findings.push(Finding::InfoDenied { error }),
        (None, text) => {
            let text = text.unwrap_or_default();
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            about.info = lines.map(|(name, value)| (name.into(), value.into())).collect();
        }
    }
    if matches!(about.hello("role"), "replica" | "slave") {
        let host: Option<String> = about.info("master_host");
        let port: Option<u16> = about.info("master_port");
        let primary = host.zip(port).map(|(host, port)| format!("{host}:{port}"));
        if !may_be_replica {
            return Err(Finding::Replica { primary });
        }
        findings.push(match about.info.get("master_link_status").map(String::as_str) {
            Some("down") => Finding::ReplicaUnlinked { primary },
            _ => Finding::ReplicaOf { primary },
        });
        return Ok(findings);
    }
    let replicas: Option<u64> = about.info("connected_slaves");
    let offset: u64 = about.info("master_repl_offset").unwrap_or(0);
    for number in 0..replicas.unwrap_or(0) {
        let Some(line) = about.info.get(&format!("slave{number}")) else { continue };
        let parts: BTreeMap<_, _> =
            line.split(',').filter_map(|part| part.split_once('=')).collect();
        let seen = parts.get("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
        let bytes = offset.saturating_sub(seen);
        if bytes > BEHIND {
            let part = |name| parts.get(name).copied().unwrap_or("?");
            let replica = format!("{}:{}", part("ip"), part("port"));
            findings.push(Finding::ReplicaBehind { replica, bytes });
        }
    }
    if findings.iter().all(|finding| matches!(finding, Finding::InfoDenied { .. })) {
        findings.insert(0, Finding::Primary { replicas });
    }
    Ok(findings)
}

/// Of a server that the URL names as one, or that sentinels do.
pub(crate) fn cluster(server: &mut Patient<'_>, about: &About) -> Result<Finding, Finding> {
    if !about.is_cluster() {
        return Ok(Finding::NoCluster);
    }
    match cluster_state(server)? {
        Finding::ClusterWhole { shards, .. } if shards > 1 => Err(Finding::UrlOfOne { shards }),
        whole => Ok(whole),
    }
}

/// What a node counts.
pub(crate) fn cluster_state(server: &mut Patient<'_>) -> Result<Finding, Finding> {
    let said = server.ask(&["CLUSTER", "INFO"])?;
    if let Some(error) = error_in(&said) {
        return Ok(Finding::ClusterUnseen { error });
    }
    let text = text_in(&said).unwrap_or_default();
    let state: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let number = |name| state.get(name).and_then(|it| it.parse().ok()).unwrap_or(0);
    let assigned: u64 = number("cluster_slots_assigned");
    if assigned < 16384 {
        Err(Finding::SlotsMissing { assigned })
    } else if state.get("cluster_state") != Some(&"ok") {
        Err(Finding::ClusterDown { slots_ok: number("cluster_slots_ok") })
    } else {
        let (nodes, shards) = (number("cluster_known_nodes"), number("cluster_size"));
        Ok(Finding::ClusterWhole { nodes, shards })
    }
}

pub(crate) fn version(server: &mut Patient<'_>, about: &About) -> Result<Vec<Finding>, Finding> {
    let valkey: Option<String> = about.info("valkey_version");
    let (engine, version) = match valkey {
        Some(version) => ("Valkey", version),
        None if about.hello("server") == "valkey" => ("Valkey", about.hello("version").into()),
        None => match about.info("redis_version") {
            Some(version) => ("Redis", version),
            None => ("Redis", about.hello("version").to_owned()),
        },
    };
    let mut findings = vec![judged(engine, version)];
    // Denied, it is no reason to complain: the scripts have their own way to it.
    if let Value::Array(time) = server.ask(&["TIME"])?
        && let Some(seconds) = time.first().and_then(text_in).and_then(|it| it.parse().ok())
    {
        let theirs = UNIX_EPOCH + Duration::from_secs(seconds);
        let by = now().duration_since(theirs).unwrap_or_else(|error| error.duration());
        if by > SKEW {
            findings.push(Finding::ClockDiffers { by_ms: Ms(by) });
        }
    }
    match findings.remove(0) {
        too_old @ Finding::VersionTooOld { .. } => Err(too_old),
        judged => {
            findings.insert(0, judged);
            Ok(findings)
        }
    }
}

fn judged(engine: &str, version: String) -> Finding {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::VersionUnknown;
    };
    let engine = engine.to_owned();
    match (&*engine, (major, minor)) {
        ("Redis", (6, 2) | (7, 0)) | ("Valkey", (8, 0) | (9, 1)) => {
            Finding::VersionTested { engine, version }
        }
        (_, number) if number < (6, 2) => Finding::VersionTooOld { engine, version },
        _ => Finding::VersionUntested { engine, version },
    }
}

pub(crate) fn memory(about: &About) -> Result<Vec<Finding>, Finding> {
    let Some(used) = about.info::<u64>("used_memory") else {
        return Ok(vec![Finding::MemoryUnseen]);
    };
    let limit: u64 = about.info("maxmemory").unwrap_or(0);
    if limit == 0 {
        return Ok(vec![Finding::MemoryUnlimited { used }]);
    }
    // What the server itself does not count when it decides.
    let used = used.saturating_sub(about.info("mem_not_counted_for_evict").unwrap_or(0));
    let policy: String = about.info("maxmemory_policy").unwrap_or_default();
    let mut findings = Vec::new();
    match &*policy {
        "noeviction" if used >= limit => return Err(Finding::MemoryFull { used, limit }),
        "noeviction" => {}
        "volatile-ttl" => findings.push(Finding::EvictsSoonest),
        _ => findings.push(Finding::Evicts { policy: policy.clone() }),
    }
    let percent = used.saturating_mul(100) / limit;
    if percent >= 80 {
        findings.push(Finding::MemoryNearlyFull { used, limit, percent });
    }
    if findings.is_empty() {
        findings.push(Finding::MemoryGood { used, limit, policy });
    }
    Ok(findings)
}

pub(crate) fn persistence(about: &About) -> Vec<Finding> {
    let says = |name: &str, value: &str| about.info.get(name).is_some_and(|it| it == value);
    if about.info.is_empty() {
        return vec![Finding::PersistenceUnseen];
    }
    let mut findings = Vec::new();
    for what in ["rdb_last_bgsave_status", "aof_last_write_status"] {
        if says(what, "err") {
            findings.push(Finding::PersistenceFailing { what: what.to_owned() });
        }
    }
    if findings.is_empty() {
        let written = about.info::<i64>("rdb_last_bgsave_time_sec").is_some_and(|it| it >= 0);
        findings.push(if says("aof_enabled", "1") {
            Finding::AppendOnly
        } else if written {
            Finding::Snapshots
        } else {
            Finding::NotPersisted { up_seconds: about.info("uptime_in_seconds").unwrap_or(0) }
        });
    }
    findings
}

/// A map of text to text; what is no text is left out.
pub(crate) fn pairs(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_map_iter().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((text_in(name)?, text_in(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_versions_is_that_of_the_readme() {
        for (engine, version, code) in [
            ("Redis", "6.2.14", "version.tested"),
            ("Redis", "7.0.15", "version.tested"),
            ("Valkey", "9.1.2", "version.tested"),
            ("Redis", "7.4.1", "version.untested"),
            ("Redis", "8.0.0", "version.untested"),
            ("Valkey", "8.0.1", "version.tested"),
            ("Valkey", "8.1.0", "version.untested"),
            ("Redis", "6.0.16", "version.too_old"),
            ("Redis", "5.0.7", "version.too_old"),
            ("Redis", "", "version.unknown"),
        ] {
            assert_eq!(judged(engine, version.into()).code().0, code, "{engine} {version}");
        }
    }
}
