//! The steps of the tutorial as a reader runs them: whole binaries, against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod house;
mod walk;
mod holes;
mod start;
mod papers;
mod readme;
#[cfg(feature = "migrating")]
mod migrating;
