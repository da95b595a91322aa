//! What is said at the start, once, of a server on which sessions are not safe.

use cloakroom_redis::RedisSettings;
use testbed::Server;

use crate::house::{LONG, manager_with};
use crate::warnings::Warnings;

#[tokio::test]
async fn a_server_that_loses_sessions_is_warned_of_once() {
    let executable = &Server::every_executable()[0];
    let careless = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    for (options, expected) in [(&careless[..], 2), (&[], 0)] {
        let server = Server::start_with(executable, options);
        let warnings = Warnings::default();
        let _listens = warnings.listen();
        let manager = manager_with(&server.url(), LONG, &RedisSettings::default());
        for _ in 0..3 {
            manager.check().await.unwrap();
            server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            while manager.check().await.is_err() {}
        }
        let said = warnings.said();
        assert_eq!(said.len(), expected, "{said:?}");
        if expected > 0 {
            assert!(
                said[0].contains("evicts_sessions") && said[0].contains("allkeys-lru"),
                "{said:?}"
            );
            assert!(said[1].contains("keeps_nothing"), "{said:?}");
        }
    }
}

/// Who may not look is taken as they are, and is no error.
#[tokio::test]
async fn a_server_that_lets_nobody_look_is_used_all_the_same() {
    let server = Server::start();
    let rule = ["ACL", "SETUSER", "shop", "on", ">s", "~shop:*", "+@all", "-info", "-config"];
    assert!(server.command(&rule).error().is_none());
    let url = format!("redis://shop:s@127.0.0.1:{}", server.port());
    manager_with(&url, LONG, &RedisSettings::default()).check().await.unwrap();
}
