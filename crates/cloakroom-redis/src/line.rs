//! The line to a server: one connection that all requests share, made at the first use and anew
//! when it has broken.
//!
//! The client crate has a connection manager of its own. It can't tell a caller whether a command
//! failed before or after there was a connection, and we must: what was never sent is known not to
//! have happened.

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::SockRef;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisError, Value,
};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::gather::{Gathering, OneMore, Waiting};
use crate::lookup;
use crate::meters::Meters;
use crate::settings::{Backoff, Credentials};
use crate::start::{Survey, Who};

/// A peer that acknowledges or answers nothing for so long is gone, and the connection is made anew.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// How many requests can leave together, and how many bytes before they are written.
const TOGETHER: usize = 1024;
const BYTES_TOGETHER: usize = 64 * 1024;

/// How lines to the servers of one store are made.
#[derive(Clone)]
pub(crate) struct Dial {
    /// Where one of the servers is; others differ in host and port alone.
    pub(crate) like: ConnectionInfo,
    /// Win over those in `like`.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) within: Duration,
    pub(crate) reconnect: Backoff,
    /// How often a name is looked up again.
    pub(crate) look_up_every: Duration,
    /// Whether a server that is no primary is none of ours.
    pub(crate) primaries_only: bool,
    /// What is looked at once, at the first connection; not at a sentinel.
    pub(crate) survey: Option<Arc<Survey>>,
    pub(crate) meters: Arc<Meters>,
}

impl Dial {
    pub(crate) fn to_first(self: &Arc<Self>) -> Line {
        Line::new(Arc::clone(self), self.like.clone())
    }

    pub(crate) fn to(self: &Arc<Self>, host: &str, port: u16) -> Line {
        let host = host.to_owned();
        let addr = match self.like.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Line::new(Arc::clone(self), self.like.clone().set_addr(addr))
    }
}

#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    dial: Arc<Dial>,
    to: ConnectionInfo,
    current: Mutex<Current>,
    /// Another connection to the same server.
    beside: OnceLock<Line>,
}

#[derive(Default)]
struct Current {
    attempt: Option<Attempt>,
    /// Which attempt it is. A number, for whoever held the attempt itself would keep its connection
    /// alive.
    number: u64,
    /// How many attempts have failed since the last that did not.
    failures: u32,
    /// When the last succeeded that did.
    connected_at: Option<Instant>,
    /// How many connections in a row led to the wrong server as soon as they were made.
    misled: u32,
    /// Before that nobody connects.
    rests_until: Option<Instant>,
}

/// One attempt to connect, and what it came to: `None` while it is under way.
type Attempt = watch::Receiver<Option<Result<Arc<Opened>, RedisError>>>;

struct Opened {
    connection: MultiplexedConnection,
    /// Which credentials the server was shown last.
    shown: AtomicU64,
    waiting: Waiting,
    silence: Silence,
    /// At one of these it ends.
    at: Vec<IpAddr>,
    /// What carries the connection, where the client crate doesn't end it by itself.
    _driver: Option<Task>,
    /// What gives it up when the name leads elsewhere.
    _watch: Option<Task>,
}

/// A task that ends with its owner.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Since when requests have gone unanswered; `None` after each answer.
#[derive(Default)]
struct Silence(Mutex<Option<Instant>>);

impl Line {
    fn new(dial: Arc<Dial>, to: ConnectionInfo) -> Self {
        let inner = Inner { dial, to, current: Mutex::default(), beside: OnceLock::new() };
        Self(Arc::new(inner))
    }

    /// Where it leads.
    pub(crate) fn addr(&self) -> &ConnectionAddr {
        self.0.to.addr()
    }

    /// A second line to the same server, for what holds up all that comes behind it.
    pub(crate) fn beside(&self) -> &Self {
        self.0.beside.get_or_init(|| Self::new(Arc::clone(&self.0.dial), self.0.to.clone()))
    }

    /// The connection: the one there is, or a new one. All who wait for a new one wait for the same
    /// attempt, which goes on if they stop waiting. After a failed attempt the next caller makes
    /// another, which begins after a rest; so the first call after the server's return succeeds.
    pub(crate) async fn connection(&self) -> Result<Connection, RedisError> {
        let (mut attempt, number) = match self.attempt() {
            Found::Open(opened, number) => return Ok(self.over(opened, number)),
            Found::Attempt(attempt, number) => (attempt, number),
        };
        // The task that holds the other end always sends; if the runtime ended it, nobody is left.
        let came_to = match Box::pin(attempt.wait_for(Option::is_some)).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        };
        match came_to {
            Some(Ok(opened)) => Ok(self.over(opened, number)),
            Some(Err(error)) => Err(error),
            None => Err(RedisError::from(std::io::Error::other("the runtime is shutting down"))),
        }
    }

    fn over(&self, opened: Arc<Opened>, number: u64) -> Connection {
        self.show_new_credentials(&opened);
        Connection { opened, number, line: self.clone() }
    }

    fn attempt(&self) -> Found {
        let mut current = self.lock();
        let number = current.number;
        if let Some(attempt) = &current.attempt {
            match &*attempt.borrow() {
                Some(Ok(opened)) => return Found::Open(Arc::clone(opened), number),
                // Its task may have ended without a word, as when its runtime was shut down.
                None if attempt.has_changed().is_ok() => {
                    return Found::Attempt(attempt.clone(), number);
                }
                None | Some(Err(_)) => {}
            }
        }
        current.number += 1;
        let attempt = self.connect(current.number, current.rests_until);
        current.attempt = Some(attempt.clone());
        Found::Attempt(attempt, current.number)
    }

    fn connect(&self, number: u64, rests_until: Option<Instant>) -> Attempt {
        let (sender, attempt) = watch::channel(None);
        // Weakly: the connection must not keep alive what keeps the connection.
        let line = Arc::downgrade(&self.0);
        let (dial, to) = (Arc::clone(&self.0.dial), self.0.to.clone());
        tokio::spawn(async move {
            if let Some(until) = rests_until {
                tokio::time::sleep_until(until).await;
            }
            // A broken connection is forgotten when it breaks, not when the next request finds out.
            let config = AsyncConnectionConfig::new().set_push_sender({
                let line = line.clone();
                move |push: PushInfo| {
                    if push.kind == PushKind::Disconnection
                        && let Some(line) = line.upgrade()
                    {
                        Self(line).forget(number);
                    }
                    Ok::<(), std::convert::Infallible>(())
                }
            });
            let opened = tokio::time::timeout(dial.within, dial.open(to, config)).await;
            let opened = opened
                .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
            if let Err(error) = &opened {
                tracing::debug!(event = "not_connected", %error, "could not connect to the store");
            }
            let opened = opened.map(|mut opened| {
                opened._watch = watch(line.clone(), number, &opened.at);
                Arc::new(opened)
            });
            if let Some(line) = line.upgrade() {
                Self(line).tried(opened.is_ok());
            }
            sender.send_replace(Some(opened));
        });
        attempt
    }

    fn tried(&self, succeeded: bool) {
        let meters = &self.0.dial.meters;
        let mut current = self.lock();
        if succeeded {
            meters.connected(current.connected_at.replace(Instant::now()).is_some());
        } else {
            meters.not_connected();
        }
        current.failures = if succeeded { 0 } else { current.failures.saturating_add(1) };
        let rest = self.0.dial.reconnect.rest(current.failures);
        current.rests_until = (!succeeded).then(|| Instant::now() + rest);
    }

    /// Tells a connection that there are new credentials. What is under way goes on with the old.
    fn show_new_credentials(&self, opened: &Opened) {
        let Some(credentials) = &self.0.dial.credentials else { return };
        let newest = credentials.version();
        if opened.shown.swap(newest, Ordering::SeqCst) == newest {
            return;
        }
        let (login, mut connection) = (credentials.now(), opened.connection.clone());
        tokio::spawn(async move {
            let mut command = redis::cmd("AUTH");
            command.arg(login.user).arg(login.password);
            let answer = connection.send_packed_command(&command).await;
            if let Err(error) = answer.and_then(Value::extract_error) {
                tracing::warn!(event = "credentials_refused", %error, "the store refused the new credentials; its connection goes on with the old");
            }
        });
    }

    fn forget(&self, broken: u64) {
        let mut current = self.lock();
        if current.number == broken {
            current.attempt = None;
        }
    }

    /// The connection led to a server that is none of ours. Where the next leads is seen at once; if
    /// that is the same again, after rests as between failed attempts.
    fn misled(&self, number: u64) {
        let mut current = self.lock();
        if current.number == number {
            let reconnect = self.0.dial.reconnect;
            let is_young = |at: Instant| at.elapsed() < reconnect.at_most;
            let again = current.connected_at.is_some_and(is_young);
            current.misled = if again { current.misled.saturating_add(1) } else { 0 };
            current.rests_until = again.then(|| Instant::now() + reconnect.rest(current.misled));
            current.attempt = None;
        }
    }

    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dial {
    async fn open(
        &self,
        to: ConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Opened, RedisError> {
        // Under RESP3 the client hears at once that the connection broke, and connects anew before
        // the next call needs it.
        let mut settings = to.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let mut shown = 0;
        if let Some(credentials) = &self.credentials {
            let login = credentials.now();
            shown = login.version;
            settings = settings.set_username(&login.user).set_password(&login.password);
        }
        let who = match settings.username() {
            None | Some("default") => Who::Default,
            Some(_) => Who::Named,
        };
        // Our own deadlines stand around every connect and every call.
        let config = config
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(TOGETHER)
            .set_write_backpressure_boundary(BYTES_TOGETHER);
        let waiting = Waiting::default();
        let (mut connection, driver, at) = match to.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = reach(host, *port).await?;
                let at = vec![stream.peer_addr()?.ip()];
                let (connection, driver) =
                    gathering(stream, &settings, config, waiting.clone()).await?;
                (connection, Some(driver), at)
            }
            addr => {
                // The client crate does not say which of them it took.
                let at = match addr {
                    ConnectionAddr::TcpTls { host, port, .. } => {
                        lookup::addresses(host, *port).await?.iter().map(|at| at.ip()).collect()
                    }
                    _ => Vec::new(),
                };
                let tcp = TcpSettings::default().set_user_timeout(SILENT_FOR);
                let client = Client::open(to.set_redis_settings(settings).set_tcp_settings(tcp))?;
                (client.get_multiplexed_async_connection_with_config(&config).await?, None, at)
            }
        };
        if self.primaries_only {
            let role = connection.send_packed_command(&redis::cmd("ROLE")).await?;
            if !is_primary(&role.extract_error()?) {
                return Err(std::io::Error::other("the server is a replica").into());
            }
        }
        if let Some(survey) = &self.survey {
            survey.once(&mut connection, who).await;
        }
        let (shown, silence) = (AtomicU64::new(shown), Silence::default());
        Ok(Opened { connection, shown, waiting, silence, at, _driver: driver, _watch: None })
    }
}

/// The first of the host's addresses that answers.
async fn reach(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup::addresses(host, port).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut failure = std::io::Error::other("the runtime is shutting down");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// The client crate's connection over a stream that gathers.
async fn gathering(
    stream: TcpStream,
    settings: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
    waiting: Waiting,
) -> Result<(MultiplexedConnection, Task), RedisError> {
    // What leaves is complete: there is nothing to wait for.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(SILENT_FOR))?;
    let stream = Gathering::over(stream, waiting);
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, stream, config).await?;
    Ok((connection, Task(tokio::spawn(driver).abort_handle())))
}

/// Gives up a connection when the name that led to it leads elsewhere: what is under way is answered,
/// and the next call connects to where it leads now.
fn watch(line: Weak<Inner>, number: u64, at: &[IpAddr]) -> Option<Task> {
    let (to, every) = {
        let line = line.upgrade()?;
        (line.to.addr().clone(), line.dial.look_up_every)
    };
    let (host, port) = match to {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
            if lookup::is_name(&host) =>
        {
            (host, port)
        }
        _ => return None,
    };
    let at = at.to_vec();
    let watching = async move {
        lookup::leads_elsewhere(&host, port, &at, every).await;
        tracing::info!(event = "name_moved", host, "the server's name leads elsewhere");
        if let Some(line) = line.upgrade() {
            Line(line).forget(number);
        }
    };
    Some(Task(tokio::spawn(watching).abort_handle()))
}

fn is_primary(role: &Value) -> bool {
    let Value::Array(words) = role else { return false };
    match words.first() {
        Some(Value::BulkString(word)) => word == b"master",
        Some(Value::SimpleString(word)) => word == "master",
        _ => false,
    }
}

/// What a line has at the moment.
enum Found {
    Open(Arc<Opened>, u64),
    Attempt(Attempt, u64),
}

impl fmt::Debug for Line {
    // The client holds the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&self.addr().to_string()).finish()
    }
}

/// A connection, good for sending until it breaks.
pub(crate) struct Connection {
    opened: Arc<Opened>,
    number: u64,
    line: Line,
}

impl Connection {
    /// Sends a command, and returns its answer.
    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        self.line.0.dial.meters.sent(std::iter::once(command));
        let mut connection = self.opened.connection.clone();
        let received = |answer: Value| {
            self.line.0.dial.meters.received(std::slice::from_ref(&answer));
            answer.extract_error()
        };
        let sent = pin!(connection.send_packed_command(command));
        self.answer(sent, received).await
    }

    /// Sends commands in one piece, so that nobody's come between, and returns their answers; the
    /// first that is an error instead of all.
    pub(crate) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        self.line.0.dial.meters.sent(commands.cmd_iter());
        let mut connection = self.opened.connection.clone();
        let sent = pin!(connection.send_packed_commands(commands, 0, commands.len()));
        let received = |answers: Vec<Value>| {
            self.line.0.dial.meters.received(&answers);
            answers.into_iter().map(Value::extract_error).collect()
        };
        self.answer(sent, received).await
    }

    async fn answer<T>(
        &self,
        sent: impl Future<Output = Result<T, RedisError>>,
        received: impl Fn(T) -> Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        tracing::trace!(event = "trip", node = %self.line.addr());
        let waits = Waits::begin(self);
        let answer = sent.await;
        waits.answered();
        let answer = answer.and_then(received);
        if let Err(error) = &answer
            && error.is_unrecoverable_error()
        {
            self.forget();
        }
        answer
    }

    /// It broke, or begins wrongly: the next caller makes a new one.
    pub(crate) fn forget(&self) {
        self.line.forget(self.number);
    }

    /// It leads to the wrong server: the same, and if the new one does so too there are rests between.
    pub(crate) fn leads_astray(&self) {
        self.line.misled(self.number);
    }
}

/// A request under way. Whoever gives it up looks whether anybody was answered lately: a connection
/// may be acknowledged by its peer and never bring an answer again, as in the middle of one that
/// claims to be longer than it is.
struct Waits<'a> {
    connection: &'a Connection,
    _one: OneMore,
}

impl<'a> Waits<'a> {
    fn begin(connection: &'a Connection) -> Self {
        connection.opened.silence.lock().get_or_insert_with(Instant::now);
        Self { connection, _one: connection.opened.waiting.one_more() }
    }

    fn answered(self) {
        *self.connection.opened.silence.lock() = None;
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let since = *self.connection.opened.silence.lock();
        if since.is_some_and(|since| since.elapsed() >= SILENT_FOR) {
            self.connection.forget();
        }
    }
}

impl Silence {
    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
