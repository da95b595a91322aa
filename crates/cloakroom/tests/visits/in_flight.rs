//! What happens while the store is at work: other operations of the request, and its end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, ListOf, Page, Patience, Rotate,
    Rotated, Verb,
};
use cloakroom::testing::{FailingStore, Visitor};
use cloakroom::{
    Field, Manager, MemoryStore, Prefix, SessionError, SessionId, Settings, Store, User,
};
use pollster::block_on;

/// Does its work at once, and answers when it is asked a second time.
#[derive(Debug)]
struct AnswersLater(FailingStore);

fn later<'a, T: Send + 'a>(answer: Answer<'a, T>) -> Answer<'a, T> {
    Box::pin(async move {
        let answer = answer.await;
        let mut asked = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        answer
    })
}

impl Store for AnswersLater {
    fn prefix(&self) -> &Prefix {
        self.0.prefix()
    }
    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        later(self.0.create(new, patience))
    }
    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        later(self.0.apply(apply, patience))
    }
    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        later(self.0.rotate(rotate, patience))
    }
    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        later(self.0.end(id, patience))
    }
    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page> {
        later(self.0.sessions_of(list, patience))
    }
    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        later(self.0.count_of(user, patience))
    }
    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        later(self.0.end_of(end, patience))
    }
    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        later(self.0.erase(user, patience))
    }
    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        later(self.0.check(patience))
    }
    fn abandon(&self, id: SessionId) {
        self.0.abandon(id);
    }
}

const VISITS: Field<u64> = Field::new("visits");

fn house() -> (FailingStore, Manager) {
    let store = FailingStore::new(Arc::new(MemoryStore::new()));
    let manager = Manager::new(AnswersLater(store.clone()), Settings::default());
    (store, manager)
}

fn alice() -> User {
    User::new("alice").unwrap()
}

/// Polls once: the store has done it, and the answer is on its way.
async fn begin<F: Future>(future: &mut std::pin::Pin<&mut F>) {
    let pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
    assert!(pending);
}

#[test]
fn clones_that_read_at_once_travel_once() {
    let (store, manager) = house();
    block_on(async {
        let alice = Visitor::logged_in(&manager, "alice").await.unwrap();
        let before = store.calls().len();
        let visit = alice.open();
        let (one, other) = (visit.session(), visit.session());
        let (mut first, mut second) = (pin!(one.user()), pin!(other.get(VISITS)));
        begin(&mut first).await;
        begin(&mut second).await;
        assert!(first.await.unwrap().is_some());
        assert_eq!(second.await.unwrap(), None);
        assert_eq!(store.calls()[before..], [Verb::Apply]);
    });
}

#[test]
fn operations_of_one_request_take_turns() {
    let (store, manager) = house();
    block_on(async {
        let visit = manager.open([]);
        let (one, other) = (visit.session(), visit.session());
        let mut first = pin!(one.increment(VISITS, 1));
        let mut second = pin!(other.increment(VISITS, 1));
        let mut closing = pin!(visit.close(200));
        begin(&mut first).await;
        begin(&mut second).await;
        // The head waits for what was begun before it.
        begin(&mut closing).await;
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(second.await.unwrap(), 2);
        assert!(closing.await.set_cookie.is_some());
        assert_eq!(store.calls(), [Verb::Create, Verb::Apply]);
    });
}

/// What was written while an operation was on its way has not left with it.
#[test]
fn a_write_during_an_operation_waits_for_the_next() {
    const NOTE: Field<String> = Field::new("note");
    let (store, manager) = house();
    block_on(async {
        let mut visitor = Visitor::new(&manager);
        let visit = visitor.open();
        let session = visit.session();
        session.set(NOTE, "left").unwrap();
        {
            let mut counting = pin!(session.increment(VISITS, 1));
            begin(&mut counting).await;
            session.set(NOTE, "written since").unwrap();
            counting.await.unwrap();
        }
        assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("written since"));
        visitor.receive(&visit.close(200).await);
        assert_eq!(store.calls(), [Verb::Create, Verb::Apply]);
        let visit = visitor.open();
        assert_eq!(visit.session().get(NOTE).await.unwrap().as_deref(), Some("written since"));
    });
}

// Proves CVE-2026-24894.
#[test]
fn what_was_made_while_the_request_was_cancelled_is_ended() {
    let (store, manager) = house();
    block_on(async {
        for login in [true, false] {
            let before = store.abandoned().len();
            let visit = manager.open([]);
            let session = visit.session();
            {
                let mut making = pin!(async {
                    if login {
                        session.log_in(alice()).await.map(drop)
                    } else {
                        session.increment(VISITS, 1).await.map(drop)
                    }
                });
                begin(&mut making).await;
            }
            assert_eq!(store.abandoned().len() - before, 1, "login: {login}");
        }
    });
}

#[test]
fn a_close_that_is_cancelled_ends_what_it_made() {
    let (store, manager) = house();
    block_on(async {
        let visit = manager.open([]);
        visit.session().set(VISITS, 1u64).unwrap();
        {
            let mut closing = pin!(visit.close(200));
            begin(&mut closing).await;
        }
        assert_eq!(store.abandoned().len(), 1);
    });
}

/// A task that outlives its request: the session that it makes is nobody's.
#[test]
fn what_a_left_behind_task_makes_after_its_request_was_dropped_is_ended() {
    let (store, manager) = house();
    block_on(async {
        for rotates in [false, true] {
            let before = store.abandoned().len();
            // A manager over the same sessions, without the delay.
            let manager_at_once = Manager::new(store.clone(), Settings::default());
            let known = Visitor::logged_in(&manager_at_once, "bob").await.unwrap();
            let cookie = rotates.then(|| known.cookie().unwrap().as_bytes());
            let visit = manager.open(cookie);
            let session = visit.session();
            let mut making = pin!(async {
                if rotates {
                    session.rotate().await
                } else {
                    session.log_in(alice()).await.map(drop)
                }
            });
            begin(&mut making).await;
            drop(visit);
            let made = making.await;
            assert_eq!(store.abandoned().len() - before, 1, "rotates: {rotates}");
            assert!(matches!(made, Err(SessionError::HeadHasLeft(_))), "{made:?}");
            assert!(session.id().await.unwrap().is_none());
        }
    });
}
