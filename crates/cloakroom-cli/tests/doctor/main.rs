//! `cloakroom doctor`: one test a verdict, each against a server that was put into that state.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod run;
mod network;
mod tls;
mod login;
mod state;
mod permissions;
mod rehearsal;
mod deployments;
mod folder;
mod page;
