//! "Your devices": the sessions of whoever is logged in, and the ways to end them. All of it works
//! without scripts.
//!
//! What costs what: the list three trips, to end some of them two, however many they are.
//!
//! 1. A session is named by its handle, which is no token: it opens nothing, and names one's own
//!    sessions only. Another user's is answered as one that never was.
//! 2. Only a POST ends anything, and [`crate::guard`] refuses those from other sites. To end this
//!    session is to log out.
//! 3. Who has no session is led to the login.
//! 4. Times are as coarse as they are noted, which is once a minute.

use std::num::NonZeroU32;

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Listed, Network, SessionId, Timestamp, Touch};
use cloakroom_tower::{Session, SessionError};
use serde::Deserialize;

use crate::frame::Frame;
use crate::pages::{in_advance, logged_out};
use crate::texts::{Ago, Texts, Trouble};

/// How many sessions a page shows at most.
const A_PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

#[derive(Deserialize)]
pub(crate) struct Place {
    /// Where the page before ended.
    after: Option<String>,
}

pub(crate) async fn list(
    frame: Frame,
    session: Session,
    method: Method,
    headers: HeaderMap,
    Query(Place { after }): Query<Place>,
) -> Result<Response, SessionError> {
    if method != Method::GET || in_advance(&headers) {
        session.touch(Touch::Never);
    }
    let page = session.if_logged_in().sessions(after.as_deref(), A_PAGE).await?;
    // Free: it is here by now.
    let (Some((user, page)), Some(this)) = (page, session.id().await?) else {
        return Ok(to_the_login());
    };
    let frame = frame.for_user();
    let mut devices: Vec<Device> =
        page.sessions.iter().map(|listed| Device::of(listed, &this, page.now, frame.t)).collect();
    // Whoever looks for a stranger wants to know first which one they are themselves.
    devices.sort_by_key(|device| !device.this);
    let others = after.is_some() || page.next.is_some() || devices.iter().any(|it| !it.this);
    let next = page.next.map(|next| next.to_string());
    let devices = Devices { frame: &frame, user: user.as_str(), devices, others, next };
    Ok(frame.show(StatusCode::OK, &devices))
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices<'a> {
    frame: &'a Frame,
    user: &'a str,
    devices: Vec<Device>,
    /// Whether there may be more than this one.
    others: bool,
    next: Option<String>,
}

/// One of the sessions, in words.
struct Device {
    handle: String,
    this: bool,
    name: String,
    used: String,
    logged_in: String,
    address: Option<Network>,
    label: Option<String>,
    remembered: bool,
}

impl Device {
    fn of(listed: &Listed, this: &SessionId, now: Timestamp, t: &Texts) -> Self {
        let Listed { id, life, client, .. } = listed;
        let client = client.clone().unwrap_or_default();
        let ago = |then| (t.ago)(Ago::of(now.since(then)));
        Self {
            handle: id.hash(),
            this: id == this,
            name: (t.device)(client.device),
            used: if id == this { t.devices.in_use.to_owned() } else { ago(life.last_seen) },
            logged_in: ago(life.created),
            address: client.address,
            label: client.label.map(|label| label.to_string()),
            remembered: life.remembered,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Named {
    id: String,
}

pub(crate) async fn end_one(
    session: Session,
    Form(Named { id }): Form<Named>,
) -> Result<Response, SessionError> {
    let Some((_, ended)) = session.if_logged_in().revoke(&id).await? else {
        return Ok(to_the_login());
    };
    if !ended {
        // Its page comes from the guard.
        let mut response = StatusCode::NOT_FOUND.into_response();
        response.extensions_mut().insert(Trouble::NoSuchSession);
        return Ok(response);
    }
    // Free. Without a session now, it was this one.
    Ok(match session.id().await? {
        Some(_) => Redirect::to("/devices").into_response(),
        None => logged_out(),
    })
}

pub(crate) async fn end_others(session: Session) -> Result<Response, SessionError> {
    Ok(match session.if_logged_in().revoke_others().await? {
        Some(_) => Redirect::to("/devices").into_response(),
        None => to_the_login(),
    })
}

pub(crate) async fn end_all(session: Session) -> Result<Response, SessionError> {
    Ok(match session.if_logged_in().log_out_everywhere().await? {
        Some(_) => logged_out(),
        None => to_the_login(),
    })
}

fn to_the_login() -> Response {
    Redirect::to("/login").into_response()
}
