//! What can be wrong before the first request.

use testbed::{Program, Request, Server};

use crate::demo::*;

/// Starts it, waits for its end, and answers its exit code and what it said.
fn ended(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    // Nothing is ever left in the home of whoever runs the tests.
    let home = tempfile::tempdir().unwrap();
    let env = [&[("HOME", home.path().to_str().unwrap())], env].concat();
    let program = Program::start(CLOAKROOM, args, &env);
    (program.wait(), program.log())
}

#[test]
fn a_wrong_setting_is_refused_with_code_2_and_a_message_that_helps() {
    let key = [("SECRET_KEY", KEY)];
    for (args, said) in [
        (&["serve", "--hats", "7"][..], "--hats"),
        (&["sevre"], "sevre"),
        (&["serve", "--port", "65536"], "65535"),
        (&["serve", "--port", "http"], "--port"),
        (&["serve", "--idle", "soon"], "--idle"),
        (&["serve", "--idle", "0s"], "1 ms"),
        (&["serve", "--idle", "9h"], "idle may not be longer than absolute"),
        (&["serve", "--idle", "2h", "--absolute", "1h"], "idle may not be longer than absolute"),
        (&["serve", "--absolute", "500d"], "400 days"),
        (&["serve", "--rotate-every", "0s"], "--rotate-every and --rotate-grace"),
        (&["serve", "--rotate-every", "1m", "--rotate-grace", "2m"], "the grace may be no longer"),
        (&["serve", "--rotate-grace", "1m"], "--rotate-every"),
        (&["serve", "--prefix", "My Shop"], "a-z 0-9 . _ -"),
        (&["serve", "--cookie", "none"], "insecure-plain-http"),
        (&["serve", "--log", "cloakroom=loud"], "--log"),
        (&["serve", "--log-format", "xml"], "json"),
        (&["serve", "--store", "mysql://localhost"], "redis://HOST:PORT"),
        (&["serve", "--store", "127.0.0.1:6379"], "redis://HOST:PORT"),
        (&["serve", "--store", "redis://127.0.0.1:port"], "redis://HOST:PORT"),
        (&["serve", "--store", "redis://127.0.0.1/database"], "redis://HOST:PORT"),
        (&["serve", "--store", "rediss://127.0.0.1/#insecure"], "any certificate"),
        (&["serve", "--store", ""], "redis://HOST:PORT"),
        (&["serve", "--data", ""], "--data"),
        (&["serve", "--sessions-per-user", "0"], "--sessions-per-user"),
        (&["serve", "--when-full", "refuse"], "--sessions-per-user"),
        (&["serve", "--sessions-per-user", "5", "--when-full", "cry"], "end-oldest"),
        (&["serve", "--trust-proxy", ""], "10.0.0.0/8"),
        (&["serve", "--trust-proxy", "10.0.0.0/8,proxy.local"], "proxy.local"),
        (&["serve", "--trust-proxy", "0.0.0.0/0"], "would trust everybody"),
        (&["serve", "--addresses", "half"], "truncated"),
        (&["serve", "--label", "My Shop"], "a-z 0-9 . _ -"),
        (&["serve", "--patience", "0s"], "250ms is usual"),
        (&["serve", "--remember-idle", "31d"], "--remember-idle and --remember-absolute"),
    ] {
        let (code, log) = ended(args, &key);
        assert_eq!(code, Some(2), "{args:?}: {log}");
        assert!(log.contains(said) && log.contains("error: "), "{args:?}: {log}");
        assert!(!log.contains("http://127.0.0.1"), "{args:?}: {log}");
    }
}

// Proves R61, CVE-2020-17526.
#[test]
fn a_wrong_secret_is_refused_and_not_shown() {
    let short = "only-31-bytes-long-secret-here!";
    let many = format!("{KEY},{short}");
    let (comma, space) = (format!("{KEY},{OTHER_KEY}"), format!("{KEY} "));
    for (env, said) in [
        (&[("SECRET_KEY", short)][..], "at least 32 bytes"),
        (&[("SECRET_KEY", "")], "SECRET_KEY: "),
        (&[("SECRET_KEY", &"x".repeat(64))], "8 of them different"),
        (&[("SECRET_KEY", &comma)], "no comma"),
        (&[("SECRET_KEY", &space)], "no space"),
        (
            &[("SECRET_KEY", OTHER_KEY), ("SECRET_KEY_FALLBACKS", &many)],
            "SECRET_KEY_FALLBACKS, key 2: ",
        ),
        (&[("SECRET_KEY", KEY), ("SECRET_KEY_FALLBACKS", ",")], "SECRET_KEY_FALLBACKS, key 1: "),
        (&[("SECRET_KEY_FALLBACKS", KEY)], "SECRET_KEY is not"),
    ] {
        let (code, log) = ended(&["serve", "--port", "0"], env);
        assert_eq!(code, Some(2), "{env:?}: {log}");
        assert!(log.contains(said), "{env:?}: {log}");
        assert!(![short, KEY, OTHER_KEY].iter().any(|secret| log.contains(secret)), "{log}");
    }
}

// Proves R61.
#[test]
fn the_password_of_the_store_is_never_shown() {
    for url in [
        "redis://eve:hunter2@127.0.0.1:port",
        "redis://:hunter2@127.0.0.1/database",
        "mysql://eve:hunter2@127.0.0.1",
        "rediss://eve:hunter2@127.0.0.1/#insecure",
        "redis://eve:hunter2@[::1",
    ] {
        for (args, env) in [
            (&["serve", "--store", url][..], &[][..]),
            (&["serve"], &[("REDIS_URL", url)]),
            (&["serve", "--help"], &[("REDIS_URL", url)]),
            (&["--help"], &[("REDIS_URL", url)]),
            (&["serve", "--idle", "no"], &[("REDIS_URL", url)]),
        ] {
            let (_, log) = ended(args, env);
            assert!(!log.contains("hunter2") && !log.is_empty(), "{args:?}: {log}");
        }
    }
}

#[test]
fn a_port_in_use_is_named_with_what_to_type_instead() {
    let first = on_memory();
    let port = first.addr().port().to_string();
    let (code, log) = ended(&["serve", "--port", &port], &[]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&format!("port {port} of 127.0.0.1 is in use")), "{log}");
    assert!(log.contains("`--port 0`"), "{log}");
    assert!(!log.contains("http://127.0.0.1"), "{log}");
}

#[test]
fn a_host_that_is_not_ours_is_refused_with_code_1() {
    for host in ["nowhere.invalid", "203.0.113.7", "not a host"] {
        let (code, log) = ended(&["serve", "--port", "0", "--host", host], &[]);
        assert_eq!(code, Some(1), "{host}: {log}");
        assert!(log.contains(host) && log.contains("--host 127.0.0.1"), "{host}: {log}");
    }
}

#[test]
fn without_settings_it_says_what_that_means() {
    let home = tempfile::tempdir().unwrap();
    let env = [("HOME", home.path().to_str().unwrap())];
    let demo = Program::start(CLOAKROOM, &["--port", "0"], &env);
    demo.addr();
    let folder = home.path().join(".local/state/cloakroom");
    assert!(demo.wait_for_log("Sessions are kept in ").ends_with(folder.to_str().unwrap()));
    assert!(folder.join("sessions.redb").exists() && folder.join("secret-key").exists());
    assert_eq!(demo.log().matches("http://127.0.0.1").count(), 1, "{}", demo.log());

    let demo = Program::start(CLOAKROOM, &["--port", "0", "--store", "memory"], &env);
    assert!(demo.wait_for_log("SECRET_KEY is not set").contains("WARN"));
    assert!(demo.wait_for_log("event=\"memory_store\"").contains("WARN"));
}

#[test]
fn a_flag_counts_before_its_variable() {
    let server = Server::start();
    let env = [("REDIS_URL", "redis://127.0.0.1:1"), ("PORT", "1"), ("SECRET_KEY", KEY)];
    let demo = serve(&["--store", &server.url()], &env);
    logged_in_at(demo.addr(), "alice");
    assert_eq!(server.keys().len(), 2);
    let demo = serve(&["--store", "memory"], &env);
    assert_eq!(Request::get(demo.addr(), "/readyz").send().status, 200);
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let env = [("PORT", "0"), ("CLOAKROOM_IDLE", "10s"), ("XDG_STATE_HOME", state)];
    let demo = Program::start(CLOAKROOM, &[], &env);
    assert!(logged_in_at(demo.addr(), "alice").get("/").text().contains("10 seconds"));
}

#[test]
fn a_server_is_found_over_its_socket_too() {
    let server = Server::start();
    let url = server.unix_url().replace("redis+unix://", "unix://");
    let demo = at(&url);
    let mut browser = logged_in_at(demo.addr(), "alice");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
}

#[test]
fn help_tells_everything_that_can_be_set() {
    for args in [&["--help"][..], &["serve", "--help"]] {
        let (code, help) = ended(args, &[]);
        assert_eq!(code, Some(0));
        for part in [
            "--host",
            "HOST",
            "--port",
            "PORT",
            "--store",
            "REDIS_URL",
            "--prefix",
            "--idle",
            "--absolute",
            "--rotate-every",
            "--rotate-grace",
            "--patience",
            "--sessions-per-user",
            "--when-full",
            "--remember-idle",
            "--remember-absolute",
            "--trust-proxy",
            "--addresses",
            "--label",
            "--cookie",
            "Safari",
            "--log-format",
            "RUST_LOG",
            "SECRET_KEY",
            "SECRET_KEY_FALLBACKS",
            "Exit codes",
            "--data",
            "CLOAKROOM_DATA",
            "[default: 5000]",
        ] {
            assert!(help.contains(part), "{part}:\n{help}");
        }
    }
}
