//! Calls to the servers. One waits as long as its caller has patience and no longer, and nothing is
//! sent twice that can have happened.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom::Tag;
use cloakroom::store::{Happened, Patience};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, Pipeline, RedisError, Value};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::address::{Address, Deployment, InvalidUrl};
use crate::answers::{self, Next};
use crate::backoff::random;
use crate::cluster::Cluster;
use crate::line::{Dial, Line};
use crate::meters::Meters;
use crate::place::Place;
use crate::sentinel::Sentinels;
use crate::settings::{Backoff, Durable, RedisSettings};
use crate::slot;
use crate::start::Survey;
use crate::wire::{Call, Garbled};

/// So many redirects are followed at once; then the cluster is given a moment to agree with itself.
const AT_ONCE: u32 = 4;

/// The server, or servers, of a store. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Server {
    place: Place,
    /// Without credentials.
    name: String,
    durable: Option<Durable>,
    in_flight: Arc<Semaphore>,
    meters: Arc<Meters>,
    /// How long work may take that nobody waits for.
    answer_within: Duration,
}

/// A call that came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) happened: Happened,
    pub(crate) reason: Box<dyn std::error::Error + Send + Sync>,
}

#[derive(Debug, thiserror::Error)]
enum TooLate {
    #[error("no answer within {0:?}")]
    NoAnswer(Duration),
    #[error("not within {0:?}: {1}")]
    Because(Duration, RedisError),
}

#[derive(Debug, thiserror::Error)]
#[error("{have} of {wanted} replicas have it")]
struct TooFewReplicas {
    have: i64,
    wanted: usize,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the server is a node of a cluster: the URL has to begin with redis+cluster:// or rediss+cluster:// ({0})"
)]
struct IsOfACluster(RedisError);

/// How far a call has come, for when its caller's patience ends.
#[derive(Default)]
struct Progress {
    /// Whether it can have happened.
    sent: AtomicBool,
    /// Why it has not happened yet.
    failure: Mutex<Option<RedisError>>,
}

/// Where a call goes next.
enum Way {
    /// To whoever serves it.
    Usual,
    Moved(Line),
    Asked(Line),
}

impl Server {
    /// Connects at the first call, so that a service starts while its server is away.
    pub(crate) fn open(url: &str, settings: &RedisSettings) -> Result<Self, InvalidUrl> {
        Handle::try_current().map_err(|_| InvalidUrl::NoRuntime)?;
        let Address { deployment, hosts } = Address::parse(url, &settings.tls)?;
        let name = hosts.iter().map(|host| host.addr().to_string()).collect::<Vec<_>>().join(",");
        let Some(like) = hosts.first().cloned() else { return Err(InvalidUrl::SeveralHosts) };
        let meters = Arc::new(Meters::new());
        let dial = Dial {
            like,
            credentials: settings.credentials.clone(),
            within: settings.connect_within,
            reconnect: settings.reconnect,
            look_up_every: settings.topology_every,
            primaries_only: false,
            survey: Some(Arc::new(Survey::default())),
            meters: Arc::clone(&meters),
        };
        let (every, within) = (settings.topology_every, settings.answer_within);
        let place = match deployment {
            Deployment::One => Place::One(Arc::new(dial).to_first()),
            Deployment::Cluster => Place::Cluster(Cluster::new(
                dial,
                hosts.iter().filter_map(tcp).collect(),
                every,
                within,
            )),
            Deployment::Sentinel { primary, user, password } => {
                let lines = lines_to_sentinels(&dial, &hosts, user, password);
                let dial = Dial { primaries_only: true, ..dial };
                Place::Sentinels(Sentinels::new(lines, dial, primary, every, within))
            }
        };
        let in_flight =
            Arc::new(Semaphore::new(settings.in_flight.get().min(Semaphore::MAX_PERMITS)));
        let durable = settings.durable;
        Ok(Self { place, name, durable, in_flight, meters, answer_within: within })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How long work may take that nobody waits for.
    pub(crate) fn in_the_background(&self) -> Patience {
        Patience(self.answer_within)
    }

    /// Whether no script can have keys with both tags.
    pub(crate) fn parts(&self, tag: Tag, other: Tag) -> bool {
        let slot = |tag: Tag| slot::of(&tag.to_string());
        matches!(self.place, Place::Cluster(_)) && slot(tag) != slot(other)
    }

    pub(crate) async fn call(&self, call: &Call, patience: Patience) -> Result<Value, Failure> {
        let progress = Progress::default();
        let durable = self.durable.filter(|_| call.lasting);
        // Pinned here, for it is large, and each who passes it on would copy it.
        let send = pin!(self.send(
            || call.slot(),
            call.command(),
            || call.with_text(),
            durable,
            &progress
        ));
        self.within(patience, send, &progress).await
    }

    pub(crate) async fn ping(&self, patience: Patience) -> Result<(), Failure> {
        let progress = Progress::default();
        // Any node will do; every time another. Less than COUNT, for random() is less than 1.
        let slot = || (random() * f64::from(slot::COUNT)) as u16;
        let ping = redis::cmd("PING");
        let send = self.send(slot, &ping, || ping.clone(), None, &progress);
        self.within(patience, send, &progress).await.map(drop)
    }

    /// The nodes that keep sessions, and their names, in an order that stays.
    pub(crate) async fn nodes(&self, patience: Patience) -> Result<Vec<(String, Line)>, Failure> {
        let nodes = async { self.place.nodes().await.map_err(|e| Failure::of(Happened::No, e)) };
        self.within(patience, nodes, &Progress::default()).await
    }

    /// Asks one node what changes nothing.
    pub(crate) async fn ask(
        &self,
        node: &Line,
        command: &Cmd,
        patience: Patience,
    ) -> Result<Value, Failure> {
        let answer = async {
            let answer = async { node.connection().await?.ask(command).await };
            answer.await.map_err(|error| Failure::of(Happened::No, error))
        };
        self.within(patience, answer, &Progress::default()).await
    }

    /// Sends a command until it is carried out, refused for good, or may have happened.
    ///
    /// What is seldom waited for is boxed, here and in what this calls: every call has room for all that it
    /// could wait for, and what takes more than a kilobyte is slow to get from the allocator.
    async fn send(
        &self,
        slot: impl Fn() -> u16,
        command: &Cmd,
        with_text: impl Fn() -> Cmd,
        durable: Option<Durable>,
        progress: &Progress,
    ) -> Result<Value, Failure> {
        // The semaphore is never closed.
        let _turn = self.in_flight.acquire().await;
        let _call = self.meters.call();
        let (mut way, mut text, mut tries, mut anew) = (Way::Usual, None, 0, false);
        loop {
            tries += 1;
            let asked = matches!(way, Way::Asked(_));
            let line = match std::mem::replace(&mut way, Way::Usual) {
                Way::Usual => self.place.line(&slot).await,
                Way::Moved(line) | Way::Asked(line) => Ok(line),
            };
            let connection = match &line {
                Ok(line) if durable.is_some() => line.beside().connection().await,
                Ok(line) => line.connection().await,
                Err(error) => Err(error.clone()),
            };
            let (line, connection) = match (line, connection) {
                (Ok(line), Ok(connection)) => (line, connection),
                (_, Err(error)) | (Err(error), _) => {
                    if matches!(self.place, Place::One(_)) {
                        return Err(Failure::of(Happened::No, error));
                    }
                    progress.hindered_by(error);
                    Box::pin(self.place.find_anew()).await;
                    Box::pin(pause(tries)).await;
                    continue;
                }
            };

            progress.sent.store(true, Ordering::SeqCst);
            let command = text.as_ref().unwrap_or(command);
            let answer = if asked || durable.is_some() {
                let commands = with_company(command, asked, durable);
                let answers = Box::pin(connection.ask_all(&commands)).await;
                answers.map(|answers| answered(answers, asked, durable))
            } else {
                connection.ask(command).await.map(Ok)
            };
            let error = match answer {
                Ok(answer) => return answer,
                Err(error) => error,
            };
            let Some((happened, next)) = answers::about(&error) else {
                self.place.doubt();
                return Err(Failure::of(Happened::Perhaps, error));
            };
            self.meters.refused(answers::code(&error).unwrap_or_default());
            if happened == Happened::Perhaps {
                return Err(Failure::of(happened, error));
            }
            // It was refused. From here on it has not happened, until it is sent again.
            progress.sent.store(false, Ordering::SeqCst);
            progress.hindered_by(error.clone());
            let at = |node: &str| match &self.place {
                Place::Cluster(cluster) => cluster.at(node, &line),
                Place::One(_) | Place::Sentinels(_) => None,
            };
            match next {
                Next::WithText if text.is_none() => text = Some(with_text()),
                Next::Moved(node) => match (&self.place, at(&node)) {
                    (Place::Cluster(cluster), Some(owner)) => {
                        cluster.learn(slot(), owner.clone());
                        way = Way::Moved(owner);
                    }
                    _ => {
                        let reason = IsOfACluster(error).into();
                        return Err(Failure { happened: Happened::No, reason });
                    }
                },
                Next::Ask(node) => match at(&node) {
                    Some(node) => way = Way::Asked(node),
                    None => return Err(Failure::of(Happened::No, error)),
                },
                Next::Later => {
                    // Which node serves the slot may be about to change.
                    self.place.doubt();
                    Box::pin(pause(tries)).await;
                }
                Next::Anew if !anew => {
                    anew = true;
                    connection.forget();
                }
                Next::Elsewhere => {
                    connection.leads_astray();
                    if matches!(self.place, Place::One(_)) {
                        // Its name may lead elsewhere by now, or in a minute: one look has to do.
                        if std::mem::replace(&mut anew, true) {
                            return Err(Failure::of(Happened::No, error));
                        }
                    } else {
                        Box::pin(self.place.find_anew()).await;
                        Box::pin(pause(tries)).await;
                    }
                }
                Next::WithText | Next::Anew | Next::Nothing => {
                    return Err(Failure::of(Happened::No, error));
                }
            }
            if tries > AT_ONCE {
                Box::pin(pause(tries - AT_ONCE)).await;
            }
        }
    }

    async fn within<T>(
        &self,
        Patience(patience): Patience,
        answer: impl Future<Output = Result<T, Failure>>,
        progress: &Progress,
    ) -> Result<T, Failure> {
        if let Ok(answer) = tokio::time::timeout(patience, answer).await {
            return answer;
        }
        // A server that hangs looks like a slow one, to who is connected and to who connects; another may
        // have taken its place.
        self.place.doubt();
        let failure = progress.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if progress.sent.load(Ordering::SeqCst) {
            let reason = TooLate::NoAnswer(patience).into();
            return Err(Failure { happened: Happened::Perhaps, reason });
        }
        let reason = match failure {
            Some(failure) => TooLate::Because(patience, failure),
            None => TooLate::NoAnswer(patience),
        };
        Err(Failure { happened: Happened::No, reason: reason.into() })
    }
}

/// Between two tries of a call.
async fn pause(tries: u32) {
    // A sleep, because no server tells anybody when it is ready.
    tokio::time::sleep(Backoff::OF_A_CALL.rest(tries)).await;
}

/// The command with what belongs before and behind it.
fn with_company(command: &Cmd, asked: bool, durable: Option<Durable>) -> Pipeline {
    let mut commands = Pipeline::new();
    if asked {
        commands.cmd("ASKING");
    }
    commands.add_command(command.clone());
    if let Some(durable) = durable {
        commands.cmd("WAIT").arg(durable.replicas.get()).arg(durable.within.as_millis() as u64);
    }
    commands
}

/// The answer to the command itself, if enough replicas have it.
fn answered(answers: Vec<Value>, asked: bool, durable: Option<Durable>) -> Result<Value, Failure> {
    let mut answers = answers.into_iter().skip(usize::from(asked));
    let Some(answer) = answers.next() else { return Err(Garbled::nothing().into()) };
    if let Some(durable) = durable {
        let wanted = durable.replicas.get();
        let have = match answers.next() {
            Some(Value::Int(have)) => have,
            _ => return Err(Garbled::nothing().into()),
        };
        if usize::try_from(have).unwrap_or(0) < wanted {
            let reason = TooFewReplicas { have, wanted }.into();
            return Err(Failure { happened: Happened::Perhaps, reason });
        }
    }
    Ok(answer)
}

fn tcp(host: &ConnectionInfo) -> Option<(String, u16)> {
    match host.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

/// Sentinels have credentials of their own, and no database.
fn lines_to_sentinels(
    dial: &Dial,
    hosts: &[ConnectionInfo],
    user: Option<String>,
    password: Option<String>,
) -> Vec<Line> {
    let mut settings = redis::RedisConnectionInfo::default();
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    let like = dial.like.clone().set_redis_settings(settings);
    let dial = Arc::new(Dial { like, credentials: None, survey: None, ..dial.clone() });
    hosts.iter().filter_map(tcp).map(|(host, port)| dial.to(&host, port)).collect()
}

impl Progress {
    fn hindered_by(&self, failure: RedisError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

impl Failure {
    /// One that was found before anything was sent.
    pub(crate) fn before(reason: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { happened: Happened::No, reason: reason.into() }
    }

    fn of(happened: Happened, error: RedisError) -> Self {
        Self { happened, reason: error.into() }
    }
}

impl From<Garbled> for Failure {
    fn from(garbled: Garbled) -> Self {
        Self { happened: Happened::Perhaps, reason: garbled.into() }
    }
}
