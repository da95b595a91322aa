//! Step 4: a session store with tokens. The cookie holds a random token, Redis the session, and
//! every access renews its ten seconds: by Cloakroom.

use std::time::Duration;

use axum::Router;
use axum::extract::Form;
use axum::response::{Html, Redirect};
use axum::routing::get;
use cloakroom::{Field, Keys, Lifetime, LogIn, Manager, Prefix, SecretKey, Settings, User};
use cloakroom_redis::RedisStore;
use cloakroom_tower::{Session, SessionError, SessionLayer};
use tower_http::csrf::CsrfLayer;

const VISITS: Field<u64> = Field::new("visits");

async fn index(session: Session) -> Result<String, SessionError> {
    // One step in the server: is somebody logged in, count, renew.
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

// The name is trusted, as in the original. Here an application checks a password.
async fn log_in(session: Session, Form(form): Form<Login>) -> Result<Redirect, SessionError> {
    Ok(match session.log_in(User::new(form.username)?).await? {
        LogIn::Done => Redirect::to("/"),
        LogIn::Full => Redirect::to("/login"), // only if the sessions of a user are limited
    })
}

// A GET shows a button and changes nothing; the button sends a POST.
async fn logout_form() -> Html<&'static str> {
    Html(examples::LOGOUT_FORM)
}

async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.log_out().await?;
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = examples::Flags::read();
    let key = SecretKey::new(examples::secret_key())?;
    let store = RedisStore::open(&examples::redis_url().await, Prefix::new("tutorial")?)?;
    let settings = Settings {
        keys: Some(Keys::new(key)),
        // Ten seconds after the last visit, and eight hours after the login at the latest.
        lifetime: Lifetime::new(Duration::from_secs(10), Duration::from_secs(8 * 3600))?,
        ..Settings::default()
    };
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", get(logout_form).post(log_out))
        .layer(SessionLayer::new(Manager::new(store, settings)))
        .layer(CsrfLayer::new()); // no form of another site
    flags.serve(app).await;
    Ok(())
}
