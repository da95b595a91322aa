//! Step 1: log in and out. The name is in a cookie, signed so that nobody can write another one.

use axum::Router;
use axum::extract::Form;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, Key};

async fn index(cookies: SignedCookieJar) -> String {
    // Plain text, so that a name is shown and never run.
    match cookies.get("username") {
        Some(name) => format!("Logged in as {}\n", name.value()),
        None => "You are not logged in\n".into(),
    }
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
// HOLE: only the browser forgets. Whoever has copied the cookie is still logged in, for ever.
async fn log_out(jar: SignedCookieJar) -> (SignedCookieJar, Redirect) {
    (jar.remove(Cookie::build("username").path("/")), Redirect::to("/"))
}

#[tokio::main]
async fn main() {
    let flags = examples::Flags::read();
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", get(log_out))
        .with_state(Key::derive_from(examples::secret_key().as_bytes()));
    flags.serve(app).await;
}
