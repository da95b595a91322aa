//! The URL of a store. It may hold a password, so no error may show anything of it.

use cloakroom_redis::fuzzing::{Named, address};
use redis::IntoConnectionInfo;

const PASSWORD: &str = "hunter2-CANARY";

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(named) = &address(text) {
        assert!(!named.is_empty(), "no server");
        // What the client crate would read there as a whole is what was read in parts.
        if let ([one], false) = (&named[..], text.contains('?'))
            && one.deployment == "one"
        {
            let whole = text.into_connection_info().expect("the client crate refuses it");
            let settings = whole.redis_settings();
            assert_eq!(one.place, whole.addr().to_string());
            let user = settings.username().map(str::to_owned);
            let password = settings.password().map(str::to_owned);
            assert_eq!(one.login, (settings.db(), user, password));
        }
        let scheme = text.to_ascii_lowercase();
        let tls = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
        assert!(named.iter().all(|named| named.tls == tls), "{named:?}");
    }
    // The same with a password in it, where one stands: not a letter of it comes back.
    if let Some((scheme, rest)) = text.split_once("://").filter(|_| !text.contains("CANARY")) {
        let secret = format!("{scheme}://shop:{PASSWORD}@{rest}");
        match address(&secret) {
            Err(error) => {
                let said = format!("{error} {error:?}");
                assert!(!said.contains("CANARY"), "{secret:?}: {said}");
            }
            Ok(named) => {
                let quiet = |named: &Named| !named.place.contains("CANARY");
                let unix = scheme.to_ascii_lowercase().contains("unix");
                assert!(unix || named.iter().all(quiet), "{secret:?}: {named:?}");
            }
        }
    }
}
