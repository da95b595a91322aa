//! The tutorial of docs/tutorial.md as programs: `cargo run -p examples --bin step1`, and so on to
//! `step4`. Here is what the four have in common: flags, settings from outside, and a look at the
//! server before the first visitor comes.
//!
//! While developing, let the program start anew whenever a file changes: with watchexec
//! (`cargo install --locked watchexec-cli`) by
//! `watchexec --restart --exts rs -- cargo run -p examples --bin step2`. The sessions stay, for
//! from step 2 on they are not in this process.

use std::fmt::Display;
use std::io::Write;
use std::process::exit;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use clap::Parser;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::net::TcpListener;

/// The form that asks who is there. It sends the field `username` to where it came from.
pub const LOGIN_FORM: &str = r#"<!doctype html>
<meta charset="utf-8"><title>Log in</title>
<form method="post">
<p><label>Name <input name="username" required autofocus></label>
<p><button>Log in</button>
</form>
"#;

/// The button that logs out, in step 4.
pub const LOGOUT_FORM: &str = r#"<!doctype html>
<meta charset="utf-8"><title>Log out</title>
<form method="post">
<p><button>Log out</button>
</form>
"#;

/// How long the server may take to answer the first PING.
const PING_WITHIN: Duration = Duration::from_secs(3);

/// A step of the tutorial. Settings from the environment: SECRET_KEY, and from step 2 on REDIS_URL.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Flags {
    /// The address to listen on; other machines can reach 0.0.0.0
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes any that is free
    #[arg(long, env = "PORT", default_value_t = 5000)]
    port: u16,
}

impl Flags {
    /// Reads the command line, or ends the process with what is wrong with it.
    pub fn read() -> Self {
        Self::parse()
    }

    /// Serves until the process is ended.
    pub async fn serve(self, app: Router) {
        let Self { host, port } = self;
        let bound = TcpListener::bind((host.as_str(), port)).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.unwrap_or_else(|error| {
            fail(1, format_args!("can't listen on port {port} of {host}: {error}; try --port 0"))
        });
        let _ = writeln!(std::io::stdout(), "Listening on http://{address} (Ctrl-C ends it)");
        if let Err(error) = axum::serve(listener, app).await {
            fail(1, error);
        }
    }
}

/// What signs or seals the cookies, from SECRET_KEY; without it the process ends with code 2.
pub fn secret_key() -> String {
    let Ok(key) = std::env::var("SECRET_KEY") else {
        fail(
            2,
            "SECRET_KEY is not set. Set it to a secret of your own:\n\n    \
             export SECRET_KEY=$(openssl rand -hex 32)\n",
        )
    };
    if let Err(problem) = cloakroom::SecretKey::new(&key) {
        fail(2, format_args!("SECRET_KEY: {problem}"));
    }
    key
}

/// The server that REDIS_URL names, after it has answered a PING. Without the variable the process
/// ends with code 2, without an answer with code 1, and says what to look at.
pub async fn redis_url() -> String {
    let Ok(url) = std::env::var("REDIS_URL") else {
        fail(
            2,
            "REDIS_URL is not set. Start a server on this machine, and name it:\n\n    \
             docker run --rm --name redis -p 127.0.0.1:6379:6379 redis   (or: redis-server)\n    \
             export REDIS_URL=redis://127.0.0.1:6379\n\n\
             On ElastiCache it is the primary endpoint: rediss://ENDPOINT:6379 with TLS, redis:// \
             without.",
        )
    };
    let client = Client::open(url.as_str()).unwrap_or_else(|error| {
        // The URL may hold a password, so it is not shown.
        let wrong = error.category();
        fail(2, format_args!("REDIS_URL can't be read ({wrong}): it takes redis://HOST:PORT"))
    });
    let server = client.get_connection_info().addr().to_string();
    let ping = async {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PING_WITHIN))
            .set_response_timeout(Some(PING_WITHIN));
        let mut redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("PING").query_async::<String>(&mut redis).await
    };
    if let Err(error) = ping.await {
        fail(
            1,
            format_args!("{server} does not answer PING: {error}\n{}", what_to_look_at(&error)),
        );
    }
    url
}

fn what_to_look_at(error: &RedisError) -> &'static str {
    if error.is_connection_refusal() {
        "Nobody listens there: the server is not running, or has another port."
    } else if error.is_timeout() {
        "Nothing comes back. On ElastiCache: does its security group let this machine in at that \
         port, and is this machine in the same VPC? If encryption in transit is on, the URL begins \
         with rediss://; if it is off, with redis://."
    } else if error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
    {
        "The server wants a user and a password: redis://USER:PASSWORD@HOST:PORT."
    } else {
        "Is the name right? If the server speaks TLS (on ElastiCache: encryption in transit), the \
         URL begins with rediss://; if it doesn't, with redis://."
    }
}

/// A command to the server that failed, as steps 2 and 3 answer it: with 500.
pub fn failed(error: RedisError) -> StatusCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Ends the process: code 2 for a wrong setting, code 1 for everything else.
pub fn fail(code: i32, problem: impl Display) -> ! {
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    exit(code)
}
