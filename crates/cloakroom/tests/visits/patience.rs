//! How long a request waits for its store: all its operations together, and no longer.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Page,
    Patience, Rotate, Rotated, Verb,
};
use cloakroom::testing::Visitor;
use cloakroom::{
    Field, Manager, MemoryStore, Prefix, SessionError, SessionId, Settings, Store, StoreError, User,
};
use pollster::block_on;

const PATIENCE: Duration = Duration::from_millis(100);
const VISITS: Field<u64> = Field::new("visits");
const NOTE: Field<String> = Field::new("note");

/// Takes a part of the patience that it is shown, of which it keeps a list. Where that is all of it,
/// it does not answer in time.
#[derive(Clone, Debug)]
struct Slow {
    store: MemoryStore,
    shown: Arc<Mutex<Vec<Duration>>>,
    takes: Arc<Mutex<Duration>>,
}

impl Slow {
    fn new() -> Self {
        Self { store: MemoryStore::new(), shown: Arc::default(), takes: Arc::default() }
    }

    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
        self.shown.lock().unwrap().clear();
    }

    fn shown(&self) -> Vec<Duration> {
        self.shown.lock().unwrap().clone()
    }

    fn within<'a, T: Send + 'a>(
        &'a self,
        verb: Verb,
        Patience(patience): Patience,
        answer: impl FnOnce() -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            self.shown.lock().unwrap().push(patience);
            let takes = *self.takes.lock().unwrap();
            // Being slow is all that this store is for.
            thread::sleep(takes.min(patience));
            if takes < patience {
                return answer().await;
            }
            let (session, store) = (None, "a slow store".into());
            let (happened, reason) = (Happened::Perhaps, "no answer in time".into());
            Err(StoreError { verb, session, store, happened, reason })
        })
    }
}

impl Store for Slow {
    fn prefix(&self) -> &Prefix {
        self.store.prefix()
    }
    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        self.within(Verb::Create, patience, move || self.store.create(new, patience))
    }
    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        self.within(Verb::Apply, patience, move || self.store.apply(apply, patience))
    }
    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        self.within(Verb::Rotate, patience, move || self.store.rotate(rotate, patience))
    }
    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        self.within(Verb::End, patience, move || self.store.end(id, patience))
    }
    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page> {
        self.within(Verb::SessionsOf, patience, move || self.store.sessions_of(list, patience))
    }
    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        self.within(Verb::CountOf, patience, move || self.store.count_of(user, patience))
    }
    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        self.within(Verb::EndOf, patience, move || self.store.end_of(end, patience))
    }
    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        self.within(Verb::Erase, patience, move || self.store.erase(user, patience))
    }
    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        self.within(Verb::Check, patience, move || self.store.check(patience))
    }
    fn abandon(&self, id: SessionId) {
        self.store.abandon(id);
    }
}

fn house() -> (Slow, Manager) {
    let slow = Slow::new();
    let settings = Settings { patience: PATIENCE, ..Settings::default() };
    (slow.clone(), Manager::new(slow, settings))
}

// Proves R66.
#[test]
fn after_one_operation_was_too_late_the_rest_of_the_request_fails_at_once() {
    let (slow, manager) = house();
    block_on(async {
        let alice = Visitor::logged_in(&manager, "alice").await.unwrap();
        slow.takes(10 * PATIENCE);
        let visit = alice.open();
        let session = visit.session();
        let late = session.increment(VISITS, 1).await.unwrap_err();
        assert!(matches!(late, SessionError::Unavailable(_)), "{late}");
        let user = User::new("alice").unwrap();
        let out_of_patience = [
            session.increment(VISITS, 1).await.map(drop),
            session.user().await.map(drop),
            session.rotate().await,
            session.log_out().await,
            session.log_in(user).await.map(drop),
        ];
        session.set(NOTE, "waits").unwrap();
        let head = visit.close(200).await;
        assert_eq!(head.set_cookie, None);
        for error in out_of_patience.into_iter().filter_map(Result::err).chain(head.failed) {
            assert!(matches!(error, SessionError::OutOfPatience), "{error}");
            assert_eq!((error.status(), error.retry_after()), (503, Some(1)));
        }
        assert_eq!(slow.shown(), [PATIENCE], "the store was asked once, with all the patience");

        // The next request has its own.
        slow.takes(Duration::ZERO);
        let visit = alice.open();
        assert!(visit.session().user().await.unwrap().is_some());
        assert_eq!(slow.shown(), [PATIENCE]);
    });
}

// Proves R66.
#[test]
fn the_operations_of_a_request_share_its_patience() {
    let (slow, manager) = house();
    block_on(async {
        let alice = Visitor::logged_in(&manager, "alice").await.unwrap();
        slow.takes(PATIENCE / 4);
        let visit = alice.open();
        let session = visit.session();
        let mut failed = 0;
        for _ in 0..10 {
            failed += usize::from(session.increment(VISITS, 1).await.is_err());
        }
        let shown = slow.shown();
        assert!((1..=4).contains(&shown.len()), "{shown:?}");
        for two in shown.windows(2) {
            assert!(two[1] + PATIENCE / 4 <= two[0], "{shown:?}");
        }
        assert!(failed >= 6, "{failed} of 10 failed");

        // After the head nobody waits for the request as a whole: each operation has it all.
        let _ = visit.close(503).await;
        slow.takes(Duration::ZERO);
        session.increment(VISITS, 1).await.unwrap();
        session.increment(VISITS, 1).await.unwrap();
        assert_eq!(slow.shown(), [PATIENCE, PATIENCE]);
    });
}
