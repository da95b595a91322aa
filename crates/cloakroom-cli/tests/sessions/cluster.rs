//! The same commands on a cluster, whose sessions lie on several nodes.

use testbed::Cluster;

use crate::scene::{Scene, session, with};

// Proves R35.
#[test]
fn the_commands_reach_the_sessions_on_every_node_of_a_cluster() {
    let scene = Scene::Cluster(Cluster::start());
    let Scene::Cluster(cluster) = &scene else { unreachable!() };
    let [one, two] = [1, 2].map(|number| session(Some("alice"), number));
    let mut all = vec![one.clone(), two.clone()];
    let users: Vec<String> = (3..15).map(|number| format!("user {number}")).collect();
    all.extend(users.iter().zip(3..).map(|(user, number)| session(Some(user), number)));
    all.extend((20..28).map(|number| session(None, number)));
    scene.keep(&all);
    let has_sessions =
        |node: &&testbed::Server| node.keys().iter().any(|k| k.contains(":session:"));
    assert_eq!(cluster.primaries().iter().filter(|node| has_sessions(node)).count(), 3);

    let (code, log) = scene.run(&["sessions", "list", "--user", "alice"]);
    assert_eq!((code, log.lines().count()), (Some(0), 3), "{log}");
    assert!(log.contains(&one.id.in_full()) && log.contains(&two.id.in_full()), "{log}");
    let (code, log) = scene.run(&["sessions", "show", &all[20].id.in_full()]);
    assert!(code == Some(0) && log.contains("nobody is logged in"), "{log}");
    let counted = "22 sessions: 14 of 13 users, 8 anonymous";
    assert_eq!(scene.run(&["sessions", "count"]).1, format!("{counted}\n"));
    let (_, log) = scene.run(&["sessions", "watch", "--times", "1"]);
    assert!(log.contains(counted), "{log}");

    let id = one.id.in_full();
    assert_eq!(scene.run(&["sessions", "revoke", &id]).1, "1 session ended\n");
    assert!(!scene.alive(&one) && scene.alive(&two));
    let (_, log) = scene.run(&["sessions", "revoke", "--user", "alice", "--yes"]);
    assert_eq!(log, "1 session ended\n");
    let (code, log) = scene.run(&["sessions", "revoke", "--all", "--yes"]);
    assert_eq!((code, &*log), (Some(0), "20 sessions ended\n"));
    assert_eq!(scene.run(&["sessions", "count"]).0, Some(3));
    for node in cluster.primaries() {
        assert_eq!(node.keys_without_ttl(), [""; 0]);
    }
}

#[test]
fn orphans_are_found_and_mended_on_every_node_of_a_cluster() {
    let scene = Scene::Cluster(Cluster::start());
    let Scene::Cluster(cluster) = &scene else { unreachable!() };
    let users: Vec<String> = (1..13).map(|number| format!("user {number}")).collect();
    let all: Vec<_> =
        users.iter().zip(1..).map(|(user, number)| session(Some(user), number)).collect();
    let big = with(session(Some("big"), 20), "note", &"x".repeat(70_000));
    scene.keep(&all);
    scene.keep(std::slice::from_ref(&big));
    assert_eq!(scene.run(&["sessions", "orphans"]).1.lines().count(), 1);

    let mut endless = 0;
    for node in cluster.primaries() {
        let sessions = node.keys().into_iter().filter(|key| key.contains(":session:"));
        let key = sessions.max().expect("a session on every node");
        node.command(&["PERSIST", &key]);
        endless += node.keys_without_ttl().len();
    }
    assert_eq!(endless, 3);
    let (code, log) = scene.run(&["sessions", "orphans", "--json"]);
    assert_eq!((code, log.matches("\"no-ttl\"").count()), (Some(4), 3), "{log}");
    let (code, log) = scene.run(&["sessions", "orphans", "--json", "--fix"]);
    assert_eq!((code, log.matches("\"fixed\"").count()), (Some(4), 3), "{log}");
    assert!(log.contains("\"oversize\""), "{log}");
    for node in cluster.primaries() {
        assert_eq!(node.keys_without_ttl(), [""; 0]);
    }
    assert!(all.iter().all(|session| scene.alive(session)));
}
