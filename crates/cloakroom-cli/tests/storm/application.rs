//! What befalls the instances, and what visitors do to them.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use testbed::{Request, Server, eventually};

use crate::stage::{Kept, LONG, SOME};
use crate::storm::{storm, storm_of_instances};

// Proves F32.
#[test]
fn an_instance_that_is_killed_leaves_nothing_half_done() {
    let server = Server::start();
    storm_of_instances(server.url(), &[&server], Kept::All, |stage| {
        for turn in 0..6 {
            stage.kill(turn);
            stage.answers(SOME);
        }
    });
}

// Proves F32.
#[test]
fn an_instance_that_is_asked_to_end_leaves_nothing_half_done() {
    let server = Server::start();
    storm_of_instances(server.url(), &[&server], Kept::All, |stage| {
        for turn in 0..4 {
            stage.terminate(turn);
            stage.answers(SOME);
        }
    });
}

// Proves F8.
#[test]
fn visitors_who_hang_up_at_once_spoil_nothing_for_others() {
    let server = Server::start();
    storm(server.url(), &[&server], Kept::All, |stage| {
        let addr = stage.addr(0);
        let login = Request::post(addr, "/login").form("username=hasty").send();
        let token = login.set_cookies()[0].value.clone();
        for number in 0..500 {
            let addr = stage.addr(number);
            let request =
                format!("GET / HTTP/1.1\r\nHost: {addr}\r\nCookie: __Host-session={token}\r\n\r\n");
            TcpStream::connect(addr).unwrap().write_all(request.as_bytes()).unwrap();
        }
    });
}

// Proves F36.
#[test]
fn a_thousand_requests_of_one_session_at_once_spoil_nothing_for_others() {
    let server = Server::start();
    storm(server.url(), &[&server], Kept::All, |stage| {
        let login = Request::post(stage.addr(0), "/login").form("username=hot").send();
        let cookie = format!("__Host-session={}", login.set_cookies()[0].value);
        let page =
            |turn: usize| Request::get(stage.addr(turn), "/").header("Cookie", &cookie).send();
        let unavailable: u64 = thread::scope(|scope| {
            let rows: Vec<_> = (0..100)
                .map(|turn| {
                    scope.spawn(move || (0..10).filter(|_| page(turn).status == 503).count() as u64)
                })
                .collect();
            rows.into_iter().map(|row| row.join().unwrap()).sum()
        });
        let text = page(0).text().to_owned();
        let visits = text.split_once("Visits: <strong>").unwrap().1.split_once('<').unwrap().0;
        let stored: u64 = visits.replace(',', "").parse().unwrap();
        assert!((1001 - unavailable..=1001).contains(&stored), "{stored}, {unavailable} refused");
    });
}

// Proves F32.
#[test]
fn an_instance_without_file_descriptors_left_refuses_and_does_not_end() {
    let server = Server::start();
    storm(server.url(), &[&server], Kept::All, |stage| {
        let one = stage.pid(0).to_string();
        let limit = |files: &str| {
            let done = Command::new("prlimit").args(["--pid", &one, files]).status();
            assert!(done.expect("prlimit, of util-linux").success());
        };
        limit("--nofile=20:4096");
        stage.answers(SOME);
        // Held open, so that there is none left for anybody else.
        let held: Vec<_> = (0..40).map(|_| TcpStream::connect(stage.addr(0)).unwrap()).collect();
        limit("--nofile=4096:4096");
        drop(held);
        stage.answers(SOME);
    });
}

/// Many more than the two whom the visitors know lose the server, and find it again.
// Proves F12.
#[test]
fn twenty_instances_that_come_back_at_once_spoil_nothing_for_others() {
    const INSTANCES: usize = 20;
    let server = Server::start();
    storm(server.url(), &[&server], Kept::All, |stage| {
        let others: Vec<_> = (2..INSTANCES).map(|_| stage.one_more()).collect();
        // A moment after the store does or doesn't answer, each says so.
        let all_say = |status: u16| {
            for other in &others {
                let says = || Request::get(other.addr(), "/readyz").send().status == status;
                let said = eventually(LONG, || says().then_some(()));
                assert!(said.is_some(), "not {status}: {}", other.log());
            }
        };
        all_say(200);
        for _ in 0..3 {
            server.kill();
            all_say(503);
            stage.answers(SOME);
            server.restart();
            all_say(200);
            stage.answers(SOME);
            // One that connected too late for its own patience may still be leaving.
            let one_each = || (server.clients() <= INSTANCES).then_some(());
            assert!(eventually(LONG, one_each).is_some(), "{} connections", server.clients());
        }
    });
}
