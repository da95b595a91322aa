//! Clusters and sentinels: every step with every server, and what only several of them can tell.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::time::Duration;

use testbed::papers::text;
use testbed::{Cluster, Sentinels, Server, eventually};

use crate::run::*;

const LONG: Duration = Duration::from_secs(60);

/// The servers of which something was found.
fn of<'a>(report: &'a Report, code: &str) -> Vec<&'a str> {
    let found = report.findings().into_iter().filter(|finding| finding["code"] == code);
    found.flat_map(|it| it["nodes"].as_array().unwrap()).map(|it| it.as_str().unwrap()).collect()
}

fn nowhere() -> String {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string()
}

fn name(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn no_keys(servers: &[Server]) {
    for server in servers {
        assert_eq!(server.keys(), [""; 0]);
    }
}

/// A cluster whose nodes name all replicas; they hide one that has copied nothing yet.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    for key in ["a", "b", "c", "d", "e", "f"] {
        cluster.command(key, &["SET", key, "1"]);
        cluster.command(key, &["DEL", key]);
    }
    let all_named = || {
        let names_all = |node: &Server| {
            let ranges = node.command(&["CLUSTER", "SLOTS"]).list();
            ranges.iter().all(|range| range.list().len() == 4)
        };
        cluster.nodes().iter().all(names_all).then_some(())
    };
    eventually(LONG, all_named).expect("every node names every replica");
    cluster
}

#[test]
fn a_cluster_in_order_passes_every_step_on_every_node() {
    let cluster = cluster();
    // One of its nodes is enough to find the others.
    let url = format!("redis+cluster://{}", name(&cluster.nodes()[0]));
    let report = examine(&url, "address.cluster");
    let details = &report.find("address.cluster")["details"];
    assert_eq!((&details["primaries"], &details["replicas"]), (&3.into(), &3.into()));
    for code in
        ["tcp.connected", "login.not_needed", "ping.quick", "cluster.whole", "version.tested"]
    {
        assert_eq!(of(&report, code).len(), 6, "{code} in {:#}", report.said);
    }
    assert_eq!(of(&report, "role.primary").len(), 3);
    assert_eq!(of(&report, "role.copy").len(), 3);
    assert_eq!(of(&report, "permissions.all").len(), 3);
    report.find("rehearsal.done");
    no_keys(cluster.nodes());
    assert_eq!(report.code, Some(0), "{:#}", report.said);

    // The same by a name, and with all of them.
    let by_name = cluster.url().replace("127.0.0.1", "localhost");
    assert_eq!(examine(&by_name, "rehearsal.done").code, Some(0));
    // Who names one server only is told, before the rehearsal meets a slot of another.
    examine(&cluster.nodes()[0].url(), "cluster.url_of_one");
}

/// Gives the user `shop` what the docs say, and these commands more.
fn documented(server: &Server, more: &str) {
    static OPERATIONS: LazyLock<String> = LazyLock::new(|| text("docs/operations.md"));
    assert!(OPERATIONS.contains(&format!("`{more}`")), "the docs don't say {more}");
    let rule = OPERATIONS.lines().find(|line| line.starts_with("ACL SETUSER shop ")).unwrap();
    let rule = format!("{rule} {more}");
    assert_eq!(server.command(&rule.split(' ').collect::<Vec<_>>()).error(), None);
}

// Proves R60.
#[test]
fn the_documented_acl_is_enough_on_a_cluster_with_what_the_docs_add() {
    let cluster = cluster();
    for node in cluster.nodes() {
        documented(node, "+cluster|slots +asking");
    }
    let url = cluster.url().replace("://", "://shop:PASSWORD@");
    let report = examine_with(&url, "permissions.all", &["--prefix", "shop"], &[]);
    report.find("rehearsal.done");
    no_keys(cluster.nodes());
    for node in cluster.nodes() {
        assert_eq!(node.command(&["ACL", "LOG"]).list(), vec![]);
        node.command(&["ACL", "SETUSER", "shop", "-asking"]);
    }
    let code = "permissions.commands_denied";
    let report = examine_with(&url, code, &["--prefix", "shop"], &[]);
    assert_eq!(report.find(code)["details"]["commands"], serde_json::json!(["asking"]));
}

// Proves R60.
#[test]
fn the_documented_acl_is_enough_behind_sentinels_with_what_the_docs_add() {
    let sentinels = Sentinels::start();
    for server in sentinels.servers() {
        documented(server, "+role");
    }
    let url = sentinels.url().replace("://", "://shop:PASSWORD@");
    let report = examine_with(&url, "permissions.all", &["--prefix", "shop"], &[]);
    report.find("rehearsal.done");
    for server in sentinels.servers() {
        assert_eq!(server.command(&["ACL", "LOG"]).list(), vec![]);
        server.command(&["ACL", "SETUSER", "shop", "-role"]);
    }
    let code = "permissions.commands_denied";
    let report = examine_with(&url, code, &["--prefix", "shop"], &[]);
    assert_eq!(report.find(code)["details"]["commands"], serde_json::json!(["role"]));
}

#[test]
fn a_node_that_the_others_can_do_without_is_left_out_and_a_primary_is_not() {
    let cluster = cluster();
    let away = nowhere();
    let url = cluster.url().replace("redis+cluster://", &format!("redis+cluster://{away},"));
    assert_eq!(of(&examine(&url, "node.left_out"), "node.left_out"), [&*away]);

    let replica = &cluster.nodes()[3];
    replica.kill();
    let report = examine(&cluster.url(), "node.left_out");
    assert_eq!(of(&report, "node.left_out"), [name(replica)]);
    let reason = report.find("node.left_out")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("refuses the connection"), "{reason}");
    assert_eq!((report.code, report.codes().last()), (Some(3), Some(&"rehearsal.done")));

    let primary = &cluster.nodes()[1];
    primary.kill();
    let report = examine(&cluster.url(), "tcp.refused");
    assert_eq!(of(&report, "tcp.refused"), [name(primary)]);
}

#[test]
fn nodes_that_disagree_and_shards_without_replicas_are_told() {
    let executable = &Server::every_executable()[0];
    let extra = ["--cluster-enabled", "yes"];
    let nodes = [Server::start_with(executable, &extra), Server::start_with(executable, &extra)];
    let half = |server: &Server, slots: std::ops::Range<u32>| {
        let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
        let mut command = vec!["CLUSTER", "ADDSLOTS"];
        command.extend(slots.iter().map(String::as_str));
        assert_eq!(server.command(&command).error(), None);
    };
    half(&nodes[0], 0..8192);
    half(&nodes[1], 8192..16384);
    nodes[1].command(&["CLUSTER", "SET-CONFIG-EPOCH", "2"]);
    nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    let up = || {
        let whole = |node: &Server| {
            let info = node.command(&["CLUSTER", "INFO"]).text();
            info.contains("cluster_slots_assigned:16384") && info.contains("cluster_state:ok")
        };
        nodes.iter().all(whole).then_some(())
    };
    eventually(LONG, up).expect("the cluster comes up");
    let url = format!("redis+cluster://{},{}", name(&nodes[0]), name(&nodes[1]));
    let report = examine(&url, "cluster.no_replica");
    assert!(report.find("cluster.no_replica")["details"]["primaries"][1].is_string());

    // A way to the first node on which it takes itself for the owner of everything.
    let [all, other] = [&nodes[0], &nodes[1]].map(|node| format!(":{}\r\n", node.port()));
    let mistaken = rewritten(&nodes[0], &other, &all);
    let report = examine(&format!("{url},{mistaken}"), "cluster.disagrees");
    assert_eq!(of(&report, "cluster.disagrees"), [mistaken.to_string()]);
}

#[test]
fn a_server_that_is_no_node_of_a_cluster_is_told_from_one() {
    let server = Server::start();
    examine(&format!("redis+cluster://{}", name(&server)), "cluster.not_one");
}

#[test]
fn sentinels_and_the_servers_behind_them_pass_every_step() {
    let sentinels = Sentinels::start();
    let report = examine(&sentinels.url(), "address.sentinels");
    assert_eq!(of(&report, "sentinel.knows").len(), 3);
    assert_eq!(of(&report, "login.not_needed").len(), 5);
    assert_eq!(of(&report, "role.primary"), [name(&sentinels.servers()[0])]);
    assert_eq!(of(&report, "role.copy"), [name(&sentinels.servers()[1])]);
    assert_eq!(of(&report, "permissions.all").len(), 2);
    report.find("rehearsal.done");
    no_keys(sentinels.servers());
    assert_eq!(report.code, Some(0), "{:#}", report.said);

    let unknown = sentinels.url().replace("/cloak", "/coat");
    examine(&unknown, "sentinel.knows_none");
    let server = &sentinels.servers()[0];
    examine(&format!("redis+sentinel://{}/cloak", name(server)), "sentinel.none");
}

#[test]
fn a_replica_that_lost_its_primary_is_warned_of() {
    let sentinels = Sentinels::start();
    let [_, replica] = sentinels.servers();
    // It can't log in any more, and nobody takes it for dead.
    replica.command(&["CONFIG", "SET", "masterauth", "wrong", "masteruser", "nobody"]);
    sentinels.servers()[0].command(&["CLIENT", "KILL", "TYPE", "replica"]);
    let down = || {
        let info = replica.command(&["INFO", "replication"]).text();
        info.contains("master_link_status:down").then_some(())
    };
    eventually(LONG, down).expect("the link is lost");
    let report = examine(&sentinels.url(), "role.copy_unlinked");
    assert_eq!(of(&report, "role.copy_unlinked"), [name(replica)]);
    assert_eq!(report.code, Some(3));
}

#[test]
fn sentinels_without_a_majority_and_sentinels_that_disagree_are_told() {
    let sentinels = Sentinels::start();
    // Not killed, for then somebody else might get their ports, and answer.
    for sentinel in &sentinels.sentinels()[1..] {
        sentinel.stop();
    }
    let left = &sentinels.sentinels()[0];
    let noticed = || {
        let said = left.command(&["SENTINEL", "CKQUORUM", "cloak"]);
        said.error().map(|_| ())
    };
    eventually(LONG, noticed).expect("it notices that it is alone");
    let args = ["--timeout", "3s"];
    let report = examine_with(&sentinels.url(), "sentinel.no_quorum", &args, &[]);
    assert_eq!(of(&report, "node.left_out").len(), 2);

    // Another that watches over another primary of the same name.
    let others = Sentinels::start();
    let host = |all: &Sentinels| name(&all.sentinels()[0]);
    let url = format!("redis+sentinel://{},{}/cloak", host(&sentinels), host(&others));
    examine(&url, "sentinel.disagrees");
}
