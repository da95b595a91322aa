//! The store against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod conformance;
mod layout;
