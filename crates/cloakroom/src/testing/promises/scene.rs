//! What the checks share: a manager over the store of the harness, with a counter between them.
//! Users are fresh, so that checks don't meet on a server that they share.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::events::{Event, Events};
use crate::expiry::Lifetime;
use crate::field::{Field, FieldName};
use crate::manager::{Manager, OpenVisit};
use crate::outcome::{LogIn, SessionError};
use crate::settings::Settings;
use crate::store::{Applied, Apply, OnlyIf, Patience, Store, User};
use crate::testing::{FailingStore, Harness, Visitor};
use crate::token::{SessionId, TokenMint};
use crate::{change::Change, expiry::Touch};

pub(super) const VISITS: Field<u64> = Field::new("visits");
pub(super) const NOTE: Field<String> = Field::new("note");
pub(super) const CART: Field<String> = Field::new("cart");

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct Scene<'h, H> {
    pub(super) here: &'h H,
    pub(super) store: FailingStore,
    pub(super) manager: Manager,
}

impl<'h, H: Harness> Scene<'h, H> {
    pub(super) fn set(here: &'h H) -> Self {
        Self::with(here, settings())
    }

    pub(super) fn with(here: &'h H, settings: Settings) -> Self {
        let store = FailingStore::new(here.store());
        let manager = Manager::new(store.clone(), settings);
        Self { here, store, manager }
    }

    /// Another application's manager, or the same after its settings were changed.
    pub(super) fn manager_with(&self, settings: Settings) -> Manager {
        Manager::new(self.store.clone(), settings)
    }

    /// A manager of each instance, without a counter.
    pub(super) fn two_managers(&self) -> [Manager; 2] {
        [self.here.store(), self.here.second()]
            .map(|store| Manager::over(store, self.manager.settings().clone()))
    }

    pub(super) fn rounds(&self, share: u32) -> usize {
        (self.here.rounds() / share).max(1) as usize
    }

    pub(super) fn user(&self, name: &str) -> User {
        let fresh = self.mint().issue_anonymous().unwrap().id.hash();
        User::new(format!("{name} {}", &fresh[..16])).unwrap()
    }

    /// Makes tokens that look like those of the manager without keys.
    pub(super) fn mint(&self) -> TokenMint {
        let name = self.manager.settings().cookie.full_name();
        TokenMint::new(self.store.prefix().clone(), name, None)
    }

    /// Somebody without a cookie.
    pub(super) fn stranger(&self) -> Visitor {
        Visitor::new(&self.manager)
    }

    /// Somebody whom nobody logged in, and whose session holds a note.
    pub(super) async fn anonymous(&self) -> Visitor {
        let mut visitor = self.stranger();
        let visit = visitor.open();
        visit.session().set(NOTE, "anonymous").unwrap();
        close(&mut visitor, visit).await;
        visitor
    }

    /// Somebody who has logged in.
    pub(super) async fn logged_in(&self, user: &User) -> Visitor {
        Visitor::logged_in(&self.manager, user.as_str()).await.unwrap()
    }

    /// Asserts that the session is over, soon: a store may end what was abandoned in the background.
    pub(super) async fn is_soon_over(&self, id: SessionId) {
        for _ in 0..1_000 {
            let limits = &self.manager.settings().limits;
            let change = &Change::read();
            let only_if = OnlyIf::Alive;
            let touch = Touch::Never;
            let apply = Apply { id: &id, change, only_if, touch, limits, token: None };
            match self.here.store().apply(apply, Patience(HOUR)).await.unwrap() {
                Applied::Unknown | Applied::Ended => return,
                _ => self.here.pass(Duration::from_millis(1)),
            }
        }
        panic!("an abandoned session is still alive");
    }
}

/// The default settings with much patience, and any number of newcomers: the suite is about what
/// holds, not about how fast, and its races make more sessions than a service would.
pub(super) fn settings() -> Settings {
    Settings { patience: Duration::from_secs(30), newcomers: None, ..Settings::default() }
}

/// What the events tell.
pub(super) struct Heard(Mutex<Receiver<Event>>);

impl Heard {
    /// All that was told up to an event, which comes last.
    pub(super) fn up_to(&self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let told = self.0.lock().unwrap();
        let mut heard: Vec<Event> = Vec::new();
        while !heard.last().is_some_and(&last) {
            heard.push(told.recv().unwrap());
        }
        heard
    }
}

pub(super) fn listening(settings: Settings) -> (Settings, Heard) {
    let (heard, told) = channel();
    let events = Some(Events::tell(move |event| drop(heard.send(event))));
    (Settings { events, ..settings }, Heard(Mutex::new(told)))
}

pub(super) fn carrying(fields: &[FieldName]) -> Settings {
    Settings { carried_into_login: fields.to_vec(), ..settings() }
}

pub(super) fn lifetime(idle: Duration, absolute: Duration) -> Lifetime {
    Lifetime::new(idle, absolute).unwrap()
}

/// So short that [`Harness::pass`] gets past it.
pub(super) fn short() -> Lifetime {
    lifetime(Duration::from_millis(150), Duration::from_millis(150))
}

pub(super) const PAST_SHORT: Duration = Duration::from_millis(200);

/// Ends a request that went well, and answers its `Set-Cookie` line.
#[track_caller]
pub(super) fn close(
    visitor: &mut Visitor,
    visit: OpenVisit,
) -> impl Future<Output = Option<String>> + Send {
    let caller = std::panic::Location::caller();
    async move {
        let head = visit.close(200).await;
        assert!(head.failed.is_none(), "at {caller}: {head:?}");
        visitor.receive(&head);
        head.set_cookie
    }
}

/// A request that does nothing but to log in.
pub(super) async fn log_in(visitor: &mut Visitor, user: &User) -> LogIn {
    let visit = visitor.open();
    let outcome = visit.session().log_in(user.clone()).await.unwrap();
    close(visitor, visit).await;
    outcome
}

/// A request that does nothing but to log out.
pub(super) async fn log_out(visitor: &mut Visitor) -> Option<String> {
    let visit = visitor.open();
    visit.session().log_out().await.unwrap();
    close(visitor, visit).await
}

/// Who this browser is.
pub(super) async fn who(visitor: &Visitor) -> Option<User> {
    let visit = visitor.open();
    let user = visit.session().user().await.unwrap();
    let head = visit.close(200).await;
    assert_eq!(head.set_cookie, None, "to ask who is there changes no cookie");
    user
}

/// The session of this browser, if it is alive.
pub(super) async fn id(visitor: &Visitor) -> Option<SessionId> {
    let visit = visitor.open();
    let id = visit.session().id().await.unwrap();
    assert_eq!(visit.close(200).await.set_cookie, None, "to look changes no cookie");
    id
}

/// What this browser's session holds as its note.
pub(super) async fn note(visitor: &Visitor) -> Option<String> {
    visitor.open().session().get(NOTE).await.unwrap()
}

/// The token in a browser's cookie.
pub(super) fn token(visitor: &Visitor) -> String {
    visitor.cookie().unwrap().split_once('=').unwrap().1.to_owned()
}

pub(super) fn is_removal(set_cookie: &str) -> bool {
    set_cookie.contains("=; ") && set_cookie.contains("Max-Age=0")
}

#[track_caller]
pub(super) fn assert_ended<T>(answer: Result<T, SessionError>) {
    match answer {
        Err(SessionError::Ended) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was done, on a session that had ended"),
    }
}

/// Runs `each` on that many threads, of which none begins before all are there.
pub(super) fn at_once<T: Send>(threads: usize, each: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Arc::new(Barrier::new(threads));
    thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let start = start.clone();
                scope.spawn(move || {
                    start.wait();
                    each(number)
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, T>| thread.join();
        let joined = running.into_iter().map(join);
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// What a piece of a request costs, in verbs of the store, in their order.
macro_rules! costs {
    ($scene:expr, [$($verb:ident)*], $what:expr) => {{
        let before = $scene.store.calls().len();
        let answer = $what;
        let expected: &[$crate::store::Verb] = &[$($crate::store::Verb::$verb),*];
        assert_eq!(&$scene.store.calls()[before..], expected, "{}", stringify!($what));
        answer
    }};
}
pub(super) use costs;
