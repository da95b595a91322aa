//! The pieces of a request that cost time, each as a closure that does it once.
//!
//! `cargo bench -p pieces` says how long each takes here and now. Instructions are counted by
//! `cargo xtask check`, which compares them with `pieces/counts.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that can't go on says so and ends"
)]

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use cloakroom::{
    Field, Keys, Manager, MemoryStore, Prefix, SecretKey, Settings, Store, TokenMint, User,
};
use cloakroom_redis::RedisStore;
use cloakroom_tower::{Session, SessionLayer};
use http::{Request, Response};
use testbed::Server;
use tower_layer::Layer;
use tower_service::Service;

const VISITS: Field<u64> = Field::new("visits");
const COOKIE: &str = "__Host-session";

/// What runs a future to its end.
type Work<'a> = Pin<&'a mut dyn Future<Output = ()>>;

/// The names of all pieces.
pub const NAMES: [&str; 9] = [
    "open a token",
    "a forged token",
    "an untouched request",
    "an untouched request, through tower",
    "a read on memory",
    "a visit on memory",
    "a visit on memory, through tower",
    "a read on Redis",
    "a visit on Redis",
];

/// The piece of that name, ready to be done again and again.
pub fn piece(name: &str) -> Option<Box<dyn FnMut()>> {
    Some(match name {
        "open a token" => {
            let mint = mint();
            let token = mint.issue_for("alice").unwrap().token;
            Box::new(move || drop(black_box(mint.open(token.reveal().as_bytes()).unwrap())))
        }
        "a forged token" => {
            let mint = mint();
            let token = mint.issue_for("alice").unwrap().token.reveal().replace('A', "B");
            let forged = format!("B{}", &token[1..]);
            Box::new(move || assert!(mint.open(black_box(forged.as_bytes())).is_none()))
        }
        "an untouched request" => {
            let (manager, line) = logged_in(MemoryStore::new(), alone);
            Box::new(move || {
                let visit = manager.open([line.as_bytes()]);
                drop(black_box(visit.session()));
                drop(black_box(pollster::block_on(visit.close(200))));
            })
        }
        "a read on memory" => on(MemoryStore::new(), alone, read),
        "a visit on memory" => on(MemoryStore::new(), alone, count),
        "an untouched request, through tower" => through_tower(false),
        "a visit on memory, through tower" => through_tower(true),
        "a read on Redis" => on_redis(read),
        "a visit on Redis" => on_redis(count),
        _ => return None,
    })
}

fn keys() -> Keys {
    Keys::new(SecretKey::new("correct horse battery staple, 32 bytes and more").unwrap())
}

fn mint() -> TokenMint {
    TokenMint::new(Prefix::default(), COOKIE, Some(keys()))
}

async fn count(session: cloakroom::Session) {
    assert!(session.if_logged_in().increment(VISITS, 1).await.unwrap().is_some());
}

async fn read(session: cloakroom::Session) {
    assert!(session.if_logged_in().get(VISITS).await.unwrap().is_some());
}

/// For a store that never waits.
fn alone(work: Work<'_>) {
    pollster::block_on(work);
}

/// A manager, and the `Cookie` line of somebody who is logged in there.
fn logged_in(store: impl Store, run: impl Fn(Work<'_>)) -> (Manager, String) {
    // Under valgrind everything is slow, and nothing here is about patience.
    let patience = Duration::from_secs(60);
    let settings = Settings { keys: Some(keys()), patience, ..Settings::default() };
    let manager = Manager::new(store, settings);
    let mut line = String::new();
    run(pin!(async {
        let visit = manager.open([]);
        let _ = visit.session().log_in(User::new("alice").unwrap()).await.unwrap();
        let head = visit.close(200).await;
        let set = head.set_cookie.unwrap();
        let value = set.split(['=', ';']).nth(1).unwrap();
        line = format!("theme=dark; {COOKIE}={value}");
    }));
    (manager, line)
}

fn on<W: Future<Output = ()>>(
    store: impl Store,
    run: impl Fn(Work<'_>) + 'static,
    what: impl Fn(cloakroom::Session) -> W + 'static,
) -> Box<dyn FnMut()> {
    let (manager, line) = logged_in(store, &run);
    Box::new(move || {
        run(pin!(async {
            let visit = manager.open([line.as_bytes()]);
            what(visit.session()).await;
            drop(black_box(visit.close(200).await));
        }));
    })
}

/// One request after the other, over one connection to a server of its own.
fn on_redis<W: Future<Output = ()>>(
    what: impl Fn(cloakroom::Session) -> W + 'static,
) -> Box<dyn FnMut()> {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = {
        let _inside = runtime.enter();
        RedisStore::open(&server.url(), Prefix::default()).unwrap()
    };
    let mut piece = on(store, move |work| runtime.block_on(work), what);
    Box::new(move || {
        let _keep = &server;
        piece();
    })
}

/// A handler as an application has one, without a framework around it.
#[derive(Clone)]
struct Handler {
    counts: bool,
}

impl Service<Request<()>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session: Option<Session> =
            self.counts.then(|| Session::of(request.extensions()).unwrap());
        Box::pin(async move {
            if let Some(session) = session {
                count((*session).clone()).await;
            }
            Ok(Response::new(String::new()))
        })
    }
}

fn through_tower(counts: bool) -> Box<dyn FnMut()> {
    let (manager, line) = logged_in(MemoryStore::new(), alone);
    let mut service = SessionLayer::<String>::new(manager).layer(Handler { counts });
    Box::new(move || {
        let request = Request::builder().header("cookie", &line).body(()).unwrap();
        let response = pollster::block_on(service.call(request)).unwrap();
        assert!(response.status().is_success());
    })
}
