//! A cluster of real servers: three primaries, each with a replica, on free ports of the loopback
//! interface.

use std::path::Path;
use std::time::Duration;

use crate::child::eventually;
use crate::resp::Reply;
use crate::server::Server;

/// How long the nodes may take to agree with each other.
const AGREE: Duration = Duration::from_secs(60);
/// How long a node is silent before the others call it failed, in milliseconds: on a busy machine
/// nobody is, unless the test [wants that](Cluster::fail_over_soon).
const CALM: &str = "30000";
const SOON: &str = "1000";

const SLOTS: u32 = 16384;
const PRIMARIES: usize = 3;

/// A running cluster. Dropping it kills all its nodes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster of the server that [`Server::start`] would start.
    pub fn start() -> Self {
        Self::start_with(&Server::every_executable()[0])
    }

    /// Starts a cluster of `executable`: nodes 0 to 2 are primaries, 3 to 5 their replicas.
    pub fn start_with(executable: &Path) -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            // Short, because nodes wait about as long before they serve.
            SOON,
            // A replica that just came is good enough, and has its data at once.
            "--cluster-replica-validity-factor",
            "0",
            "--repl-diskless-sync-delay",
            "0",
            "--cluster-require-full-coverage",
            "no",
        ];
        let nodes: Vec<_> =
            (0..2 * PRIMARIES).map(|_| Server::start_with(executable, &options)).collect();
        for (nth, node) in nodes.iter().enumerate() {
            // Otherwise two may believe to be the newest.
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(nth + 1).to_string()]);
        }
        for (nth, node) in nodes[..PRIMARIES].iter().enumerate() {
            let share = |nth: usize| SLOTS * nth as u32 / PRIMARIES as u32;
            let slots: Vec<String> = (share(nth)..share(nth + 1)).map(|s| s.to_string()).collect();
            let mut command = vec!["CLUSTER", "ADDSLOTS"];
            command.extend(slots.iter().map(String::as_str));
            ok(node, &command);
        }
        let cluster = Self { nodes };
        let first = cluster.nodes[0].port().to_string();
        for node in &cluster.nodes[1..] {
            ok(node, &["CLUSTER", "MEET", "127.0.0.1", &first]);
        }
        cluster.wait_until("all nodes know each other", |node| {
            node.command(&["CLUSTER", "NODES"]).text().lines().count() == 2 * PRIMARIES
        });
        for (replica, primary) in cluster.nodes[PRIMARIES..].iter().zip(&cluster.nodes) {
            let id = primary.command(&["CLUSTER", "MYID"]).text();
            ok(replica, &["CLUSTER", "REPLICATE", &id]);
        }
        cluster.wait_until("all slots are served", |node| {
            node.command(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok")
        });
        for replica in &cluster.nodes[PRIMARIES..] {
            let linked =
                || replica.command(&["INFO", "replication"]).text().contains("link_status:up");
            assert!(eventually(AGREE, || linked().then_some(())).is_some(), "{}", replica.log());
        }
        cluster.wait_until("all replicas are known", |node| {
            let nodes = node.command(&["CLUSTER", "NODES"]).text();
            nodes.lines().filter(|line| line.contains("slave")).count() == PRIMARIES
        });
        cluster.set_timeout(CALM);
        cluster
    }

    /// From now on a replica takes over from a primary that is silent for a second.
    pub fn fail_over_soon(&self) {
        self.set_timeout(SOON);
    }

    fn set_timeout(&self, millis: &str) {
        for node in &self.nodes {
            ok(node, &["CONFIG", "SET", "cluster-node-timeout", millis]);
        }
    }

    /// The address as a client takes it: `redis+cluster://` and all nodes.
    pub fn url(&self) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Has every primary tell clients that it is at this port, as of a proxy, and waits until all know.
    /// Redis before 7 can't.
    pub fn announce(&self, ports: [u16; PRIMARIES]) {
        // The sooner a node would be missed, the more often they talk.
        self.set_timeout(SOON);
        for (node, port) in self.nodes.iter().zip(ports) {
            ok(node, &["CONFIG", "SET", "cluster-announce-port", &port.to_string()]);
        }
        self.wait_until("the announced ports are known", |node| {
            let slots = format!("{:?}", node.command(&["CLUSTER", "SLOTS"]));
            ports.iter().all(|port| slots.contains(&format!("Int({port})")))
        });
        self.set_timeout(CALM);
    }

    /// All nodes; the first three began as primaries.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The node that serves the slot of this key now, as the first node that answers sees it.
    ///
    /// # Panics
    /// If nobody does.
    #[track_caller]
    pub fn owner(&self, key: &str) -> &Server {
        let slot = self.slot(key);
        self.owner_of(slot).unwrap_or_else(|| panic!("nobody serves slot {slot}"))
    }

    /// The slot of this key.
    pub fn slot(&self, key: &str) -> u16 {
        let answers = self.alive(&["CLUSTER", "KEYSLOT", key]);
        answers.first().expect("a node that answers").int().try_into().unwrap()
    }

    fn owner_of(&self, slot: u16) -> Option<&Server> {
        let ranges = self.alive(&["CLUSTER", "SLOTS"]).first()?.list();
        let range = ranges
            .iter()
            .map(Reply::list)
            .find(|range| (range[0].int()..=range[1].int()).contains(&i64::from(slot)))?;
        let port = range[2].list()[1].int();
        self.nodes.iter().find(|node| i64::from(node.port()) == port)
    }

    /// The nodes that are primaries and serve slots.
    pub fn primaries(&self) -> Vec<&Server> {
        let ranges = self.alive(&["CLUSTER", "SLOTS"]).first().expect("a node that answers").list();
        let ports: Vec<i64> = ranges.iter().map(|range| range.list()[2].list()[1].int()).collect();
        self.nodes.iter().filter(|node| ports.contains(&i64::from(node.port()))).collect()
    }

    /// Asks the owner of a key.
    #[track_caller]
    pub fn command(&self, key: &str, args: &[&str]) -> Reply {
        self.owner(key).command(args)
    }

    /// Says that `slot` is on its way from its owner to another primary, and returns both.
    pub fn begin_migration(&self, slot: u16) -> (&Server, &Server) {
        let from = self.owner_of(slot).expect("the owner of the slot");
        let to = *self.primaries().iter().find(|node| node.port() != from.port()).unwrap();
        let id = |node: &Server| node.command(&["CLUSTER", "MYID"]).text();
        let slot = slot.to_string();
        ok(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        ok(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        (from, to)
    }

    /// Moves one key of a slot that is on its way.
    pub fn migrate(&self, from: &Server, to: &Server, key: &str) {
        let port = to.port().to_string();
        let answer = from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        assert!(answer.error().is_none(), "{key}: {answer:?}");
    }

    /// Moves what is left of the slot, and gives it to its new owner.
    pub fn end_migration(&self, slot: u16, from: &Server, to: &Server) {
        let number = slot.to_string();
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &number, "100"]).list();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                self.migrate(from, to, &key.text());
            }
        }
        let id = to.command(&["CLUSTER", "MYID"]).text();
        // The new owner first, or for a moment nobody would be.
        ok(to, &["CLUSTER", "SETSLOT", &number, "NODE", &id]);
        ok(from, &["CLUSTER", "SETSLOT", &number, "NODE", &id]);
        for node in self.primaries() {
            ok(node, &["CLUSTER", "SETSLOT", &number, "NODE", &id]);
        }
    }

    fn alive(&self, args: &[&str]) -> Vec<Reply> {
        let answers = self.nodes.iter().find_map(|node| node.try_command(AGREE, args).ok());
        answers.into_iter().collect()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, holds: impl Fn(&Server) -> bool) {
        for node in &self.nodes {
            if eventually(AGREE, || holds(node).then_some(())).is_none() {
                panic!("not in {AGREE:?}: {what}:\n{}", node.log());
            }
        }
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
    fn a_slot_is_served_and_moves_with_its_keys() {
        let cluster = Cluster::start();
        assert_eq!(cluster.primaries().len(), PRIMARIES);
        let first = cluster.owner("coat");
        first.command(&["SET", "coat", "red"]);
        let slot = cluster.slot("coat");
        let (from, to) = cluster.begin_migration(slot);
        assert_eq!(from.port(), first.port());
        cluster.end_migration(slot, from, to);
        assert_eq!(cluster.command("coat", &["GET", "coat"]).text(), "red");
        assert_ne!(cluster.owner("coat").port(), first.port());
    }
}
