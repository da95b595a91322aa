//! Sealed fields, on all three stores: a dump holds no word of them, and what an operator sees of them
//! is what is kept.

use std::sync::Arc;

use cloakroom::{
    Field, FieldKeys, Head, Manager, MemoryStore, Prefix, Sealed, SecretKey, Settings, Store, User,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;
use testbed::{Program, Server};

use crate::demo::*;
use crate::secrets::{files_of, holds};

const CARD: Field<Sealed<String>> = Field::new("card");
const NOTE: Field<String> = Field::new("note");
const PLAIN: &str = "4111-1111-1111-1111";

fn settings() -> Settings {
    let field_keys = Some(FieldKeys::new(SecretKey::new(KEY).unwrap()));
    Settings { field_keys, patience: std::time::Duration::from_secs(30), ..Settings::default() }
}

/// A login that keeps a card and a note, then a rotation; answers the session's full id and its cookie.
async fn in_use(store: Arc<dyn Store>) -> (String, String) {
    let manager = Manager::over(store, settings());
    let cookie_of = |head: Head| {
        assert!(head.failed.is_none(), "{head:?}");
        head.set_cookie.unwrap().split(';').next().unwrap().to_owned()
    };
    let visit = manager.open([]);
    let session = visit.session();
    session.log_in(User::new("alice").unwrap()).with(CARD, PLAIN).await.map(drop).unwrap();
    session.set(NOTE, "in the clear").unwrap();
    let cookie = cookie_of(visit.close(200).await);
    let visit = manager.open([cookie.as_bytes()]);
    visit.session().rotate().await.unwrap();
    let cookie = cookie_of(visit.close(200).await);
    let visit = manager.open([cookie.as_bytes()]);
    assert_eq!(visit.session().get(CARD).await.unwrap().unwrap().as_str(), PLAIN);
    let shown =
        format!("{:?} {:?}", visit.session().get(CARD).await, visit.session().snapshot().await);
    assert!(!shown.contains(PLAIN), "{shown}");
    (visit.session().id().await.unwrap().unwrap().in_full(), cookie)
}

fn run(args: &[&str]) -> String {
    let program = Program::start(CLOAKROOM, args, &[("CLOAKROOM_PREFIX", "cloakroom")]);
    assert_eq!(program.wait(), Some(0), "{}", program.log());
    program.log()
}

/// What an operator sees of it.
fn is_shown_sealed(place: &str, id: &str) {
    for form in [&[][..], &["--json"]] {
        let args = [&["sessions", "--store", place, "show", id, "--values"], form].concat();
        let seen = run(&args);
        assert!(seen.contains("in the clear") && seen.contains("sealed:1:"), "{seen}");
        assert!(!seen.contains(PLAIN));
    }
}

async fn card(store: Arc<dyn Store>, cookie: &str) -> Option<String> {
    let visit = Manager::over(store, settings()).open([cookie.as_bytes()]);
    visit.session().get(CARD).await.unwrap().map(|card| card.0)
}

#[track_caller]
fn is_kept_sealed(bytes: &[u8]) {
    assert!(holds(bytes, b"in the clear") && holds(bytes, b"sealed:1:"));
    assert!(!holds(bytes, PLAIN.as_bytes()));
}

// Proves R58.
#[test]
fn no_dump_and_no_operator_shows_what_is_sealed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(in_use(Arc::new(MemoryStore::new())));

    let folder = tempfile::tempdir().unwrap();
    let embedded = EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap();
    let (id, cookie) = runtime.block_on(in_use(Arc::new(embedded)));
    let place = folder.path().to_str().unwrap();
    is_shown_sealed(place, &id);
    is_kept_sealed(&files_of(folder.path()));

    let server = Server::start();
    let redis = || {
        let _inside = runtime.enter();
        Arc::new(RedisStore::open(&server.url(), Prefix::default()).unwrap())
    };
    // It is carried as it is, and opens where it was carried to.
    run(&["store", "export", "--data", place, "--to", &server.url()]);
    is_shown_sealed(&server.url(), &id);
    assert_eq!(runtime.block_on(card(redis(), &cookie)).as_deref(), Some(PLAIN));
    server.command(&["FLUSHALL"]);

    let (id, _) = runtime.block_on(in_use(redis()));
    is_shown_sealed(&server.url(), &id);
    is_kept_sealed(&server.dump());
}
