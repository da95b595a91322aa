//! Server-side sessions: you hand over your coat and keep a ticket. The browser holds the ticket (a
//! token in a cookie); the coat (the session's data) stays in a [`Store`].
//!
//! This crate is the library without framework, driver or runtime. Most services take it through
//! `cloakroom-tower`, which carries headers in and out, over a store: `cloakroom-redis`,
//! `cloakroom-embedded`, or [`MemoryStore`] for tests and demos.
//!
//! | you want to | look at |
//! |---|---|
//! | read and write a session in a handler | [`Session`], [`Field`] |
//! | show, limit and end the sessions of a user | [`IfLoggedIn::sessions`], [`SessionLimit`], [`users`] |
//! | keep a field so that the store's readers can't read it | [`sealed`] |
//! | change a default | [`Settings`], [`CookieSettings`] |
//! | replace tokens from time to time, and find copied cookies | [`rotation`] |
//! | hear of logins, logouts and thefts | [`events`] |
//! | carry sessions in and out of a framework | [`Manager`] |
//! | keep sessions somewhere else | [`store`], and the conformance suite in `testing` |
//! | know what can fail, and with which status | [`SessionError`] |
//! | test an application | `testing::Visitor` |
//!
//! # One request
//!
//! Alice comes with a cookie. What happens to it, in order; a framework's middleware does the first
//! and the last step for you:
//!
//! ```
//! use cloakroom::{Field, LogIn, Manager, MemoryStore, SessionError, Settings, User};
//!
//! // Fields are constants: the type stands beside the name.
//! const VISITS: Field<u64> = Field::new("visits");
//! const LANGUAGE: Field<String> = Field::new("language");
//!
//! # pollster::block_on(async {
//! let manager = Manager::new(MemoryStore::new(), Settings::default());
//! # let visit = manager.open([]);
//! # assert_eq!(visit.session().log_in(User::new("alice")?).await?, LogIn::Done);
//! # let set_cookie = visit.close(200).await.set_cookie.unwrap();
//! # let cookie = set_cookie.split(';').next().unwrap();
//! // 1. The request begins with its `Cookie` lines. Nothing is asked of the
//! //    store: a page that never looks at its session costs nothing.
//! let visit = manager.open([cookie.as_bytes()]);
//! let session = visit.session();
//!
//! // 2. The first operation is one trip. In one atomic step the store finds
//! //    out whether the session is alive and somebody is logged in, adds 1,
//! //    renews the idle timeout, and sends all fields back.
//! let (user, visits) = session.if_logged_in().increment(VISITS, 1).await?.unwrap();
//! assert_eq!((user.as_str(), visits), ("alice", 1));
//!
//! // 3. So reading is free from here on.
//! assert_eq!(session.get(LANGUAGE).await?, None);
//!
//! // 4. No `.await`, no trip: this write waits. A read sees it.
//! session.set(LANGUAGE, "ja")?;
//! assert_eq!(session.get(LANGUAGE).await?.as_deref(), Some("ja"));
//!
//! // 5. Just before the response head leaves, what waits is stored in one
//! //    more trip. A cookie goes out only if the token changed, which happens
//! //    at login, logout and rotation.
//! let head = visit.close(200).await;
//! assert!(head.failed.is_none() && head.set_cookie.is_none());
//! // The page depends on the session, so no cache may keep it (OWASP ASVS
//! // 5.0, 14.3.2).
//! assert!(head.depends_on_session);
//!
//! // Meanwhile another tab logs out. A request that was under way can't bring
//! // the session back: its write is refused (409), and the cookie is left
//! // alone.
//! let late = manager.open([cookie.as_bytes()]);
//! let logout = manager.open([cookie.as_bytes()]);
//! late.session().get(VISITS).await?;
//! logout.session().log_out().await?;
//! let written = late.session().increment(VISITS, 1).await;
//! assert!(matches!(written, Err(SessionError::Ended)));
//! # assert!(late.close(200).await.set_cookie.is_none());
//! # assert!(logout.close(200).await.set_cookie.unwrap().contains("Max-Age=0"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What holds on every store
//!
//! 1. No update is lost: requests send what they change, and increments are exact.
//! 2. No session that ended comes back: every write asks, in the same step, whether it is alive.
//! 3. No data and no user name is in the cookie, and no token in the store, which knows a hash of it.
//! 4. A store that is away answers 503 after [`Settings::patience`], and the cookie stays. It never makes
//!    a visitor anonymous.
//! 5. The store's clock decides what has expired, after an idle and an absolute timeout ([`Lifetime`]).
//!
//! # What an operator watches
//!
//! Through the `metrics` facade: `cloakroom_operations_total` by operation and outcome,
//! `cloakroom_operation_duration_seconds`, `cloakroom_sessions_created_total`,
//! `cloakroom_sessions_ended_total` by reason, `cloakroom_newcomers_refused_total` and
//! `cloakroom_tokens_not_ours_total`; install a recorder before the [`Manager`] is made, which takes its
//! handles then. Each question to the store is a `tracing` span at the level of debug, `operation`, with
//! the session's handle and the outcome. No user, token or value is in either.
//!
//! See [`store`] for the contract behind this and [`Session`] for what each operation costs.
//! Requirements of others are named by their ids: ASVS is the OWASP Application Security Verification
//! Standard 5.0, and cookies follow RFC 6265bis.

mod sync;
pub mod expiry;
pub mod rotation;
pub mod token;
pub mod clock;
pub mod address;
pub mod proxies;
pub mod device;
pub mod client;
pub mod field;
pub mod sealed;
pub mod change;
pub mod store;
pub mod records;
pub mod engine;
pub mod memory;
pub mod cookie;
pub mod events;
pub mod rate;
pub mod settings;
mod outcome;
mod meters;
mod visit;
pub mod session;
pub mod manager;
pub mod users;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(inline)]
pub use manager::{Head, Manager, OpenVisit};
#[doc(inline)]
pub use outcome::{LogIn, SessionError};
#[doc(inline)]
pub use session::{IfLoggedIn, LoggingIn, Session, UPDATE_TRIES};
#[doc(inline)]
pub use users::{Exported, ExportedPage, SessionsOf};

#[doc(inline)]
pub use field::{
    AtRest, Counter, Field, FieldName, InvalidFieldName, Json, Kept, List, NotDecodable,
    NotEncodable, Value,
};

#[doc(inline)]
pub use sealed::{FieldKeys, Sealed};

#[doc(inline)]
pub use cookie::{ClearSiteData, CookieSettings, InvalidCookieName, SameSite};
#[doc(inline)]
pub use events::{Event, Events};
#[doc(inline)]
pub use rate::Rate;
#[doc(inline)]
pub use settings::Settings;

#[doc(inline)]
pub use expiry::{InvalidLifetime, Life, Lifetime, NotALife, Timestamp, Touch};

#[doc(inline)]
pub use rotation::{Generation, InvalidRotation, Rotation};

#[doc(inline)]
pub use token::{
    InvalidPrefix, Issued, Keys, NoRandomness, Prefix, SecretKey, SessionId, Tag, Token, TokenMint,
    WeakKey,
};

#[doc(inline)]
pub use address::{AddressPrivacy, InvalidNetwork, Network};
#[doc(inline)]
pub use client::{Client, Difference, InvalidLabel, Label};
#[doc(inline)]
pub use device::{Browser, Device, DeviceHeaders, System};
#[doc(inline)]
pub use proxies::{ForwardedHeader, TrustedProxies};

#[doc(inline)]
pub use change::{Limits, Refusal};
#[doc(inline)]
pub use clock::{Clock, Hands};
#[doc(inline)]
pub use memory::MemoryStore;
#[doc(inline)]
pub use store::{
    Cursor, InvalidUser, Listed, Page, SessionLimit, Store, StoreError, User, WhenFull,
};
