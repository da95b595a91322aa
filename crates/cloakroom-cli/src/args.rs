//! What can be set, by flag and by environment.
//!
//! 1. A flag counts before its variable, and that before the default.
//! 2. Secrets have no flag: the arguments of a process are public on most systems.
//! 3. The store's URL may hold a password, so it is never shown: not in `--help`, not in an error.
//! 4. An empty variable is a mistake, not a default: who meant to name a store must not get one
//!    in memory.

// Said in full, for the fuzz target of the flags compiles this file from elsewhere.
#[path = "args/sessions.rs"]
mod sessions;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use cloakroom::{Label, Prefix, TrustedProxies};
use tracing_subscriber::EnvFilter;

pub(crate) use sessions::{Place, Revoke, Sessions, SessionsCommand};

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
    /// Look after the sessions in a folder, and carry them to Redis and back
    #[command(subcommand)]
    Store(StoreCommand),
    /// Examine a store step by step: what is wrong, and what to do about it
    #[command(after_help = AFTER_DOCTOR)]
    Doctor(Doctor),
    /// Look at the sessions of any store, and end them
    Sessions(Sessions),
    /// Write what a shell needs to complete this program's commands and flags
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the page of the manual, for example for `man -l`
    Man,
}

const AFTER_STORE_HELP: &str = "\
Exit codes:
  0  it is done
  1  it could not be done, or not to the end: the folder is in use or damaged, Redis is away
  2  a flag or a variable is wrong";

const AFTER_CARRY_HELP: &str = "\
Stop what serves from the one store before, and start it on the other after. For cookies to stay valid,
that takes the same key and the same --prefix: without SECRET_KEY the key is in the file `secret-key`
of the folder.

What is there already stays as it is, and what ended there stays ended: it can be repeated.

Exit codes:
  0  every live session is there
  1  it could not be done, or not to the end: the folder is in use or damaged, Redis is away
  2  a flag or a variable is wrong, or the sessions are of another prefix

Examples:
  cloakroom store export --data ./sessions --to redis://127.0.0.1:6379 --set-aside
  cloakroom store import --data ./sessions --from redis://127.0.0.1:6379";

/// What `cloakroom store` does.
#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Check every checksum of the file, and count what it holds
    #[command(after_help = AFTER_STORE_HELP)]
    Check(Data),
    /// Remove from the file what has expired, and give its room back to the system
    #[command(after_help = AFTER_STORE_HELP)]
    Compact(Data),
    /// Carry every live session from the folder to Redis
    #[command(after_help = AFTER_CARRY_HELP)]
    Export {
        /// redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH; with a password, safer in
        /// REDIS_URL
        #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "STORE")]
        to: String,
        /// Rename the file of the folder when all of it is carried over, so that nobody serves from
        /// it by mistake: what ends in Redis from now on would be alive in it
        #[arg(long)]
        set_aside: bool,
        #[command(flatten)]
        carry: Carry,
    },
    /// Carry every live session from Redis to the folder
    #[command(after_help = AFTER_CARRY_HELP)]
    Import {
        /// redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH; with a password, safer in
        /// REDIS_URL
        #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "STORE")]
        from: String,
        #[command(flatten)]
        carry: Carry,
    },
}

/// Which folder.
#[derive(Args)]
pub(crate) struct Data {
    /// The folder of the sessions [default: cloakroom in your state folder, on Linux
    /// ~/.local/state]
    #[arg(long, env = "CLOAKROOM_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// How sessions are carried.
#[derive(Args)]
pub(crate) struct Carry {
    #[command(flatten)]
    pub(crate) data: Data,

    /// The prefix that the sessions were made under, and go on under
    #[arg(long, env = "CLOAKROOM_PREFIX", default_value = "cloakroom-demo")]
    #[arg(value_parser = |text: &str| Prefix::new(text))]
    pub(crate) prefix: Prefix,

    /// Go on where an earlier run was interrupted, if nobody has served from either store since.
    /// Without it all is gone over again, which takes longer and misses nothing
    #[arg(long)]
    pub(crate) resume: bool,
}

/// The settings of `cloakroom doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// The store: redis://HOST:PORT, rediss://HOST:PORT (TLS), redis+cluster://HOST:PORT,HOST:PORT,
    /// redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY or unix:///PATH [default: REDIS_URL; without it
    /// the folder --data]
    ///
    /// With USER:PASSWORD@ before the hosts and /DATABASE at the end if need be. A URL with a password
    /// belongs into REDIS_URL: other users of the machine can see arguments.
    pub(crate) url: Option<String>,

    /// The folder of the embedded store to examine, if there is no URL [default: as for `serve`]
    #[arg(long, env = "CLOAKROOM_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The prefix under which the rehearsal makes its sessions, for a user who may touch certain keys
    /// only [default: a random one that begins with doctor-]
    #[arg(long, env = "CLOAKROOM_PREFIX")]
    #[arg(value_parser = |text: &str| Prefix::new(text))]
    pub(crate) prefix: Option<Prefix>,

    /// The certificates of the authorities to trust, in PEM, in place of the system's; for a service,
    /// RedisSettings::tls or SSL_CERT_FILE
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
    /// A cluster is redis+cluster://HOST:PORT,HOST:PORT, a primary behind sentinels
    /// redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY. With USER:PASSWORD@ before the host and
    /// /DATABASE after the port if need be. A URL with a password is safer in REDIS_URL than in a
    /// flag, which other users of the machine can see.
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

    /// A new cookie for every session so often; the one before is good for --rotate-grace more, and
    /// who uses it after that, while somebody else has the new one, ends the session: it was copied
    /// [default: never]
    #[arg(long, env = "CLOAKROOM_ROTATE_EVERY", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME")]
    pub(crate) rotate_every: Option<Duration>,

    /// How long a cookie is good for after the next one was handed out, for requests on their way
    /// [default: 1m, or less if --rotate-every is less]
    #[arg(long, env = "CLOAKROOM_ROTATE_GRACE", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME", requires = "rotate_every")]
    pub(crate) rotate_grace: Option<Duration>,

    /// How long a request waits for the store, all its calls together; then it is answered 503
    #[arg(long, env = "CLOAKROOM_PATIENCE", value_parser = patience, default_value = "250ms")]
    #[arg(value_name = "TIME")]
    pub(crate) patience: Duration,

    #[command(flatten)]
    pub(crate) logins: Logins,

    /// How the cookie travels
    #[arg(long, env = "CLOAKROOM_COOKIE", value_enum, default_value_t = Cookie::Secure)]
    pub(crate) cookie: Cookie,

    /// The address at which Prometheus finds /metrics, apart from visitors, for example
    /// 127.0.0.1:9090 [default: nowhere]
    #[arg(long, env = "CLOAKROOM_METRICS", value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How the log is written, to stderr
    #[arg(long, env = "CLOAKROOM_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or one for each part of the program,
    /// for example warn,cloakroom=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    #[arg(value_parser = |text: &str| EnvFilter::builder().parse(text).map(|_| text.to_owned()))]
    pub(crate) log: String,
}

/// The settings of a login.
#[derive(Args)]
pub(crate) struct Logins {
    /// A session that is to be remembered ends when nobody has used it for so long
    /// [default: 7d, or less if --remember-absolute is less]
    #[arg(long, env = "CLOAKROOM_REMEMBER_IDLE", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME")]
    pub(crate) remember_idle: Option<Duration>,

    /// A session that is to be remembered ends so long after the login [default: 30d]
    #[arg(long, env = "CLOAKROOM_REMEMBER_ABSOLUTE", value_parser = humantime::parse_duration)]
    #[arg(value_name = "TIME")]
    pub(crate) remember_absolute: Option<Duration>,

    /// How many sessions a user may have at once [default: any number]
    #[arg(long, env = "CLOAKROOM_SESSIONS_PER_USER", value_name = "NUMBER")]
    pub(crate) sessions_per_user: Option<NonZeroU32>,

    /// What a login does when its user has as many as that
    #[arg(long, env = "CLOAKROOM_WHEN_FULL", value_enum, default_value_t = Full::EndOldest)]
    #[arg(requires = "sessions_per_user")]
    pub(crate) when_full: Full,

    /// The proxies that may say for whom they ask, by X-Forwarded-For: addresses and networks parted
    /// by commas, for example 10.0.0.0/8,127.0.0.1 [default: none]
    #[arg(long, env = "CLOAKROOM_TRUST_PROXY", value_name = "NETWORKS")]
    #[arg(value_parser = proxies)]
    pub(crate) trust_proxy: Option<TrustedProxies>,

    /// How much of a visitor's network address a session keeps
    #[arg(long, env = "CLOAKROOM_ADDRESSES", value_enum, default_value_t = Addresses::Truncated)]
    pub(crate) addresses: Addresses,

    /// What the list of devices calls this application, where several share their sessions:
    /// a-z 0-9 . _ - [default: nothing]
    #[arg(long, env = "CLOAKROOM_LABEL", value_parser = |text: &str| Label::new(text))]
    pub(crate) label: Option<Label>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Full {
    /// Ends the session with the least life left
    EndOldest,
    /// Is refused
    Refuse,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Addresses {
    /// All of it
    Full,
    /// The first 24 bits of an IPv4 address, the first 48 of an IPv6 one
    Truncated,
    /// Nothing
    None,
}

fn patience(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("no store answers within no time; 250ms is usual".into()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

fn proxies(text: &str) -> Result<TrustedProxies, String> {
    if text.trim().is_empty() {
        return Err("it takes addresses and networks, like 10.0.0.0/8,127.0.0.1; leave it out to \
                    trust nobody"
            .into());
    }
    text.parse().map_err(|error: cloakroom::InvalidNetwork| error.to_string())
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
    read(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// What these words mean, the program's name first.
pub(crate) fn read(
    words: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let Cli { command, serve } =
        Cli::try_parse_from(&words).map_err(|error| without_password(error, &words))?;
    Ok(command.unwrap_or(Command::Serve(serve)))
}

/// A URL with a password in the place of something else would be repeated, whole or cut short.
fn without_password(error: clap::Error, words: &[OsString]) -> clap::Error {
    let said = error.to_string();
    let repeated = words.iter().filter_map(|word| word.to_str()).any(|word| {
        word.split_once("://").is_some_and(|(before, rest)| {
            let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next();
            let user: String = rest.chars().take(1).collect();
            rest.contains('@') && said.contains(&format!("{}://{user}", scheme.unwrap_or_default()))
        })
    });
    if !repeated {
        return error;
    }
    Cli::command().error(
        error.kind(),
        "a URL with a password stands where none belongs, and is not repeated here: it belongs \
         into REDIS_URL, or behind --store",
    )
}

/// Writes the completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cloakroom", &mut written);
    written
}

/// Writes the page of the manual: the program, and then each of its commands.
pub(crate) fn man() -> io::Result<Vec<u8>> {
    let mut program = Cli::command();
    program.build();
    let mut written = Vec::new();
    clap_mangen::Man::new(program.clone()).render(&mut written)?;
    let mut commands: Vec<_> = program.get_subcommands().cloned().collect();
    while !commands.is_empty() {
        let command = commands.remove(0);
        if command.get_name() == "help" {
            continue;
        }
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
        writeln!(written, ".SH {name}")?;
        let page = clap_mangen::Man::new(command.clone());
        page.render_synopsis_section(&mut written)?;
        page.render_description_section(&mut written)?;
        page.render_options_section(&mut written)?;
        let further = command.get_subcommands().cloned();
        commands.splice(0..0, further);
    }
    Ok(written)
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
            let Command::Serve(serve) = read(args).unwrap() else { panic!("{args:?}") };
            assert_eq!(serve.port, 0, "{args:?}");
        }
    }
}
