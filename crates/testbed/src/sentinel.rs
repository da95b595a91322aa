//! A primary with a replica, and three sentinels that watch over them, all real, on free ports of the
//! loopback interface.

use std::path::Path;
use std::time::Duration;

use crate::child::eventually;
use crate::server::Server;

/// How long all may take to know each other.
const AGREE: Duration = Duration::from_secs(60);
/// How long the primary is silent before a sentinel calls it failed.
pub const DOWN_AFTER: Duration = Duration::from_millis(500);
/// The name under which the sentinels know the primary.
pub const PRIMARY: &str = "cloak";

/// Running servers and sentinels. Dropping it kills them all.
#[derive(Debug)]
pub struct Sentinels {
    servers: [Server; 2],
    sentinels: Vec<Server>,
}

impl Sentinels {
    /// Starts the server that [`Server::start`] would start.
    pub fn start() -> Self {
        Self::start_with(&Server::every_executable()[0])
    }

    /// Starts `executable` five times: server 0 is the primary, server 1 its replica.
    pub fn start_with(executable: &Path) -> Self {
        let options = ["--repl-diskless-sync-delay", "0", "--replica-priority", "10"];
        let servers = [(); 2].map(|()| Server::start_with(executable, &options));
        let port = servers[0].port().to_string();
        ok(&servers[1], &["REPLICAOF", "127.0.0.1", &port]);
        let linked =
            || servers[1].command(&["INFO", "replication"]).text().contains("link_status:up");
        assert!(eventually(AGREE, || linked().then_some(())).is_some(), "{}", servers[1].log());

        let sentinels: Vec<_> = (0..3).map(|_| Server::start_sentinel(executable, &[])).collect();
        for sentinel in &sentinels {
            let set = |name: &str, value: &str| {
                ok(sentinel, &["SENTINEL", "SET", PRIMARY, name, value]);
            };
            ok(sentinel, &["SENTINEL", "MONITOR", PRIMARY, "127.0.0.1", &port, "2"]);
            set("down-after-milliseconds", &DOWN_AFTER.as_millis().to_string());
            set("failover-timeout", "5000");
        }
        for sentinel in &sentinels {
            let knows_all = || {
                let seen = sentinel.command(&["SENTINEL", "MASTER", PRIMARY]).pairs();
                (seen["num-slaves"] == b"1" && seen["num-other-sentinels"] == b"2").then_some(())
            };
            assert!(eventually(AGREE, knows_all).is_some(), "{}", sentinel.log());
        }
        Self { servers, sentinels }
    }

    /// The address as a client takes it: `redis+sentinel://`, all sentinels and the primary's name.
    pub fn url(&self) -> String {
        let hosts = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+sentinel://{}/{PRIMARY}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Both servers; the first began as the primary.
    pub fn servers(&self) -> &[Server; 2] {
        &self.servers
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }
}

#[track_caller]
fn ok(node: &Server, args: &[&str]) {
    let answer = node.command(args);
    assert!(answer.error().is_none(), "{args:?}: {answer:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_takes_over_when_the_primary_is_killed() {
        let sentinels = Sentinels::start();
        sentinels.servers()[0].kill();
        let is_primary = || sentinels.servers()[1].command(&["ROLE"]).list()[0].text() == "master";
        assert!(eventually(AGREE, || is_primary().then_some(())).is_some());
    }
}
