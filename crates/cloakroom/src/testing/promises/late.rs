//! Nothing comes back (P3): logouts and rotations against eight clients who use the same cookie all
//! the while. The clients are the same threads in every round, for to begin a thread takes longer
//! than a round.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;

use super::scene::{
    CART, NOTE, Scene, VISITS, carrying, close, id, is_removal, log_out, settings, who,
};
use crate::field::{Field, List};
use crate::manager::{Manager, OpenVisit};
use crate::outcome::{LogIn, SessionError};
use crate::settings::Settings;
use crate::store::{User, Verb};
use crate::testing::{FailingStore, Harness, Visitor};

const CLIENTS: usize = 8;
const SEEN: Field<List<u32>> = Field::new("seen");

/// What the clients share in a round.
struct Round {
    cookie: String,
    /// Whether client 7 logs out as well.
    two_log_out: bool,
    /// What ends the session was acknowledged.
    over: AtomicBool,
    /// Increments that were acknowledged.
    counted: AtomicU64,
    removals: AtomicUsize,
}

/// What a request made of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Alive,
    Counted,
    Nobody,
    Ended,
    LoggedOut,
}

/// A logout against eight clients. Once it is acknowledged, no request that begins later finds the
/// session; no late request makes one, or touches the cookie; and of two who log out, the one who
/// ended the session removes the cookie.
// Proves R30, CVE-2025-32441, actix-session.
pub fn after_a_logout_no_late_request_gets_in<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let user = scene.user("alice");
    let counter = Counter::new(here, settings());
    let rounds = scene.rounds(1);
    let begin = |round: usize| here.run(either(&scene, &user, round % 4 < 2));
    let end = |_: usize, alice: &mut Visitor, round: &Round| {
        if let Some(line) = here.run(log_out(alice)) {
            assert!(is_removal(&line));
            round.removals.fetch_add(1, Ordering::SeqCst);
        } else {
            assert!(round.two_log_out, "nobody else can have ended it");
        }
    };
    let after = |_: usize, _: &mut Visitor, round: &Round| {
        assert_eq!(round.removals.load(Ordering::SeqCst), 1, "the cookie is removed once");
    };
    against_eight(here, &counter.managers, rounds, |round| round % 2 == 1, begin, end, after);
    counter.made_nothing();
}

/// A rotation against eight clients: the old cookie's requests set and clear no cookie, the new one
/// works, and holds all that was acknowledged.
// Proves R22, CVE-2025-32441.
pub fn after_a_rotation_no_late_request_gets_in_and_none_is_lost<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let user = scene.user("alice");
    let counter = Counter::new(here, settings());
    let begin = |round: usize| here.run(either(&scene, &user, round.is_multiple_of(2)));
    let end = |_: usize, visitor: &mut Visitor, _: &Round| {
        here.run(async {
            let visit = visitor.open();
            visit.session().rotate().await.unwrap();
            assert!(close(visitor, visit).await.is_some());
        });
    };
    let after = |round: usize, visitor: &mut Visitor, shared: &Round| {
        let expected = round.is_multiple_of(2).then_some(&user);
        here.run(async {
            assert_eq!(who(visitor).await.as_ref(), expected);
            assert_eq!(counted(visitor).await, shared.counted.load(Ordering::SeqCst));
            assert!(is_removal(&log_out(visitor).await.unwrap()));
        });
    };
    against_eight(here, &counter.managers, scene.rounds(1), |_| false, begin, end, after);
    counter.made_nothing();
}

/// A login over a session in use, anonymous or the user's own: the same.
// Proves R22, CVE-2019-17563.
pub fn after_a_login_no_late_request_of_the_old_cookie_gets_in<H: Harness>(here: &H) {
    let scene = Scene::with(here, carrying(&[VISITS.name().clone()]));
    let user = scene.user("alice");
    let counter = Counter::new(here, scene.manager.settings().clone());
    let begin = |round: usize| here.run(either(&scene, &user, round.is_multiple_of(2)));
    let end = |_: usize, visitor: &mut Visitor, _: &Round| {
        here.run(async {
            let visit = visitor.open();
            assert_eq!(visit.session().log_in(user.clone()).await.unwrap(), LogIn::Done);
            assert!(close(visitor, visit).await.is_some());
        });
    };
    let after = |_: usize, visitor: &mut Visitor, shared: &Round| {
        here.run(async {
            assert_eq!(who(visitor).await.as_ref(), Some(&user));
            assert_eq!(counted(visitor).await, shared.counted.load(Ordering::SeqCst));
            assert!(is_removal(&log_out(visitor).await.unwrap()));
        });
    };
    against_eight(here, &counter.managers, scene.rounds(1), |_| false, begin, end, after);
    counter.made_nothing();
}

/// Somebody who has logged in, or nobody's session.
async fn either<H: Harness>(scene: &Scene<'_, H>, user: &User, logged_in: bool) -> Visitor {
    if logged_in { scene.logged_in(user).await } else { scene.anonymous().await }
}

async fn counted(visitor: &Visitor) -> u64 {
    visitor.open().session().get(VISITS).await.unwrap().unwrap_or(0)
}

/// The clients' managers, and what they ask of the store.
struct Counter {
    managers: [Manager; 2],
    stores: [FailingStore; 2],
}

impl Counter {
    fn new<H: Harness>(here: &H, settings: Settings) -> Self {
        let stores = [here.store(), here.second()].map(FailingStore::new);
        let managers = stores.clone().map(|store| Manager::new(store, settings.clone()));
        Self { managers, stores }
    }

    /// The clients have made no session, told or untold.
    fn made_nothing(&self) {
        for store in &self.stores {
            assert!(store.calls().iter().all(|verb| matches!(verb, Verb::Apply | Verb::End)));
            assert_eq!(store.abandoned(), []);
        }
    }
}

/// In each round eight clients use the session that `begin` made, until they have begun a request
/// after `end` was done. Then `after` looks at what is left.
fn against_eight<H: Harness>(
    here: &H,
    managers: &[Manager; 2],
    rounds: usize,
    two_log_out: impl Fn(usize) -> bool,
    begin: impl Fn(usize) -> Visitor,
    end: impl Fn(usize, &mut Visitor, &Round),
    after: impl Fn(usize, &mut Visitor, &Round),
) {
    let (start, done) = (Barrier::new(CLIENTS + 1), Barrier::new(CLIENTS + 1));
    let current: Mutex<Option<Arc<Round>>> = Mutex::new(None);
    let failures: Mutex<Vec<String>> = Mutex::new(Vec::new());

    let client = |number: usize| {
        for turn in 0.. {
            start.wait();
            let Some(round) = current.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
                return;
            };
            // A client that panicked would be waited for at the barrier, for ever.
            let served = catch_unwind(AssertUnwindSafe(|| {
                here.run(use_until_late(&managers[number % 2], &round, number, turn))
            }));
            let failure = match served {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some("a client panicked".into()),
            };
            failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failure);
            done.wait();
        }
    };

    let all_rounds = || {
        for number in 0..rounds {
            let mut visitor = begin(number);
            let round = Arc::new(Round {
                cookie: visitor.cookie().unwrap().to_owned(),
                two_log_out: two_log_out(number),
                over: AtomicBool::new(false),
                counted: AtomicU64::new(0),
                removals: AtomicUsize::new(0),
            });
            *current.lock().unwrap() = Some(round.clone());
            start.wait();
            let ended = catch_unwind(AssertUnwindSafe(|| end(number, &mut visitor, &round)));
            round.over.store(true, Ordering::SeqCst);
            done.wait();
            if let Some(failure) = failures.lock().unwrap().first() {
                panic!("round {number}: {failure}");
            }
            if let Err(panic) = ended {
                resume_unwind(panic);
            }
            after(number, &mut visitor, &round);
        }
    };

    thread::scope(|scope| {
        let client = &client;
        for number in 0..CLIENTS {
            scope.spawn(move || client(number));
        }
        let result = catch_unwind(AssertUnwindSafe(all_rounds));
        *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        start.wait();
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    });
}

/// One client's requests in a round; the last begins when the session is over.
async fn use_until_late(
    manager: &Manager,
    round: &Round,
    number: usize,
    turn: usize,
) -> Result<(), String> {
    // Every kind of request comes through both managers.
    let kind = (number + turn / 2) % CLIENTS;
    loop {
        let late = round.over.load(Ordering::SeqCst);
        let visit = manager.open([round.cookie.as_bytes()]);
        let served = serve(kind, round.two_log_out, &visit).await;
        let status = served.as_ref().map_or_else(SessionError::status, |_| 200);
        let head = visit.close(status).await;
        let found = match (served, head.failed) {
            (Err(SessionError::Ended), None) | (Ok(Found::Alive), Some(SessionError::Ended)) => {
                Found::Ended
            }
            (Ok(found), None) => found,
            (Err(error), _) | (_, Some(error)) => return Err(format!("kind {kind}: {error}")),
        };
        match (head.set_cookie, found) {
            (None, _) => {}
            (Some(line), Found::LoggedOut) if is_removal(&line) => {
                round.removals.fetch_add(1, Ordering::SeqCst);
            }
            (Some(_), _) => return Err(format!("kind {kind} touched the cookie: {found:?}")),
        }
        if found == Found::Counted {
            round.counted.fetch_add(1, Ordering::SeqCst);
        }
        if late {
            let right = match kind {
                0 | 1 => found == Found::Nobody,
                7 if round.two_log_out => found == Found::LoggedOut,
                _ => found == Found::Ended,
            };
            return right.then_some(()).ok_or_else(|| format!("late, kind {kind}: {found:?}"));
        }
        // Where threads outnumber processors, one that spins would hold up the one that ends.
        thread::yield_now();
    }
}

/// A reader, or a writer of one of seven kinds. What is set and not awaited is known at the close.
async fn serve(kind: usize, two_log_out: bool, visit: &OpenVisit) -> Result<Found, SessionError> {
    let session = visit.session();
    match kind {
        0 => {
            let found = session.id().await?.is_some() || session.user().await?.is_some();
            return Ok(if found { Found::Alive } else { Found::Nobody });
        }
        1 => {
            let counted = session.if_logged_in().increment(VISITS, 1).await?;
            return Ok(if counted.is_some() { Found::Counted } else { Found::Nobody });
        }
        2 => session.set(NOTE, "late")?,
        3 => {
            session.increment(VISITS, 1).await?;
            return Ok(Found::Counted);
        }
        4 => match session.update(CART, |cart| cart.unwrap_or_default()).await {
            Ok(_) | Err(SessionError::Contended { .. }) => {}
            Err(error) => return Err(error),
        },
        5 => drop(session.take(CART).await?),
        6 => {
            session.get(NOTE).await?;
            session.set(NOTE, "read, then late")?;
        }
        _ if two_log_out => {
            session.log_out().await?;
            return Ok(Found::LoggedOut);
        }
        _ => session.append(SEEN, &1, NonZeroU32::MIN).await?,
    }
    Ok(Found::Alive)
}

/// Every kind of write of a request whose session was ended: its own error, no session, no cookie.
// Proves R30, scs.
pub fn a_late_write_says_so_and_makes_nothing<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        for rotated in [false, true] {
            let mut alice = scene.logged_in(&user).await;
            let late = alice.clone();
            if rotated {
                let visit = alice.open();
                visit.session().rotate().await.unwrap();
                close(&mut alice, visit).await;
            } else {
                log_out(&mut alice).await;
            }
            let before = scene.store.calls().len();
            for kind in 2..CLIENTS {
                let visit = late.open();
                let served = serve(kind, false, &visit).await;
                let ended = matches!(served, Err(SessionError::Ended));
                let head = visit.close(200).await;
                let ended = ended || matches!(head.failed, Some(SessionError::Ended));
                assert!(ended, "kind {kind}");
                assert_eq!(head.set_cookie, None, "kind {kind}");
            }
            let visit = late.open();
            super::scene::assert_ended(visit.session().rotate().await);
            visit.session().log_out().await.unwrap();
            assert_eq!(visit.close(200).await.set_cookie, None, "the cookie stays");
            let calls = scene.store.calls();
            assert!(!calls[before..].contains(&Verb::Create));
            assert_eq!(id(&alice).await.is_some(), rotated, "nobody else is disturbed");
        }
    });
}

/// Of two requests that log out, the second leaves the cookie: it may be a new session's by then.
// Proves R31.
pub fn only_who_ended_the_session_removes_the_cookie<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        let mut late = alice.clone();
        assert!(is_removal(&log_out(&mut alice).await.unwrap()));
        let _ = super::scene::log_in(&mut alice, &user).await;
        assert_eq!(log_out(&mut late).await, None);
        assert_eq!(who(&alice).await, Some(user));
    });
}

/// A session that is lost half way through a request is not made anew by it, whether it was ended or
/// expired, and however the request came to know it.
pub fn a_session_lost_half_way_is_not_made_anew<H: Harness>(here: &H) {
    use super::scene::{PAST_SHORT, short};
    for expires in [false, true] {
        let anonymous = if expires { short() } else { settings().anonymous };
        let scene = Scene::with(here, Settings { anonymous, ..settings() });
        for first in 0..4 {
            // On a slow machine a short life can be over before its first use.
            let lost = (0..20).any(|_| {
                here.run(loses_half_way(&scene, first, || {
                    if expires {
                        here.pass(PAST_SHORT);
                    }
                    expires
                }))
            });
            assert!(lost, "expires: {expires}, first: {first}: it was never met alive");
        }
    }
}

/// Meets a session alive in one of four ways, loses it, and writes; `false` if it was not met alive.
async fn loses_half_way<H: Harness>(
    scene: &Scene<'_, H>,
    first: usize,
    expires: impl Fn() -> bool,
) -> bool {
    let mut visitor = scene.anonymous().await;
    let visit = visitor.open();
    let session = visit.session();
    let alive = match first {
        0 => session.get(NOTE).await.unwrap().is_some(),
        1 => {
            session.increment(VISITS, 1).await.unwrap();
            scene.store.calls().last() == Some(&Verb::Apply)
        }
        // Refused, and so known to be there.
        2 => {
            let counted = session.increment(Field::<u64>::new("note"), 1).await;
            matches!(counted, Err(SessionError::Refused(_)))
        }
        _ => {
            session.rotate().await.unwrap();
            session.id().await.unwrap().is_some()
        }
    };
    let rotated = first == 3;
    if !alive {
        return false;
    }
    if !expires() {
        if rotated {
            let id = session.id().await.unwrap().unwrap();
            let patience = scene.manager.settings().patience;
            let _ = scene.here.store().end(&id, crate::store::Patience(patience)).await.unwrap();
        } else {
            log_out(&mut visitor).await;
        }
    }
    let before = scene.store.calls().len();
    session.set(NOTE, "late").unwrap();
    let head = visit.close(200).await;
    assert!(matches!(head.failed, Some(SessionError::Ended)), "first: {first}: {head:?}");
    // What was acknowledged before goes out all the same.
    assert_eq!(head.set_cookie.is_some(), rotated, "first: {first}");
    assert_eq!(scene.store.calls()[before..], [Verb::Apply], "first: {first}");
    true
}
