//! Floods of requests without a cookie: what they cost is what was said, and nobody who is logged in
//! notices.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use cloakroom::{Field, Lifetime, Manager, Prefix, Rate, Settings, User};
use cloakroom_redis::RedisStore;
use cloakroom_tower::{Session, SessionError, SessionLayer};
use testbed::{Browser, Request, Server};

use crate::demo::*;

const VIEWS: Field<u64> = Field::new("views");

/// A shop that counts what strangers look at: the page that floods are for.
async fn look(session: Session) -> Result<String, SessionError> {
    Ok(session.increment(VIEWS, 1).await?.to_string())
}

async fn log_in(session: Session) -> Result<(), SessionError> {
    session.log_in(User::new("alice")?).await.map(drop).map_err(Into::into)
}

async fn instance(url: &str, settings: Settings) -> SocketAddr {
    let store = RedisStore::open(url, Prefix::default()).unwrap();
    let layer = SessionLayer::new(Manager::new(store, settings));
    let app = Router::new().route("/", get(look)).route("/login", post(log_in)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// Two instances, 40 a second each after 15 at once, and a life of a second: 2 x (15 + 40 x 1) at any
/// time, however many ask.
// Proves F35, R68, CVE-2015-5143.
#[test]
fn a_flood_of_strangers_costs_what_was_said_and_logged_in_users_nothing() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let rate = Rate { per_second: number(40), at_once: number(15) };
    let life = Duration::from_secs(1);
    let settings = Settings {
        newcomers: Some(rate),
        anonymous: Lifetime::new(life, life).unwrap(),
        patience: Duration::from_secs(30),
        ..Settings::default()
    };
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let addresses: Vec<SocketAddr> =
        (0..2).map(|_| runtime.block_on(instance(&server.url(), settings.clone()))).collect();
    let mut alice = Browser::at(addresses[0]);
    assert_eq!(alice.post_form("/login", "").status, 200);
    // Her session and her index.
    let hers = server.keys().len();

    let over = AtomicBool::new(false);
    let (made, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (mut most, mut visits) = (0, 0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (address, over, made, refused) = (addresses[thread % 2], &over, &made, &refused);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let response = Request::get(address, "/").timeout(life * 60).send();
                    match response.status {
                        200 => made.fetch_add(1, Ordering::SeqCst),
                        503 => {
                            assert_eq!(response.header("Retry-After"), Some("1"));
                            assert_eq!(response.headers("Set-Cookie"), [""; 0]);
                            refused.fetch_add(1, Ordering::SeqCst)
                        }
                        other => panic!("{other}"),
                    };
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < 3 * life {
            most = most.max(server.keys().len() - hers);
            visits += 1;
            alice.move_to(addresses[visits % 2]);
            let page = alice.get("/");
            assert_eq!((page.status, page.text()), (200, visits.to_string().as_str()));
        }
        over.store(true, Ordering::SeqCst);
    });
    let (made, refused) = (made.into_inner(), refused.into_inner());
    let at_most = 2 * (15 + 40);
    assert!(most <= at_most, "{most} sessions of strangers at once, {at_most} were said");
    assert!(made >= 30 && refused > 0, "{made} made, {refused} refused: no flood");
    // Nothing of it stays.
    let gone = || (server.keys().len() == hers).then_some(());
    assert!(testbed::eventually(30 * life, gone).is_some(), "{:?}", server.keys());
}

// Proves R68.
#[test]
fn strangers_make_nothing_at_the_demo_however_many_come() {
    on_every_store(|demo| {
        let mut alice = logged_in_at(demo.addr(), "alice");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..100 {
                        let request = match n % 3 {
                            0 => Request::get(demo.addr(), "/"),
                            1 => Request::post(demo.addr(), "/logout"),
                            _ => Request::get(demo.addr(), "/devices"),
                        };
                        let response = request.send();
                        assert!(matches!(response.status, 200 | 303), "{response:?}");
                        assert_eq!(response.headers("Set-Cookie"), [""; 0]);
                    }
                });
            }
            for visits in 1..=20 {
                assert_eq!(visit(&mut alice), somebody("alice", visits));
            }
        });
    });
}
