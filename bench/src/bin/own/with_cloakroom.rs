//! With Cloakroom, as the README has it: keys, and the settings as they are.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use cloakroom::{
    Field, Keys, LogIn, Manager, MemoryStore, Prefix, SecretKey, Settings, Store, User,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;
use cloakroom_tower::{Session, SessionError, SessionLayer};

const VISITS: Field<u64> = Field::new("visits");
const A: Field<String> = Field::new("a");
const B: Field<String> = Field::new("b");
const NOBODY: &str = "You are not logged in\n";

pub(crate) fn in_memory() -> Router {
    app(MemoryStore::new())
}

pub(crate) fn in_a_folder(folder: &str) -> Router {
    app(EmbeddedStore::open(folder, EmbeddedSettings::default()).unwrap())
}

pub(crate) fn in_redis(url: &str) -> Router {
    app(RedisStore::open(url, Prefix::new("ours").unwrap()).unwrap())
}

fn app(store: impl Store) -> Router {
    let secret = SecretKey::new(bench::SECRET).unwrap();
    let settings = Settings { keys: Some(Keys::new(secret)), ..Settings::default() };
    Router::new()
        .route("/", get(index))
        .route("/read", get(read))
        .route("/untouched", get(|| async { "Welcome\n" }))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/set/{field}", post(set))
        .route("/fields", get(fields))
        .layer(SessionLayer::new(Manager::new(store, settings)))
}

async fn index(session: Session) -> Result<String, SessionError> {
    Ok(match session.if_logged_in().increment(VISITS, 1).await? {
        Some((user, visits)) => format!("Logged in as {user}, visits: {visits}\n"),
        None => NOBODY.into(),
    })
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(match session.if_logged_in().get(VISITS).await? {
        Some((user, visits)) => {
            format!("Logged in as {user}, visits: {}\n", visits.unwrap_or_default())
        }
        None => NOBODY.into(),
    })
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
    /// How many more fields the session begins with.
    #[serde(default)]
    fields: u32,
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Result<Redirect, SessionError> {
    let mut login = session.log_in(User::new(form.username)?);
    for number in 0..form.fields {
        let field = Field::<String>::named(format!("field{number}")).unwrap();
        login = login.with(field, format!("value {number}"));
    }
    assert_eq!(login.await?, LogIn::Done);
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.log_out().await?;
    Ok(Redirect::to("/"))
}

async fn set(session: Session, Path(field): Path<String>) -> Result<StatusCode, SessionError> {
    if session.user().await?.is_none() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    // The work of a slow request.
    tokio::time::sleep(Duration::from_millis(20)).await;
    session.set(if field == "a" { A } else { B }, "set")?;
    Ok(StatusCode::OK)
}

async fn fields(session: Session) -> Result<String, SessionError> {
    let (a, b) = (session.get(A).await?, session.get(B).await?);
    Ok(format!("{},{}", a.unwrap_or_default(), b.unwrap_or_default()))
}
