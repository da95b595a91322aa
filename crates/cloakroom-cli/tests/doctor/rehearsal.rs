//! The rehearsal, and what can stop it.

use testbed::Server;

use crate::run::*;

#[test]
fn the_rehearsal_leaves_nothing_under_any_prefix() {
    let server = Server::start();
    server.command(&["SET", "shop:kept", "1"]);
    examine(&server.url(), "rehearsal.done");
    examine_with(&server.url(), "rehearsal.done", &["--prefix", "shop"], &[]);
    assert_eq!(server.keys(), ["shop:kept"]);
}

#[test]
fn it_is_the_real_store_that_rehearses() {
    let server = Server::start();
    let monitor = server.client_commands();
    examine(&server.url(), "rehearsal.done");
    let lines = monitor.finish();
    let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert!(count("\"evalsha\"") + count("\"EVALSHA\"") > 10, "{lines:#?}");
    assert_eq!((count("\"KEYS\""), count("\"SCAN\"")), (0, 0));
}

#[test]
fn a_server_that_misses_its_replicas_refuses_writes() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    examine(&server.url(), "rehearsal.no_replicas");
}

#[test]
fn an_answer_that_the_store_does_not_understand_is_passed_on() {
    let server = Server::start();
    let said = rewritten(&server, b"\xa4done", b"\xa4none");
    examine(&format!("redis://{said}"), "rehearsal.failed");
}

#[test]
fn a_wrong_count_is_found() {
    let server = Server::start();
    // The sum, before the array of what the session holds: two fields, of which `~` comes first.
    let said = rewritten(&server, b"\xa13\x94\xa1~", b"\xa17\x94\xa1~");
    examine(&format!("redis://{said}"), "rehearsal.wrong");
}

#[test]
fn what_is_left_is_named() {
    let server = Server::start();
    let said = changed(&server, |reply| {
        if reply == b":0\r\n" {
            reply.copy_from_slice(b":1\r\n");
        }
    });
    let report = examine(&format!("redis://{said}"), "rehearsal.left_behind");
    assert!(report.find("rehearsal.left_behind")["details"]["keys"][0].is_string());
}
