//! Calls to the server. One waits as long as its caller has patience and no longer, and nothing is
//! sent twice that can have happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom::store::{Happened, Patience};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError, ServerErrorKind, Value,
};
use tokio::runtime::Handle;

use crate::line::Line;
use crate::wire::{Call, Garbled};

/// How long one attempt to connect takes at most. Requests don't wait for it beyond their patience.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A peer that acknowledges nothing for so long is gone, and the connection is made anew.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// The URL names no server, or there is no runtime to connect with.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    /// The URL can't be read. The message holds nothing of it, for it may hold a password.
    #[error(
        "the store's URL can't be read ({0}): it takes redis://HOST:PORT, rediss://HOST:PORT (TLS) or \
         unix:///PATH, with USER:PASSWORD@ before the host and /DATABASE after the port if need be"
    )]
    Url(String),
    /// `#insecure` would accept any certificate.
    #[error("a URL that ends in #insecure would accept any certificate, and is refused")]
    Insecure,
    /// Connections live in a tokio runtime.
    #[error("a RedisStore is opened inside a tokio runtime, for example in #[tokio::main]")]
    NoRuntime,
}

#[derive(Clone)]
pub(crate) struct Server {
    line: Line,
    /// Without credentials.
    name: String,
}

/// A call that came to nothing.
pub(crate) struct Failure {
    pub(crate) happened: Happened,
    /// The server does not know the script, and has not run it.
    no_script: bool,
    pub(crate) reason: Box<dyn std::error::Error + Send + Sync>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct TooLate(Duration);

impl Server {
    /// Connects at the first call, so that a service starts while its server is away.
    pub(crate) fn open(url: &str) -> Result<Self, InvalidUrl> {
        Handle::try_current().map_err(|_| InvalidUrl::NoRuntime)?;
        let unreadable = |error: RedisError| InvalidUrl::Url(error.category().to_owned());
        let info = url.into_connection_info().map_err(unreadable)?;
        if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() {
            if *insecure {
                return Err(InvalidUrl::Insecure);
            }
            // rustls wants one provider for the process; an application's own choice stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let name = info.addr().to_string();
        // Under RESP3 the client hears at once that the connection broke, and connects anew before
        // the next call needs it.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(TcpSettings::default().set_user_timeout(SILENT_FOR));
        let client = Client::open(info).map_err(unreadable)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            // Our own deadline stands around every call.
            .set_response_timeout(None);
        Ok(Self { line: Line::new(client, config), name })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn call(&self, call: &Call, patience: Patience) -> Result<Value, Failure> {
        let sent = AtomicBool::new(false);
        let answer = async {
            match self.send(&call.command("EVALSHA", call.script.sha()), &sent).await {
                // The server has forgotten the script, so it has not run it. One that was flushed or
                // failed over learns it again in passing.
                Err(failure) if failure.no_script => {
                    self.send(&call.command("EVAL", call.script.text), &sent).await
                }
                other => other,
            }
        };
        within(patience, answer, &sent).await
    }

    pub(crate) async fn ping(&self, patience: Patience) -> Result<(), Failure> {
        self.ask(&redis::cmd("PING"), patience).await.map(drop)
    }

    /// A command that changes nothing.
    pub(crate) async fn ask(&self, command: &Cmd, patience: Patience) -> Result<Value, Failure> {
        let sent = AtomicBool::new(false);
        within(patience, self.send(command, &sent), &sent).await
    }

    /// Notes in `sent` that from now on the command can have happened.
    async fn send(&self, command: &Cmd, sent: &AtomicBool) -> Result<Value, Failure> {
        let mut line = match self.line.connection().await {
            Ok(line) => line,
            Err(error) => return Err(Failure::of(Happened::No, error)),
        };
        sent.store(true, Ordering::SeqCst);
        let answer = line.connection.send_packed_command(command).await;
        answer.and_then(Value::extract_error).map_err(|error| {
            if error.is_unrecoverable_error() || is_of_a_replica(&error) {
                line.forget();
            }
            // An error that the server answered came before the first write: that is how the
            // scripts are ordered.
            let answered = error.code().is_some();
            Failure::of(if answered { Happened::No } else { Happened::Perhaps }, error)
        })
    }
}

/// A primary that became a replica keeps the connection, though its name may lead to the new primary.
fn is_of_a_replica(error: &RedisError) -> bool {
    // Before Redis 7 an error inside a script is a part of another's text.
    let wrapped = |detail: &str| detail.contains("-READONLY ");
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || error.detail().is_some_and(wrapped)
}

impl Failure {
    /// One that was found before anything was sent.
    pub(crate) fn before(reason: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { happened: Happened::No, no_script: false, reason: reason.into() }
    }

    fn of(happened: Happened, error: RedisError) -> Self {
        let no_script = error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        Self { happened, no_script, reason: error.into() }
    }
}

impl Call {
    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(&**argument);
        }
        command
    }
}

async fn within<T>(
    Patience(patience): Patience,
    answer: impl Future<Output = Result<T, Failure>>,
    sent: &AtomicBool,
) -> Result<T, Failure> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let reason = TooLate(patience).into();
            // While there was no connection, nothing was sent.
            let sent = sent.load(Ordering::SeqCst);
            let happened = if sent { Happened::Perhaps } else { Happened::No };
            Err(Failure { happened, no_script: false, reason })
        }
    }
}

impl From<Garbled> for Failure {
    fn from(garbled: Garbled) -> Self {
        Self { happened: Happened::Perhaps, no_script: false, reason: garbled.into() }
    }
}
