//! The store against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

mod house;
mod conformance;
mod promises;
mod by_another_clock;
mod layout;
mod golden;
mod trips;
mod damage;
mod faults;
mod stays;
mod processes;
mod records;
mod cancelled;
mod sums;
mod quick;
mod crowd;
