//! The cookie: what a browser sends, read byte by byte, and the `Set-Cookie` line that it gets.
//!
//! 1. Names are compared byte by byte, case and all, and never percent-decoded: a sibling host can
//!    plant `__%48ost-session`, and several parsers take it for `__Host-session`.
//! 2. Every `Cookie` header line counts (RFC 6265bis 4.2.1).
//! 3. The same name twice is no session at all, in whatever order (RFC 6265bis 4.2.2): a correct
//!    `__Host-` cookie can't come twice.
//! 4. Only a logout removes a cookie.
//!
//! In production, a cookie is isolated neither by port nor by path (RFC 6265bis 8.5, 8.6): let no
//! application that you don't trust live on the same host name.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::expiry::Lifetime;
use crate::token::Token;

/// How the cookie looks. The defaults are the safe ones of OWASP ASVS 3.3.1 to 3.3.4:
/// `__Host-session=…; Path=/; Secure; HttpOnly; SameSite=Lax`, without `Domain`, gone when the
/// browser closes.
///
/// ```
/// use cloakroom::{CookieSettings, SameSite};
/// let cookie = CookieSettings::named("shop")?.same_site(SameSite::Strict);
/// assert_eq!(cookie.full_name(), "__Host-shop");
/// assert_eq!(CookieSettings::named("shop")?.insecure_plain_http().full_name(), "shop");
/// assert!(CookieSettings::named("my shop").is_err());
/// # Ok::<(), cloakroom::InvalidCookieName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    name: String,
    same_site: SameSite,
    transport: Transport,
}

/// When a browser sends the cookie with requests that come from other sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// With top-level navigation only: links into the site find their visitor logged in.
    #[default]
    Lax,
    /// Never.
    Strict,
}

/// What a browser is asked to forget of the whole site at a logout, by `Clear-Site-Data` (OWASP ASVS 5.0,
/// 14.3.1). Cookies are not among it: those of other applications on the host would go along, and the
/// session's own is removed anyhow. Browsers listen to it over https and from this machine only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClearSiteData {
    /// Nothing; no header.
    Nothing,
    /// What scripts have stored: local and session storage, databases, service workers.
    #[default]
    Storage,
    /// The same, and cached responses, those included that go back and forward in the history. Pages
    /// that ask the session are in no cache anyhow. It may take a browser seconds.
    StorageAndCache,
}

impl ClearSiteData {
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Storage => Some("\"storage\""),
            Self::StorageAndCache => Some("\"cache\", \"storage\""),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Secure,
    InsecurePlainHttp,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self { name: "session".into(), same_site: SameSite::Lax, transport: Transport::Secure }
    }
}

impl CookieSettings {
    /// A cookie of that name, without `__Host-`, which is put before it. 1 to 64 letters, digits
    /// and `! # $ % & ' * + - . ^ _ ` | ~`. Two layers of one service need two names.
    pub fn named(name: impl Into<String>) -> Result<Self, InvalidCookieName> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let prefixed = name.get(..2).is_some_and(|start| start == "__");
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !prefixed {
            Ok(Self { name, ..Self::default() })
        } else {
            Err(InvalidCookieName(name.chars().take(80).collect()))
        }
    }

    /// Sent from other sites or not; [`SameSite::Lax`] by default.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// Drops `Secure` and the `__Host-` prefix, so that the cookie travels over plain http, where
    /// anyone on the way can read and replace it. For a browser that doesn't take `Secure` cookies
    /// from `http://localhost` (Safari), and for nothing else.
    #[must_use]
    pub fn insecure_plain_http(self) -> Self {
        Self { transport: Transport::InsecurePlainHttp, ..self }
    }

    /// The name as it is sent.
    pub fn full_name(&self) -> String {
        match self.transport {
            Transport::Secure => format!("__Host-{}", self.name),
            Transport::InsecurePlainHttp => self.name.clone(),
        }
    }

    /// The value of the `Set-Cookie` line that hands out a token, for good with `keep_for`.
    pub(crate) fn hand_out(&self, token: &Token, keep_for: Option<Duration>) -> String {
        let mut line = self.line(token.reveal());
        if let Some(keep_for) = keep_for {
            // Never 0, which would remove it.
            let seconds = keep_for.min(Lifetime::LONGEST).as_secs().max(1);
            // Writing into a string can't fail.
            let _ = write!(line, "; Max-Age={seconds}");
        }
        line
    }

    /// The value of the `Set-Cookie` line that removes the cookie: the same attributes, or the
    /// browser would keep it.
    pub(crate) fn remove(&self) -> String {
        format!("{}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", self.line(""))
    }

    fn line(&self, value: &str) -> String {
        let secure = match self.transport {
            Transport::Secure => "; Secure",
            Transport::InsecurePlainHttp => "",
        };
        let same_site = match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        let name = self.full_name();
        format!("{name}={value}; Path=/{secure}; HttpOnly; SameSite={same_site}")
    }
}

/// The text is no name of a cookie.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no name of a cookie: it takes 1 to 64 letters, digits and !#$%&'*+-.^_`|~, and does \
     not begin with __, for __Host- is put before it"
)]
pub struct InvalidCookieName(String);

/// What the `Cookie` lines of a request hold under one name. Not to be compared: it may be a token.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Presented {
    Nothing,
    /// A value that may be anything; cut off where it is longer than any token.
    Once(Vec<u8>),
    Twice,
}

// Not derived: the value may be a token.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Once(_) => "Once(..)",
            Self::Twice => "Twice",
        })
    }
}

/// Longer than any token, so that what is cut off here is none.
const LONG_ENOUGH: usize = 128;

/// Looks for one name in the `Cookie` lines of a request.
pub(crate) fn presented<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
    full_name: &str,
) -> Presented {
    let mut presented = Presented::Nothing;
    for pair in lines.into_iter().flat_map(pairs) {
        // RFC 6265bis 4.2.1: pairs are parted by `;` and one space. More space belongs to the name,
        // which then is another one.
        let pair = pair.strip_prefix(b" ").unwrap_or(pair);
        let Some(value) =
            pair.strip_prefix(full_name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
        else {
            continue;
        };
        presented = match presented {
            Presented::Nothing => Presented::Once(value[..value.len().min(LONG_ENOUGH)].to_vec()),
            Presented::Once(_) | Presented::Twice => return Presented::Twice,
        };
    }
    presented
}

/// What the semicolons part. Searched for many bytes at a time: every request comes this way, and other
/// cookies may be long.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
    ends.map(move |end| {
        let pair = &line[begin..end];
        begin = end + 1;
        pair
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "__Host-session";

    fn once(value: &str) -> Presented {
        Presented::Once(value.as_bytes().to_vec())
    }

    // Proves R16, CVE-2020-7070, cookie-rs.
    #[test]
    fn a_name_is_compared_byte_by_byte_and_never_decoded() {
        for (line, expected) in [
            ("__Host-session=a", once("a")),
            ("x=1; __Host-session=a; y=2", once("a")),
            ("x=1;__Host-session=a", once("a")),
            ("__Host-session=", once("")),
            ("__Host-session=a=b", once("a=b")),
            ("__Host-session=\"a\"", once("\"a\"")),
            ("", Presented::Nothing),
            ("__Host-session", Presented::Nothing),
            ("__host-session=a", Presented::Nothing),
            ("__HOST-session=a", Presented::Nothing),
            ("__%48ost-session=a", Presented::Nothing),
            ("__Host-session =a", Presented::Nothing),
            ("x=1;  __Host-session=a", Presented::Nothing),
            ("x=1;\t__Host-session=a", Presented::Nothing),
            ("=__Host-session=a", Presented::Nothing),
            ("..Host-session=a; _[Host-session=b", Presented::Nothing),
            ("x__Host-session=a", Presented::Nothing),
            ("__Host-session2=a", Presented::Nothing),
        ] {
            assert_eq!(presented([line.as_bytes()], NAME), expected, "{line}");
        }
    }

    // Proves R15.
    #[test]
    fn the_same_name_twice_is_no_session_whatever_the_order() {
        for lines in [
            &["__Host-session=a; __Host-session=b"][..],
            &["__Host-session=b; __Host-session=a"],
            &["__Host-session=a", "x=1; __Host-session=a"],
            &["__Host-session=a; __Host-session="],
        ] {
            let presented = presented(lines.iter().map(|line| line.as_bytes()), NAME);
            assert_eq!(presented, Presented::Twice, "{lines:?}");
        }
    }

    // Proves R14.
    #[test]
    fn a_cookie_is_found_on_whichever_line_it_comes() {
        let lines: Vec<String> = (0..50).map(|i| format!("c{i}=x")).collect();
        let mut lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        lines.insert(31, b"__Host-session=a");
        assert_eq!(presented(lines, NAME), once("a"));
    }

    // Proves R70, CVE-2026-40303.
    #[test]
    fn a_value_longer_than_a_token_is_not_kept() {
        let line = format!("__Host-session={}", "a".repeat(1_000_000));
        assert_eq!(presented([line.as_bytes()], NAME), once(&"a".repeat(LONG_ENOUGH)));
    }

    // Proves R10, R13.
    #[test]
    fn the_longest_line_that_can_be_set_up_is_one_that_browsers_keep() {
        // RFC 6265bis 5.6: name and value 4096 octets, an attribute's value 1024.
        assert!(CookieSettings::named("n".repeat(65)).is_err());
        let cookie = CookieSettings::named("n".repeat(64)).unwrap().same_site(SameSite::Strict);
        let key = crate::token::SecretKey::new("0123456789abcdef0123456789abcdef").unwrap();
        let keys = Some(crate::token::Keys::new(key));
        let prefix = crate::token::Prefix::new("p".repeat(32)).unwrap();
        let mint = crate::token::TokenMint::new(prefix, cookie.full_name(), keys);
        let token = mint.issue_for(&"u".repeat(10)).unwrap().token;
        for line in [cookie.hand_out(&token, Some(Duration::MAX)), cookie.remove()] {
            let mut parts = line.split("; ");
            assert!(parts.next().unwrap().len() <= 4096, "{line}");
            assert!(parts.all(|attribute| attribute.len() <= 1024), "{line}");
        }
        // And none for longer than 400 days, however long it is asked for.
        let line = cookie.hand_out(&token, Some(Duration::MAX));
        assert!(line.ends_with(&format!("; Max-Age={}", 400 * 24 * 3600)), "{line}");
    }

    // Proves R12, CVE-2024-47764.
    #[test]
    fn no_name_brings_an_attribute_or_a_line_of_its_own() {
        for sign in (0..=255_u8).map(char::from).chain(['ゆ', '\u{2028}']) {
            let name = format!("a{sign}b");
            let token = sign.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(sign);
            assert_eq!(CookieSettings::named(name).is_ok(), token, "{sign:?}");
        }
        for name in ["", "a; Domain=evil.example", "a=b", "__Host-a", "__Secure-a", "a\r\nX: y"] {
            assert!(CookieSettings::named(name).is_err(), "{name:?}");
        }
    }

    // Proves R31, CVE-2026-34454.
    #[test]
    fn the_removal_has_the_attributes_of_what_it_removes() {
        let attributes = |line: &str| {
            let mut parts: Vec<_> = line.split("; ").skip(1).map(str::to_owned).collect();
            parts.retain(|part| !part.starts_with("Max-Age") && !part.starts_with("Expires"));
            parts
        };
        let mint = crate::token::TokenMint::new(crate::token::Prefix::default(), NAME, None);
        let token = mint.issue_anonymous().unwrap().token;
        for cookie in [CookieSettings::default(), CookieSettings::default().insecure_plain_http()] {
            let set = cookie.hand_out(&token, Some(Duration::from_secs(60)));
            assert_eq!(attributes(&set), attributes(&cookie.remove()));
            assert!(set.starts_with(&format!("{}={};", cookie.full_name(), token.reveal())));
            assert!(cookie.remove().starts_with(&format!("{}=;", cookie.full_name())));
        }
        let strict = CookieSettings::default().same_site(SameSite::Strict).remove();
        assert!(strict.contains("; SameSite=Strict; "), "{strict}");
        assert_eq!(
            CookieSettings::default().remove(),
            "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    /// Quoted strings (W3C Clear Site Data, 3.1).
    #[test]
    fn what_a_browser_is_to_forget_is_named_as_it_reads_it() {
        for (what, expected) in [
            (ClearSiteData::Nothing, None),
            (ClearSiteData::Storage, Some(r#""storage""#)),
            (ClearSiteData::StorageAndCache, Some(r#""cache", "storage""#)),
        ] {
            assert_eq!(what.header(), expected);
        }
    }

    #[test]
    fn only_over_plain_http_the_prefix_and_secure_are_missing() {
        let shop = CookieSettings::named("shop").unwrap();
        assert_eq!(shop.line("x"), "__Host-shop=x; Path=/; Secure; HttpOnly; SameSite=Lax");
        let plain = shop.insecure_plain_http();
        assert_eq!(plain.line("x"), "shop=x; Path=/; HttpOnly; SameSite=Lax");
    }
}
