//! What can be set, by flag and by environment.
//!
//! 1. A flag counts before its variable, and that before the default.
//! 2. Secrets have no flag: the arguments of a process are public on most systems.
//! 3. The store's URL may hold a password, so it is never shown: not in `--help`, not in an error.
//! 4. An empty variable is a mistake, not a default: who meant to name a store must not get one
//!    in memory.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use cloakroom::Prefix;
use tracing_subscriber::EnvFilter;

/// The variables that hold secrets.
pub(crate) const SECRET_KEY: &str = "SECRET_KEY";
pub(crate) const SECRET_KEY_FALLBACKS: &str = "SECRET_KEY_FALLBACKS";

const AFTER_HELP: &str = "\
Secrets, by environment only:
  SECRET_KEY            Seals the cookies. At least 32 bytes without comma or space, as
                        `openssl rand -hex 32` makes them. Without it one is made and kept
                        beside the sessions; with --store, where nothing is kept here, a random
                        one is taken: cookies end with the process
  SECRET_KEY_FALLBACKS  Former keys, separated by commas: their cookies go on working

Exit codes:
  0  it was asked to stop (SIGTERM, Ctrl-C)
  1  it could not start or go on, for example because the port is in use
  2  a flag or a variable is wrong

Examples:
  cloakroom serve
  cloakroom serve --data ./sessions
  cloakroom serve --store redis://127.0.0.1:6379 --idle 10s";

const AFTER_DOCTOR: &str = "\
It changes nothing but under the prefix of its rehearsal, and removes what it made there. What comes
after a failure is not tried. NO_COLOR turns colours off.

Exit codes:
  0  it works; there may be notes
  1  a failure
  2  a flag, a variable or the URL is wrong
  3  it works, with warnings

Examples:
  cloakroom doctor redis://127.0.0.1:6379
  REDIS_URL=rediss://shop:secret@cache.example:6379 cloakroom doctor --prefix shop --json
  cloakroom doctor --data ./sessions";

/// Server-side sessions for Rust web services.
#[derive(Parser)]
#[command(name = "cloakroom", version, args_conflicts_with_subcommands = true)]
#[command(after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Without a command, `serve` is meant.
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the demo: log in, be counted, log out
    #[command(after_help = AFTER_HELP)]
    Serve(Serve),
    /// Examine a store step by step: what is wrong, and what to do about it
    #[command(after_help = AFTER_DOCTOR)]
    Doctor(Doctor),
}

/// The settings of `cloakroom doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// The server: redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH [default: REDIS_URL;
    /// without it the folder --data]
    ///
    /// With USER:PASSWORD@ before the host and /DATABASE after the port if need be. A URL with a
    /// password belongs into REDIS_URL: other users of the machine can see arguments.
    pub(crate) url: Option<String>,

    /// The folder of the embedded store to examine, if there is no URL [default: as for `serve`]
    #[arg(long, env = "CLOAKROOM_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The prefix under which the rehearsal makes its sessions, for a user who may touch certain keys
    /// only [default: a random one that begins with doctor-]
    #[arg(long, env = "CLOAKROOM_PREFIX")]
    #[arg(value_parser = |text: &str| Prefix::new(text))]
    pub(crate) prefix: Option<Prefix>,

    /// The certificates of the authorities to trust, in PEM, in place of the system's; the same as
    /// setting SSL_CERT_FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// How long each step may wait for the server
    #[arg(long, value_parser = humantime::parse_duration, default_value = "3s")]
    #[arg(value_name = "TIME")]
    pub(crate) timeout: Duration,

    /// The language [default: from LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Lang>,

    /// For programs: one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Lang {
    /// English
    En,
    /// Japanese
    Ja,
}

/// The settings of `cloakroom serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// The address to listen on; other machines can reach 0.0.0.0
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// The port to listen on; 0 takes any that is free
    #[arg(long, env = "PORT", default_value_t = 5000)]
    pub(crate) port: u16,

    /// Where sessions are kept: `memory` (nothing outlives the process), redis://HOST:PORT,
    /// rediss://HOST:PORT (TLS) or unix:///PATH [default: files in the folder --data]
    ///
    /// With USER:PASSWORD@ before the host and /DATABASE after the port if need be. A URL with a
    /// password is safer in REDIS_URL than in a flag, which other users of the machine can see.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "STORE")]
    pub(crate) store: Option<String>,

    /// The folder in which sessions and the key of the cookies are kept, readable by you alone, and
    /// for one process at a time; not used with --store [default: cloakroom in your state folder,
    /// on Linux ~/.local/state]
    #[arg(long, env = "CLOAKROOM_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// What keeps this application's keys apart from others in the store: a-z 0-9 . _ -
    #[arg(long, env = "CLOAKROOM_PREFIX", default_value = "cloakroom-demo")]
    #[arg(value_parser = |text: &str| Prefix::new(text))]
    pub(crate) prefix: Prefix,

    /// A session ends when nobody has used it for so long, for example 10s, 5m or 1h 30m
    /// [default: 30m, or less if --absolute is less]
    #[arg(long, env = "CLOAKROOM_IDLE", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME")]
    pub(crate) idle: Option<Duration>,

    /// A session ends so long after the login, however much it is used [default: 8h]
    #[arg(long, env = "CLOAKROOM_ABSOLUTE", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME")]
    pub(crate) absolute: Option<Duration>,

    /// How the cookie travels
    #[arg(long, env = "CLOAKROOM_COOKIE", value_enum, default_value_t = Cookie::Secure)]
    pub(crate) cookie: Cookie,

    /// How the log is written, to stderr
    #[arg(long, env = "CLOAKROOM_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or one for each part of the program,
    /// for example warn,cloakroom=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    #[arg(value_parser = |text: &str| EnvFilter::builder().parse(text).map(|_| text.to_owned()))]
    pub(crate) log: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Cookie {
    /// Over https, and to this machine. Chrome, Edge and Firefox take it from
    /// http://127.0.0.1 and http://localhost; Safari doesn't
    Secure,
    /// Over plain http too, where anyone on the way can read it. For Safari on this machine,
    /// and for nothing else
    InsecurePlainHttp,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// For programs: an object a line
    Json,
}

/// Reads the command line, or ends the process: with what was asked for, or with code 2 and what is
/// wrong.
pub(crate) fn parse() -> Command {
    let Cli { command, serve } = Cli::parse();
    command.unwrap_or(Command::Serve(serve))
}

/// Ends the process as a wrong flag does, for what can only be judged later.
pub(crate) fn refuse(problem: impl Display) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, problem).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_work_with_and_without_the_command() {
        for args in [&["cloakroom", "--port", "0"][..], &["cloakroom", "serve", "--port", "0"]] {
            let Cli { command, serve } = Cli::try_parse_from(args).unwrap();
            let Command::Serve(serve) = command.unwrap_or(Command::Serve(serve)) else {
                panic!("{args:?}")
            };
            assert_eq!(serve.port, 0, "{args:?}");
        }
    }
}
