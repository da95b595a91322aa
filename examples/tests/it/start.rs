//! What can be wrong before the first request, and what the steps say about it.

use testbed::{Program, Proxy, Request, Server};

use crate::house::*;

/// Starts the steps at once, waits for their ends, and answers their exit codes and what they said.
#[track_caller]
fn ended(
    numbers: impl IntoIterator<Item = usize>,
    args: &[&str],
    env: &[(&str, &str)],
) -> Vec<(Option<i32>, String)> {
    let programs: Vec<_> =
        numbers.into_iter().map(|number| Program::start(STEPS[number - 1], args, env)).collect();
    programs.iter().map(|program| (program.wait(), program.log())).collect()
}

#[track_caller]
fn all_say(ended: Vec<(Option<i32>, String)>, code: i32, parts: &[&str]) {
    for (ended, log) in ended {
        assert_eq!(ended, Some(code), "{log}");
        for part in parts {
            assert!(log.contains(part), "{part}:\n{log}");
        }
        assert!(!log.contains("Listening"), "{log}");
    }
}

const SECRET: (&str, &str) = ("SECRET_KEY", KEY);

#[test]
fn without_a_server_they_say_how_to_start_one() {
    let parts = ["REDIS_URL is not set", "redis-server", "export REDIS_URL=", "ElastiCache"];
    all_say(ended(WITH_REDIS, &[], &[SECRET]), 2, &parts);
}

#[test]
fn without_a_secret_key_they_say_how_to_make_one() {
    all_say(ended(1..=4, &[], &[]), 2, &["SECRET_KEY is not set", "openssl rand -hex 32"]);
    all_say(ended(1..=4, &[], &[("SECRET_KEY", "short")]), 2, &["SECRET_KEY: ", "32 bytes"]);
}

#[test]
fn a_url_that_can_not_be_read_is_not_shown() {
    for url in ["127.0.0.1:6379", "redis://eve:hunter2@host:port", ""] {
        let ended = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", url)]);
        assert!(ended.iter().all(|(_, log)| !log.contains("hunter2")), "{ended:?}");
        all_say(ended, 2, &["REDIS_URL can't be read", "redis://HOST:PORT"]);
    }
}

#[test]
fn a_server_that_does_not_run_is_named() {
    let server = Server::start();
    server.kill();
    let url = server.url().replace("redis://", "redis://eve:hunter2@");
    let ended = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", &url)]);
    assert!(ended.iter().all(|(_, log)| !log.contains("hunter2")), "{ended:?}");
    let address = format!("127.0.0.1:{} does not answer PING", server.port());
    all_say(ended, 1, &[&address, "not running, or has another port"]);
}

#[test]
fn silence_is_explained_by_the_security_group() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    proxy.blackhole();
    let ended = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", &proxy.url())]);
    all_say(ended, 1, &["does not answer PING", "security group", "VPC", "rediss://"]);
}

#[test]
fn a_connection_that_is_closed_at_once_is_explained_by_tls() {
    let server = Server::start();
    let proxy = Proxy::to(server.port());
    proxy.refuse();
    let closed = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", &proxy.url())]);
    all_say(closed, 1, &["does not answer PING", "encryption in transit", "rediss://"]);
    // The other way round: TLS where there is none.
    let url = server.url().replace("redis://", "rediss://");
    let ended = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", &url)]);
    all_say(ended, 1, &["does not answer PING", "redis://"]);
}

#[test]
fn a_missing_password_is_named() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "requirepass", "hunter2"]);
    for url in [server.url(), server.url().replace("redis://", "redis://:wrong@")] {
        let ended = ended(WITH_REDIS, &[], &[SECRET, ("REDIS_URL", &url)]);
        all_say(ended, 1, &["does not answer PING", "redis://USER:PASSWORD@HOST:PORT"]);
    }
    let step = step_at(4, &server.url().replace("redis://", "redis://:hunter2@"));
    assert_eq!(Request::get(step.addr(), "/").send().status, 200);
}

#[test]
fn host_and_port_come_from_flags_or_from_outside() {
    let taken = step_at(1, "");
    let port = taken.addr().port().to_string();
    let env = [SECRET, ("PORT", &*port)];
    let in_use = [format!("can't listen on port {port} of 127.0.0.1"), "--port 0".to_owned()];
    let in_use = in_use.each_ref().map(String::as_str);
    all_say(ended([1], &[], &env), 1, &in_use);
    all_say(ended([1], &["--port", &port], &[SECRET]), 1, &in_use);
    let other = Program::start(STEPS[0], &["--port", "0", "--host", "127.0.0.1"], &env);
    assert_ne!(other.addr(), taken.addr());
    for (code, log) in ended(1..=4, &["--help"], &[]) {
        assert_eq!(code, Some(0));
        for part in ["--host", "--port", "HOST", "PORT", "SECRET_KEY", "REDIS_URL"] {
            assert!(log.contains(part), "{part}:\n{log}");
        }
    }
}
