//! What a visitor reads when a request could not be answered, whoever refused it: the library, a
//! layer of the guard, a handler.
//!
//! 1. Whoever answers an error with a page of his own is left alone. Every other error response is
//!    given words here; its status, `Retry-After`, cookies and cache headers stay.
//! 2. A browser gets a page in the visitor's language. A program, which does not ask for
//!    `text/html`, gets the same words as plain text: `curl` shows two lines.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::middleware::Next;
use axum::response::Response;

use crate::frame::Frame;
use crate::language;
use crate::texts::{FailureTexts, Trouble, WayOut};

pub(crate) async fn say_what_went_wrong(request: Request, next: Next) -> Response {
    let frame = Frame::of(request.method(), request.uri(), request.headers());
    let as_page = language::reads_pages(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    // Whoever answered may know better than its status what it was about.
    let known = response.extensions().get::<Trouble>().copied();
    let is_error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if is_error && kind.is_none_or(|kind| !kind.starts_with(b"text/html")) {
        let trouble = known.unwrap_or(Trouble::of(status.as_u16()));
        with_words(response, trouble, &frame, as_page)
    } else {
        response
    }
}

fn with_words(mut response: Response, trouble: Trouble, frame: &Frame, page: bool) -> Response {
    let texts = (frame.t.failure)(trouble);
    let text = format!("{}\n{}\n", texts.title, texts.what);
    let failed = Failed { frame, status: response.status().as_u16(), texts };
    let (kind, body) = match page.then(|| failed.render()) {
        Some(Ok(html)) => ("text/html; charset=utf-8", html),
        _ => ("text/plain; charset=utf-8", text),
    };
    let headers = response.headers_mut();
    frame.label(headers);
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Language, Cookie"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
    response
}

#[derive(Template)]
#[template(path = "error.html")]
struct Failed<'a> {
    frame: &'a Frame,
    status: u16,
    texts: FailureTexts,
}
