//! Every setting, and every default in one literal: [`Settings::default`].

use std::num::NonZeroU32;
use std::time::Duration;

use crate::change::Limits;
use crate::cookie::{ClearSiteData, CookieSettings};
use crate::events::Events;
use crate::expiry::{Lifetime, Touch};
use crate::field::FieldName;
use crate::rate::Rate;
use crate::sealed::FieldKeys;
use crate::store::SessionLimit;
use crate::token::Keys;

/// How the sessions of one cookie of one application behave.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::{Keys, Lifetime, SecretKey, Settings};
///
/// # let secret = "correct horse battery staple, 32 bytes and more";
/// let settings = Settings {
///     keys: Some(Keys::new(SecretKey::new(secret)?)),
///     lifetime: Lifetime::new(Duration::from_secs(900), Duration::from_secs(12 * 3600))?,
///     ..Settings::default()
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cookie's name and attributes.
    pub cookie: CookieSettings,
    /// What a browser is asked to forget of the site when a logout removes the cookie. Default: what
    /// pages have stored.
    pub clear_at_logout: ClearSiteData,
    /// The keys that seal tokens. Without keys tokens are just as unguessable, but a forged one
    /// costs a store command, and who holds one can test which user it belongs to.
    pub keys: Option<Keys>,
    /// The keys of [`Sealed`](crate::Sealed) fields. Without them such a field can't be used at all.
    /// Default: none.
    pub field_keys: Option<FieldKeys>,
    /// How long a session lives with somebody logged in, unless the login says otherwise. Default:
    /// 30 minutes idle, 8 hours absolute.
    pub lifetime: Lifetime,
    /// How long a session lives with nobody logged in. Short: strangers can make these. Default: 10
    /// minutes idle, 1 hour absolute.
    pub anonymous: Lifetime,
    /// How many anonymous sessions one [`Manager`](crate::Manager) makes, so one instance of a
    /// service; one more is refused with 503 and `Retry-After`, and costs no store command. Logins are
    /// never refused. `None` for any number. Default: 100 a second, 1,000 at once.
    ///
    /// Visitors without a cookie then never cost more than `at_once + per_second * anonymous.idle()`
    /// sessions an instance that nobody comes back to: 61,000 by default (OWASP ASVS 5.0, 2.4.1).
    pub newcomers: Option<Rate>,
    /// How a use renews the idle timeout. Default: exactly, every use.
    pub touch: Touch,
    /// What a session may hold. More is refused with 422 before anything is written.
    /// Default: 64 fields, 16 KiB a value, 64 KiB a session.
    pub limits: Limits,
    /// How many sessions a user may have at once; `None`, the default, for any number.
    pub sessions_per_user: Option<SessionLimit>,
    /// Which fields of an anonymous session a login keeps (ASVS 15.3.3: by name, none by default).
    pub carried_into_login: Vec<FieldName>,
    /// Who is told what happens to sessions. Default: nobody.
    pub events: Option<Events>,
    /// How long one request waits for the store, all its operations together, before it is
    /// answered 503. Default: 250 ms. After the response head has left, each operation may take as long.
    pub patience: Duration,
}

const NEWCOMERS: Rate = match (NonZeroU32::new(100), NonZeroU32::new(1_000)) {
    (Some(per_second), Some(at_once)) => Rate { per_second, at_once },
    _ => panic!("both are above zero, as the compiler has seen"),
};

impl Default for Settings {
    fn default() -> Self {
        Self {
            cookie: CookieSettings::default(), // __Host-session, Secure, HttpOnly, Lax
            clear_at_logout: ClearSiteData::Storage, // and the cookie
            keys: None,                        // tokens stand open
            field_keys: None,                  // no field can be sealed
            lifetime: Lifetime::from_minutes(30, 8 * 60), // 30 minutes idle, 8 hours in all
            anonymous: Lifetime::from_minutes(10, 60), // 10 minutes idle, an hour in all
            newcomers: Some(NEWCOMERS),        // more is 503
            touch: Touch::Exactly,             // every use renews, to the millisecond
            limits: Limits { fields: 64, value_bytes: 16 * 1024, session_bytes: 64 * 1024 },
            sessions_per_user: None,              // as many as they like
            carried_into_login: Vec::new(),       // a login starts clean
            events: None,                         // told to nobody
            patience: Duration::from_millis(250), // then 503
        }
    }
}
