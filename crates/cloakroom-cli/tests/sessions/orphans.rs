//! What `cloakroom sessions orphans` finds on a server, and what it mends.

use std::time::Duration;

use testbed::Server;

use crate::scene::{Scene, on_every_store, session, with};

#[test]
fn what_is_as_it_should_be_is_not_told() {
    for server in Server::every() {
        let scene = Scene::Redis(server);
        scene.keep(&[session(Some("alice"), 1), session(None, 2)]);
        scene.run(&["sessions", "revoke", &session(None, 2).id.in_full()]);
        let (code, log) = scene.run(&["sessions", "orphans"]);
        assert_eq!((code, &*log), (Some(0), "There is nothing odd\n"));
    }
}

#[test]
fn what_should_not_be_there_is_told_by_its_key() {
    for server in Server::every() {
        let scene = Scene::Redis(server);
        let big = with(session(Some("alice"), 1), "note", &"x".repeat(70_000));
        let lost = session(Some("bob"), 2);
        scene.keep(&[big.clone(), lost.clone()]);
        let Scene::Redis(server) = &scene else { unreachable!() };
        let key = |id: cloakroom::SessionId| format!("shop:{{{}}}:session:{id}", id.tag());
        server.command(&["DEL", &format!("shop:{{{}}}:user", lost.id.tag())]);
        // Another application's, and none of ours.
        server.command(&["HSET", "shop2:{x}:session:y", "visits", "1"]);
        let (code, log) = scene.run(&["sessions", "orphans"]);
        assert_eq!(code, Some(4), "{log}");
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        let mut expected = [
            format!("{}  hashtable, oversize", key(big.id)),
            format!("{}  not-indexed", key(lost.id)),
        ];
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }
}

#[test]
fn keys_without_a_time_to_live_are_given_one_and_no_session_ends() {
    for server in Server::every() {
        let scene = Scene::Redis(server);
        let [alice, nobody] = [session(Some("alice"), 1), session(None, 2)];
        scene.keep(&[alice.clone(), nobody.clone()]);
        let Scene::Redis(server) = &scene else { unreachable!() };
        server.command(&["HSET", "shop:{stray}:session:x", "visits", "1"]);
        for key in server.keys() {
            server.command(&["PERSIST", &key]);
        }
        let endless = server.keys_without_ttl().len();
        assert!(endless >= 4, "{endless}");

        let (code, log) = scene.run(&["sessions", "orphans", "--json"]);
        assert_eq!((code, log.matches("\"no-ttl\"").count()), (Some(4), endless), "{log}");
        assert_eq!(server.keys_without_ttl().len(), endless);
        let (code, log) = scene.run(&["sessions", "orphans", "--json", "--fix"]);
        assert_eq!((code, log.matches("\"fixed\"").count()), (Some(0), endless), "{log}");
        assert_eq!(server.keys_without_ttl(), [""; 0]);
        assert!(server.ttl_ms("shop:{stray}:session:x") <= 120_000);
        // Alive as before, to their deadline at the latest.
        let key = format!("shop:{{{}}}:session:{}", alice.id.tag(), alice.id);
        let left = Duration::from_millis(u64::try_from(server.ttl_ms(&key)).unwrap());
        assert!(
            left > Duration::from_secs(3600) && left < Duration::from_secs(6 * 3600),
            "{left:?}"
        );
        assert!(scene.alive(&alice) && scene.alive(&nobody));
        assert_eq!(scene.run(&["sessions", "orphans"]).0, Some(0));
    }
}

#[test]
fn a_folder_has_no_orphans() {
    on_every_store(|scene| {
        let folder = matches!(scene, Scene::Embedded(_));
        let (code, log) = scene.run(&["sessions", "orphans"]);
        assert_eq!(code, Some(if folder { 2 } else { 0 }), "{log}");
        assert_eq!(log.contains("cloakroom store check"), folder, "{log}");
    });
}
