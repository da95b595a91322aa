//! What a server says of itself: latency, role, cluster, version, memory, persistence.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use testbed::{Program, Proxy, Server, eventually};

use crate::run::*;

const LONG: Duration = Duration::from_secs(60);

fn configured(settings: &[&str]) -> Server {
    let server = Server::start();
    let said = server.command(&[&["CONFIG", "SET"], settings].concat());
    assert_eq!(said.error(), None);
    server
}

#[test]
fn a_long_way_is_slow() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    proxy.delay(Duration::from_millis(120));
    let report = examine(&proxy.url(), "ping.slow");
    assert!(report.find("ping.slow")["details"]["p50_ms"].as_f64().unwrap() >= 120.0);
}

#[test]
fn a_replica_is_refused_with_the_name_of_its_primary() {
    let primary = Server::start();
    let replica = configured(&["repl-diskless-sync-delay", "0"]);
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let report = examine(&replica.url(), "role.replica");
    let named = format!("127.0.0.1:{}", primary.port());
    assert_eq!(report.find("role.replica")["details"]["primary"], named.as_str());
}

#[test]
fn a_replica_that_lags_behind_is_warned_of() {
    let primary = configured(&["repl-diskless-sync-delay", "0"]);
    let replica = Server::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let online = || {
        let info = primary.command(&["INFO", "replication"]).text();
        info.contains("state=online").then_some(())
    };
    eventually(LONG, online).expect("the replica comes online");
    let report = examine(&primary.url(), "role.primary");
    assert_eq!(report.find("role.primary")["details"]["replicas"], 1);
    replica.stop();
    for _ in 0..4 {
        primary.command(&["SET", "big", &"x".repeat(1024 * 1024)]);
    }
    let report = examine(&primary.url(), "role.replica_behind");
    assert!(report.find("role.replica_behind")["details"]["bytes"].as_u64().unwrap() > 1024 * 1024);
}

#[test]
fn a_sentinel_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sentinel.conf");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    fs::write(&config, format!("port {}\nbind 127.0.0.1\n", free.port())).unwrap();
    let executable = &Server::every_executable()[0];
    let _sentinel = Program::start(executable, &[config.to_str().unwrap(), "--sentinel"], &[]);
    eventually(LONG, || TcpStream::connect(free).ok()).expect("the sentinel starts");
    examine(&format!("redis://{free}"), "role.sentinel");
}

#[test]
fn a_cluster_without_all_its_slots_is_refused_and_a_whole_one_passes() {
    let executable = &Server::every_executable()[0];
    let server = Server::start_with(executable, &["--cluster-enabled", "yes"]);
    examine(&server.url(), "cluster.slots_missing");
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let up = || {
        let info = server.command(&["CLUSTER", "INFO"]).text();
        info.contains("cluster_state:ok").then_some(())
    };
    eventually(LONG, up).expect("the cluster comes up");
    // What the store does on a cluster is for its own tests.
    let report = doctor(&[], &[("REDIS_URL", &server.url())]);
    assert_eq!(report.find("cluster.whole")["details"]["shards"], 1);
}

#[test]
fn a_cluster_that_lost_its_majority_is_down() {
    let executable = &Server::every_executable()[0];
    let extra = ["--cluster-enabled", "yes", "--cluster-node-timeout", "500"];
    let nodes = [Server::start_with(executable, &extra), Server::start_with(executable, &extra)];
    nodes[0].command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    nodes[1].command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    nodes[1].command(&["CLUSTER", "SET-CONFIG-EPOCH", "2"]);
    nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    let state = |state: &str| {
        let info = nodes[0].command(&["CLUSTER", "INFO"]).text();
        let all = info.contains("cluster_slots_assigned:16384");
        (all && info.contains(state)).then_some(())
    };
    eventually(LONG, || state("cluster_state:ok")).expect("the cluster comes up");
    nodes[1].kill();
    eventually(LONG, || state("cluster_state:fail")).expect("the cluster notices");
    examine(&nodes[0].url(), "cluster.down");
}

#[test]
fn a_version_below_the_range_is_refused_and_one_beside_it_noted() {
    let executable = &Server::every_executable()[0];
    let server = Server::start_with(executable, &["--maxmemory", "100mb"]);
    let info = server.command(&["INFO", "server"]).text();
    let line = info.lines().find(|line| line.starts_with("redis_version:7.0")).unwrap();
    for (version, code) in [("6.0", "version.too_old"), ("7.4", "version.untested")] {
        let said = rewritten(&server, line, line.replace("7.0", version));
        examine(&format!("redis://{said}"), code);
    }
    let garbled = line.replace("7.0", "x.y");
    let said = rewritten(&server, line, &garbled);
    examine(&format!("redis://{said}"), "version.unknown");
}

#[test]
fn clocks_that_differ_are_noted() {
    let server = Server::start();
    let time = server.command(&["TIME"]).list()[0].text();
    let from = format!("$10\r\n{}", &time[..4]);
    let said = rewritten(&server, &from, "$10\r\n1600");
    let report = examine(&format!("redis://{said}"), "version.clock_differs");
    assert_eq!(report.code, Some(0));
}

#[test]
fn memory_without_a_limit_is_noted() {
    examine(&Server::start().url(), "memory.unlimited");
}

#[test]
fn memory_that_runs_out_is_warned_of_and_a_full_one_refused() {
    let server = Server::start();
    let used = || {
        let info = server.command(&["INFO", "memory"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<u64>().unwrap()
    };
    // Made by the server, so that no buffer of a client is measured.
    let script = "return redis.call('SETRANGE', KEYS[1], 41943040, 'x')";
    server.command(&["EVAL", script, "1", "much"]);
    server.command(&["CONFIG", "SET", "maxmemory", &(used() * 10 / 9).to_string()]);
    examine(&server.url(), "memory.nearly_full");
    server.command(&["CONFIG", "SET", "maxmemory", &(used() / 2).to_string()]);
    examine(&server.url(), "memory.full");
}

#[test]
fn a_policy_that_ends_sessions_at_random_is_warned_of() {
    for policy in ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-lfu"] {
        let server = configured(&["maxmemory", "100mb", "maxmemory-policy", policy]);
        let report = examine(&server.url(), "memory.evicts");
        assert_eq!(report.find("memory.evicts")["details"]["policy"], policy);
        assert_eq!(report.code, Some(3));
    }
    let server = configured(&["maxmemory", "100mb", "maxmemory-policy", "volatile-ttl"]);
    assert_eq!(examine(&server.url(), "memory.evicts_soonest").code, Some(0));
}

#[test]
fn what_survives_a_restart_is_said() {
    let server = configured(&["appendonly", "no"]);
    examine(&server.url(), "persistence.none");
    server.command(&["BGSAVE"]);
    let saved = || {
        let info = server.command(&["INFO", "persistence"]).text();
        (!info.contains("rdb_last_bgsave_time_sec:-1")).then_some(())
    };
    eventually(LONG, saved).expect("it saves");
    examine(&server.url(), "persistence.snapshots");
}

#[test]
fn a_disk_that_takes_nothing_is_warned_of_and_writes_that_are_refused_for_it_named() {
    let executable = &Server::every_executable()[0];
    let server = Server::start_with(executable, &["--enable-protected-configs", "yes"]);
    let gone = tempfile::tempdir().unwrap();
    let path = gone.path().to_str().unwrap().to_owned();
    assert_eq!(server.command(&["CONFIG", "SET", "dir", &path]).error(), None);
    gone.close().unwrap();
    server.command(&["BGSAVE"]);
    let failed = || {
        let info = server.command(&["INFO", "persistence"]).text();
        info.contains("rdb_last_bgsave_status:err").then_some(())
    };
    eventually(LONG, failed).expect("it fails to save");
    examine(&server.url(), "persistence.failing");
    server.command(&["CONFIG", "SET", "save", "3600 100000"]);
    examine(&server.url(), "server.not_saving");
}

#[test]
fn keys_on_another_node_are_left_to_the_store() {
    let executable = &Server::every_executable()[0];
    let extra = ["--cluster-enabled", "yes"];
    let nodes = [Server::start_with(executable, &extra), Server::start_with(executable, &extra)];
    nodes[1].command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    let up = || {
        let info = nodes[0].command(&["CLUSTER", "INFO"]).text();
        let all = info.contains("cluster_slots_assigned:16384");
        (all && info.contains("cluster_state:ok")).then_some(())
    };
    eventually(LONG, up).expect("the cluster comes up");
    let report = doctor(&[], &[("REDIS_URL", &nodes[0].url())]);
    report.find("permissions.unseen");
}
