//! What befalls several servers that stand for one.

use std::net::Ipv4Addr;

use testbed::{Cluster, Hosts, Sentinels, Server, eventually};

use crate::stage::{Kept, LONG, SOME};
use crate::storm::storm;

/// Waits until this server calls itself a primary.
#[track_caller]
fn takes_over(server: &Server) {
    let is_primary = || {
        let role = server.try_command(LONG, &["ROLE"]).ok()?;
        (role.list()[0].text() == "master").then_some(())
    };
    assert!(eventually(LONG, is_primary).is_some(), "{}", server.log());
}

// Proves F21.
#[test]
fn a_killed_primary_of_sentinels_is_replaced_under_load() {
    let sentinels = Sentinels::start();
    let [primary, replica] = sentinels.servers();
    storm(sentinels.url(), &[primary, replica], Kept::Replicated, |stage| {
        primary.kill();
        takes_over(replica);
        stage.answers(SOME);
    });
}

// Proves F21, F3.
#[test]
fn a_frozen_primary_of_sentinels_is_replaced_under_load() {
    let sentinels = Sentinels::start();
    let [primary, replica] = sentinels.servers();
    storm(sentinels.url(), &[replica], Kept::Replicated, |stage| {
        primary.stop();
        takes_over(replica);
        stage.answers(SOME);
    });
}

/// The endpoint of a managed service: a name that leads to `old`, which `new` follows.
struct Endpoint {
    hosts: Hosts,
    old: Server,
    new: Server,
}

impl Endpoint {
    const NAME: &str = "cloak.test";
    const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// `None` where the test called `this` starts anew, with names of its own.
    fn start(this: &str) -> Option<Self> {
        let hosts = Hosts::around(this, Self::NAME)?;
        let old = Server::start();
        let new = old.start_replica_at(Self::NEW);
        Some(Self { hosts, old, new })
    }

    fn url(&self) -> String {
        format!("redis://{}:{}", Self::NAME, self.old.port())
    }

    /// The name leads to `new` from here on.
    fn moves(&self) {
        self.hosts.lead(Self::NEW);
    }

    /// Waits until nobody is connected to `old` any more.
    #[track_caller]
    fn is_left(&self) {
        let left = || (self.old.clients() == 0).then_some(());
        assert!(eventually(LONG, left).is_some(), "the old one still has clients");
    }
}

/// The name moves to the new primary some time after the old one has become a replica, which goes on
/// answering.
// Proves F24, F19.
#[test]
fn an_endpoint_that_moves_to_another_server_is_followed_under_load() {
    let this = "deployments::an_endpoint_that_moves_to_another_server_is_followed_under_load";
    let Some(endpoint) = Endpoint::start(this) else { return };
    let Endpoint { old, new, .. } = &endpoint;
    let told = storm(endpoint.url(), &[new], Kept::All, |stage| {
        // Nothing is lost: it stops writes until its replica has all.
        assert!(old.command(&["FAILOVER"]).error().is_none());
        takes_over(new);
        stage.answers(SOME);
        assert_eq!(new.clients(), 0);
        endpoint.moves();
        stage.answers(SOME);
        endpoint.is_left();
    });
    assert!(told.unavailable > 0, "nobody noticed");
}

/// A partition: the replica was made a primary behind the old one's back, and the instances are still on
/// the old side. In the end the old one follows the new one, and the name leads there.
// Proves F22.
#[test]
fn a_partition_costs_what_its_old_side_acknowledged() {
    let this = "deployments::a_partition_costs_what_its_old_side_acknowledged";
    let Some(endpoint) = Endpoint::start(this) else { return };
    let Endpoint { old, new, .. } = &endpoint;
    let told = storm(endpoint.url(), &[new], Kept::Replicated, |stage| {
        assert!(new.command(&["REPLICAOF", "NO", "ONE"]).error().is_none());
        stage.answers(3 * SOME);
        endpoint.moves();
        let follow = ["REPLICAOF", &Endpoint::NEW.to_string(), &new.port().to_string()];
        assert!(old.command(&follow).error().is_none());
        stage.answers(SOME);
        endpoint.is_left();
    });
    // Or it was no partition.
    assert!(told.lost > 0, "{told:?}");
}

// Proves F23.
#[test]
fn a_killed_primary_of_a_cluster_is_replaced_under_load() {
    let cluster = Cluster::start();
    let servers: Vec<_> = cluster.nodes().iter().collect();
    storm(cluster.url(), &servers, Kept::Replicated, |stage| {
        cluster.fail_over_soon();
        cluster.nodes()[0].kill();
        takes_over(&cluster.nodes()[3]);
        stage.answers(SOME);
    });
}

// Proves F23.
#[test]
fn slots_that_move_under_load_lose_nothing_that_was_acknowledged() {
    let cluster = Cluster::start();
    let servers: Vec<_> = cluster.nodes().iter().collect();
    storm(cluster.url(), &servers, Kept::All, |stage| {
        let keys = cluster.primaries().into_iter().flat_map(Server::keys);
        let users: Vec<_> = keys.filter(|key| key.ends_with(":user")).take(6).collect();
        for slot in users.iter().map(|key| cluster.slot(key)) {
            let (from, to) = cluster.begin_migration(slot);
            stage.answers(20);
            cluster.end_migration(slot, from, to);
            stage.answers(20);
        }
    });
}

// Proves F23.
#[test]
fn a_cluster_that_is_down_makes_503_until_it_is_up() {
    let cluster = Cluster::start();
    let servers: Vec<_> = cluster.nodes().iter().collect();
    let told = storm(cluster.url(), &servers, Kept::All, |stage| {
        // A slot that nobody serves, and a cluster that wants all of them.
        let all = |command: &[&str]| {
            for node in cluster.nodes() {
                let answer = node.command(command);
                assert!(answer.error().is_none(), "{command:?}: {answer:?}");
            }
        };
        let owner = cluster.owner("nobody's");
        let slot = cluster.slot("nobody's").to_string();
        all(&["CONFIG", "SET", "cluster-require-full-coverage", "yes"]);
        // Replicas follow; each primary hears of it from us, for they don't tell each other.
        for node in cluster.primaries() {
            assert!(node.command(&["CLUSTER", "DELSLOTS", &slot]).error().is_none());
        }
        for node in cluster.primaries() {
            let down = || {
                let info = node.command(&["CLUSTER", "INFO"]).text();
                info.contains("cluster_state:fail").then_some(())
            };
            assert!(eventually(LONG, down).is_some(), "{}", node.log());
        }
        stage.answers(SOME);
        assert!(owner.command(&["CLUSTER", "ADDSLOTS", &slot]).error().is_none());
        all(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    });
    assert!(told.unavailable > 0, "nobody noticed");
}
