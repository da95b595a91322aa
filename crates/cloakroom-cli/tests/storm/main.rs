//! One fault each, caused under 16 visitors at two instances of the demo and healed again: what the
//! visitors were told is compared with what is stored. `docs/faults.md` is the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod stage;
mod visitor;
mod storm;
mod server;
mod network;
mod deployments;
mod application;
