//! docs/migrating.md, after: the same application on Cloakroom. Whoever still comes with the old
//! cookie is carried over.

use std::error::Error;

use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{BoxError, Router};
use axum_extra::extract::CookieJar;
use cloakroom::{Field, Keys, LogIn, Manager, Prefix, SecretKey, Settings, User};
use cloakroom_redis::RedisStore;
use cloakroom_tower::{Session, SessionError, SessionLayer};
use redis::Client;
use redis::aio::ConnectionManager;
use tower_sessions::session::{Id, Record};

const VISITS: Field<u64> = Field::new("visits");

async fn index(session: Session) -> Result<String, SessionError> {
    Ok(match session.if_logged_in().increment(VISITS, 1).await? {
        Some((user, visits)) => format!("Logged in as {user}\nVisits: {visits}\n"),
        None => "You are not logged in\n".into(),
    })
}

async fn login_form() -> Html<&'static str> {
    Html(examples::LOGIN_FORM)
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

async fn log_in(session: Session, Form(form): Form<Login>) -> Result<Redirect, SessionError> {
    Ok(match session.log_in(User::new(form.username)?).await? {
        LogIn::Done => Redirect::to("/"),
        LogIn::Full => Redirect::to("/login"),
    })
}

async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.log_out().await?;
    Ok(Redirect::to("/"))
}

/// The sessions of the old version, and whether the new ones can be had.
#[derive(Clone)]
struct Old {
    redis: ConnectionManager,
    new: Manager,
}

impl Old {
    /// Reads a session and removes it, in one step: of two requests with one cookie, one gets it.
    /// The key and its value are those of tower-sessions-redis-store.
    async fn take(mut self, id: Id) -> Result<Option<Record>, BoxError> {
        let mut take = redis::cmd("GETDEL");
        let bytes: Option<Vec<u8>> = take.arg(id.to_string()).query_async(&mut self.redis).await?;
        Ok(bytes.map(|bytes| rmp_serde::from_slice(&bytes)).transpose()?)
    }
}

/// Carries a visitor over who comes with the old cookie: once, and as a fresh login.
async fn carry_over(
    State(old): State<Old>,
    session: Session,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let Some(id) = old_cookie(request.headers()) else {
        return Ok(next.run(request).await);
    };
    // If the new store is away, the old session stays as it is, for the next try.
    old.new.check().await.map_err(away)?;
    let nobody = session.user().await.map_err(refused)?.is_none();
    let record = old.take(id).await.map_err(away)?;
    // Whoever is logged in here stays so: an old cookie may have been planted.
    if let Some(record) = record.filter(|_| nobody) {
        carry(&session, &record).await.map_err(refused)?;
    }
    let mut response = next.run(request).await;
    let gone = HeaderValue::from_static("id=; Path=/; Max-Age=0; Secure; HttpOnly");
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}

/// The id in the old cookie; `id` is what tower-sessions calls it by default.
fn old_cookie(headers: &HeaderMap) -> Option<Id> {
    CookieJar::from_headers(headers).get("id")?.value().parse().ok()
}

/// What an old session holds becomes a new one, field by field.
async fn carry(session: &Session, record: &Record) -> Result<(), SessionError> {
    // Nobody was logged in: there is nothing that this application would carry.
    let Some(user) = record.data.get("user").and_then(|user| user.as_str()) else { return Ok(()) };
    let visits = record.data.get("visits").and_then(|visits| visits.as_u64()).unwrap_or(0);
    // `Full` is for who limits the sessions of a user: then this one has to log in.
    let _: LogIn = session.log_in(User::new(user)?).with(VISITS, visits).await?;
    Ok(())
}

fn refused(error: impl Into<SessionError>) -> Response {
    error.into().into_response()
}

fn away(_: impl Into<BoxError>) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let flags = examples::Flags::read();
    let url = examples::redis_url().await;
    let old_url = std::env::var("OLD_REDIS_URL").unwrap_or_else(|_| url.clone());
    let keys = Some(Keys::new(SecretKey::new(examples::secret_key())?));
    let store = RedisStore::open(&url, Prefix::new("migrated")?)?;
    let manager = Manager::new(store, Settings { keys, ..Settings::default() });
    let old =
        Old { redis: Client::open(old_url)?.get_connection_manager().await?, new: manager.clone() };
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", post(log_out))
        .layer(middleware::from_fn_with_state(old, carry_over))
        .layer(SessionLayer::new(manager));
    flags.serve(app).await;
    Ok(())
}
