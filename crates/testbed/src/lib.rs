//! What Cloakroom's own tests stand on: real servers, a lossy network, and an HTTP client that may
//! misbehave. Never published.
//!
//! | room | what it gives |
//! |---|---|
//! | [`server`] | [`Server`]: a real Redis or Valkey that can be stopped, killed, restarted and looked into |
//! | [`cluster`] | [`Cluster`]: three primaries and three replicas, slots that move |
//! | [`sentinel`] | [`Sentinels`]: a primary, its replica and three sentinels |
//! | [`clock`] | [`ByAnotherClock`]: a server whose clock steps |
//! | `tls` | `Secured`: a server that speaks TLS, and an `Authority` that signs its certificate |
//! | [`proxy`] | [`Proxy`]: the network between a client and that server, with switches for what goes wrong |
//! | [`hosts`] | [`Hosts`]: a test with an `/etc/hosts` of its own |
//! | [`http`] | [`Request`] and [`Response`]: HTTP/1.1 byte by byte; [`Browser`]: the same with a cookie [`Jar`] |
//! | [`process`] | [`Program`]: a binary under test, such as the demo |
//! | [`chromium`] | [`Chromium`]: a real browser, headless |
//! | [`child`] | [`eventually`], and how every process started here also ends here |
//! | [`shell`] | [`Shell`]: plays the commands that a paper shows, and compares; [`papers`] finds them |
//! | `schedules` | a scene under a model checker of threads, in the models only |
//! | [`resp`] | [`Reply`], and the protocol of Redis as far as the rooms above need it |
//!
//! Everything blocks and nothing depends on an async runtime, so the tests of every crate can use it.
//! Inside a runtime, call it from a thread that may block.
//!
//! ```no_run
//! use testbed::{Proxy, Server};
//!
//! let server = Server::start();
//! let proxy = Proxy::to(server.port());
//! server.command(&["SET", "cloak", "red"]);
//!
//! let monitor = server.client_commands();
//! // ... let the code under test speak to `proxy.url()` ...
//! proxy.drop_replies();
//! // ... what it sends is applied now, and it never hears of it ...
//! assert_eq!(monitor.finish().len(), 1);
//! assert_eq!(server.command(&["GET", "cloak"]).text(), "red");
//! ```

// A panic is how test support reports: there is no caller who could do better with an error.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod child;
pub mod resp;
pub mod server;
pub mod cluster;
pub mod sentinel;
pub mod clock;
#[cfg(feature = "tls")]
pub mod tls;
pub mod proxy;
pub mod hosts;
pub mod http;
pub mod process;
pub mod chromium;
pub mod papers;
pub mod shell;
#[cfg(shuttle)]
pub mod schedules;

pub use child::eventually;
pub use chromium::{Chromium, Scripts, Setup};
pub use clock::ByAnotherClock;
pub use cluster::Cluster;
pub use hosts::Hosts;
pub use http::{Browser, Jar, Request, Response, SetCookie};
pub use process::Program;
pub use proxy::Proxy;
pub use resp::Reply;
pub use sentinel::Sentinels;
pub use server::{Monitor, Server};
pub use shell::Shell;
