//! The promises of the library, over the store in memory.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod suite;
mod events;
mod in_flight;
mod interleavings;
mod patience;
