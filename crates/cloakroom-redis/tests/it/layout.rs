//! What stands in the server, and who else can read and write it.

use cloakroom::{Field, Manager, Session, User};
use cloakroom_redis::scripts;
use testbed::{Reply, Server};

use crate::house::{VISITS, manager};

const NAME: Field<String> = Field::new("name");

async fn logged_in(manager: &Manager, user: &str) -> (Session, String) {
    let visit = manager.open([]);
    let session = visit.session();
    let login = session.log_in(User::new(user).unwrap()).with(NAME, "Alice Liddell");
    assert_eq!(login.await.unwrap(), cloakroom::LogIn::Done);
    let cookie = visit.close(200).await.set_cookie.unwrap();
    (session, cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_is_a_plain_hash_that_anyone_can_read() {
    let server = Server::start();
    let manager = manager(&server);
    let (session, cookie) = logged_in(&manager, "alice").await;
    let visit = manager.open([cookie.as_bytes()]);
    let counted = visit.session().if_logged_in().increment(VISITS, 2).await.unwrap();
    assert_eq!(counted.unwrap().1, 2);

    let id = session.id().await.unwrap().unwrap();
    let key = format!("shop:{{{}}}:session:{id}", id.tag());
    let hash = server.command(&["HGETALL", &key]).pairs();
    assert_eq!(hash["visits"], b"2");
    assert_eq!(hash["name"], b"Alice Liddell");
    assert_eq!(hash["~user"], b"alice");
    assert!(hash["~"].starts_with(b"1 "), "{:?}", hash["~"]);
    assert_eq!(hash.len(), 4);
    let encoding = server.command(&["OBJECT", "ENCODING", &key]).text();
    assert!(["listpack", "ziplist"].contains(&encoding.as_str()), "{encoding}");
    assert_eq!(server.keys_without_ttl(), Vec::<String>::new());
}

/// In Python, as docs/layout.md shows it.
#[tokio::test]
async fn another_languages_client_reads_and_counts_and_is_refused_by_a_dead_session() {
    let server = Server::start();
    let manager = manager(&server);
    let (session, cookie) = logged_in(&manager, "alice").await;
    let visit = manager.open([cookie.as_bytes()]);
    visit.session().if_logged_in().increment(VISITS, 41).await.unwrap();
    let id = session.id().await.unwrap().unwrap();
    let key = format!("shop:{{{}}}:session:{id}", id.tag());
    let index = format!("shop:{{{}}}:user", id.tag());

    let count = || python(&[&server.port().to_string(), &key, &index]);
    assert_eq!(count(), "41 Alice Liddell alice, done 42");
    session.log_out().await.unwrap();
    assert_eq!(count(), "no session, ended");
}

/// Runs `count.py`, and returns what it printed.
fn python(arguments: &[&str]) -> String {
    let python = std::env::var("CLOAKROOM_TEST_PYTHON").expect(
        "CLOAKROOM_TEST_PYTHON names no Python: run `cargo xtask test`, which installs one",
    );
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scripts");
    let output = std::process::Command::new(python)
        .env("PYTHONPATH", std::env::var("CLOAKROOM_TEST_PYTHONPATH").unwrap_or_default())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/count.py"))
        .arg(scripts)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn another_language_counts_in_a_live_session_and_is_refused_by_a_dead_one() {
    let server = Server::start();
    let manager = manager(&server);
    let (session, _) = logged_in(&manager, "alice").await;
    let id = session.id().await.unwrap().unwrap();
    let key = format!("shop:{{{}}}:session:{id}", id.tag());
    let index = format!("shop:{{{}}}:user", id.tag());

    let sha = server.command(&["SCRIPT", "LOAD", scripts::APPLY.text]).text();
    assert_eq!(sha, scripts::APPLY.sha());
    let count = || {
        let call = ["EVALSHA", &sha, "2", &key, &index, "0", "logged-in", "16384 64 65536"];
        server.command(&[&call[..], &["count", "visits", "1"]].concat())
    };
    let Reply::Bulk(Some(counted)) = count() else { panic!("no session in one piece") };
    assert!(counted.starts_with(b"\x95\xa4done\xcf"), "{counted:?}");
    assert_eq!(server.command(&["HGET", &key, "visits"]).text(), "1");
    session.log_out().await.unwrap();
    assert_eq!(count().list()[0].text(), "ended");
    assert_eq!(server.command(&["GET", &key]).text(), "ended");
    assert_eq!(server.command(&["EXISTS", &index]).int(), 0);
}
