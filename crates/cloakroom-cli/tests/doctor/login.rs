//! Who one is.

use testbed::Server;

use crate::run::*;

fn with_password() -> (Server, String) {
    let server = Server::start();
    server.command(&["ACL", "SETUSER", "shop", "on", ">hunter2", "~*", "&*", "+@all"]);
    server.command(&["ACL", "SETUSER", "default", "resetpass"]);
    let place = format!("127.0.0.1:{}", server.port());
    (server, place)
}

#[test]
fn a_password_that_is_missing_is_told_from_one_that_is_wrong() {
    let (_server, place) = with_password();
    examine(&format!("redis://{place}"), "login.missing");
    let report = examine(&format!("redis://shop:sesame@{place}"), "login.wrong");
    assert!(!report.said.to_string().contains("sesame"));
    let report = examine(&format!("redis://shop:hunter2@{place}"), "login.done");
    assert_eq!(report.find("login.done")["details"]["user"], "shop");
    assert!(!report.said.to_string().contains("hunter2"));
}

#[test]
fn an_iam_token_that_is_refused_brings_the_hints_for_iam() {
    let (_server, place) = with_password();
    let token = |date: &str| {
        let query = format!("Action=connect&User=shop&X-Amz-Date={date}&X-Amz-Expires=900");
        let coded = query.replace('&', "%26").replace('=', "%3D");
        format!("redis://shop:cache%2F%3F{coded}@{place}")
    };
    examine(&token("20150830T123600Z"), "login.iam_expired");
    let report = examine(&token("29150830T123600Z"), "login.iam_refused");
    let next = report.find("login.iam_refused")["next"].as_str().unwrap().to_owned();
    assert!(next.contains("both ARNs") && next.contains("clock"), "{next}");
}

#[test]
fn a_server_full_of_clients_says_so() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "maxclients", "1"]);
    examine(&server.url(), "login.too_many_clients");
}

#[test]
fn a_server_that_loads_its_data_is_not_called_broken() {
    let executable = &Server::every_executable()[0];
    let extra =
        ["--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"];
    let server = Server::start_with(executable, &extra);
    for key in 0..400 {
        server.command(&["SET", &key.to_string(), &"x".repeat(4096)]);
    }
    // A quarter of a second a key.
    server.command(&["CONFIG", "SET", "key-load-delay", "250000"]);
    let server = &server;
    std::thread::scope(|scope| {
        // It loads for minutes, until it is killed.
        let minutes = std::time::Duration::from_secs(600);
        scope.spawn(move || server.try_command(minutes, &["DEBUG", "RELOAD"]));
        let loading = || {
            let said = server.try_command(std::time::Duration::from_secs(60), &["PING"]).ok()?;
            said.error()?.starts_with("LOADING").then_some(())
        };
        testbed::eventually(std::time::Duration::from_secs(60), loading).expect("it loads");
        examine(&server.url(), "login.loading");
        server.kill();
    });
}

#[test]
fn a_server_kept_busy_by_a_script_says_so() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "lua-time-limit", "10"]);
    std::thread::scope(|scope| {
        let endless = scope.spawn(|| server.command(&["EVAL", "while true do end", "0"]));
        let busy = || {
            let said = server.try_command(std::time::Duration::from_secs(60), &["PING"]).ok()?;
            said.error()?.starts_with("BUSY").then_some(())
        };
        testbed::eventually(std::time::Duration::from_secs(60), busy).expect("it is busy");
        examine(&server.url(), "login.busy");
        server.command(&["SCRIPT", "KILL"]);
        endless.join().unwrap();
    });
}

#[test]
fn a_server_without_hello_is_too_old() {
    let executable = &Server::every_executable()[0];
    let server = Server::start_with(executable, &["--rename-command", "HELLO", "NOHELLO"]);
    examine(&server.url(), "login.no_hello");
}

#[test]
fn a_user_without_ping_is_told_what_to_allow() {
    let server = Server::start();
    server.command(&["ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-ping"]);
    let report = examine(&format!("redis://u:p@127.0.0.1:{}", server.port()), "ping.denied");
    assert!(report.find("ping.denied")["next"].as_str().unwrap().contains("ACL SETUSER u +ping"));
}

#[test]
fn a_database_that_is_not_there_is_named() {
    let server = Server::start();
    let report = examine(&format!("{}/99", server.url()), "login.no_database");
    assert_eq!(report.find("login.no_database")["details"]["database"], 99);
}

#[test]
fn another_refusal_is_passed_on() {
    let server = Server::start();
    server.command(&["ACL", "SETUSER", "default", ">p"]);
    let said = rewritten(&server, "-WRONGPASS invalid", "-TEMPORARY invalid");
    examine(&format!("redis://:x@{said}"), "login.refused");
}
