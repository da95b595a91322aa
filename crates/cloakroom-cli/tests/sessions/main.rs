//! `cloakroom sessions` from outside: the whole binary, on a real server and in a folder.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod scene;
mod looking;
mod ending;
mod orphans;
mod cluster;
mod papers;
