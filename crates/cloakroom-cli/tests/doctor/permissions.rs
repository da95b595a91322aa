//! The least that a service needs, as docs/operations.md has it.

use std::sync::LazyLock;

use testbed::Server;
use testbed::papers::text;

use crate::run::*;

static OPERATIONS: LazyLock<String> = LazyLock::new(|| text("docs/operations.md"));

/// Types what the docs say, for the user `shop`.
fn documented(server: &Server) {
    let typed = OPERATIONS.lines().filter(|line| line.starts_with("ACL SETUSER shop "));
    let typed: Vec<Vec<&str>> = typed.map(|line| line.split(' ').collect()).collect();
    let [all, newer] = &*typed else { panic!("the docs have {} lines of ACL", typed.len()) };
    assert_eq!(server.command(all).error(), None);
    // Redis 7.0 refuses what it doesn't know; every other version takes it.
    if let Some(error) = server.command(newer).error() {
        assert!(error.contains("Unknown command"), "{error}");
    }
}

fn url(server: &Server) -> String {
    format!("redis://shop:PASSWORD@127.0.0.1:{}", server.port())
}

// Proves R60.
#[test]
fn the_documented_acl_is_enough_on_every_version_and_leaves_nothing_in_the_log() {
    for server in Server::every() {
        documented(&server);
        let report = examine_with(&url(&server), "permissions.all", &["--prefix", "shop"], &[]);
        report.find("rehearsal.done");
        let log = server.command(&["ACL", "LOG"]).list();
        assert!(log.is_empty(), "{}: {log:?}", server.executable().display());
        assert_eq!(server.keys(), [""; 0]);
    }
}

#[test]
fn each_command_that_is_taken_away_is_named_with_what_to_type() {
    for server in Server::every() {
        for taken in ["hset", "zadd", "evalsha", "eval", "unlink"] {
            documented(&server);
            server.command(&["ACL", "SETUSER", "shop", &format!("-{taken}")]);
            let code = "permissions.commands_denied";
            let report = examine_with(&url(&server), code, &["--prefix", "shop"], &[]);
            let found = report.find(code);
            assert_eq!(found["details"]["commands"], serde_json::json!([taken]));
            assert!(found["next"].as_str().unwrap().contains(&format!("shop +{taken}`")));
        }
    }
}

#[test]
fn keys_that_are_not_this_users_are_told_with_the_prefix() {
    for server in Server::every() {
        documented(&server);
        let report = examine(&url(&server), "permissions.keys_denied");
        let next = report.find("permissions.keys_denied")["next"].as_str().unwrap().to_owned();
        assert!(next.contains("--prefix"), "{next}");
    }
}

#[test]
fn a_user_without_info_is_rehearsed_all_the_same() {
    let server = Server::start();
    documented(&server);
    server.command(&["ACL", "SETUSER", "shop", "-info"]);
    let code = "role.info_denied";
    let report = examine_with(&url(&server), code, &["--prefix", "shop"], &[]);
    for code in ["memory.unseen", "persistence.unseen", "version.tested", "rehearsal.done"] {
        report.find(code);
    }
    assert_eq!(report.code, Some(0));
}

#[test]
fn a_cluster_may_keep_its_state_and_another_nodes_keys_to_itself() {
    let executable = &Server::every_executable()[0];
    let server = Server::start_with(executable, &["--cluster-enabled", "yes"]);
    documented(&server);
    server.command(&["ACL", "SETUSER", "shop", "-cluster|info"]);
    // A cluster without slots may have some in a moment, so the rehearsal waits as long as it may.
    let args = ["--prefix", "shop", "--timeout", "1s"];
    let report = doctor(&args, &[("REDIS_URL", &url(&server))]);
    report.find("cluster.unseen");
}
