//! Names that an application or an operator chooses: no text becomes an attribute, a key or a line of
//! its own.

use cloakroom::{
    CookieSettings, FieldName, Label, Manager, MemoryStore, Prefix, SameSite, Settings, User,
};
use cloakroom_tower::CrossSiteLayer;
use http::HeaderValue;
use pollster::block_on;

const FIELD: cloakroom::Field<u64> = cloakroom::Field::new("n");

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let all = |allowed: &dyn Fn(char) -> bool| text.chars().all(allowed);
    let small = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let within = |most: usize| (1..=most).contains(&text.len());

    assert_eq!(Prefix::new(text).is_ok(), within(32) && all(&small));
    assert_eq!(Label::new(text).is_ok(), within(16) && all(&small) && text != "-");
    assert_eq!(User::new(text).is_ok(), within(64) && !text.chars().any(char::is_control));
    let field =
        within(64) && !text.starts_with('~') && !text.bytes().any(|b| b < b' ' || b == 0x7f);
    assert_eq!(FieldName::named(text).is_ok(), field);

    // RFC 9110 5.6.2, a token.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let named = CookieSettings::named(text);
    assert_eq!(named.is_ok(), within(64) && all(&token) && !text.starts_with("__"));
    if let Ok(cookie) = named {
        handed_out(
            cookie.clone(),
            &format!("__Host-{text}"),
            &["Path=/", "Secure", "HttpOnly", "SameSite=Lax"],
        );
        let plain = cookie.same_site(SameSite::Strict).insecure_plain_http();
        handed_out(plain, text, &["Path=/", "HttpOnly", "SameSite=Strict"]);
    }
    if let Ok(layer) = CrossSiteLayer::<String>::of(text) {
        let uri: http::Uri = text.parse().expect("an origin that is no URI");
        assert_eq!(uri.path(), "/");
        assert!(uri.query().is_none() && !text.contains('@'), "{layer:?}");
    }
}

/// The line has these attributes and no other, and is found again in what a browser sends back.
fn handed_out(cookie: CookieSettings, name: &str, attributes: &[&str]) {
    let settings = Settings { cookie, ..Settings::default() };
    let manager = Manager::new(MemoryStore::new(), settings);
    let visit = manager.open([]);
    assert_eq!(block_on(visit.session().increment(FIELD, 1)).unwrap(), 1);
    let line = block_on(visit.close(200)).set_cookie.unwrap();
    assert!(HeaderValue::from_str(&line).is_ok(), "{line}");
    let mut parts = line.split("; ");
    let (found, value) = parts.next().unwrap().split_once('=').unwrap();
    assert_eq!(found, name);
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert!(parts.eq(attributes.iter().copied()), "{line}");
    let sent = format!("another-{name}=1; {name}={value}");
    let visit = manager.open([sent.as_bytes()]);
    assert_eq!(block_on(visit.session().increment(FIELD, 1)).unwrap(), 2);
    block_on(visit.session().log_out()).unwrap();
    let line = block_on(visit.close(200)).set_cookie.unwrap();
    assert!(line.starts_with(&format!("{name}=; ")) && line.contains("Max-Age=0"), "{line}");
}
