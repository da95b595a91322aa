//! Sentinels: they know which server is the primary. They are asked at the first use, once in a while,
//! and whenever the primary fails; whoever they name has to say itself that it is one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{ConnectionAddr, RedisError, Value};
use tokio::time::Instant;

use crate::asking::Round;
use crate::backoff::random;
use crate::flight::Flight;
use crate::line::{Dial, Line};

/// How long one that a sentinel names may take to say that it is a primary, while others are asked.
const REACHED_WITHIN: Duration = Duration::from_millis(300);

#[derive(Clone)]
pub(crate) struct Sentinels(Arc<Inner>);

struct Inner {
    lines: Vec<Line>,
    /// Of the server.
    dial: Arc<Dial>,
    /// The name under which they know it.
    primary: String,
    every: Duration,
    within: Duration,
    known: Mutex<Known>,
    flight: Flight,
}

#[derive(Default)]
struct Known {
    primary: Option<(Line, Instant)>,
    /// Why the last question failed.
    failure: Option<RedisError>,
}

impl Sentinels {
    pub(crate) fn new(
        lines: Vec<Line>,
        dial: Dial,
        primary: String,
        every: Duration,
        within: Duration,
    ) -> Self {
        let (dial, known, flight) = (Arc::new(dial), Mutex::default(), Flight::new());
        Self(Arc::new(Inner { lines, dial, primary, every, within, known, flight }))
    }

    /// The line to the primary, as far as is known.
    pub(crate) async fn line(&self) -> Result<Line, RedisError> {
        let is_due = {
            let known = self.lock();
            known.primary.as_ref().map(|(_, asked_at)| asked_at.elapsed() > self.0.every)
        };
        match is_due {
            None => self.ask_anew().await,
            Some(true) => self.doubt(),
            Some(false) => {}
        }
        let known = self.lock();
        match (&known.primary, &known.failure) {
            (Some((line, _)), _) => Ok(line.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(std::io::Error::other("the runtime is shutting down").into()),
        }
    }

    /// The primary may be another: the sentinels are asked in the background.
    pub(crate) fn doubt(&self) {
        self.0.flight.begin(self.clone().ask());
    }

    /// Asks the sentinels, and waits until one has given a good answer or all have failed.
    pub(crate) async fn ask_anew(&self) {
        self.0.flight.join(self.clone().ask()).await;
    }

    async fn ask(self) {
        let mut lines = self.0.lines.clone();
        // Less than the length, for random() is less than 1; no precision is lost on a few sentinels.
        let first = (random() * lines.len() as f64) as usize;
        lines.rotate_left(first);
        let mut question = redis::pipe();
        question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.0.primary);
        let mut round = Round::of(lines, question, self.0.within);
        // Some still name the one that has failed, when others know better.
        let mut tried = Vec::new();
        while let Some((_, answer)) = round.next().await {
            let named = answer.and_then(|answer| self.named(&answer));
            let failure = match named {
                Ok(place) if tried.contains(&place) => continue,
                Ok(place) => match self.reached(&place).await {
                    Ok(line) => {
                        let primary = Some((line, Instant::now()));
                        *self.lock() = Known { primary, failure: None };
                        return;
                    }
                    Err(error) => {
                        tried.push(place);
                        error
                    }
                },
                Err(error) => error,
            };
            self.lock().failure = Some(failure);
        }
        tracing::warn!(
            event = "primary_unknown",
            primary = self.0.primary,
            "no sentinel leads to a primary"
        );
    }

    fn named(&self, answer: &Value) -> Result<(String, u16), RedisError> {
        place(answer).ok_or_else(|| {
            let why = format!("the sentinels know no primary named {:?}", self.0.primary);
            std::io::Error::other(why).into()
        })
    }

    /// The line to whom a sentinel named, once it has said itself that it is a primary: a new
    /// connection asks that, and one that exists may lead to a server that hangs.
    async fn reached(&self, (host, port): &(String, u16)) -> Result<Line, RedisError> {
        let line = self.line_to(host, *port);
        let mut role = redis::pipe();
        role.cmd("ROLE");
        let answer = async { line.connection().await?.ask_all(&role).await };
        match tokio::time::timeout(REACHED_WITHIN, answer).await {
            Ok(answer) => answer.map(|_| line),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    /// The line that there is, if it leads there.
    fn line_to(&self, host: &str, port: u16) -> Line {
        if let Some((line, _)) = &self.lock().primary
            && leads_to(line.addr(), host, port)
        {
            return line.clone();
        }
        self.0.dial.to(host, port)
    }

    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leads_to(addr: &ConnectionAddr, host: &str, port: u16) -> bool {
    match addr {
        ConnectionAddr::Tcp(its_host, its_port)
        | ConnectionAddr::TcpTls { host: its_host, port: its_port, .. } => {
            its_host == host && *its_port == port
        }
        _ => false,
    }
}

fn place(answer: &Value) -> Option<(String, u16)> {
    let Value::Array(words) = answer else { return None };
    let [Value::BulkString(host), Value::BulkString(port)] = words.as_slice() else { return None };
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some((String::from_utf8(host.clone()).ok()?, port))
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels").field("primary", &self.0.primary).finish_non_exhaustive()
    }
}
