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
//!    `/logout?ask` always shows the form: the switch of languages comes back to it.
//! 3. Visits are no secret and no order: that a link on another site leads to `/` and counts one is
//!    what a link is for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{ConnectInfo, Extension, Form, State};
use axum::http::header::{HOST, REFERER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Field, LogIn, Touch, User};
use cloakroom_tower::{Session, SessionError};
use serde::Deserialize;

use crate::frame::{ASK_BEFORE_LOGOUT, Frame};
use crate::kept::{Keeping, Kept};
use crate::logins::Logins;
use crate::texts::{Around, Time};

const VISITS: Field<u64> = Field::new("visits");

// ---- / ----

pub(crate) async fn index(
    State(keeping): State<Keeping>,
    frame: Frame,
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
    // Free: the trip above brought it along.
    let kept = session.id().await?.zip(session.snapshot().await?);
    let (Some((user, visits)), Some((id, snapshot))) = (visitor, kept) else {
        return Ok(frame.show(StatusCode::OK, &Index { frame: &frame, visitor: None }));
    };
    let frame = frame.for_user();
    let left = session.expires_in().await?.unwrap_or_default();
    let t = &frame.t.index;
    let whatever_they_do = snapshot.expires_at == snapshot.life.deadline();
    let visitor = Visitor {
        name: user.as_str(),
        visits,
        left,
        left_said: (frame.t.time)(Time::about(left)),
        ends: if whatever_they_do { t.ends_in_any_case } else { t.ends_in },
        idle: snapshot.life.lifetime.idle(),
        kept: Kept { t: &frame.t.kept, keeping: &keeping, id, snapshot: &snapshot },
    };
    Ok(frame.show(StatusCode::OK, &Index { frame: &frame, visitor: Some(visitor) }))
}

#[derive(Template)]
#[template(path = "index.html")]
struct Index<'a> {
    frame: &'a Frame,
    visitor: Option<Visitor<'a>>,
}

struct Visitor<'a> {
    name: &'a str,
    visits: u64,
    /// How long the session lives if it is not used.
    left: Duration,
    left_said: String,
    ends: Around,
    idle: Duration,
    kept: Kept<'a>,
}

impl Visitor<'_> {
    /// As HTML's `time` takes a duration.
    fn left_for_programs(&self) -> String {
        format!("PT{}S", self.left.as_secs())
    }
}

// ---- /login ----

pub(crate) async fn login_form(State(logins): State<Arc<Logins>>, frame: Frame) -> Response {
    frame.show(StatusCode::OK, &Login::new(&frame, &logins, None))
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    /// A box that is not ticked is not sent.
    remember: Option<String>,
}

pub(crate) async fn log_in(
    State(logins): State<Arc<Logins>>,
    frame: Frame,
    session: Session,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Form(Credentials { username, remember }): Form<Credentials>,
) -> Result<Response, SessionError> {
    let again = |status, problem| frame.show(status, &Login::new(&frame, &logins, Some(problem)));
    let t = &frame.t.login;
    // The name is trusted, as in the tutorial. Here an application checks a password.
    let Ok(user) = User::new(username) else {
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, t.problem_name));
    };
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let login = session.log_in(user).from_client(logins.clients.of(&headers, peer));
    let login = if remember.is_some() { login.remembered(logins.remembered) } else { login };
    Ok(match login.await? {
        LogIn::Done => Redirect::to("/").into_response(),
        LogIn::Full => again(StatusCode::CONFLICT, t.problem_full),
    })
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    frame: &'a Frame,
    /// For how long.
    remembered: String,
    problem: Option<&'static str>,
}

impl<'a> Login<'a> {
    fn new(frame: &'a Frame, logins: &Logins, problem: Option<&'static str>) -> Self {
        let remembered = (frame.t.time)(Time::about(logins.remembered.absolute()));
        Self { frame, remembered, problem }
    }
}

// ---- /logout ----

pub(crate) async fn log_out(session: Session) -> Result<Response, SessionError> {
    session.log_out().await?;
    Ok(logged_out())
}

/// Where the way out leads.
pub(crate) fn logged_out() -> Response {
    Redirect::to("/").into_response()
}

pub(crate) async fn log_out_by_link(
    frame: Frame,
    session: Session,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, SessionError> {
    let asks_first = uri.path_and_query().is_some_and(|asked| asked == ASK_BEFORE_LOGOUT);
    let by_hand = method == Method::GET && !in_advance(&headers) && !from_elsewhere(&headers);
    if by_hand && !asks_first {
        return log_out(session).await;
    }
    Ok(frame.show(StatusCode::OK, &Logout { frame: &frame }))
}

#[derive(Template)]
#[template(path = "logout.html")]
struct Logout<'a> {
    frame: &'a Frame,
}

// ---- the rest ----

pub(crate) async fn about(frame: Frame) -> Response {
    frame.show(StatusCode::OK, &About { frame: &frame })
}

#[derive(Template)]
#[template(path = "about.html")]
struct About<'a> {
    frame: &'a Frame,
}

pub(crate) async fn not_found() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Whether a browser fetches the page in case that its user will ask for it.
pub(crate) fn in_advance(headers: &HeaderMap) -> bool {
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
    use axum::http::HeaderName;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter();
        lines.map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    // Proves R43, R44.
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
}
