//! One request's session in the hands of several threads, and requests at once with one cookie. What a
//! task does between two awaits is interleaved here; between awaits it is in `tests/visits`.

use std::num::NonZeroU32;
use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom::{
    Clock, Field, Hands, Keys, LogIn, Manager, MemoryStore, Rate, Rotation, SecretKey, Session,
    SessionError, Settings, Timestamp, User,
};
use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};
use testbed::schedules::in_many_schedules;

const VISITS: Field<u64> = Field::new("visits");
const NOTE: Field<String> = Field::new("note");

struct Scene {
    store: MemoryStore,
    manager: Manager,
    hands: Hands,
}

impl Scene {
    fn with(settings: Settings) -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let store = MemoryStore::with_clock(clock.clone());
        let settings = Settings { patience: Duration::from_secs(3_600), ..settings };
        let manager = Manager::new(store.clone(), settings).with_clock(clock);
        Self { store, manager, hands }
    }

    fn set() -> Self {
        Self::with(Settings::default())
    }

    fn logged_in(&self, user: &str) -> Visitor {
        block_on(Visitor::logged_in(&self.manager, user)).unwrap()
    }

    /// How many sessions of the user are alive.
    fn sessions_of(&self, user: &str) -> u64 {
        block_on(self.manager.sessions_of(&User::new(user).unwrap()).count()).unwrap()
    }

    /// What the browser's session has counted; `None` without one.
    fn counted(&self, visitor: &Visitor) -> Option<u64> {
        let session = visitor.open().session();
        block_on(session.id()).unwrap()?;
        Some(block_on(session.get(VISITS)).unwrap().unwrap_or(0))
    }
}

/// In a thread of its own.
fn with<T: Send + 'static>(
    session: Session,
    does: impl FnOnce(Session) -> T + Send + 'static,
) -> JoinHandle<T> {
    thread::spawn(move || does(session))
}

fn count(session: &Session) -> Result<u64, SessionError> {
    block_on(session.increment(VISITS, 1))
}

// Proves R67.
#[test]
fn threads_of_a_newcomers_request_make_one_session_and_lose_nothing() {
    in_many_schedules(|| {
        let scene = Scene::set();
        let mut visitor = Visitor::new(&scene.manager);
        let visit = visitor.open();
        let writes = with(visit.session(), |session| {
            session.set(NOTE, "kept").unwrap();
            count(&session).unwrap()
        });
        let counts = with(visit.session(), |session| count(&session).unwrap());
        let mut counted = [writes.join().unwrap(), counts.join().unwrap()];
        counted.sort_unstable();
        assert_eq!(counted, [1, 2]);
        visitor.receive(&block_on(visit.close(200)));
        assert_eq!(scene.store.len(), 1);
        assert_eq!(scene.counted(&visitor), Some(2));
        let note = block_on(visitor.open().session().get(NOTE)).unwrap();
        assert_eq!(note.as_deref(), Some("kept"));
    });
}

// Proves R67.
#[test]
fn what_is_acknowledged_beside_the_end_of_its_request_is_told_to_the_browser() {
    in_many_schedules(|| {
        let scene = Scene::set();
        let mut visitor = Visitor::new(&scene.manager);
        let visit = visitor.open();
        let counts = with(visit.session(), |session| count(&session).is_ok());
        visitor.receive(&block_on(visit.close(200)));
        let counted = counts.join().unwrap();
        assert_eq!(scene.counted(&visitor), counted.then_some(1));
        assert_eq!(scene.store.len(), usize::from(counted));
    });
}

// Proves R23, R67.
#[test]
fn a_request_that_breaks_off_beside_a_login_leaves_nobody_logged_in() {
    in_many_schedules(|| {
        let scene = Scene::set();
        let visit = Visitor::new(&scene.manager).open();
        let logs_in = with(visit.session(), |session| {
            // Refused if the request is over, and then nothing was done.
            let _ = block_on(async { session.log_in(User::new("alice").unwrap()).await });
        });
        drop(visit);
        logs_in.join().unwrap();
        assert_eq!(scene.sessions_of("alice"), 0);
    });
}

// Proves R30, R67.
#[test]
fn a_logout_beside_other_requests_ends_the_session_for_all_of_them() {
    in_many_schedules(|| {
        let scene = Scene::set();
        let mut alice = scene.logged_in("alice");
        let (busy, out) = (alice.open(), alice.open());
        let late = with(busy.session(), |session| (count(&session), count(&session)));
        block_on(out.session().log_out()).unwrap();
        let after = count(&alice.open().session());
        assert!(matches!(after, Err(SessionError::Ended)), "{after:?}");
        let (first, second) = late.join().unwrap();
        assert!(first.is_ok() || second.is_err(), "it came back to life");
        assert_eq!(block_on(busy.close(200)).set_cookie, None);
        let head = block_on(out.close(200));
        assert!(head.set_cookie.as_deref().is_some_and(|line| line.contains("Max-Age=0")));
        alice.receive(&head);
        assert_eq!(scene.sessions_of("alice"), 0);
    });
}

/// The cookie that a stranger had, and may have planted, is nobody's after the login.
// Proves R22, R67.
#[test]
fn a_login_beside_another_request_gives_the_old_cookie_nothing() {
    in_many_schedules(|| {
        let scene = Scene::set();
        let mut planted = Visitor::new(&scene.manager);
        block_on(planted.visit(async |session| session.set(NOTE, "planted"))).unwrap();
        let mut alice = planted.clone();
        let (login, other) = (alice.open(), planted.open());
        let counts = with(other.session(), |session| {
            let _ = count(&session);
            block_on(session.user()).ok().flatten()
        });
        let done =
            block_on(async { login.session().log_in(User::new("alice").unwrap()).await }).unwrap();
        assert_eq!(done, LogIn::Done);
        alice.receive(&block_on(login.close(200)));
        assert_eq!(counts.join().unwrap(), None, "the other request became alice");
        planted.receive(&block_on(other.close(200)));
        assert_eq!(block_on(planted.open().session().user()).unwrap(), None);
        let user = block_on(alice.open().session().user()).unwrap();
        assert_eq!(user, Some(User::new("alice").unwrap()));
        assert_eq!(scene.sessions_of("alice"), 1);
    });
}

// Proves R29, R67.
#[test]
fn of_requests_at_once_when_a_token_is_due_one_is_handed_the_next() {
    let term = Duration::from_secs(60);
    in_many_schedules(move || {
        let key = SecretKey::new("one secret of thirty-two bytes, and more").unwrap();
        let keys = Some(Keys::new(key).rotating(Rotation::new(term, term).unwrap()));
        let scene = Scene::with(Settings { keys, ..Settings::default() });
        let alice = scene.logged_in("alice");
        scene.hands.advance(term);
        let visit = |_| {
            let alice = alice.clone();
            thread::spawn(move || {
                let visit = alice.open();
                count(&visit.session()).unwrap();
                block_on(visit.close(200)).set_cookie
            })
        };
        let visits: Vec<_> = (0..3).map(visit).collect();
        let lines: Vec<_> = visits.into_iter().filter_map(|visit| visit.join().unwrap()).collect();
        let [line] = &lines[..] else { panic!("{} tokens were handed out", lines.len()) };
        let mut renewed = alice.clone();
        renewed.receive_line(line);
        assert_eq!(scene.counted(&renewed), Some(3));
    });
}

// Proves R67, R68.
#[test]
fn strangers_at_once_are_given_as_much_as_the_rate_allows_and_no_less() {
    in_many_schedules(|| {
        let number = |n| NonZeroU32::new(n).unwrap();
        let rate = Rate { per_second: number(1), at_once: number(2) };
        let scene = Scene::with(Settings { newcomers: Some(rate), ..Settings::default() });
        // One is used up, and filled in again while they come.
        let arrive = |manager: &Manager| {
            let visit = Visitor::new(manager).open();
            let counted = count(&visit.session()).is_ok();
            drop(block_on(visit.close(200)));
            counted
        };
        assert!(arrive(&scene.manager));
        let strangers: Vec<_> = (0..3)
            .map(|_| {
                let manager = scene.manager.clone();
                thread::spawn(move || arrive(&manager))
            })
            .collect();
        scene.hands.advance(Duration::from_secs(1));
        let given: Vec<_> = strangers.into_iter().map(|it| it.join().unwrap()).collect();
        let given = given.into_iter().filter(|given| *given).count();
        assert!((1..=2).contains(&given), "{given} of three were let in");
        assert_eq!(scene.store.len(), 1 + given);
        // What was not given is still there.
        assert_eq!((arrive(&scene.manager), given), (given == 1, given));
    });
}
