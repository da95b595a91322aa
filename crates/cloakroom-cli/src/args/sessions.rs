//! What `cloakroom sessions` takes.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use cloakroom::{Prefix, SessionId, User};

const AFTER_HELP: &str = "\
Exit codes:
  0  it is done
  1  the store failed, or can't be reached, or its folder is in use
  2  a flag or a variable is wrong, or a question could not be asked: then --yes is missing
  3  there is nothing of what was asked for
  4  orphans: something is odd, and was not mended

Examples:
  cloakroom sessions list --user alice
  cloakroom sessions revoke --user alice --store redis://127.0.0.1:6379 --prefix shop
  cloakroom sessions count --json";

/// The settings of `cloakroom sessions`.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Sessions {
    #[command(subcommand)]
    pub(crate) command: SessionsCommand,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Which store, and how its answers are written.
#[derive(Args)]
pub(crate) struct Place {
    /// The store: redis://HOST:PORT, rediss://HOST:PORT (TLS), redis+cluster://HOST:PORT,HOST:PORT,
    /// unix:///PATH, or a folder that nobody serves from; a URL with a password is safer in REDIS_URL [default: the folder --data]
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "STORE", global = true)]
    pub(crate) store: Option<String>,

    /// The folder of the sessions, if there is no --store [default: cloakroom in your state folder,
    /// on Linux ~/.local/state]
    #[arg(long, env = "CLOAKROOM_DATA", value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,

    /// The prefix of the application whose sessions are meant
    #[arg(long, env = "CLOAKROOM_PREFIX", default_value = "cloakroom-demo", global = true)]
    #[arg(value_parser = |text: &str| Prefix::new(text))]
    pub(crate) prefix: Prefix,

    /// Write for programs: an object a line, times in milliseconds since 1970
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What `cloakroom sessions` does.
#[derive(Subcommand)]
pub(crate) enum SessionsCommand {
    /// List the sessions of a user, the one with the most life left first
    #[command(after_help = AFTER_HELP)]
    List {
        /// Whose sessions
        #[arg(long, value_name = "USER", value_parser = |text: &str| User::new(text))]
        user: User,
    },
    /// Show one session, without using it: nothing is renewed
    #[command(after_help = AFTER_HELP)]
    Show {
        /// The id, as `list` writes it
        #[arg(value_name = "ID", value_parser = id)]
        id: SessionId,
        /// Show what the application keeps in its fields, and not only their names and sizes
        #[arg(long)]
        values: bool,
    },
    /// End one session, those of a user, or all of them
    #[command(after_help = AFTER_HELP)]
    Revoke(Revoke),
    /// Count the live sessions of a user, or all of them
    #[command(after_help = AFTER_HELP)]
    Count {
        /// Whose sessions; without it all are walked over
        #[arg(long, value_name = "USER", value_parser = |text: &str| User::new(text))]
        user: Option<User>,
    },
    /// Count all live sessions again and again: how many, and how many logged in and ended since
    #[command(after_help = AFTER_HELP)]
    Watch {
        /// How long to rest between two walks over all sessions
        #[arg(long, default_value = "5s", value_name = "TIME")]
        #[arg(value_parser = humantime::parse_duration)]
        every: Duration,
        /// How often; without it until Ctrl-C
        #[arg(long, value_name = "N")]
        times: Option<NonZeroU64>,
    },
    /// Look on a server for what should not be there: keys without a time to live, sessions in no
    /// index, sessions bigger than they should be
    #[command(after_help = AFTER_HELP)]
    Orphans {
        /// Give each key that has no time to live one, as long as it can be of any use
        #[arg(long)]
        fix: bool,
    },
}

/// Which sessions end.
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "user", "all"]))]
pub(crate) struct Revoke {
    /// One session, by its id as `list` writes it
    #[arg(value_name = "ID", value_parser = id)]
    pub(crate) id: Option<SessionId>,
    /// Every session of this user, in one step
    #[arg(long, value_name = "USER", value_parser = |text: &str| User::new(text))]
    pub(crate) user: Option<User>,
    /// But this one, which has to be alive
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with_all = ["id", "all"])]
    pub(crate) except: Option<SessionId>,
    /// Every session of everybody that exists when it starts; who logs in meanwhile stays
    #[arg(long)]
    pub(crate) all: bool,
    /// Say what would end, and end nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Don't ask before more than one session ends
    #[arg(long)]
    pub(crate) yes: bool,
}

fn id(text: &str) -> Result<SessionId, &'static str> {
    SessionId::from_full(text).ok_or(
        "that is no id of a session: it looks like u<22 letters>.<43 letters>, as `cloakroom sessions \
         list --user USER` writes it; the token of a cookie is none",
    )
}
