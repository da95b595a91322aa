//! What one would write by hand with the redis crate: a hash a session, a set of a user's sessions, an
//! idle timeout. Careful enough to be fair: one trip a page, a connection that comes back after a fault,
//! tokens that nobody guesses.
//!
//! What it does not do, and Cloakroom does: end at an absolute deadline, refuse what is too large, look
//! into the index, limit the sessions of a user, keep the token out of the store. The pipeline also makes
//! a session anew that has just ended; the script does not.

use std::time::Duration;

use axum::Form;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use axum::routing::{get, post};
use data_encoding::BASE64URL_NOPAD;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script};
use std::sync::Arc;

const IDLE: i64 = 1800;
const NOBODY: &str = "You are not logged in\n";

/// Answers nil for a session that is not there.
const COUNT: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local visits = redis.call('HINCRBY', KEYS[1], 'visits', 1)
redis.call('EXPIRE', KEYS[1], ARGV[1])
return { redis.call('HGET', KEYS[1], 'user'), visits }
";

const SET: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
";

#[derive(Clone)]
struct Shop {
    redis: ConnectionManager,
    count: Arc<Script>,
    set: Arc<Script>,
}

pub(crate) async fn pipeline(url: &str) -> Router {
    app(url, get(counted_in_a_pipeline), post(set_in_a_pipeline)).await
}

pub(crate) async fn script(url: &str) -> Router {
    app(url, get(counted_in_a_script), post(set_in_a_script)).await
}

type Method = axum::routing::MethodRouter<Shop>;

async fn app(url: &str, index: Method, set: Method) -> Router {
    let redis = redis::Client::open(url).unwrap().get_connection_manager().await.unwrap();
    let shop = Shop { redis, count: Script::new(COUNT).into(), set: Script::new(SET).into() };
    Router::new()
        .route("/", index)
        .route("/read", get(read))
        .route("/untouched", get(|| async { "Welcome\n" }))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/set/{field}", set)
        .route("/fields", get(fields))
        .with_state(shop)
}

/// A command that failed is the server's trouble.
struct Failed;

impl From<redis::RedisError> for Failed {
    fn from(_: redis::RedisError) -> Self {
        Self
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

type Page<T = String> = Result<T, Failed>;

fn welcome(user: &str, visits: i64) -> String {
    format!("Logged in as {user}, visits: {visits}\n")
}

/// The token, and the user that it names: so that a logout finds the index without asking.
fn token(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut cookies = headers.get(COOKIE)?.to_str().ok()?.split(';');
    let cookie = cookies.find_map(|cookie| cookie.trim().strip_prefix("session="))?;
    Some((cookie, cookie.split_once('.')?.1))
}

fn key(token: &str) -> String {
    format!("shop:session:{token}")
}

async fn counted_in_a_pipeline(State(mut shop): State<Shop>, headers: HeaderMap) -> Page {
    let Some((token, _)) = token(&headers) else { return Ok(NOBODY.into()) };
    let key = key(token);
    let mut pipe = redis::pipe();
    pipe.hincr(&key, "visits", 1).hget(&key, "user").expire(&key, IDLE).ignore();
    let (visits, user): (i64, Option<String>) = pipe.query_async(&mut shop.redis).await?;
    Ok(user.map_or(NOBODY.into(), |user| welcome(&user, visits)))
}

async fn counted_in_a_script(State(mut shop): State<Shop>, headers: HeaderMap) -> Page {
    let Some((token, _)) = token(&headers) else { return Ok(NOBODY.into()) };
    let mut call = shop.count.key(key(token));
    let counted: Option<(String, i64)> = call.arg(IDLE).invoke_async(&mut shop.redis).await?;
    Ok(counted.map_or(NOBODY.into(), |(user, visits)| welcome(&user, visits)))
}

async fn read(State(mut shop): State<Shop>, headers: HeaderMap) -> Page {
    let Some((token, _)) = token(&headers) else { return Ok(NOBODY.into()) };
    let key = key(token);
    let mut pipe = redis::pipe();
    pipe.hgetall(&key).expire(&key, IDLE).ignore();
    let (session,): (std::collections::HashMap<String, String>,) =
        pipe.query_async(&mut shop.redis).await?;
    let visits = session.get("visits").and_then(|visits| visits.parse().ok()).unwrap_or(0);
    Ok(session.get("user").map_or(NOBODY.into(), |user| welcome(user, visits)))
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
    /// How many more fields the session begins with.
    #[serde(default)]
    fields: u32,
}

async fn log_in(
    State(mut shop): State<Shop>,
    Form(Login { username, fields }): Form<Login>,
) -> Page<impl IntoResponse> {
    let mut secret = [0; 32];
    #[expect(
        clippy::disallowed_methods,
        reason = "the library's own maker is what it is compared with"
    )]
    getrandom::fill(&mut secret).map_err(|_| Failed)?;
    let token = format!("{}.{username}", BASE64URL_NOPAD.encode(&secret));
    let (key, index) = (key(&token), format!("shop:user:{username}"));
    let now = now();
    let mut pipe = redis::pipe();
    pipe.hset_multiple(&key, &[("created", &now.to_string()), ("user", &username)]).ignore();
    for number in 0..fields {
        pipe.hset(&key, format!("field{number}"), format!("value {number}")).ignore();
    }
    pipe.expire(&key, IDLE).ignore();
    pipe.zadd(&index, &token, now + IDLE * 1000).ignore().expire(&index, IDLE).ignore();
    pipe.query_async::<()>(&mut shop.redis).await?;
    let cookie = format!("session={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/")))
}

async fn log_out(State(mut shop): State<Shop>, headers: HeaderMap) -> Page<impl IntoResponse> {
    if let Some((token, user)) = token(&headers) {
        let mut pipe = redis::pipe();
        pipe.del(key(token)).ignore().zrem(format!("shop:user:{user}"), token).ignore();
        pipe.query_async::<()>(&mut shop.redis).await?;
    }
    let cookie = "session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
    Ok((AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/")))
}

/// Whether anybody is logged in; then the work of a slow request.
async fn worked(redis: &mut ConnectionManager, key: &str) -> Page<bool> {
    let user: Option<String> = redis.hget(key, "user").await?;
    // The work itself.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(user.is_some())
}

async fn set_in_a_pipeline(
    State(mut shop): State<Shop>,
    Path(field): Path<String>,
    headers: HeaderMap,
) -> Page<StatusCode> {
    let Some((token, _)) = token(&headers) else { return Ok(StatusCode::UNAUTHORIZED) };
    let key = key(token);
    if !worked(&mut shop.redis, &key).await? {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    let mut pipe = redis::pipe();
    pipe.hset(&key, field, "set").ignore().expire(&key, IDLE).ignore();
    pipe.query_async::<()>(&mut shop.redis).await?;
    Ok(StatusCode::OK)
}

async fn set_in_a_script(
    State(mut shop): State<Shop>,
    Path(field): Path<String>,
    headers: HeaderMap,
) -> Page<StatusCode> {
    let Some((token, _)) = token(&headers) else { return Ok(StatusCode::UNAUTHORIZED) };
    let key = key(token);
    if !worked(&mut shop.redis, &key).await? {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    let mut call = shop.set.key(key);
    let alive: i64 = call.arg(IDLE).arg(field).arg("set").invoke_async(&mut shop.redis).await?;
    Ok(if alive == 1 { StatusCode::OK } else { StatusCode::CONFLICT })
}

async fn fields(State(mut shop): State<Shop>, headers: HeaderMap) -> Page {
    let Some((token, _)) = token(&headers) else { return Ok(NOBODY.into()) };
    let (a, b): (Option<String>, Option<String>) =
        redis::cmd("HMGET").arg(key(token)).arg("a").arg("b").query_async(&mut shop.redis).await?;
    Ok(format!("{},{}", a.unwrap_or_default(), b.unwrap_or_default()))
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "written by hand, the instance's clock is at hand")]
fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
