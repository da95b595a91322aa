//! The pages. The first three are the tutorial's: who is logged in and how often they came, the
//! form, the way out.
//!
//! What costs what: `/` one trip with a cookie of ours and none without, a login and a logout one,
//! everything else none.
//!
//! 1. Only a GET of `/` that a person asked for counts as a visit: a HEAD shows the same and counts
//!    nothing, nor does what a browser fetches in advance; neither keeps a session alive.
//! 2. A GET of `/logout` logs out, as in the tutorial, unless the request comes from another site
//!    (ASVS 3.5.3). A browser says so in `Sec-Fetch-Site`: anything but `same-origin` and `none`
//!    is answered with a form. Without it, a `Referer` of another host counts as that; with
//!    neither it is no browser of these days, and logs out. A HEAD and a fetch in advance never do.
//! 3. Visits are no secret and no order: that a link on another site leads to `/` and counts one is
//!    what a link is for.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::Form;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, REFERER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use cloakroom::{Field, LogIn, Touch, User};
use cloakroom_tower::{Session, SessionError};
use serde::Deserialize;

const VISITS: Field<u64> = Field::new("visits");

// ---- / ----

pub(crate) async fn index(
    session: Session,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, SessionError> {
    let counts = method == Method::GET && !in_advance(&headers);
    let visitor = if counts {
        session.if_logged_in().increment(VISITS, 1).await?
    } else {
        session.touch(Touch::Never);
        let found = session.if_logged_in().get(VISITS).await?;
        found.map(|(user, visits)| (user, visits.unwrap_or(0)))
    };
    let Some((user, visits)) = visitor else {
        return Ok(page(StatusCode::OK, &Index { visitor: None }));
    };
    // Free: the trip above brought it along.
    let left = session.expires_in().await?.unwrap_or_default();
    let whatever_they_do = session.expires_at().await? == session.deadline().await?;
    let visitor =
        Visitor { name: user.as_str(), visits, left: Time::about(left), whatever_they_do };
    Ok(page(StatusCode::OK, &Index { visitor: Some(visitor) }))
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index<'a> {
    visitor: Option<Visitor<'a>>,
}

struct Visitor<'a> {
    name: &'a str,
    visits: u64,
    left: Time,
    /// Whether the session will end then even if it is used.
    whatever_they_do: bool,
}

// ---- /login ----

pub(crate) async fn login_form() -> Response {
    page(StatusCode::OK, &Login { problem: Problem::None })
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
}

pub(crate) async fn log_in(
    session: Session,
    Form(Credentials { username }): Form<Credentials>,
) -> Result<Response, SessionError> {
    // The name is trusted, as in the tutorial. Here an application checks a password.
    let Ok(user) = User::new(username) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &Login { problem: Problem::Name }));
    };
    Ok(match session.log_in(user).await? {
        LogIn::Done => Redirect::to("/").into_response(),
        LogIn::Full => page(StatusCode::CONFLICT, &Login { problem: Problem::Full }),
    })
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    problem: Problem,
}

enum Problem {
    None,
    Name,
    Full,
}

// ---- /logout ----

pub(crate) async fn log_out(session: Session) -> Result<Response, SessionError> {
    session.log_out().await?;
    // Nothing is stored in the browser here, and its pages are not cached; "cookies" would take
    // those of other applications on the same host along.
    let clear = (HeaderName::from_static("clear-site-data"), "\"storage\"");
    Ok(([clear], Redirect::to("/")).into_response())
}

pub(crate) async fn log_out_by_link(
    session: Session,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, SessionError> {
    if method == Method::GET && !in_advance(&headers) && !from_elsewhere(&headers) {
        return log_out(session).await;
    }
    Ok(page(StatusCode::OK, &Logout))
}

#[derive(Template)]
#[template(path = "logout.html")]
struct Logout;

// ---- the rest ----

pub(crate) async fn about() -> Response {
    page(StatusCode::OK, &About)
}

#[derive(Template)]
#[template(path = "about.html")]
struct About;

pub(crate) async fn not_found() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// What pages refer to.
pub(crate) fn assets() -> Router {
    let asset = |content_type: &'static str, content: &'static str| {
        let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "max-age=3600")];
        get(move || async move { (headers, content) })
    };
    Router::new()
        .route("/style.css", asset("text/css; charset=utf-8", include_str!("../assets/style.css")))
        .route("/icon.svg", asset("image/svg+xml", include_str!("../assets/icon.svg")))
}

/// The page of a status that says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct Failed {
    pub(crate) status: u16,
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(event = "page_failed", %error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A time as a person says it, in a template of its own.
#[derive(Template)]
#[template(path = "time.html")]
struct Time {
    number: u64,
    unit: Unit,
}

enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

impl Time {
    /// To the nearest unit of which there are two or more.
    fn about(time: Duration) -> Self {
        let seconds = (time.as_millis() + 500) / 1000;
        let (unit, length) = match seconds {
            0..120 => (Unit::Second, 1),
            120..7_200 => (Unit::Minute, 60),
            7_200..172_800 => (Unit::Hour, 3_600),
            _ => (Unit::Day, 86_400),
        };
        let number = u64::try_from((seconds + length / 2) / length).unwrap_or(u64::MAX);
        Self { number, unit }
    }
}

/// Whether a browser fetches the page in case that its user will ask for it.
fn in_advance(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split([',', ';'])).any(|purpose| {
            let purpose = purpose.trim();
            purpose.eq_ignore_ascii_case("prefetch") || purpose.eq_ignore_ascii_case("prerender")
        })
    })
}

/// Whether the request was caused by another site, as far as the browser says so.
fn from_elsewhere(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(referer) = headers.get(REFERER) else { return false };
    let referer = Uri::try_from(referer.as_bytes()).ok();
    let host = referer.as_ref().and_then(Uri::authority).map(|host| host.as_str().as_bytes());
    host != headers.get(HOST).map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter();
        lines.map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn a_request_from_elsewhere_is_known_by_what_the_browser_says() {
        let host = ("host", "127.0.0.1:5000");
        for (elsewhere, lines) in [
            (false, &[host][..]),
            (false, &[host, ("sec-fetch-site", "same-origin")]),
            (false, &[host, ("sec-fetch-site", "none")]),
            (true, &[host, ("sec-fetch-site", "same-site")]),
            (true, &[host, ("sec-fetch-site", "cross-site")]),
            (true, &[host, ("sec-fetch-site", "Same-Origin")]),
            (true, &[host, ("sec-fetch-site", "")]),
            (false, &[host, ("referer", "http://127.0.0.1:5000/about")]),
            (true, &[host, ("referer", "http://127.0.0.1:5001/")]),
            (true, &[host, ("referer", "http://127.0.0.1:5000.evil.example/")]),
            (true, &[host, ("referer", "nonsense")]),
            (true, &[("referer", "http://127.0.0.1:5000/")]),
            (true, &[("referer", "nonsense"), host]),
            (false, &[host, ("sec-fetch-site", "none"), ("referer", "http://evil.example/")]),
        ] {
            assert_eq!(from_elsewhere(&headers(lines)), elsewhere, "{lines:?}");
        }
    }

    #[test]
    fn a_fetch_in_advance_is_known_by_what_the_browser_says() {
        for (advance, lines) in [
            (false, &[][..]),
            (true, &[("sec-purpose", "prefetch")]),
            (true, &[("sec-purpose", "prefetch;prerender")]),
            (true, &[("sec-purpose", "prefetch;anonymous-client-ip")]),
            (true, &[("purpose", "prefetch")]),
            (true, &[("x-moz", "prefetch")]),
            (false, &[("purpose", "profit")]),
        ] {
            assert_eq!(in_advance(&headers(lines)), advance, "{lines:?}");
        }
    }

    #[test]
    fn a_time_is_said_as_a_person_says_it() {
        for (millis, said) in [
            (400, "0 seconds"),
            (999, "1 second"),
            (9_998, "10 seconds"),
            (119_400, "119 seconds"),
            (119_900, "2 minutes"),
            (1_799_995, "30 minutes"),
            (28_799_000, "8 hours"),
            (400 * 86_400_000, "400 days"),
        ] {
            let time = Time::about(Duration::from_millis(millis));
            assert_eq!(time.render().unwrap(), said);
        }
    }
}
