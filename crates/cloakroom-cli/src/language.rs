//! Which language a visitor reads, and what else a request prefers.
//!
//! 1. The cookie `__Host-lang` (over plain http, `lang`), which the switch on every page sets, counts
//!    first. It is no session: who only reads has none.
//! 2. Else `Accept-Language` decides (RFC 9110 12.5.4): `ja-JP` asks for Japanese, and the greater
//!    weight wins, of equal ones the first. What can't be read counts as not said.
//! 3. Else it is English.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE, HeaderName};
use serde::Deserialize;

const NAME: &str = "lang";
/// Before the name of a cookie, to a browser: over https alone, and from this host alone.
const SECURE: &str = "__Host-";

/// A language in which the pages are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Language {
    #[serde(rename = "en")]
    English,
    #[serde(rename = "ja")]
    Japanese,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// As HTML and HTTP name it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// As those who speak it name it.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Japanese => "日本語",
        }
    }

    /// The one that the request asks for.
    pub(crate) fn asked_for_by(headers: &HeaderMap) -> Self {
        chosen(headers).unwrap_or_else(|| preferred(headers))
    }

    /// The `Set-Cookie` line that makes the choice stay, for a year; as the session's, and without
    /// `Secure` only where that is.
    pub(crate) fn stays(self, over_https: bool) -> String {
        let (prefix, secure) = if over_https { (SECURE, "Secure; ") } else { ("", "") };
        let code = self.code();
        format!("{prefix}{NAME}={code}; Path=/; Max-Age=31536000; {secure}HttpOnly; SameSite=Lax")
    }
}

fn chosen(headers: &HeaderMap) -> Option<Language> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
    let code = pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.strip_prefix(SECURE).unwrap_or(name) == NAME).then_some(value)
    })?;
    Language::ALL.into_iter().find(|language| language.code() == code)
}

fn preferred(headers: &HeaderMap) -> Language {
    let ranges = weighted(headers, &ACCEPT_LANGUAGE);
    let primary = |range: &str, code: &str| {
        range.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case(code))
    };
    let named = |code: &str| {
        let places = ranges.iter().enumerate().filter(|(_, (range, _))| primary(range, code));
        places.map(|(place, (_, weight))| (*weight, place)).reduce(heavier)
    };
    let mut best = None;
    for language in Language::ALL {
        // `*` speaks for every language that is not named.
        let found = named(language.code()).or_else(|| named("*"));
        let Some((weight, place)) = found.filter(|(weight, _)| *weight > 0) else { continue };
        best = match best {
            Some((other, _)) if heavier(other, (weight, place)) == other => best,
            _ => Some(((weight, place), language)),
        };
    }
    best.map_or(Language::English, |(_, language)| language)
}

/// Of two weights and their places the one that counts: the greater, or the first.
fn heavier(one: (u16, usize), other: (u16, usize)) -> (u16, usize) {
    if other.0 > one.0 || (other.0 == one.0 && other.1 < one.1) { other } else { one }
}

/// Whether an error is to be a page. A browser names `text/html`; programs name what they read, or,
/// as `curl` does, anything.
pub(crate) fn reads_pages(headers: &HeaderMap) -> bool {
    let kinds = weighted(headers, &ACCEPT);
    let weight = |kind: &str| {
        let same = kinds.iter().filter(|(named, _)| named.eq_ignore_ascii_case(kind));
        same.map(|(_, weight)| *weight).max().unwrap_or(0)
    };
    let page = weight("text/html").max(weight("application/xhtml+xml"));
    page > 0 && page >= weight("text/plain").max(weight("application/json"))
}

/// The items of a list with their weights, 0 to 1000 (RFC 9110 12.4.2). Those with a weight that is
/// none are left out.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<(&'a str, u16)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let items = lines.flat_map(|line| line.split(','));
    let weighed = items.filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some(value.trim())
        });
        Some((name, weight.map_or(Some(1000), thousandths)?))
    });
    weighed.collect()
}

/// Reads `0.8` as 800.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    if part.len() > 3 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    match whole {
        "0" => format!("{part:0<3}").parse().ok(),
        "1" if part.bytes().all(|digit| digit == b'0') => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_language_is_the_one_of_greatest_weight() {
        use Language::{English, Japanese};
        for (accepted, language) in [
            ("", English),
            ("ja", Japanese),
            ("JA-jp", Japanese),
            ("ja-JP, en;q=0.9", Japanese),
            ("en-GB, ja;q=0.9", English),
            ("en;q=0.8, ja;q=0.9", Japanese),
            ("ja;q=0.2, en;q=0.25", English),
            ("ja, en", Japanese),
            ("en, ja", English),
            ("fr, de;q=0.9, ja;q=0.1", Japanese),
            ("fr, *;q=0.5", English),
            ("en;q=0.1, *", Japanese),
            ("en;q=0, *;q=0.1", Japanese),
            ("ja;q=0", English),
            ("ja;q=0, *", English),
            ("en;q=0.5, en-US;q=0.9, ja;q=0.7", English),
            ("ja ; Q = 0.5 , en;q=0.4", Japanese),
            ("jav, jan;q=0.9", English),
            ("ja;q=2, en;q=0.1", English),
            ("ja;q=0.1234, en;q=0.1", English),
            ("ja;q=x", English),
            (",;,;q=1,", English),
        ] {
            let headers = headers(&[(ACCEPT_LANGUAGE, accepted)]);
            assert_eq!(Language::asked_for_by(&headers), language, "{accepted:?}");
        }
    }

    #[test]
    fn what_was_chosen_counts_before_what_is_accepted() {
        for (cookie, language) in [
            ("lang=en", Language::English),
            ("a=b; lang=en", Language::English),
            ("a=b; __Host-lang=en; c=d", Language::English),
            ("__host-lang=en", Language::Japanese),
            ("__Host-__Host-lang=en", Language::Japanese),
            ("lang=fr", Language::Japanese),
            ("xlang=en", Language::Japanese),
            ("lang=", Language::Japanese),
            ("Lang=en", Language::Japanese),
        ] {
            let headers = headers(&[(ACCEPT_LANGUAGE, "ja"), (COOKIE, cookie)]);
            assert_eq!(Language::asked_for_by(&headers), language, "{cookie}");
        }
    }

    #[test]
    fn a_page_is_for_those_who_ask_for_pages() {
        for (accepted, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("text/html;q=0.5, text/plain;q=0.4", true),
            ("*/*", false),
            ("text/plain", false),
            ("application/json, text/html;q=0.9", false),
            ("application/json, text/plain, */*", false),
            ("text/html;q=0", false),
            ("", false),
        ] {
            assert_eq!(reads_pages(&headers(&[(ACCEPT, accepted)])), page, "{accepted:?}");
        }
        assert!(!reads_pages(&HeaderMap::new()));
    }
}
