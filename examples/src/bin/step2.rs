//! Step 2: visits are counted in Redis, in a hash whose key is the user's name.

use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum::{Extension, Router};
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, Key};
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Client, RedisResult};

async fn index(
    cookies: SignedCookieJar,
    Extension(mut redis): Extension<ConnectionManager>,
) -> Result<String, StatusCode> {
    let Some(cookie) = cookies.get("username") else {
        return Ok("You are not logged in\n".into());
    };
    let username = cookie.value();
    // HOLE: the key is the user's name. All browsers of one user share one session, and a user
    // named like another key of this server changes that.
    // HOLE: the key never expires. Every name that was ever typed in stays.
    let visits: u64 = redis.hincr(username, "visits", 1).await.map_err(examples::failed)?;
    Ok(format!("Logged in as {username}\nVisits: {visits}\n"))
}

async fn login_form() -> Html<&'static str> {
    Html(examples::LOGIN_FORM)
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

// The name is trusted, as in the original. Here an application checks a password.
// HOLE: a form on any other site can log you in here, under a name of its choice.
// HOLE: signed is not secret. Whoever sees the cookie reads the name.
async fn log_in(jar: SignedCookieJar, Form(form): Form<Login>) -> (SignedCookieJar, Redirect) {
    let cookie = Cookie::build(("username", form.username)).path("/").http_only(true);
    (jar.add(cookie), Redirect::to("/"))
}

// HOLE: a GET changes something. A link on any other site logs you out.
// HOLE: only the browser forgets. The data stays in Redis, and whoever has copied the cookie is
// still logged in, for ever: a visit that comes late, or from a thief, counts on.
async fn log_out(jar: SignedCookieJar) -> (SignedCookieJar, Redirect) {
    (jar.remove(Cookie::build("username").path("/")), Redirect::to("/"))
}

#[tokio::main]
async fn main() -> RedisResult<()> {
    let flags = examples::Flags::read();
    let key = Key::derive_from(examples::secret_key().as_bytes());
    let redis = Client::open(examples::redis_url().await)?.get_connection_manager().await?;
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", get(log_out))
        .layer(Extension(redis))
        .with_state(key);
    flags.serve(app).await;
    Ok(())
}
