//! What befalls a server, and what it answers then.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testbed::{ByAnotherClock, Server, eventually};

use crate::stage::{Kept, LONG, SOME, Stage};
use crate::storm::storm;
use crate::visitor::Told;

/// One server, and what is done to it.
fn on_one_server(kept: Kept, fault: impl FnOnce(&Server, &Stage)) -> Told {
    let server = Server::start();
    storm(server.url(), &[&server], kept, |stage| fault(&server, stage))
}

/// Commands that cause a fault, and those that heal it.
#[track_caller]
fn refusing(causes: &[&[&str]], heals: &[&[&str]]) {
    let told = on_one_server(Kept::All, |server, stage| {
        tell(server, causes);
        stage.answers(SOME);
        for command in heals {
            // Tried again, for a server with room for one client may be talking to the scanner.
            let healed = || server.try_command(LONG, command).ok()?.error().is_none().then_some(());
            assert!(eventually(LONG, healed).is_some(), "{command:?}: {}", server.log());
        }
    });
    assert!(told.unavailable > 0, "nobody noticed {causes:?}");
}

#[track_caller]
fn tell(server: &Server, commands: &[&[&str]]) {
    for command in commands {
        let answer = server.command(command);
        assert!(answer.error().is_none(), "{command:?}: {answer:?}");
    }
}

// Proves F1, F31.
#[test]
fn a_server_that_is_killed_loses_nothing_that_was_acknowledged() {
    on_one_server(Kept::All, |server, stage| {
        for _ in 0..3 {
            server.kill();
            stage.answers(SOME);
            server.restart();
            stage.answers(SOME);
        }
    });
}

// Proves F2.
#[test]
fn a_server_that_is_absent_at_the_start_is_joined_when_it_comes() {
    let server = Server::start();
    server.kill();
    storm(server.url(), &[&server], Kept::All, |_| server.restart());
}

// Proves F3.
#[test]
fn a_server_that_stands_still_loses_nothing_that_was_acknowledged() {
    on_one_server(Kept::All, |server, stage| {
        server.stop();
        stage.answers(SOME);
        server.cont();
    });
}

// Proves F9.
#[test]
fn connections_that_are_killed_all_the_time_lose_nothing_that_was_acknowledged() {
    on_one_server(Kept::All, |server, stage| {
        for _ in 0..20 {
            tell(server, &[&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]]);
            stage.answers(10);
        }
    });
}

// Proves F10.
#[test]
fn a_server_that_pauses_loses_nothing_that_was_acknowledged() {
    on_one_server(Kept::All, |server, stage| {
        for kind in ["WRITE", "ALL"] {
            tell(server, &[&["CLIENT", "PAUSE", "800", kind]]);
            stage.answers(SOME);
        }
    });
}

// Proves F11.
#[test]
fn a_server_with_too_many_clients_makes_503_until_there_is_room() {
    let one: &[&[&str]] = &[
        &["CONFIG", "SET", "maxclients", "1"],
        &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
    ];
    refusing(one, &[&["CONFIG", "SET", "maxclients", "1000"]]);
}

// Proves F13.
#[test]
fn a_server_that_loads_its_data_makes_503_until_it_has() {
    if Server::start().command(&["INFO", "server"]).text().contains("redis_version:6.") {
        println!("left out: Redis 6 can't be told to talk to clients more often while it loads");
        return;
    }
    // A millisecond for each key, and a word to clients between.
    let slowly = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    let server = Server::start_with(&Server::every_executable()[0], &slowly);
    for number in 0..1000 {
        server.command(&["SET", &format!("other:{number}"), &"x".repeat(100)]);
    }
    storm(server.url(), &[&server], Kept::All, |_| {
        std::thread::scope(|scope| {
            server.kill();
            let back = scope.spawn(|| server.restart());
            let loads = || {
                let answer = server.try_command(LONG, &["GET", "other:1"]).ok()?;
                answer.error()?.starts_with("LOADING").then_some(())
            };
            assert!(eventually(LONG, loads).is_some(), "nobody saw it load");
            back.join().unwrap();
        });
    });
}

// Proves F14.
#[test]
fn a_server_that_is_busy_with_a_script_makes_503_until_the_script_is_killed() {
    on_one_server(Kept::All, |server, stage| {
        tell(server, &[&["CONFIG", "SET", "lua-time-limit", "50"]]);
        let endless = ["EVAL", "while true do end", "0"];
        assert!(server.try_command(Duration::from_millis(100), &endless).is_err());
        stage.answers(SOME);
        tell(server, &[&["SCRIPT", "KILL"]]);
    });
}

// Proves F15.
#[test]
fn a_full_server_makes_503_of_what_it_has_no_room_for_alone() {
    let full: &[&[&str]] = &[
        &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
        &["CONFIG", "SET", "maxmemory", "1"],
    ];
    refusing(full, &[&["CONFIG", "SET", "maxmemory", "0"]]);
}

// Proves F16.
#[test]
fn an_evicted_session_is_a_logged_out_visitor_and_no_error() {
    on_one_server(Kept::SomeSessions, |server, stage| {
        tell(server, &[&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]]);
        tell(server, &[&["CONFIG", "SET", "maxmemory", "1"]]);
        stage.answers(SOME);
        tell(server, &[&["CONFIG", "SET", "maxmemory", "0"]]);
        tell(server, &[&["CONFIG", "SET", "maxmemory-policy", "noeviction"]]);
    });
}

fn folder(server: &Server) -> PathBuf {
    server.command(&["CONFIG", "GET", "dir"]).list()[1].text().into()
}

// Proves F17.
#[test]
fn a_server_that_can_not_save_makes_503_of_writes() {
    on_one_server(Kept::All, |server, stage| {
        let file = server.command(&["CONFIG", "GET", "dbfilename"]).list()[1].text();
        let in_the_way = folder(server).join(file);
        let _ = fs::remove_file(&in_the_way);
        fs::create_dir(&in_the_way).unwrap();
        fs::write(in_the_way.join("file"), "").unwrap();
        let saved = |status: &str| {
            // Refused while another is under way.
            let _ = server.command(&["BGSAVE"]);
            let said = format!("rdb_last_bgsave_status:{status}");
            let says = || server.command(&["INFO", "persistence"]).text().contains(&said);
            assert!(eventually(LONG, || says().then_some(())).is_some(), "{}", server.log());
        };
        tell(server, &[&["CONFIG", "SET", "save", "3600 1"]]);
        saved("err");
        assert!(server.command(&["SET", "other", "1"]).error().unwrap().starts_with("MISCONF"));
        stage.answers(SOME);
        fs::remove_dir_all(&in_the_way).unwrap();
        saved("ok");
    });
}

// Proves F18.
#[test]
fn a_server_without_its_replicas_makes_503_of_writes() {
    refusing(
        &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        &[&["CONFIG", "SET", "min-replicas-to-write", "0"]],
    );
}

// Proves F19.
#[test]
fn a_server_that_became_a_replica_makes_503_until_it_is_a_primary_again() {
    refusing(&[&["REPLICAOF", "127.0.0.1", "1"]], &[&["REPLICAOF", "NO", "ONE"]]);
}

// Proves F20.
#[test]
fn a_replica_without_its_primary_makes_503_and_shows_nothing_stale() {
    let stale: &[&[&str]] =
        &[&["CONFIG", "SET", "replica-serve-stale-data", "no"], &["REPLICAOF", "127.0.0.1", "1"]];
    refusing(stale, &[&["REPLICAOF", "NO", "ONE"]]);
}

// Proves F25.
#[test]
fn a_server_that_wants_a_password_suddenly_makes_503_until_it_does_not() {
    on_one_server(Kept::All, |server, stage| {
        // The scanner may have the connection that was there before, and a new one has to show it.
        let told = |command: &[&str]| {
            let told = || {
                server.try_command(LONG, &["AUTH", "default", "another"]).ok()?;
                let answer = server.try_command(LONG, command).ok()?;
                answer.error().is_none().then_some(())
            };
            assert!(eventually(LONG, told).is_some(), "{command:?}: {}", server.log());
        };
        tell(server, &[&["ACL", "SETUSER", "default", "resetpass", ">another"]]);
        told(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        stage.answers(SOME);
        told(&["ACL", "SETUSER", "default", "nopass"]);
    });
}

// Proves F25.
#[test]
fn a_user_whose_password_was_changed_makes_503_until_it_is_the_old_one() {
    let server = Server::start();
    let acl = |password: &str| {
        tell(&server, &[&["ACL", "SETUSER", "shop", "on", "resetpass", password, "~*", "+@all"]]);
        tell(&server, &[&["CLIENT", "KILL", "USER", "shop"]]);
    };
    acl(">right");
    let url = server.url().replace("redis://", "redis://shop:right@");
    storm(url, &[&server], Kept::All, |stage| {
        acl(">other");
        stage.answers(SOME);
        acl(">right");
    });
}

// Proves F25.
#[test]
fn a_user_who_may_no_longer_run_scripts_makes_503_until_they_may() {
    let server = Server::start();
    tell(&server, &[&["ACL", "SETUSER", "shop", "on", ">right", "~*", "+@all"]]);
    let url = server.url().replace("redis://", "redis://shop:right@");
    storm(url, &[&server], Kept::All, |stage| {
        tell(&server, &[&["ACL", "SETUSER", "shop", "-evalsha", "-eval"]]);
        stage.answers(SOME);
        tell(&server, &[&["ACL", "SETUSER", "shop", "+@all"]]);
    });
}

// Proves F28.
#[test]
fn a_key_of_another_type_is_a_logged_out_visitor_and_no_error() {
    on_one_server(Kept::SomeSessions, |server, stage| {
        for _ in 0..5 {
            for key in server.keys().iter().filter(|key| key.contains(":session:")) {
                tell(server, &[&["SET", key, "no session", "EX", "60"]]);
            }
            stage.answers(SOME);
        }
    });
}

// Proves F29.
#[test]
fn a_session_that_is_deleted_between_two_requests_does_not_come_back() {
    on_one_server(Kept::SomeSessions, |server, stage| {
        for _ in 0..5 {
            for key in server.keys().iter().filter(|key| key.contains(":session:")) {
                tell(server, &[&["DEL", key]]);
            }
            stage.answers(SOME);
        }
    });
}

// Proves F30.
#[test]
fn a_server_that_is_emptied_logs_everybody_out_and_makes_no_error() {
    on_one_server(Kept::SomeSessions, |server, stage| {
        for _ in 0..5 {
            tell(server, &[&["FLUSHALL"]]);
            stage.answers(SOME);
        }
    });
}

// Proves F31.
#[test]
fn a_torn_end_of_the_append_only_file_costs_the_last_writes_alone() {
    on_one_server(Kept::Replicated, |server, stage| {
        let place = folder(server);
        server.kill();
        // Redis 7 has a folder of them.
        let files = [place.clone(), place.join("appendonlydir")].into_iter();
        let files = files.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let names = files.map(|file| file.path());
        let grows = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with("incr.aof") || name == "appendonly.aof"
        };
        let path = names.filter(|path| path.is_file()).find(grows).expect("an append-only file");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 7).unwrap();
        stage.answers(SOME);
        server.restart();
    });
}

// Proves F31.
#[test]
fn a_server_that_keeps_nothing_logs_everybody_out_when_it_is_killed() {
    let forgets = ["--appendonly", "no", "--save", ""];
    let server = Server::start_with(&Server::every_executable()[0], &forgets);
    storm(server.url(), &[&server], Kept::SomeSessions, |stage| {
        server.kill();
        stage.answers(SOME);
        server.restart();
        stage.answers(SOME);
    });
}

/// Sessions end half an hour after their last use, and none is older than a storm: no step is that far.
// Proves F33.
#[test]
fn a_clock_that_steps_by_another_clock_ends_no_session_before_its_time() {
    let clock = ByAnotherClock::start();
    storm(clock.server.url(), &[&clock.server], Kept::All, |stage| {
        for minutes in [10, -10, 15, 5, -5, 0] {
            clock.stands_at(minutes);
            stage.answers(SOME);
        }
    });
}
