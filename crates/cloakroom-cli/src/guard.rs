//! What stands around every page, from the outside in:
//!
//! 1. A request id: the caller's own if it is 1 to 64 of `A-Z a-z 0-9 . _ -`, else a new one.
//! 2. One line of log: method, path, status, time. No query, no header, nothing that was typed; what
//!    is not printable is escaped, so that nobody can write lines of their own.
//! 3. Security headers, on every response that leaves here (ASVS 3.4). There is no
//!    `Strict-Transport-Security`: RFC 6797 7.2 forbids it over plain http, which is all that this
//!    server speaks. The proxy that adds TLS adds it.
//! 4. A page, or a line of text, for every error that has none.
//! 5. A panic becomes a 500, and a request that takes too long a 408.
//! 6. No address that is none: RFC 3986 knows ASCII only (400). Others would log it raw.
//! 7. No POST from another site (403), the login form's included: [`CrossSiteLayer`] says how it is
//!    known. A program passes, as `curl` does.
//! 8. No body larger than a name needs (413).
//!
//! `X-Forwarded-*` and `Forwarded` are not read anywhere, but for the address of who logs in, and
//! from proxies that were named (`--trust-proxy`).

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response as HttpResponse, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use cloakroom_tower::CrossSiteLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::{failure, pages};

/// A form with a name in it, percent-encoded, and some room.
const BODY_BYTES: usize = 8 * 1024;
/// For the whole request, its body included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: browsers would send forms with `Origin: null`.
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Layers 4 to 8, for pages.
pub(crate) fn with_error_pages(pages: Router) -> Router {
    // Each layer stands around those before it.
    pages
        .fallback(pages::not_found)
        .layer(RequestBodyLimitLayer::new(BODY_BYTES))
        .layer(CrossSiteLayer::by_host().on_refused(from_another_site))
        .layer(from_fn(refuse_what_is_no_address))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER_WITHIN))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(failure::say_what_went_wrong))
}

/// Layers 1 to 3, for everything.
pub(crate) fn around(everything: Router) -> Router {
    let with_headers = SECURITY_HEADERS.into_iter().fold(everything, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    });
    with_headers
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_response(answered)
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn(drop_malformed_request_id))
}

async fn drop_malformed_request_id(mut request: Request, next: Next) -> Response {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let well_formed = |value: &HeaderValue| {
        (1..=64).contains(&value.len()) && value.as_bytes().iter().copied().all(allowed)
    };
    let mut given = request.headers().get_all(REQUEST_ID).iter();
    let one_good = given.next().is_none_or(well_formed) && given.next().is_none();
    if !one_good {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

async fn refuse_what_is_no_address(request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_none_or(|address| address.as_str().is_ascii()) {
        next.run(request).await
    } else {
        StatusCode::BAD_REQUEST.into_response()
    }
}

/// What everything that is logged on the way says of the request.
fn span(request: &Request) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let method = printable(request.method().as_str());
    let path = printable(request.uri().path());
    // At the level of errors, so that it is there for whatever is logged.
    tracing::error_span!("request", id, method, path)
}

fn answered(response: &HttpResponse<Body>, took: Duration, _: &Span) {
    let status = response.status().as_u16();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(event = "answered", status, millis);
}

/// On one line and in one direction, and not for ever.
fn printable(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

fn from_another_site() -> HttpResponse<Body> {
    StatusCode::FORBIDDEN.into_response()
}

fn panicked(_: Box<dyn Any + Send>) -> HttpResponse<Body> {
    // What it said has been printed; where it came from too.
    tracing::error!(event = "panicked", "a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::{ACCEPT, CONTENT_TYPE};
    use axum::routing::get;
    use tower::ServiceExt;

    // Proves R50.
    #[tokio::test]
    async fn a_panic_becomes_a_page_with_all_headers() {
        let pages =
            Router::new().route("/", get(|| async { panic!("a test panics") as StatusCode }));
        let request = Request::get("/").header(ACCEPT, "text/html").body(Body::empty()).unwrap();
        let response = around(with_error_pages(pages)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        for (name, value) in SECURITY_HEADERS {
            assert_eq!(response.headers()[name], value);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered() {
        let pages = Router::new().route("/", get(std::future::pending::<StatusCode>));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = around(with_error_pages(pages)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 408);
    }

    // Proves R63.
    #[test]
    fn what_is_logged_stays_on_its_line() {
        assert_eq!(printable("/a\r\nb\u{1b}[31m\u{202e}\"é"), r#"/a\r\nb\u{1b}[31m\u{202e}\"é"#);
        assert_eq!(printable(&"x".repeat(10_000)).len(), 200);
    }
}
