//! The line to the server: one connection that all requests share, made at the first use and anew
//! when it has broken.
//!
//! The client crate has a connection manager of its own. It can't tell a caller whether a command
//! failed before or after there was a connection, and we must: what was never sent is known not to
//! have happened.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError};
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    attempt: Option<Attempt>,
    /// Which attempt it is. A number, for whoever held the attempt itself would keep its connection
    /// alive.
    number: u64,
}

/// One attempt to connect, and what it came to: `None` while it is under way.
type Attempt = watch::Receiver<Option<Result<MultiplexedConnection, RedisError>>>;

impl Line {
    pub(crate) fn new(client: Client, config: AsyncConnectionConfig) -> Self {
        Self(Arc::new(Inner { client, config, current: Mutex::default() }))
    }

    /// The connection: the one there is, or a new one. All who wait for a new one wait for the same
    /// attempt, which goes on if they stop waiting. After a failed attempt the next caller makes
    /// another, so that calls fail as fast as the server refuses, and the first after its return
    /// succeeds.
    pub(crate) async fn connection(&self) -> Result<Connection, RedisError> {
        let (mut attempt, number) = self.attempt();
        // The task that holds the other end always sends; if the runtime ended it, nobody is left.
        let came_to = match attempt.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        };
        match came_to {
            Some(Ok(connection)) => Ok(Connection { connection, number, line: self.clone() }),
            Some(Err(error)) => Err(error),
            None => Err(RedisError::from(std::io::Error::other("the runtime is shutting down"))),
        }
    }

    fn attempt(&self) -> (Attempt, u64) {
        let mut current = self.lock();
        let attempt = match &current.attempt {
            Some(attempt) if is_good(attempt) => attempt.clone(),
            _ => {
                current.number += 1;
                let attempt = self.connect(current.number);
                current.attempt.insert(attempt).clone()
            }
        };
        (attempt, current.number)
    }

    fn connect(&self, number: u64) -> Attempt {
        let (sender, attempt) = watch::channel(None);
        // Weakly: the connection must not keep alive what keeps the connection.
        let line = Arc::downgrade(&self.0);
        // A broken connection is forgotten when it breaks, not when the next request finds out.
        let config = self.0.config.clone().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection
                && let Some(line) = line.upgrade()
            {
                Self(line).forget(number);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let client = self.0.client.clone();
        tokio::spawn(async move {
            let connection = client.get_multiplexed_async_connection_with_config(&config).await;
            if let Err(error) = &connection {
                tracing::debug!(event = "not_connected", %error, "could not connect to the store");
            }
            sender.send_replace(Some(connection));
        });
        attempt
    }

    fn forget(&self, broken: u64) {
        let mut current = self.lock();
        if current.number == broken {
            current.attempt = None;
        }
    }

    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it may still connect, or has.
fn is_good(attempt: &Attempt) -> bool {
    match &*attempt.borrow() {
        Some(came_to) => came_to.is_ok(),
        // Its task ended without a word, as when its runtime was shut down.
        None => attempt.has_changed().is_ok(),
    }
}

impl fmt::Debug for Line {
    // The client holds the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

/// A connection, good for sending until it breaks.
pub(crate) struct Connection {
    pub(crate) connection: MultiplexedConnection,
    number: u64,
    line: Line,
}

impl Connection {
    /// It broke: the next caller makes a new one.
    pub(crate) fn forget(&self) {
        self.line.forget(self.number);
    }
}
