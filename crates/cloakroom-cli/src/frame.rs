//! What every page stands in: its language, the switch to another one, and the address that the
//! switch comes back to.
//!
//! A new page takes a [`Frame`] from its request, has it as the field `frame` of its template, which
//! extends `base.html`, and leaves through [`Frame::show`].

use std::convert::Infallible;

use askama::Template;
use axum::extract::{Form, FromRequestParts, State};
use axum::http::header::{CONTENT_LANGUAGE, SET_COOKIE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::assets;
use crate::kept::Keeping;
use crate::language::Language;
use crate::texts::Texts;

/// What the language of a page depends on.
const VARY_BY_LANGUAGE: HeaderValue = HeaderValue::from_static("Accept-Language, Cookie");

/// An address that is longer is not come back to: the switch has to fit into a form.
const ADDRESS_BYTES: usize = 1024;

/// The confirmation of a logout: `/logout` itself logs out whoever comes from a page of ours.
pub(crate) const ASK_BEFORE_LOGOUT: &str = "/logout?ask";

/// What stands around a page.
pub(crate) struct Frame {
    pub(crate) language: Language,
    pub(crate) t: &'static Texts,
    /// Where the switch of languages, and a second try, lead.
    pub(crate) here: String,
    visitor: Whose,
}

/// Who looks at the page, as far as it asked: to ask the session costs a trip, and a link is not
/// worth one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    NotAsked,
    LoggedIn,
}

impl Frame {
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let language = Language::asked_for_by(headers);
        let here = address_of(method, uri);
        Self { language, t: Texts::of(language), here, visitor: Whose::NotAsked }
    }

    /// The same for somebody who is logged in.
    pub(crate) fn for_user(self) -> Self {
        Self { visitor: Whose::LoggedIn, ..self }
    }

    pub(crate) fn is_for_user(&self) -> bool {
        self.visitor == Whose::LoggedIn
    }

    /// The other languages, for the switch.
    pub(crate) fn others(&self) -> impl Iterator<Item = Language> {
        Language::ALL.into_iter().filter(|language| *language != self.language)
    }

    pub(crate) fn style(&self) -> &'static str {
        assets::STYLE.link()
    }

    pub(crate) fn icon(&self) -> &'static str {
        assets::ICON.link()
    }

    pub(crate) fn countdown(&self) -> &'static str {
        assets::COUNTDOWN.link()
    }

    /// The response of a page in this frame.
    pub(crate) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        match page.render() {
            Ok(html) => {
                let mut response = (status, Html(html)).into_response();
                self.label(response.headers_mut());
                response
            }
            Err(error) => {
                tracing::error!(event = "page_failed", %error, "a page could not be made");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Says in which language it is, and that this is a choice.
    pub(crate) fn label(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.language.code()));
        headers.insert(VARY, VARY_BY_LANGUAGE);
    }
}

impl<S: Sync> FromRequestParts<S> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.method, &parts.uri, &parts.headers))
    }
}

/// The address at which a GET shows what the request was about, and does nothing. Without its query,
/// which is nobody's business on a page.
fn address_of(method: &Method, uri: &Uri) -> String {
    let shown = [Method::GET, Method::HEAD].contains(method) || uri.path() == "/login";
    match uri.path() {
        "/logout" => ASK_BEFORE_LOGOUT,
        path if shown && is_own_address(path) => path,
        _ => "/",
    }
    .to_owned()
}

// ---- /language ----

#[derive(Deserialize)]
pub(crate) struct Switch {
    to: Language,
    #[serde(default)]
    back: String,
}

/// A POST, because it changes something: what is fetched in advance, or linked from elsewhere, does
/// not. Never leads off this site.
pub(crate) async fn switch_language(
    State(keeping): State<Keeping>,
    Form(Switch { to, back }): Form<Switch>,
) -> Response {
    let back = if is_own_address(&back) { &back } else { "/" };
    ([(SET_COOKIE, to.stays(keeping.over_https()))], Redirect::to(back)).into_response()
}

/// Whether this is a path on this site, however a browser reads it: for them `//`, `/\` and, because
/// they drop tabs, `/<tab>/` begin another host. So it takes nothing but plain characters, of which
/// all addresses here are made.
fn is_own_address(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~?=&".contains(&byte);
    address.starts_with('/')
        && !address.contains("//")
        && address.len() <= ADDRESS_BYTES
        && address.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves R75.
    #[test]
    fn only_an_own_address_is_come_back_to() {
        for (own, address) in [
            (true, "/"),
            (true, "/about"),
            (true, "/logout?ask"),
            (true, "/devices?page=2&of=3"),
            (false, ""),
            (false, "about"),
            (false, "//evil.example"),
            (false, "/\\evil.example"),
            (false, "\\\\evil.example"),
            (false, "/\t/evil.example"),
            (false, "/\n/evil.example"),
            (false, "/%2Fevil.example"),
            (false, "/%5Cevil.example"),
            (false, "/%0d%0aSet-Cookie:x=y"),
            (false, "/..//evil.example"),
            (false, "/ /evil.example"),
            (false, "https://evil.example/"),
            (false, "https:evil.example"),
            (false, "javascript:alert(1)"),
            (false, "/@evil.example"),
            (false, "/\u{ff0f}evil.example"),
            (false, &format!("/{}", "x".repeat(2000))),
        ] {
            assert_eq!(is_own_address(address), own, "{address:?}");
        }
    }

    #[test]
    fn the_switch_leads_back_to_what_does_nothing() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, asked, here) in [
            (&get, "/", "/"),
            (&get, "/about?x=y", "/about"),
            (&get, "/nothing", "/nothing"),
            (&get, "//evil.example", "/"),
            (&get, "/%2Fevil.example", "/"),
            (&post, "/login", "/login"),
            (&get, "/logout", "/logout?ask"),
            (&post, "/logout", "/logout?ask"),
            (&post, "/devices", "/"),
        ] {
            assert_eq!(address_of(method, &asked.parse().unwrap()), here, "{method} {asked}");
        }
    }
}
