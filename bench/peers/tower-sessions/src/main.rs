//! The tutorial's page with tower-sessions and its store for Redis, as its README sets it up: a pool of
//! six connections, an idle timeout.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use tower_sessions::session::Error;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};

const NOBODY: &str = "You are not logged in\n";

type Page<T = String> = Result<T, StatusCode>;

fn failed(_: Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

async fn index(session: Session) -> Page {
    let Some(user) = session.get::<String>("user").await.map_err(failed)? else {
        return Ok(NOBODY.into());
    };
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("visits", visits).await.map_err(failed)?;
    Ok(format!("Logged in as {user}, visits: {visits}\n"))
}

async fn read(session: Session) -> Page {
    let Some(user) = session.get::<String>("user").await.map_err(failed)? else {
        return Ok(NOBODY.into());
    };
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0);
    Ok(format!("Logged in as {user}, visits: {visits}\n"))
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Page<Redirect> {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", form.username).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Page<Redirect> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn set(session: Session, Path(field): Path<String>) -> Page<StatusCode> {
    if session.get::<String>("user").await.map_err(failed)?.is_none() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    // The work of a slow request.
    tokio::time::sleep(Duration::from_millis(20)).await;
    session.insert(&field, "set").await.map_err(failed)?;
    Ok(StatusCode::OK)
}

async fn fields(session: Session) -> Page {
    let a = session.get::<String>("a").await.map_err(failed)?;
    let b = session.get::<String>("b").await.map_err(failed)?;
    Ok(format!("{},{}", a.unwrap_or_default(), b.unwrap_or_default()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_url(&std::env::var("REDIS_URL")?)?;
    let pool = Pool::new(config, None, None, None, 6)?;
    pool.connect();
    pool.wait_for_connect().await?;
    let idle = tower_sessions::cookie::time::Duration::seconds(1800);
    let layer = SessionManagerLayer::new(RedisStore::new(pool))
        .with_expiry(Expiry::OnInactivity(idle));
    let app = Router::new()
        .route("/", get(index))
        .route("/read", get(read))
        .route("/untouched", get(|| async { "Welcome\n" }))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/set/{field}", post(set))
        .route("/fields", get(fields))
        .layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
