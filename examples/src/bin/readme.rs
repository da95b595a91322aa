//! The program of the README.
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use cloakroom::{Field, LogIn, Manager, MemoryStore, Settings, User};
use cloakroom_tower::{Session, SessionError, SessionLayer};

const VISITS: Field<u64> = Field::new("visits");

async fn index(session: Session) -> Result<String, SessionError> {
    Ok(match session.if_logged_in().increment(VISITS, 1).await? {
        Some((user, visits)) => format!("Logged in as {user}, visits: {visits}\n"),
        None => "You are not logged in\n".into(),
    })
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Result<Redirect, SessionError> {
    Ok(match session.log_in(User::new(form.username)?).await? {
        LogIn::Done => Redirect::to("/"),
        LogIn::Full => Redirect::to("/devices"), // only if you limit the sessions of a user
    })
}

async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.log_out().await?;
    Ok(Redirect::to("/"))
}

#[derive(serde::Deserialize)]
struct Login {
    username: String, // trusted here; check a password
}

pub(crate) fn app(manager: Manager) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .layer(SessionLayer::new(manager))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = Manager::new(MemoryStore::new(), Settings::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
    Ok(axum::serve(listener, app(manager)).await?)
}
