//! What an operator's verbs leave on a server.

use std::time::Duration;

use cloakroom::change::Fields;
use cloakroom::records::{Cursor, Record, Records, Restored};
use cloakroom::store::{Ended, Patience, Store};
use cloakroom::{Life, Lifetime, Prefix, SessionId, Timestamp, TokenMint, User};
use cloakroom_redis::RedisStore;
use testbed::Server;

const PATIENCE: Patience = Patience(Duration::from_secs(30));

fn now(server: &Server) -> Timestamp {
    let time = server.command(&["TIME"]);
    let [seconds, micros] = [0, 1].map(|at| time.list()[at].text().parse::<u64>().unwrap());
    Timestamp::from_millis(seconds * 1000 + micros / 1000)
}

fn record(server: &Server, user: Option<&str>) -> Record {
    let mint = TokenMint::new(Prefix::default(), "session", None);
    let issued = user.map_or_else(|| mint.issue_anonymous(), |user| mint.issue_for(user));
    let lifetime = Lifetime::new(Duration::from_secs(600), Duration::from_secs(6000)).unwrap();
    let now = now(server);
    Record {
        id: issued.unwrap().id,
        user: user.map(|user| User::new(user).unwrap()),
        life: Life::beginning(now, lifetime, false),
        expires_at: now + Duration::from_secs(60),
        client: None,
        fields: Fields::new(),
    }
}

fn key(id: &SessionId, what: &str) -> String {
    format!("cloakroom:{{{}}}:{what}:{id}", id.tag())
}

/// The marker is gone after two minutes, here at once; the note is what stays.
#[tokio::test]
async fn a_restore_is_noted_for_as_long_as_its_record_could_be_restored_again() {
    for server in Server::every() {
        let store = RedisStore::open(&server.url(), Prefix::default()).unwrap();
        for user in [None, Some("alice")] {
            let record = record(&server, user);
            assert_eq!(store.restore(&record, PATIENCE).await.unwrap(), Restored::Done);
            for key in [key(&record.id, "session"), key(&record.id, "restored")] {
                assert!((1..=60_000).contains(&server.ttl_ms(&key)), "{key}");
            }
            assert_eq!(store.end(&record.id, PATIENCE).await.unwrap(), Ended::Now);
            server.command(&["DEL", &key(&record.id, "session")]);
            assert_eq!(store.restore(&record, PATIENCE).await.unwrap(), Restored::Ended);
            assert_eq!(store.peek(&record.id, PATIENCE).await.unwrap(), None);
        }
        assert_eq!(server.keys_without_ttl(), [""; 0]);
    }
}

/// What an operator may look at is never changed by it, damaged as it may be.
#[tokio::test]
async fn looking_writes_nothing() {
    for server in Server::every() {
        let store = RedisStore::open(&server.url(), Prefix::default()).unwrap();
        let [whole, lost, ended] = ["alice", "bob", "eve"].map(|user| record(&server, Some(user)));
        for record in [&whole, &lost, &ended] {
            assert_eq!(store.restore(record, PATIENCE).await.unwrap(), Restored::Done);
        }
        assert_eq!(store.end(&ended.id, PATIENCE).await.unwrap(), Ended::Now);
        server.command(&["DEL", &format!("cloakroom:{{{}}}:user", lost.id.tag())]);
        let mint = TokenMint::new(Prefix::default(), "session", None);
        let [list, bare, later] = [(); 3].map(|()| mint.issue_anonymous().unwrap().id);
        server.command(&["RPUSH", &key(&list, "session"), "x"]);
        server.command(&["HSET", &key(&bare, "session"), "visits", "1"]);
        server.command(&["HSET", &key(&later, "session"), "~", "2 what comes"]);
        server.command(&["SET", "cloakroom:{short}:session:x", "x"]);
        server.command(&[&b"SET"[..], b"cloakroom:{\xff}:session:\xff", b"x"]);
        let before = server.dump();
        let page = store.walk(&Cursor::default(), 1_000, PATIENCE).await.unwrap();
        assert_eq!(page.next, None);
        assert_eq!(page.sessions, [whole]);
        for id in [lost.id, ended.id, list, bare, later] {
            assert_eq!(store.peek(&id, PATIENCE).await.unwrap(), None);
        }
        assert!(server.dump() == before, "looking changed something");
    }
}

/// The keys of another process have another order: a walk goes on there from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_survives_a_restart_of_the_server() {
    let server =
        Server::start_with(testbed::Server::every_executable().remove(0), &["--appendonly", "yes"]);
    let store = RedisStore::open(&server.url(), Prefix::default()).unwrap();
    let mut made = Vec::new();
    for _ in 0..200 {
        let record = record(&server, None);
        assert_eq!(store.restore(&record, PATIENCE).await.unwrap(), Restored::Done);
        made.push(record.id);
    }
    let mut page = store.walk(&Cursor::default(), 10, PATIENCE).await.unwrap();
    server.kill();
    server.restart();
    let mut met = Vec::new();
    loop {
        met.extend(page.sessions.iter().map(|record| record.id));
        let Some(next) = page.next else { break };
        // Whoever walks asks again when the line was cut: looking can be repeated.
        page = loop {
            if let Ok(page) = store.walk(&next, 10, PATIENCE).await {
                break page;
            }
        };
    }
    assert!(made.iter().all(|id| met.contains(id)));
}
