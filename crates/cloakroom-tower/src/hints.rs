//! Why is every request a new session? In debug builds the log says what looks wrong.

use http::HeaderMap;
use http::header::USER_AGENT;

/// Browsers send `Sec-Fetch-Site` to https and to hosts on this machine that they trust, and to
/// nothing else: to those they also send no `Secure` cookie back.
pub(crate) fn looks_like_plain_http(headers: &HeaderMap) -> bool {
    let is_browser = headers
        .get(USER_AGENT)
        .is_some_and(|agent| agent.as_bytes().windows(8).any(|word| word == b"Mozilla/"));
    is_browser && !headers.contains_key("sec-fetch-site")
}

pub(crate) fn secure_cookie_over_plain_http() {
    tracing::warn!(
        event = "secure_cookie_over_plain_http",
        "a Secure cookie was handed to a browser that seems to speak plain http, and will not keep \
         it, so that its next request is a new session: use https, or http://localhost in Chromium \
         or Firefox, or, while developing, CookieSettings::insecure_plain_http"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_without_fetch_metadata_speaks_plain_http() {
        let headers = |agent: &'static str, fetch: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().unwrap());
            if let Some(fetch) = fetch {
                headers.insert("sec-fetch-site", fetch.parse().unwrap());
            }
            headers
        };
        assert!(looks_like_plain_http(&headers("Mozilla/5.0 (X11)", None)));
        assert!(!looks_like_plain_http(&headers("Mozilla/5.0 (X11)", Some("none"))));
        assert!(!looks_like_plain_http(&headers("curl/8.0", None)));
        assert!(!looks_like_plain_http(&HeaderMap::new()));
    }
}
