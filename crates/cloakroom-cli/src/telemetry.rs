//! The log: to stderr, for people or for programs, in UTC.
//!
//! Neither the demo nor the library puts a token, a cookie, a query or what a visitor typed into
//! it; a path goes through [`crate::guard`], which makes it printable first.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Serve};

pub(crate) fn start(serve: &Serve) {
    // The filter was checked when the command line was read.
    let filter = EnvFilter::builder().parse_lossy(&serve.log);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match serve.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}

/// For a command that speaks for itself: what is wrong, and nothing else. How the server is set up is
/// told by `cloakroom doctor`, and not again by every command.
pub(crate) fn start_quietly() {
    tracing_subscriber::fmt()
        .with_env_filter("warn,cloakroom_redis::start=error")
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
