//! The store on clusters, behind sentinels and over TLS, with real servers. These tests start many
//! processes each, so nextest runs few at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]
#![allow(clippy::print_stdout, reason = "some say what they measured")]

mod house;
mod warnings;
mod cluster;
mod lossy;
mod failover;
mod names;
mod durable;
mod credentials;
mod tls;
mod suites;
mod start;
