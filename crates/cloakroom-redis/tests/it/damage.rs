//! What is found under our keys that is not ours, and values that are not what a field expects.

use cloakroom::{Field, Refusal, SessionError};
use testbed::Server;

use crate::house::{NOTE, VISITS, alice, keys_of, manager};

/// Whatever stands there is no session: nobody is logged in, and it is gone.
// Proves R65, R69, spring-session#2021.
#[tokio::test]
async fn what_is_no_session_counts_as_unknown_and_is_removed() {
    let server = Server::start();
    let manager = manager(&server);
    let long = "a".repeat(65);
    let damage: [&[&[&str]]; 12] = [
        &[&["HSET", "KEY", "~", "1 9763880000000 1000 2000 0 s", "~user", "alice"]],
        &[&["HSET", "KEY", "~", "1 1763880000000 99999999999999 2000 0 s", "~user", "alice"]],
        &[&["HSET", "KEY", "~", "1 99999999999999999999 28800000 1800000 0 s", "~user", "alice"]],
        &[&["HSET", "KEY", "~", "1 9763880000000 28800000 1800000 0 s", "~user", &long]],
        &[&["RPUSH", "KEY", "a", "b"]],
        &[&["SET", "KEY", "something"]],
        &[&["ZADD", "KEY", "1", "a"]],
        &[&["HSET", "KEY", "visits", "1"]],
        &[&["HSET", "KEY", "~", "1 nonsense", "~user", "alice"]],
        &[&["HSET", "KEY", "~", "1 1763880000000 28800000 1800000 0 s"]],
        &[&["HINCRBY", "KEY", "visits", "1"]],
        &[&["EVAL", "for i = 1, 2000 do redis.call('HSET', KEYS[1], 'f' .. i, i) end", "1", "KEY"]],
    ];
    for commands in damage {
        let visitor = alice(&manager).await;
        let (key, _) = keys_of(&visitor).await;
        server.command(&["DEL", &key]);
        for command in commands {
            let command: Vec<&str> =
                command.iter().map(|word| if *word == "KEY" { &*key } else { word }).collect();
            assert!(server.command(&command).error().is_none(), "{command:?}");
        }
        let session = visitor.open().session();
        let counted = session.if_logged_in().increment(VISITS, 1).await;
        assert!(counted.unwrap().is_none(), "{commands:?}");
        assert_eq!(server.command(&["EXISTS", &key]).int(), 0, "{commands:?}");
    }
    assert_eq!(server.keys_without_ttl(), Vec::<String>::new());
}

/// Nothing bounds beforehand what the script reads: asking how much there is costs every request. So
/// the server reads it once, and nobody else has to do with it.
// Proves F28.
#[tokio::test]
async fn a_planted_hash_of_very_many_fields_is_read_once_not_sent_and_removed() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    let plant = "for i = 1, 100000 do redis.call('HSET', KEYS[1], 'field' .. i, i) end";
    assert!(server.command(&["EVAL", plant, "1", &key]).is_nil());
    let sent = || {
        let stats = server.command(&["INFO", "stats"]).text();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = sent();
    assert!(visitor.open().session().if_logged_in().increment(VISITS, 1).await.unwrap().is_none());
    // Some thousands are what the server says of itself; the fields are more than a million.
    let bytes = sent() - before;
    assert!(bytes < 100_000, "{bytes} bytes");
    assert_eq!(server.command(&["EXISTS", &key]).int(), 0);
    assert!(alice(&manager).await.open().session().user().await.unwrap().is_some());
}

// Proves R65.
#[tokio::test]
async fn a_damaged_index_logs_out_and_heals_at_the_next_login() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (_, index) = keys_of(&visitor).await;
    server.command(&["DEL", &index]);
    server.command(&["SET", &index, "no sorted set"]);
    assert_eq!(visitor.open().session().user().await.unwrap(), None);
    let again = alice(&manager).await;
    assert_eq!(again.open().session().user().await.unwrap().unwrap().as_str(), "alice");

    // Broken between two logins: the login heals it.
    server.command(&["DEL", &index]);
    server.command(&["SET", &index, "no sorted set"]);
    let again = alice(&manager).await;
    assert!(again.open().session().user().await.unwrap().is_some());
}

/// The key says whose the session is, and what stands in it says another: nobody becomes that one, by no
/// way into the session.
// Proves R57.
#[tokio::test]
async fn a_session_that_names_another_user_than_its_key_is_nobodys() {
    let server = Server::start();
    let manager = manager(&server);
    for by_rotation in [false, true] {
        let visitor = alice(&manager).await;
        let (key, _) = keys_of(&visitor).await;
        server.command(&["HSET", &key, "~user", "mallory"]);
        let visit = visitor.open();
        let session = visit.session();
        if by_rotation {
            assert!(matches!(session.rotate().await, Err(SessionError::Ended)));
        }
        assert!(matches!(session.user().await, Err(SessionError::Ended) | Ok(None)));
        assert!(matches!(session.increment(VISITS, 1).await, Err(SessionError::Ended)));
        assert!(visit.close(200).await.set_cookie.is_none());
    }
}

/// A later version of Cloakroom runs beside this one: its sessions are left as they are.
#[tokio::test]
async fn a_session_of_a_later_layout_is_nobodys_and_stays() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    server.command(&["HSET", &key, "~", "2 something else"]);
    let visit = visitor.open();
    let session = visit.session();
    assert_eq!(session.user().await.unwrap(), None);
    assert!(matches!(session.increment(VISITS, 1).await, Err(SessionError::Ended)));
    assert!(visit.close(200).await.set_cookie.is_none());
    assert_eq!(server.command(&["HGET", &key, "~user"]).text(), "alice");

    // What a person asks for ends it all the same.
    let visit = visitor.open();
    let login = visit.session().log_in(cloakroom::User::new("alice").unwrap()).await;
    assert_eq!(login.unwrap(), cloakroom::LogIn::Done);
    assert!(visit.close(200).await.set_cookie.is_some());
    assert_eq!(server.command(&["GET", &key]).text(), "ended");
}

/// A later version may say more behind what this one knows: it is kept, through a rotation as well.
#[tokio::test]
async fn what_a_later_version_adds_to_a_life_is_kept() {
    let server = Server::start();
    let manager = manager(&server);
    let mut visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    let life = server.command(&["HGET", &key, "~"]).text();
    server.command(&["HSET", &key, "~", &format!("{life} Firefox on Linux")]);
    visitor.visit(async |session| session.rotate().await.unwrap()).await;
    let (key, _) = keys_of(&visitor).await;
    let life = server.command(&["HGET", &key, "~"]).text();
    assert!(life.ends_with(" s Firefox on Linux"), "{life}");
}

#[tokio::test]
async fn a_value_that_can_not_be_counted_is_refused_and_stays() {
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (key, _) = keys_of(&visitor).await;
    let balance: Field<i64> = Field::new("visits");
    let (most, least) = (i64::MAX.to_string(), i64::MIN.to_string());
    for (kept, by, refusal) in [
        ("many", 1, Refusal::NotANumber { field: VISITS.name().clone() }),
        ("1.5", 1, Refusal::NotANumber { field: VISITS.name().clone() }),
        ("007", 1, Refusal::NotANumber { field: VISITS.name().clone() }),
        ("9223372036854775808", 1, Refusal::NotANumber { field: VISITS.name().clone() }),
        (&most, 1, Refusal::OutOfRange { field: VISITS.name().clone() }),
        (&least, -1, Refusal::OutOfRange { field: VISITS.name().clone() }),
    ] {
        server.command(&["HSET", &key, "visits", kept]);
        let session = visitor.open().session();
        match session.increment(balance.clone(), by).await {
            Err(SessionError::Refused(found)) => assert_eq!(found, refusal),
            other => panic!("{kept}: {other:?}"),
        }
        assert_eq!(server.command(&["HGET", &key, "visits"]).text(), kept);
    }
    let session = visitor.open().session();
    let error = session.get(VISITS).await.unwrap_err();
    assert_eq!(error.status(), 422);
    assert!(!error.to_string().contains(&least), "the value is in no message: {error}");
}

#[tokio::test]
async fn a_script_called_wrongly_changes_nothing_and_says_so() {
    use cloakroom_redis::scripts;
    let server = Server::start();
    let manager = manager(&server);
    let visitor = alice(&manager).await;
    let (key, index) = keys_of(&visitor).await;
    visitor.clone().visit(async |session| session.set(NOTE, "kept").unwrap()).await;
    let sha = server.command(&["SCRIPT", "LOAD", scripts::APPLY.text]).text();
    let call = ["EVALSHA", &sha, "2", &key, &index, "0", "alive", "16384 64 65536"];
    let reply = server.command(&[&call[..], &["multiply", "note", "2"]].concat());
    assert!(reply.error().is_some_and(|error| error.contains("multiply")), "{reply:?}");
    assert_eq!(server.command(&["HGET", &key, "note"]).text(), "kept");
}
