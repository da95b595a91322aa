//! The page of the tutorial as a small server, written in each of the ways that need no peer's crate.
//!
//! `own VARIANT`, with `REDIS_URL` or `FOLDER` in the environment where the variant needs it. All servers
//! that are compared, here and in `bench/peers`, answer the same requests:
//!
//! | | |
//! |---|---|
//! | `GET /` | who is logged in, and one more visit; renews the idle timeout |
//! | `GET /read` | the same without counting |
//! | `GET /untouched` | a page that does not ask for the session, behind the same middleware |
//! | `POST /login` | a form with `username` |
//! | `POST /logout` | |
//! | `POST /set/a`, `/set/b` | looks at the session, works for 20 ms, and sets that field |
//! | `GET /fields` | the values of `a` and `b`, parted by a comma |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]
#![allow(clippy::print_stdout, reason = "it says where it listens")]

mod by_hand;
mod with_cloakroom;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let variant = std::env::args().nth(1).unwrap_or_default();
    let app = match variant.as_str() {
        "static" => {
            let page = || async { "Logged in as somebody, visits: many\n" };
            Router::new()
                .route("/", get(page))
                .route("/read", get(page))
                .route("/untouched", get(page))
        }
        "pipeline" => by_hand::pipeline(&variable("REDIS_URL")).await,
        "script" => by_hand::script(&variable("REDIS_URL")).await,
        "memory" => with_cloakroom::in_memory(),
        "embedded" => with_cloakroom::in_a_folder(&variable("FOLDER")),
        "redis" => with_cloakroom::in_redis(&variable("REDIS_URL")),
        other => panic!("there is no variant {other:?}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}
