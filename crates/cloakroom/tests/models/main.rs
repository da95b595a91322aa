//! What threads do at once, under a model checker that decides whose turn it is: `cargo xtask models`.

#![cfg(shuttle)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod engine;
mod visits;
