//! What a request costs, as the server counts it.

use std::num::NonZeroU32;

use cloakroom::testing::Visitor;
use cloakroom::{Client, Field, LogIn, User};
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

/// What docs/users.md says of one session and of a hundred.
#[tokio::test]
async fn the_sessions_of_a_user_cost_what_is_promised_however_many_they_are() {
    let server = Server::start();
    let manager = manager(&server);
    let user = User::new("alice").unwrap();
    let all = manager.sessions_of(&user);
    let many = NonZeroU32::new(500).unwrap();
    macro_rules! costs {
        ($trips:expr, $call:expr) => {{
            let monitor = server.client_commands();
            let answer = $call;
            let mut lines = monitor.finish();
            // What removes in the background what ended sessions held, is nobody's trip.
            lines.retain(|line| !line.contains(":ended\"") || line.contains("\"by-"));
            assert_eq!(lines.len(), $trips, "{}: {lines:?}", stringify!($call));
            answer
        }};
    }
    // The scripts are there, and the connection is made.
    let warm = alice(&manager).await;
    assert!(warm.open().session().user().await.unwrap().is_some());
    assert_eq!(all.page(None, many).await.unwrap().sessions.len(), 1);
    assert_eq!(all.count().await.unwrap(), 1);
    assert_eq!(all.erase().await.unwrap(), 1);

    for sessions in [1, 100] {
        let mut phone = alice(&manager).await;
        let mut others = Vec::new();
        for _ in 1..=sessions {
            others.push(alice(&manager).await);
        }
        let visit = phone.open();
        let session = visit.session();
        let page = costs!(3, session.if_logged_in().sessions(None, many).await.unwrap());
        assert_eq!(page.unwrap().1.sessions.len(), sessions + 1);
        costs!(2, session.if_logged_in().sessions(None, many).await.unwrap());
        drop(visit);
        let other = others[0].open().session().id().await.unwrap().unwrap().hash();
        let ended = costs!(2, {
            phone.visit(async |session| session.if_logged_in().revoke(&other).await.unwrap()).await
        });
        assert!(ended.unwrap().1);
        let ended = costs!(2, {
            phone.visit(async |session| session.if_logged_in().revoke_others().await.unwrap()).await
        });
        assert_eq!(ended.unwrap().1 as usize, sessions - 1);

        for _ in 1..=sessions {
            others.push(alice(&manager).await);
        }
        assert_eq!(costs!(1, all.count().await.unwrap()) as usize, sessions + 1);
        let page = costs!(2, all.page(None, many).await.unwrap());
        costs!(1, all.revoke(&page.sessions[0].id.hash()).await.unwrap());
        costs!(2 + sessions, all.export(None, many).await.unwrap());
        let kept = page.sessions[1].id;
        costs!(1, all.revoke_all_but(&kept).await.unwrap());
        assert_eq!(costs!(1, all.revoke_all().await.unwrap()), 1);

        let mut phone = alice(&manager).await;
        let _ = alice(&manager).await;
        let ended = costs!(2, {
            let everywhere = async |session: cloakroom::Session| {
                session.if_logged_in().log_out_everywhere().await.unwrap()
            };
            phone.visit(everywhere).await
        });
        assert_eq!(ended.unwrap().1, 2);
    }
}

/// Seven small fields, what is known of the client, and the place in the index.
#[tokio::test]
async fn a_session_takes_no_more_memory_than_is_said() {
    for server in Server::every() {
        let manager = manager(&server);
        let visit = manager.open([]);
        let session = visit.session();
        let client = Client::from_text("saf ios 203.0.113.0/24 shop");
        let mut login = session.log_in(User::new("alice").unwrap()).from_client(client);
        for (name, value) in [
            ("name", "Alice Liddell"),
            ("visits", "41"),
            ("lang", "ja"),
            ("theme", "dark"),
            ("role", "editor"),
            ("seen", "1763880000"),
            ("step", "3"),
        ] {
            login = login.with(Field::<String>::named(name).unwrap(), value);
        }
        assert_eq!(login.await.unwrap(), LogIn::Done);
        assert!(visit.close(200).await.failed.is_none());
        let bytes = |key: &String| server.command(&["MEMORY", "USAGE", key]).int();
        let all: i64 = server.keys().iter().map(bytes).sum();
        assert!((300..=580).contains(&all), "{all} bytes");
        println!("{all} bytes");
    }
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
