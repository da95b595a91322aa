//! The layer around services, on the memory store and on one that fails on purpose.
#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod house;
mod lazy;
mod cookies;
mod faults;
mod several;
mod cross_site;
mod after_the_head;
