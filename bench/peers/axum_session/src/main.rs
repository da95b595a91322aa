//! The tutorial's page with axum_session and its pool for Redis, in the settings that it comes with.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use axum_session::{SessionConfig, SessionLayer, SessionStore};
use axum_session_redispool::{SessionRedisPool, SessionRedisSession as Session};
use redis_pool::SingleRedisPool;

const NOBODY: &str = "You are not logged in\n";

async fn index(session: Session) -> String {
    let Some(user) = session.get::<String>("user") else { return NOBODY.into() };
    let visits = session.get::<u64>("visits").unwrap_or(0) + 1;
    session.set("visits", visits);
    format!("Logged in as {user}, visits: {visits}\n")
}

async fn read(session: Session) -> String {
    let Some(user) = session.get::<String>("user") else { return NOBODY.into() };
    let visits = session.get::<u64>("visits").unwrap_or(0);
    format!("Logged in as {user}, visits: {visits}\n")
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Redirect {
    session.renew();
    session.set("user", form.username);
    Redirect::to("/")
}

async fn log_out(session: Session) -> Redirect {
    session.destroy();
    Redirect::to("/")
}

async fn set(session: Session, Path(field): Path<String>) -> StatusCode {
    if session.get::<String>("user").is_none() {
        return StatusCode::UNAUTHORIZED;
    }
    // The work of a slow request.
    tokio::time::sleep(Duration::from_millis(20)).await;
    session.set(&field, "set");
    StatusCode::OK
}

async fn fields(session: Session) -> String {
    let (a, b) = (session.get::<String>("a"), session.get::<String>("b"));
    format!("{},{}", a.unwrap_or_default(), b.unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = redis::Client::open(std::env::var("REDIS_URL")?)?;
    let pool: SessionRedisPool = SingleRedisPool::from(client).into();
    let store = SessionStore::<SessionRedisPool>::new(Some(pool), SessionConfig::default()).await?;
    let app = Router::new()
        .route("/", get(index))
        .route("/read", get(read))
        .route("/untouched", get(|| async { "Welcome\n" }))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/set/{field}", post(set))
        .route("/fields", get(fields))
        .layer(SessionLayer::new(store));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
