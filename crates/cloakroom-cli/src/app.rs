//! The application: which page lives where, and what stands around it. Apart from `main`, so that a
//! test can call it without a socket.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRef};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cloakroom::{Manager, SessionError};
use cloakroom_tower::SessionLayer;

use crate::health::{self, Readiness};
use crate::kept::Keeping;
use crate::logins::Logins;
use crate::{assets, devices, frame, guard, pages};

/// What the pages know besides the session.
#[derive(Clone)]
struct Known {
    keeping: Keeping,
    logins: Arc<Logins>,
}

impl FromRef<Known> for Keeping {
    fn from_ref(known: &Known) -> Self {
        known.keeping.clone()
    }
}

impl FromRef<Known> for Arc<Logins> {
    fn from_ref(known: &Known) -> Self {
        known.logins.clone()
    }
}

pub(crate) fn app(
    manager: Manager,
    readiness: Readiness,
    keeping: Keeping,
    logins: Logins,
) -> Router {
    let clients = logins.clients.clone();
    let sessions = SessionLayer::<Body>::new(manager).on_failed_writes(instead).comparing_clients(
        move |headers, extensions| {
            let peer = extensions.get::<ConnectInfo<SocketAddr>>();
            clients.of(headers, peer.map(|ConnectInfo(peer)| peer.ip()))
        },
    );
    let pages = Router::new()
        .route("/", get(pages::index))
        .route("/login", get(pages::login_form).post(pages::log_in))
        .route("/logout", get(pages::log_out_by_link).post(pages::log_out))
        .route("/devices", get(devices::list))
        .route("/devices/end", post(devices::end_one))
        .route("/devices/end-others", post(devices::end_others))
        .route("/devices/end-all", post(devices::end_all))
        .route("/about", get(pages::about))
        .layer(sessions)
        .route("/language", post(frame::switch_language))
        .with_state(Known { keeping, logins: Arc::new(logins) })
        .merge(assets::routes());
    guard::around(guard::with_error_pages(pages).merge(health::routes(readiness)))
}

/// What answers when waiting writes could not be stored.
fn instead(error: &SessionError) -> Response {
    match error {
        SessionError::Ended => Redirect::to("/login").into_response(),
        // Its page comes from the guard.
        error => cloakroom_tower::refusal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    use crate::kept::Place;
    use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
    use axum::http::{Request, StatusCode};
    use cloakroom::{MemoryStore, Prefix, SessionLimit, Settings, WhenFull};
    use cloakroom_tower::Clients;
    use tower::ServiceExt;

    async fn log_in(app: &Router) -> Response {
        let form =
            Request::post("/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        app.clone().oneshot(form.body(Body::from("username=alice")).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_login_over_the_limit_is_answered_with_the_form() {
        let limit = SessionLimit { at_most: NonZeroU32::MIN, when_full: WhenFull::Refuse };
        let settings = Settings { sessions_per_user: Some(limit), ..Settings::default() };
        let manager = Manager::new(MemoryStore::new(), settings);
        let keeping = Keeping {
            place: Place::Memory,
            prefix: Prefix::default(),
            cookie: manager.settings().cookie.full_name(),
        };
        let remembered = manager.settings().lifetime;
        let logins = Logins { clients: Clients::default(), remembered };
        let app = app(manager.clone(), Readiness::of(manager), keeping, logins);
        assert_eq!(log_in(&app).await.status(), StatusCode::SEE_OTHER);
        let second = log_in(&app).await;
        assert_eq!(second.status(), StatusCode::CONFLICT);
        assert_eq!(second.headers().get(SET_COOKIE), None);
        let page = axum::body::to_bytes(second.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&page).contains("logged in as often as allowed"));
    }

    #[test]
    fn a_session_that_ended_leads_to_the_login_and_others_say_why() {
        let ended = instead(&SessionError::Ended);
        assert_eq!(
            (ended.status().as_u16(), &ended.headers()[LOCATION]),
            (303, &"/login".parse().unwrap())
        );
        let away = instead(&SessionError::OutOfPatience);
        assert_eq!(
            (away.status().as_u16(), away.headers()["retry-after"].as_bytes()),
            (503, &b"1"[..])
        );
    }
}
