//! The response head: what the session has to say in it.

use cloakroom::{Head, SessionError};
use http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Says it in the headers of whatever response leaves.
pub(crate) fn write(head: &Head, headers: &mut HeaderMap) {
    // A line of a token and attributes from a fixed alphabet is a header's value.
    if let Some(mut cookie) =
        head.set_cookie.as_deref().and_then(|line| HeaderValue::from_str(line).ok())
    {
        cookie.set_sensitive(true);
        drop_lines_of_the_same_name(headers, &cookie);
        headers.append(SET_COOKIE, cookie);
    }
    if let Some(what) = head.clear_site_data {
        // What an application says itself is what it wants.
        headers.entry(CLEAR_SITE_DATA).or_insert(HeaderValue::from_static(what));
    }
    if head.depends_on_session {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !varies_by_cookie(headers) {
            headers.append(VARY, HeaderValue::from_static("Cookie"));
        }
    }
}

/// Of two lines of one name browsers keep the last, and proxies any: the session's is to be the only one
/// (RFC 6265bis 4.1.1).
fn drop_lines_of_the_same_name(headers: &mut HeaderMap, cookie: &HeaderValue) {
    let name = |line: &HeaderValue| {
        let end = line.as_bytes().iter().position(|byte| *byte == b'=')?;
        Some(line.as_bytes()[..end].trim_ascii().to_owned())
    };
    let own = name(cookie);
    if headers.get_all(SET_COOKIE).iter().all(|line| name(line) != own) {
        return;
    }
    let kept: Vec<_> =
        headers.get_all(SET_COOKIE).iter().filter(|line| name(line) != own).cloned().collect();
    headers.remove(SET_COOKIE);
    headers.extend(kept.into_iter().map(|line| (SET_COOKIE, line)));
}

fn varies_by_cookie(headers: &HeaderMap) -> bool {
    let names = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    names.flat_map(|value| value.split(',')).any(|name| {
        let name = name.trim();
        name == "*" || name.eq_ignore_ascii_case("cookie")
    })
}

/// The response of an error, without a body: its status, and `Retry-After` where that helps.
///
/// ```
/// let response: http::Response<String> =
///     cloakroom_tower::refusal(&cloakroom::SessionError::OutOfPatience);
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["retry-after"], "1");
/// ```
pub fn refusal<B: Default>(error: &SessionError) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(set_cookie: Option<&str>) -> Head {
        let set_cookie = set_cookie.map(str::to_owned);
        Head { set_cookie, clear_site_data: None, depends_on_session: true, failed: None }
    }

    // Proves R11.
    #[test]
    fn the_line_of_the_session_is_the_only_one_of_its_name() {
        let mut headers = HeaderMap::new();
        for line in ["a=1; Path=/", "__Host-session=theirs", " __Host-session =x", "session=2"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        write(&head(Some("__Host-session=ours; Path=/")), &mut headers);
        let left = ["a=1; Path=/", "session=2", "__Host-session=ours; Path=/"];
        assert!(headers.get_all(SET_COOKIE).iter().eq(left), "{headers:?}");
    }

    // Proves R51.
    #[test]
    fn what_a_handler_says_of_caches_does_not_count() {
        let mut headers = HeaderMap::new();
        for line in ["public, max-age=600", "immutable"] {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        }
        write(&head(None), &mut headers);
        assert!(headers.get_all(CACHE_CONTROL).iter().eq(["no-store"]), "{headers:?}");
    }

    #[test]
    fn what_a_response_varies_by_already_is_kept_and_the_cookie_is_named_once() {
        for (said, expected) in [
            (&["Accept"][..], &["Accept", "Cookie"][..]),
            (&["Accept, cookie"], &["Accept, cookie"]),
            (&["*"], &["*"]),
            (&[], &["Cookie"]),
        ] {
            let mut headers = HeaderMap::new();
            said.iter().for_each(|line| {
                headers.append(VARY, HeaderValue::from_static(line));
            });
            write(&head(None), &mut headers);
            assert!(headers.get_all(VARY).iter().eq(expected), "{headers:?}");
        }
    }
}
