//! The application: which page lives where, and what stands around it. Apart from `main`, so that a
//! test can call it without a socket.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use cloakroom::{Manager, SessionError};
use cloakroom_tower::SessionLayer;

use crate::health::{self, Readiness};
use crate::{guard, pages};

pub(crate) fn app(manager: Manager, readiness: Readiness) -> Router {
    let idle = manager.settings().lifetime.idle();
    let sessions = SessionLayer::<Body>::new(manager).on_failed_writes(instead);
    let pages = Router::new()
        .route("/", get(pages::index))
        .route("/login", get(pages::login_form).post(pages::log_in))
        .route("/logout", get(pages::log_out_by_link).post(pages::log_out))
        .route("/about", get(pages::about))
        .with_state(pages::Idle(idle))
        .layer(sessions);
    let pages = pages.merge(pages::assets());
    guard::around(guard::with_error_pages(pages).merge(health::routes(readiness)))
}

/// What answers when waiting writes could not be stored.
fn instead(error: &SessionError) -> Response {
    match error {
        SessionError::Ended => Redirect::to("/login").into_response(),
        error => pages::bare(error.status(), error.retry_after()),
    }
}
