//! Address, name, TCP, and a server that says nothing or nonsense.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use testbed::{Program, Proxy, Server};

use crate::run::*;

#[test]
fn a_server_in_order_passes_every_step() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    let report = examine(&server.url(), "rehearsal.done");
    assert_eq!(
        report.codes(),
        [
            "address.read",
            "name.not_needed",
            "tcp.connected",
            "tls.not_needed",
            "login.not_needed",
            "ping.quick",
            "role.primary",
            "cluster.none",
            "version.tested",
            "memory.good",
            "persistence.append_only",
            "permissions.all",
            "rehearsal.done"
        ]
    );
    assert_eq!(report.code, Some(0));
}

#[test]
fn every_tested_version_passes() {
    for server in Server::every() {
        examine(&server.url(), "version.tested");
        let report = examine(&server.url(), "rehearsal.done");
        assert_eq!(report.find("permissions.all")["details"]["commands"], 28);
        assert_eq!(server.keys(), [""; 0]);
    }
}

#[test]
fn a_name_is_looked_up() {
    let server = Server::start();
    let url = format!("redis://localhost:{}", server.port());
    let report = examine(&url, "name.found");
    assert!(report.find("name.found")["details"]["addresses"].to_string().contains("127.0.0.1"));
}

#[test]
fn a_name_that_nobody_knows_is_told_from_a_machine_that_is_away() {
    let report = examine("redis://cache.invalid", "name.unknown");
    assert_eq!(report.find("name.unknown")["details"]["host"], "cache.invalid");
}

#[test]
fn a_password_in_the_arguments_is_warned_of_and_shown_nowhere() {
    let server = Server::start();
    server.command(&["ACL", "SETUSER", "default", ">hunter2"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}", server.port());
    let report = doctor(&[&url], &[]);
    let report = holds("address.password_visible", report, doctor(&[&url, "--lang", "ja"], &[]));
    assert!(!report.said.to_string().contains("hunter2"));
    assert!(!examine(&url, "login.done").codes().contains(&"address.password_visible"));
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    examine(&format!("redis://{free}"), "tcp.refused");
}

#[test]
fn silence_is_told_from_a_refusal() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    // A queue that is full drops what comes, as a security group does.
    let mut queue = Vec::new();
    while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        assert!(queue.len() < 16, "the queue takes more and more");
        queue.push(one);
    }
    let args = ["--timeout", "300ms"];
    let report = holds(
        "tcp.no_answer",
        quickly(&[&format!("redis://{address}")], &args),
        quickly(&[&format!("redis://{address}"), "--lang", "ja"], &args),
    );
    let next = report.find("tcp.no_answer")["next"].as_str().unwrap().to_owned();
    assert!(next.contains("security group") && next.contains("network ACL"), "{next}");
}

/// For what is silent: without the long patience.
fn quickly(args: &[&str], more: &[&str]) -> Report {
    let args = [&["doctor", "--json"], args, more].concat();
    let program = Program::start(CLOAKROOM, &args, &[]);
    let code = program.wait();
    Report { code, said: serde_json::from_str(&program.log()).unwrap() }
}

#[test]
fn an_address_without_a_way_to_it_is_unreachable() {
    // The broadcast of the loopback takes no connections, and no packet leaves for it.
    examine("redis://127.255.255.255:6379", "tcp.unreachable");
}

#[test]
fn a_socket_is_found_or_missed() {
    let server = Server::start();
    let url = server.unix_url().replace("redis+unix", "unix");
    examine(&url, "rehearsal.done");
    server.kill();
    examine(&url, "tcp.refused");
    examine("unix:///nowhere/redis.sock", "tcp.no_socket");
    examine(&format!("unix:///{}", "long".repeat(40)), "tcp.failed");
}

#[test]
fn a_server_that_hangs_is_silent() {
    let server = Server::start();
    server.stop();
    let (url, args) = (server.url(), ["--timeout", "300ms"]);
    let ja = quickly(&[&url, "--lang", "ja"], &args);
    holds("server.silent", quickly(&[&url], &args), ja);
}

#[test]
fn a_line_without_a_server_behind_it_is_closed() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    proxy.refuse();
    examine(&proxy.url(), "server.closed");
}

#[test]
fn another_service_is_told_from_a_server() {
    let args = ["serve", "--port", "0", "--store", "memory"];
    let web = Program::start(CLOAKROOM, &args, &[]);
    examine(&format!("redis://{}", web.addr()), "server.not_redis");
}

#[test]
fn what_leaves_the_machine_in_plain_is_noted_and_without_a_password_warned_of() {
    let here = own_address().to_string();
    let executable = &Server::every_executable()[0];
    let extra = ["--bind", "127.0.0.1", &here, "--protected-mode", "no"];
    let server = Server::start_with(executable, &extra);
    let url = format!("redis://{here}:{}", server.port());
    examine(&url, "tls.missing");
    examine(&url, "login.open");
    server.command(&["CONFIG", "SET", "protected-mode", "yes"]);
    examine(&url, "login.protected_mode");
}

#[test]
fn a_url_that_can_not_be_read_is_code_2_and_shows_nothing_of_it() {
    for lang in ["en", "ja"] {
        for url in ["mysql://eve:hunter2@host", "rediss://:hunter2@host/#insecure", "memory", ""] {
            let program =
                Program::start(CLOAKROOM, &["doctor", "--lang", lang], &[("REDIS_URL", url)]);
            assert_eq!(program.wait(), Some(2), "{url}: {}", program.log());
            assert!(program.log().contains("redis://"), "{}", program.log());
            assert!(!program.log().contains("hunter2"), "{}", program.log());
        }
    }
}
