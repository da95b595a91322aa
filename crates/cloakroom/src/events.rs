//! What happens to sessions, told to the application: for an audit trail, a mail about a new device,
//! a counter.
//!
//! A listener runs on a thread of its own and never holds up a request: what it can't take in time is
//! dropped, and counted. Events tell what this process saw: a session that another instance ended, or
//! that expired without being asked for, is heard of there, or not at all.
//!
//! ```
//! use std::sync::mpsc;
//! use cloakroom::testing::Visitor;
//! use cloakroom::{Event, Events, Manager, MemoryStore, Settings};
//! # pollster::block_on(async {
//! let (heard, told) = mpsc::channel();
//! let events = Events::tell(move |event| drop(heard.send(event)));
//! let settings = Settings { events: Some(events), ..Settings::default() };
//! let manager = Manager::new(MemoryStore::new(), settings);
//!
//! let mut alice = Visitor::logged_in(&manager, "alice").await?;
//! let Event::LoggedIn { user, session, .. } = told.recv()? else { panic!() };
//! assert_eq!(user.as_str(), "alice");
//!
//! alice.visit(async |session| session.log_out().await).await?;
//! assert_eq!(told.recv()?, Event::LoggedOut { session });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::client::{Client, Difference};
use crate::field::FieldName;
use crate::store::User;
use crate::token::SessionId;

/// Something that happened to a session. Holds no token and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new visitor's first write made a session.
    Created {
        /// The session.
        session: SessionId,
    },
    /// More new anonymous sessions were asked for than
    /// [`Settings::newcomers`](crate::Settings::newcomers) allows, and some were refused. Told once,
    /// until it has been quiet.
    TooManyNewcomers,
    /// A cookie held what is no token of ours: sent by mistake, or made up. Costs no store command.
    NotOurs,
    /// Somebody logged in.
    LoggedIn {
        /// Who.
        user: User,
        /// The new session.
        session: SessionId,
        /// The session whose place it took, alive or not.
        instead_of: Option<SessionId>,
        /// Those that the limit ended to make room.
        pushed_out: Vec<SessionId>,
    },
    /// A login was refused, for the user has as many sessions as allowed.
    LimitReached {
        /// Who.
        user: User,
    },
    /// A session moved to a new token.
    Rotated {
        /// Where it was.
        old: SessionId,
        /// Where it is.
        new: SessionId,
    },
    /// A session ended because its visitor logged out.
    LoggedOut {
        /// The session.
        session: SessionId,
    },
    /// Sessions of a user were ended: by another of them, or by who may do so without one.
    Revoked {
        /// Whose.
        user: User,
        /// The session that asked for it; `None` for who asked without one.
        by: Option<SessionId>,
        /// How many ended.
        count: u64,
    },
    /// A token came that has our form, and its session is not there: it expired, unless the store lost it
    /// or, where there are no [`keys`](crate::Settings::keys), somebody guesses. Where it was logged in
    /// over, that is told instead, as [`LoggedIn`](Self::LoggedIn).
    Expired {
        /// The session that it named.
        session: SessionId,
    },
    /// An old token came whose successor somebody else has: the cookie was copied
    /// ([`rotation`](crate::rotation)). The session was ended. Nobody can say which of the two is the
    /// thief; its user should be told, and may want to end the others as well.
    Stolen {
        /// The session.
        session: SessionId,
    },
    /// A request came from a client that differs from the one that logged in, where requests tell
    /// theirs ([`OpenVisit::from_client`](crate::OpenVisit::from_client)). Nothing was done about it.
    /// Told once a request.
    ClientChanged {
        /// The session.
        session: SessionId,
        /// Whose it is.
        user: User,
        /// The client that logged in.
        then: Client,
        /// The client of this request.
        now: Client,
        /// What is different.
        differences: Vec<Difference>,
    },
    /// A sealed field ([`sealed`](crate::sealed)) did not open, and counts as absent: it was changed or
    /// moved there by who can write to the store, or its key is not known any more. Told once a request.
    SealBroken {
        /// The session.
        session: SessionId,
        /// The field.
        field: FieldName,
    },
    /// A request met a session that had been ended before it or beneath it.
    MetEnded {
        /// The session.
        session: SessionId,
    },
}

/// Who is told of [`Event`]s. Clones tell the same listener.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    queue: SyncSender<Event>,
    dropped: AtomicU64,
}

impl Events {
    /// How many events wait for the listener at most; one more is dropped.
    pub const WAITING_AT_MOST: usize = 4_096;

    /// Tells `listener`, on a thread that ends when nobody holds these `Events` any more. A listener
    /// that panics hears no more.
    pub fn tell(mut listener: impl FnMut(Event) + Send + 'static) -> Self {
        let (queue, events) = sync_channel(Self::WAITING_AT_MOST);
        let thread = std::thread::Builder::new().name("cloakroom-events".into());
        let listening = thread.spawn(move || events.into_iter().for_each(&mut listener));
        if let Err(error) = listening {
            tracing::error!(%error, "nobody listens to the events of sessions");
        }
        Self(Arc::new(Inner { queue, dropped: AtomicU64::new(0) }))
    }

    /// How many events were dropped, because the listener was too slow or is gone.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Never waits.
    pub(crate) fn happened(&self, event: Event) {
        if self.0.queue.try_send(event).is_err()
            && self.0.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("events of sessions are dropped: their listener is too slow, or gone");
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}
