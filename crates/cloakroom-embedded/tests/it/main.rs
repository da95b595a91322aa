//! The store on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod house;
mod disk;
mod suites;
mod reopen;
mod refused;
mod full;
mod kill;
