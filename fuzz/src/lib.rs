//! What strangers can send, and what a store can hold, thrown at the code that reads it.
//!
//! A target takes any bytes and panics where a promise is broken. Most compare with a second reading of
//! the same text, written differently and from the standard; "it does not crash" is the least of it.
//!
//! The folder `corpus` has inputs for each: seeds, and what once broke something. `cargo xtask test`
//! runs all of them; `cargo xtask fuzz` lets libFuzzer make more.

// A panic is how a target reports.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target reports by panicking")]

mod house;
mod cookie;
mod token;
mod reply;
mod record;
mod field;
mod name;
mod url;
mod flags;
mod forwarded;
mod device;
mod language;

/// A target, by the name of its folder in `corpus`.
#[derive(Debug)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// Reads what a stranger sent; panics where a promise is broken.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 11] = [
    Target { name: "cookie", run: cookie::run },
    Target { name: "token", run: token::run },
    Target { name: "reply", run: reply::run },
    Target { name: "record", run: record::run },
    Target { name: "field", run: field::run },
    Target { name: "name", run: name::run },
    Target { name: "url", run: url::run },
    Target { name: "flags", run: flags::run },
    Target { name: "forwarded", run: forwarded::run },
    Target { name: "device", run: device::run },
    Target { name: "language", run: language::run },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
