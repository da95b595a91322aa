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
//! | change a default | [`Settings`], [`CookieSettings`] |
//! | carry sessions in and out of a framework | [`Manager`] |
//! | keep sessions somewhere else | [`store`], and the conformance suite in `testing` |
//! | know what can fail, and with which status | [`SessionError`] |
//! | test an application | `testing::Visitor` |
//!
//! What every store keeps: no update is lost, no session that ended comes back, a page costs one
//! round trip, and a store that is away never makes a visitor anonymous. See
//! [`store`] for the rules and [`Session`] for the costs.

pub mod token;
pub mod expiry;
pub mod clock;
pub mod address;
pub mod proxies;
pub mod device;
pub mod client;
pub mod field;
pub mod change;
pub mod store;
pub mod records;
pub mod engine;
pub mod memory;
pub mod cookie;
pub mod settings;
mod outcome;
mod visit;
pub mod session;
pub mod manager;
pub mod users;
#[cfg(feature = "testing")]
pub mod testing;

pub use manager::{Head, Manager, OpenVisit};
pub use outcome::{LogIn, SessionError};
pub use session::{IfLoggedIn, LoggingIn, Session, UPDATE_TRIES};
pub use users::{Exported, ExportedPage, SessionsOf};

pub use field::{
    Counter, Field, FieldName, InvalidFieldName, Json, Kept, List, NotDecodable, NotEncodable,
    Value,
};

pub use cookie::{CookieSettings, InvalidCookieName, SameSite};
pub use settings::Settings;

pub use expiry::{InvalidLifetime, Life, Lifetime, NotALife, Timestamp, Touch};

pub use token::{
    InvalidPrefix, Issued, Keys, NoRandomness, Prefix, SecretKey, SessionId, Tag, Token, TokenMint,
    WeakKey,
};

pub use address::{AddressPrivacy, InvalidNetwork, Network};
pub use client::{Client, InvalidLabel, Label};
pub use device::{Browser, Device, DeviceHeaders, System};
pub use proxies::{ForwardedHeader, TrustedProxies};

pub use change::{Limits, Refusal};
pub use clock::{Clock, Hands};
pub use memory::MemoryStore;
pub use store::{
    Cursor, InvalidUser, Listed, Page, SessionLimit, Store, StoreError, User, WhenFull,
};
