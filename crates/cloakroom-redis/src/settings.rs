//! How the store connects: every default in one literal.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a [`RedisStore`](crate::RedisStore) connects. Every default stands in [`Default`].
///
/// How long a request waits for the store is not here: that is `patience` of
/// [`cloakroom::Settings`].
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Who connects; wins over the URL, and may be changed while the store runs. Default: what the
    /// URL says.
    pub credentials: Option<Credentials>,
    /// Whom a connection by TLS trusts. Default: the system's roots.
    pub tls: Tls,
    /// How long one attempt to connect takes at most, TLS and authentication included. Requests don't
    /// wait for it beyond their patience. Default: 1 s.
    pub connect_within: Duration,
    /// How long an answer may take where no request waits: what the store asks for itself, such as
    /// the topology, and clean-up in the background. Default: 5 s.
    pub answer_within: Duration,
    /// How long the store rests after a failed attempt to connect, and after one that led to a demoted
    /// server once more. Requests wait for the next attempt, within their patience; so `at_most` should
    /// be shorter than that. Default: 10 ms to 200 ms.
    pub reconnect: Backoff,
    /// How often a cluster is asked which node serves what, sentinels which server is the primary, and
    /// the resolver where the name of a server leads, while all goes well. After a redirect or a failure
    /// they are asked at once. Default: 60 s.
    pub topology_every: Duration,
    /// How many calls may be under way at once; more wait, within their patience. Default: 1024.
    pub in_flight: NonZeroUsize,
    /// Whether logins, logouts and rotations wait until replicas have them. Default: they don't, and a
    /// failover may lose the last moment: a login gone, a logout undone.
    pub durable: Option<Durable>,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            credentials: None,
            tls: Tls { ca: None, client: None },
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(5),
            reconnect: Backoff {
                first: Duration::from_millis(10),
                at_most: Duration::from_millis(200),
            },
            topology_every: Duration::from_secs(60),
            in_flight: NonZeroUsize::MIN.saturating_add(1023),
            durable: None,
        }
    }
}

/// Exponential back-off with full jitter: after the n-th failure in a row a rest of any length up to
/// `first` doubled n - 1 times, and never more than `at_most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest rest after one failure.
    pub first: Duration,
    /// The longest rest after any number of failures.
    pub at_most: Duration,
}

/// Whom a connection by TLS (`rediss://`) trusts, and how it shows itself. Certificates are always
/// verified, and there is no switch for that: a server with a certificate of its own making is
/// trusted by naming that certificate's CA.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The only authorities that are trusted, in PEM. `None`: the system's roots, or those in the
    /// file that `SSL_CERT_FILE` names.
    pub ca: Option<Vec<u8>>,
    /// What is shown to a server that asks.
    pub client: Option<ClientCertificate>,
}

/// A certificate that tells a server who we are.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate and those between it and its root, in PEM.
    pub chain: Vec<u8>,
    /// Its private key, in PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    // Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

/// A login, logout or rotation counts only when so many replicas have it.
///
/// Asked with `WAIT`, on a connection of its own, in the same trip. Fewer in time means that the
/// outcome is *unknown*: a 503, and a new session is ended again at best effort. It narrows what a
/// failover can lose; it is no consensus, and a primary cut off with all its replicas still loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// How many replicas.
    pub replicas: NonZeroUsize,
    /// How long the primary waits for them: shorter than the patience of a request.
    pub within: Duration,
}

/// A user and a password that can be changed while the store runs. Clones are one and the same.
///
/// Connections that exist are told of the change at their next use, without dropping anything that is
/// under way; new ones begin with it. Set the new password at the server first, beside the old one.
///
/// ```
/// let credentials = cloakroom_redis::Credentials::new("shop", "first");
/// let kept_by_the_task_that_renews = credentials.clone();
/// kept_by_the_task_that_renews.set("shop", "second");
/// assert_eq!(format!("{credentials:?}"), "Credentials(\"shop\")");
/// ```
#[derive(Clone)]
pub struct Credentials(Arc<Mutex<Login>>);

/// What is shown to a server, and which change it is.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) version: u64,
}

impl Credentials {
    /// Begins with these. A server that has a password and no users takes `default`.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        let (user, password) = (user.into(), password.into());
        Self(Arc::new(Mutex::new(Login { user, password, version: 0 })))
    }

    /// Changes them, at once and for all stores that hold a clone.
    pub fn set(&self, user: impl Into<String>, password: impl Into<String>) {
        let (user, password) = (user.into(), password.into());
        let mut login = self.lock();
        *login = Login { user, password, version: login.version + 1 };
    }

    pub(crate) fn now(&self) -> Login {
        self.lock().clone()
    }

    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Login> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credentials {
    // Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.lock().user).finish()
    }
}
