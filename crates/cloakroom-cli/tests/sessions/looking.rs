//! What looks at sessions and changes none.

use serde_json::Value;

use crate::scene::{Scene, later, on_every_store, session, with};

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(text)).collect()
}

#[test]
fn a_users_sessions_are_listed_and_nobody_elses() {
    on_every_store(|scene| {
        let [one, two] = [1, 2].map(|number| session(Some("ゆき"), number));
        scene.keep(&[one.clone(), two.clone(), session(Some("bob"), 3), session(None, 4)]);
        let (code, log) = scene.run(&["sessions", "list", "--user", "ゆき"]);
        assert_eq!(code, Some(0), "{log}");
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].starts_with("DEVICE ") && lines.len() == 3, "{log}");
        assert!(lines[1].ends_with(&one.id.in_full()) && lines[2].ends_with(&two.id.in_full()));
        assert!(lines[1].contains("Firefox") && lines[1].contains("203.0.113.0/24"), "{log}");

        let (code, log) = scene.run(&["sessions", "list", "--user", "ゆき", "--json"]);
        let listed = objects(&log);
        assert_eq!((code, listed.len()), (Some(0), 2), "{log}");
        assert_eq!(listed[0]["id"], one.id.in_full());
        assert_eq!(listed[0]["user"], "ゆき");
        assert_eq!(listed[0]["created_at"], one.life.created.as_millis());
    });
}

#[test]
fn where_there_is_nothing_the_code_is_3() {
    on_every_store(|scene| {
        let nobodys = session(Some("alice"), 1).id.in_full();
        for args in [
            &["list", "--user", "alice"][..],
            &["show", &nobodys],
            &["revoke", &nobodys],
            &["revoke", "--user", "alice"],
            &["count"],
            &["count", "--user", "alice"],
        ] {
            let (code, log) = scene.run(&[&["sessions"], args].concat());
            assert_eq!(code, Some(3), "{args:?}: {log}");
            let (code, log) = scene.run(&[&["sessions", "--json"], args].concat());
            assert_eq!(code, Some(3), "{args:?}: {log}");
            objects(&log);
        }
    });
}

// Proves R63.
#[test]
fn values_are_hidden_until_they_are_asked_for_and_move_no_cursor() {
    on_every_store(|scene| {
        let alice = with(session(Some("alice"), 1), "note", "秘密\u{1b}[2J");
        scene.keep(std::slice::from_ref(&alice));
        let id = alice.id.in_full();
        let (code, log) = scene.run(&["sessions", "show", &id]);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("note") && log.contains("alice") && !log.contains("秘密"), "{log}");
        let (_, log) = scene.run(&["sessions", "show", &id, "--values"]);
        assert!(log.contains("秘密\\u{1b}[2J"), "{log}");

        let (_, log) = scene.run(&["sessions", "show", &id, "--json"]);
        assert_eq!(objects(&log)[0]["fields"][0]["bytes"], 10);
        assert_eq!(objects(&log)[0]["fields"][0]["value"], Value::Null);
        let (_, log) = scene.run(&["sessions", "show", &id, "--json", "--values"]);
        assert_eq!(objects(&log)[0]["fields"][0]["value"], "秘密\u{1b}[2J");
    });
}

#[test]
fn all_are_counted_by_kind() {
    on_every_store(|scene| {
        let users = ["alice", "alice", "bob"].into_iter().zip(1..);
        let mut all: Vec<_> = users.map(|(user, number)| session(Some(user), number)).collect();
        all.extend([4, 5].map(|number| session(None, number)));
        scene.keep(&all);
        let (code, log) = scene.run(&["sessions", "count"]);
        assert_eq!((code, &*log), (Some(0), "5 sessions: 3 of 2 users, 2 anonymous\n"));
        let (_, log) = scene.run(&["sessions", "count", "--json"]);
        assert_eq!(log, "{\"anonymous\":2,\"logged_in\":3,\"sessions\":5,\"users\":2}\n");
        let (_, log) = scene.run(&["sessions", "count", "--user", "alice"]);
        assert_eq!(log, "alice: 2 sessions\n");
    });
}

#[test]
fn who_watches_sees_logins_and_ends_line_by_line() {
    let scene = Scene::Redis(testbed::Server::start());
    let (alice, bob) = (session(Some("alice"), 1), later(session(Some("bob"), 2)));
    scene.keep(std::slice::from_ref(&alice));
    let name = scene.name();
    let args = ["sessions", "watch", "--json", "--every", "10ms", "--prefix", "shop"];
    let args = [&args[..], &["--store", &name]].concat();
    let watching = testbed::Program::start(env!("CARGO_BIN_EXE_cloakroom"), &args, &[]);
    watching.wait_for_log("\"sessions\":1");
    scene.keep(&[bob]);
    assert!(watching.wait_for_log("\"logins\":1").contains("\"sessions\":2"));
    scene.run(&["sessions", "revoke", &alice.id.in_full()]);
    assert!(watching.wait_for_log("\"ends\":1").contains("\"sessions\":1"));
    watching.kill();
}

#[test]
fn a_folder_that_is_served_from_is_refused_by_name_of_the_process() {
    let scene = Scene::in_folder();
    let folder = scene.name();
    let args = ["serve", "--port", "0", "--data", &folder];
    let serving = testbed::Program::start(env!("CARGO_BIN_EXE_cloakroom"), &args, &[]);
    serving.addr();
    let (code, log) = scene.run(&["sessions", "count"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("in use by process ") && log.contains("while nobody serves"), "{log}");
}

#[test]
fn what_is_no_store_is_refused_and_nothing_is_made() {
    let scene = Scene::in_folder();
    let nowhere = format!("{}/nowhere", scene.name());
    for (store, code, said) in [
        (&*nowhere, 1, "no sessions are kept in"),
        ("redis://eve:hunter2@127.0.0.1:1", 1, "127.0.0.1:1"),
        ("memory", 2, "another process"),
        ("mysql://eve:hunter2@localhost", 2, "redis://HOST:PORT"),
    ] {
        let (ended, log) = scene.run(&["sessions", "count", "--store", store]);
        assert_eq!(ended, Some(code), "{log}");
        assert!(log.contains(said) && !log.contains("hunter2"), "{log}");
    }
    assert!(!std::path::Path::new(&nowhere).exists());
}

// Proves R36.
#[test]
fn a_token_or_half_an_id_is_refused_with_what_to_type() {
    let scene = Scene::in_folder();
    for id in ["alice", "EytqH_IJmW9qET8IslX8Hbg0IjiJiwk24BAT-uqbceo", ""] {
        let (code, log) = scene.run(&["sessions", "show", id]);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains("sessions list --user"), "{log}");
    }
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let scene = Scene::in_folder();
    for args in
        [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]]
    {
        let (code, log) = scene.run(args);
        assert_eq!(code, Some(0), "{log}");
        for command in ["sessions", "revoke", "watch", "serve"] {
            assert!(log.to_lowercase().contains(command), "{args:?} lacks {command}");
        }
    }
}
