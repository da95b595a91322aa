//! The demo from outside: the whole binary, over HTTP, on memory, in a folder and on a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod demo;
mod tutorial;
mod counting;
mod costs;
mod faults;
mod keys;
mod cookies;
mod input;
mod cross_site;
mod devices;
mod logins;
mod headers;
mod languages;
mod flood;
mod mixing;
mod folder;
mod carry;
mod alike;
mod start;
mod stop;
mod killed;
mod matrix;
mod secrets;
mod sealed;
mod metrics;
mod in_prometheus;
mod by_another_clock;
mod readme;
