//! What ends sessions.

use crate::scene::{later, on_every_store, session};

#[test]
fn one_session_is_ended_by_its_id() {
    on_every_store(|scene| {
        let [one, two] = [1, 2].map(|number| session(Some("alice"), number));
        let nobody = session(None, 3);
        scene.keep(&[one.clone(), two.clone(), nobody.clone()]);
        for (record, others) in [(&one, &two), (&nobody, &two)] {
            let id = record.id.in_full();
            let (code, log) = scene.run(&["sessions", "revoke", &id, "--dry-run"]);
            assert_eq!((code, &*log), (Some(0), "1 session would end\n"));
            assert!(scene.alive(record));
            let (code, log) = scene.run(&["sessions", "revoke", &id]);
            assert_eq!((code, &*log), (Some(0), "1 session ended\n"));
            assert!(!scene.alive(record) && scene.alive(others));
        }
    });
}

#[test]
fn an_id_of_the_wrong_kind_ends_nothing() {
    on_every_store(|scene| {
        let alice = session(Some("alice"), 1);
        scene.keep(std::slice::from_ref(&alice));
        let wrong = alice.id.in_full().replacen('u', "a", 1);
        assert_eq!(scene.run(&["sessions", "revoke", &wrong]).0, Some(3));
        assert!(scene.alive(&alice));
    });
}

// Proves R32, R35.
#[test]
fn a_users_sessions_end_together_and_nobody_elses() {
    on_every_store(|scene| {
        let [one, two] = [1, 2].map(|number| session(Some("alice"), number));
        let bob = session(Some("bob"), 3);
        scene.keep(&[one.clone(), two.clone(), bob.clone()]);
        let (code, log) = scene.run(&["sessions", "revoke", "--user", "alice", "--yes", "--json"]);
        assert_eq!((code, &*log), (Some(0), "{\"dry_run\":false,\"ended\":2}\n"));
        assert!(!scene.alive(&one) && !scene.alive(&two) && scene.alive(&bob));
        if let crate::scene::Scene::Redis(server) = scene {
            assert_eq!(server.keys_without_ttl(), [""; 0]);
        }
    });
}

#[test]
fn one_session_of_a_user_can_be_kept() {
    on_every_store(|scene| {
        let [one, two, three] = [1, 2, 3].map(|number| session(Some("alice"), number));
        let bob = session(Some("bob"), 4);
        scene.keep(&[one.clone(), two.clone(), three.clone(), bob.clone()]);
        // Another user's, or none, keeps nobody: nothing is ended.
        for kept in [&bob.id, &session(Some("alice"), 9).id] {
            let args = ["sessions", "revoke", "--user", "alice", "--yes", "--except"];
            let (code, log) = scene.run(&[&args[..], &[&kept.in_full()]].concat());
            assert_eq!(code, Some(2), "{log}");
            assert!(log.contains("nothing was ended"), "{log}");
        }
        assert!(scene.alive(&one));
        let args = ["sessions", "revoke", "--user", "alice", "--yes", "--except"];
        let (code, log) = scene.run(&[&args[..], &[&two.id.in_full()]].concat());
        assert_eq!((code, &*log), (Some(0), "2 sessions ended\n"));
        assert!(!scene.alive(&one) && scene.alive(&two) && !scene.alive(&three));
        // Nothing is left to a background that ended with the process.
        if let crate::scene::Scene::Redis(_) = scene {
            assert_eq!(scene.run(&["sessions", "orphans"]).1, "There is nothing odd\n");
        }
    });
}

#[test]
fn more_than_one_is_ended_only_by_a_yes() {
    on_every_store(|scene| {
        let alice = [1, 2].map(|number| session(Some("alice"), number));
        scene.keep(&alice);
        for which in [&["--user", "alice"][..], &["--all"]] {
            let (code, log) = scene.run(&[&["sessions", "revoke"], which].concat());
            assert_eq!(code, Some(2), "{log}");
            assert!(log.contains("Add --yes") && log.contains("nothing was ended"), "{log}");
            let (code, log) = scene.run(&[&["sessions", "revoke", "--dry-run"], which].concat());
            assert_eq!((code, &*log), (Some(0), "2 sessions would end\n"));
        }
        assert!(alice.iter().all(|session| scene.alive(session)));
    });
}

// Proves R35.
#[test]
fn all_that_existed_at_the_start_ends_and_who_logs_in_later_stays() {
    on_every_store(|scene| {
        let mut all: Vec<_> = (1..=4).map(|number| session(Some("alice"), number)).collect();
        all.extend([session(Some("bob"), 5), session(None, 6)]);
        let new = later(session(Some("alice"), 7));
        scene.keep(&all);
        scene.keep(std::slice::from_ref(&new));
        let (code, log) = scene.run(&["sessions", "revoke", "--all", "--yes"]);
        assert_eq!((code, &*log), (Some(0), "6 sessions ended\n"));
        assert!(all.iter().all(|session| !scene.alive(session)));
        assert!(scene.alive(&new));
        assert_eq!(scene.run(&["sessions", "revoke", "--all", "--yes"]).0, Some(3));
    });
}

#[test]
fn which_sessions_has_to_be_said_and_only_once() {
    on_every_store(|scene| {
        let id = session(Some("alice"), 1).id.in_full();
        for args in [
            &["revoke"][..],
            &["revoke", "--all", "--user", "alice"],
            &["revoke", &id, "--all"],
            &["revoke", "--all", "--except", &id],
            &["revoke", &id, "--except", &id],
            &["revoke", "--except", &id],
            &["list"],
            &["revoke", "--user", ""],
        ] {
            let (code, log) = scene.run(&[&["sessions"], args].concat());
            assert_eq!(code, Some(2), "{args:?}: {log}");
        }
    });
}

/// Through `script`, which gives a program a terminal. Only Linux's takes these flags.
#[cfg(target_os = "linux")]
#[test]
fn who_sits_at_a_terminal_is_asked() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let scene = crate::scene::Scene::in_folder();
    let both = [1, 2].map(|number| session(Some("alice"), number));
    scene.keep(&both);
    for (answer, alive) in [("\n", true), ("no\n", true), ("y\n", false)] {
        let cloakroom = env!("CARGO_BIN_EXE_cloakroom");
        let command = format!("{cloakroom} sessions revoke --user alice");
        let mut terminal = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("REDIS_URL", scene.name())
            .env("CLOAKROOM_PREFIX", "shop")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Stays open until the program has ended: `script` would end it with its input.
        let mut keyboard = terminal.stdin.take().unwrap();
        keyboard.write_all(answer.as_bytes()).unwrap();
        let said = terminal.wait_with_output().unwrap();
        drop(keyboard);
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(text.contains("End 2 sessions of alice? [y/N]"), "{text}");
        assert_eq!(said.status.code(), Some(i32::from(alive)), "{text}");
        assert!(both.iter().all(|session| scene.alive(session) == alive), "{answer:?}: {text}");
    }
}
