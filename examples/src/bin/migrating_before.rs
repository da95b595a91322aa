//! docs/migrating.md, before: an application that keeps its sessions with tower-sessions.

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};

async fn index(session: Session) -> Result<String, StatusCode> {
    let Some(user) = session.get::<String>("user").await.map_err(failed)? else {
        return Ok("You are not logged in\n".into());
    };
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("visits", visits).await.map_err(failed)?;
    Ok(format!("Logged in as {user}\nVisits: {visits}\n"))
}

async fn login_form() -> Html<&'static str> {
    Html(examples::LOGIN_FORM)
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Result<Redirect, StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", form.username).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, StatusCode> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

fn failed(_: tower_sessions::session::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = examples::Flags::read();
    let pool = Pool::new(Config::from_url(&examples::redis_url().await)?, None, None, None, 2)?;
    let _connection = pool.connect();
    pool.wait_for_connect().await?;
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", post(log_out))
        .layer(SessionManagerLayer::new(RedisStore::new(pool)));
    flags.serve(app).await;
    Ok(())
}
