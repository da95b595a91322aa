//! What a request costs, as the server counts it.

use cloakroom::testing::Visitor;
use cloakroom::{LogIn, User};
use testbed::Server;

use crate::house::{NOTE, VISITS, alice, manager};

#[tokio::test]
async fn every_step_of_a_visit_costs_what_is_promised() {
    let server = Server::start();
    let manager = manager(&server);
    // The scripts are there, and the connection is made.
    let mut warm = alice(&manager).await;
    warm.visit(async |session| {
        session.increment(VISITS, 1).await.unwrap();
        session.rotate().await.unwrap();
        session.log_out().await.unwrap();
    })
    .await;

    let mut visitor = Visitor::new(&manager);
    macro_rules! costs {
        ($trips:literal, $handler:expr) => {
            let monitor = server.client_commands();
            visitor.visit($handler).await;
            let lines = monitor.finish();
            assert_eq!(lines.len(), $trips, "{}: {lines:?}", stringify!($handler));
            assert!(lines.iter().all(|line| line.contains("\"EVALSHA\"")), "{lines:?}");
        };
    }
    costs!(0, async |_| {});
    costs!(0, async |session| assert_eq!(session.get(NOTE).await.unwrap(), None));
    costs!(0, async |session| session.log_out().await.unwrap());
    costs!(0, async |session| assert!(
        session.if_logged_in().increment(VISITS, 1).await.unwrap().is_none()
    ));
    costs!(1, async |session| session.set(NOTE, "a new visitor").unwrap());
    costs!(1, async |session| {
        let login = session.log_in(User::new("alice").unwrap()).await.unwrap();
        assert_eq!(login, LogIn::Done);
        // What a login brings back is free.
        assert_eq!(session.get(NOTE).await.unwrap(), None);
    });
    costs!(1, async |session| {
        let counted = session.if_logged_in().increment(VISITS, 1).await.unwrap();
        assert_eq!(counted.unwrap().1, 1);
        session.user().await.unwrap().unwrap();
        session.expires_in().await.unwrap().unwrap();
        session.get(NOTE).await.unwrap();
    });
    costs!(1, async |session| {
        session.get(NOTE).await.unwrap();
        session.get(VISITS).await.unwrap();
    });
    costs!(2, async |session| {
        session.get(NOTE).await.unwrap();
        session.set(NOTE, "read, then written").unwrap();
    });
    costs!(1, async |session| {
        session.set(NOTE, "taken along").unwrap();
        session.increment(VISITS, 1).await.unwrap();
    });
    costs!(2, async |session| {
        let longer = session.update(NOTE, |note| note.unwrap_or_default() + "!").await;
        assert_eq!(longer.unwrap(), "taken along!");
    });
    costs!(1, async |session| session.rotate().await.unwrap());
    costs!(1, async |session| session.log_out().await.unwrap());
}

// Proves R17, mod_auth_openidc.
#[tokio::test]
async fn what_is_no_token_of_ours_never_reaches_the_server() {
    use cloakroom::{Keys, Manager, Prefix, SecretKey, Settings};
    let server = Server::start();
    let sealed_with = |secret: &str| {
        let store = cloakroom_redis::RedisStore::open(&server.url(), Prefix::default()).unwrap();
        let keys = Some(Keys::new(SecretKey::new(secret).unwrap()));
        Manager::new(store, Settings { keys, ..Settings::default() })
    };
    let ours = sealed_with("one secret of thirty-two bytes, and more");
    let theirs = sealed_with("quite another one of thirty-two bytes, more");
    let mallory = Visitor::logged_in(&theirs, "alice").await.unwrap();
    let forged = mallory.cookie().unwrap().to_owned();
    ours.check().await.unwrap();

    let monitor = server.client_commands();
    let long = format!("__Host-session={}", "A".repeat(100_000));
    let well_formed = format!("__Host-session={}", "A".repeat(92));
    let twice = format!("{forged}; {forged}");
    let encoded = forged.replace("__Host", "__%48ost");
    for cookie in [
        "__Host-session=",
        "__Host-session=../../etc/passwd%00",
        &long,
        &well_formed,
        &forged,
        &twice,
        &encoded,
    ] {
        let visit = ours.open([cookie.as_bytes()]);
        let session = visit.session();
        assert_eq!(session.user().await.unwrap(), None);
        assert_eq!(session.get(NOTE).await.unwrap(), None);
        session.log_out().await.unwrap();
        assert!(visit.close(200).await.set_cookie.is_none());
    }
    assert_eq!(monitor.finish(), Vec::<String>::new());
}
