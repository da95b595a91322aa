//! It fails closed (P6): a visit whose store fails at any of its calls, in either manner. And no
//! secret is shown on the way (P5).

use std::num::NonZeroU32;

use super::scene::{
    CART, NOTE, Scene, VISITS, close, costs, is_removal, log_in, log_out, settings, token, who,
};
use crate::manager::Manager;
use crate::outcome::{LogIn, SessionError};
use crate::settings::Settings;
use crate::store::{SessionLimit, User, WhenFull};
use crate::testing::{FailingStore, Failure, Harness, Visitor};
use crate::token::{Keys, SecretKey};

const FAILURES: [Failure; 2] = [Failure::NotReached, Failure::ReplyLost];

/// One step of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    LogIn,
    Set,
    Increment,
    Read,
    Rotate,
    LogOut,
}
use Step::{Increment, LogIn as Enter, LogOut, Read, Rotate, Set};

/// A browser's doings over several requests, and what its user was told.
struct Script {
    visitor: Visitor,
    user: User,
    /// Increments that were acknowledged, and those of which nobody knows.
    acknowledged: u64,
    perhaps: u64,
}

impl Script {
    /// One request. Asserts that whatever failed is answered as it must be.
    async fn request(&mut self, steps: &[Step]) {
        let visit = self.visitor.open();
        let (mut hands_out, mut removes, mut waits) = (false, false, false);
        let mut failed = None;
        for step in steps {
            let session = visit.session();
            let answer = match step {
                Enter => session.log_in(self.user.clone()).await.map(|outcome| {
                    assert_eq!(outcome, LogIn::Done);
                    hands_out = true;
                }),
                Set => {
                    waits = true;
                    session.set(NOTE, "waits")
                }
                Increment => {
                    // Made by a newcomer, it makes a session: then its token is handed out.
                    let newcomer = !hands_out && self.visitor.cookie().is_none();
                    let counted = session.increment(VISITS, 1).await;
                    self.acknowledged += u64::from(counted.is_ok());
                    self.perhaps += u64::from(is_lost(&counted));
                    counted.map(|_| hands_out |= newcomer)
                }
                Read => session.get(CART).await.map(drop),
                Rotate => {
                    let somebody = hands_out || self.visitor.cookie().is_some();
                    session.rotate().await.map(|()| hands_out |= somebody)
                }
                LogOut => session.log_out().await.map(|()| removes = true),
            };
            if let Err(error) = answer {
                failed = Some(error);
                break;
            }
        }
        let status = failed.as_ref().map_or(200, SessionError::status);
        let head = visit.close(status).await;
        for error in failed.iter().chain(&head.failed) {
            let expected = match error {
                SessionError::Unavailable(_) => (503, Some(1)),
                // An earlier failure had ended the session after all.
                SessionError::Ended => (409, None),
                other => panic!("{other}"),
            };
            assert_eq!((error.status(), error.retry_after()), expected, "{steps:?}");
        }
        let ok = failed.is_none() && head.failed.is_none();
        match &head.set_cookie {
            Some(line) if is_removal(line) => assert!(removes, "{steps:?}: a cookie was cleared"),
            Some(_) => assert!(hands_out || (waits && ok), "{steps:?}: a cookie from nowhere"),
            None => {
                assert!(!hands_out || removes, "{steps:?}: an acknowledged token was kept back");
            }
        }
        self.visitor.receive(&head);
    }
}

fn is_lost<T>(answer: &Result<T, SessionError>) -> bool {
    use crate::store::Happened;
    matches!(answer, Err(SessionError::Unavailable(error)) if error.happened == Happened::Perhaps)
}

/// Whatever call of a visit fails, and however: see the assertions.
// Proves R65, tower-sessions.
pub fn a_visit_fails_closed_at_every_call<H: Harness>(here: &H) {
    // As one request, as one request each, and somewhere between.
    let scripts: [&[&[Step]]; 4] = [
        &[&[Enter], &[Set], &[Increment], &[Increment], &[Rotate], &[Increment], &[LogOut]],
        &[&[Enter, Set, Increment, Rotate, Increment, Set], &[Increment], &[LogOut]],
        &[&[Set], &[Read, Increment, Set], &[Rotate, Increment], &[Enter, Increment, Set], &[Read]],
        &[&[Increment, Enter, Set], &[Increment, Rotate, Set], &[Set, LogOut], &[Enter, Increment]],
    ];
    for (number, script) in scripts.iter().enumerate() {
        for failure in FAILURES {
            for at in 1..=20 {
                let scene = Scene::with(here, carrying_visits());
                let reached = here.run(fails_at(&scene, script, at, failure));
                if !reached {
                    assert!(at > 3, "script {number} has only {at} calls");
                    break;
                }
            }
        }
    }
}

fn carrying_visits() -> Settings {
    super::scene::carrying(&[VISITS.name().clone()])
}

/// Says whether the script has that many calls.
async fn fails_at<H: Harness>(
    scene: &Scene<'_, H>,
    script: &[&[Step]],
    at: usize,
    failure: Failure,
) -> bool {
    let user = scene.user("alice");
    let visitor = scene.stranger();
    let mut told = Script { visitor, user: user.clone(), acknowledged: 0, perhaps: 0 };
    scene.store.fail_at(at, failure);
    for steps in script {
        told.request(steps).await;
    }
    let reached = scene.store.calls().len() >= at;
    scene.store.recover();

    for id in scene.store.abandoned() {
        scene.is_soon_over(id).await;
    }
    // An increment is never repeated. What was counted may be gone with its session, never doubled.
    let stored = told.visitor.open().session().get(VISITS).await.unwrap().unwrap_or(0);
    assert!(stored <= told.acknowledged + told.perhaps, "{script:?} {at} {failure:?}");
    // The user has no session but the browser's: after its logout, of one that is allowed there is
    // room for one.
    log_out(&mut told.visitor).await;
    let at_most = NonZeroU32::MIN;
    let only = SessionLimit { at_most, when_full: WhenFull::Refuse };
    let strict =
        scene.manager_with(Settings { sessions_per_user: Some(only), ..carrying_visits() });
    let outcome = log_in(&mut Visitor::new(&strict), &user).await;
    let said = "a session that nobody was told of";
    assert_eq!(outcome, LogIn::Done, "{said}: {script:?}, {failure:?} at {at}");
    reached
}

/// A store that stays away: 503, the cookie kept, and all is well when it is back.
pub fn a_store_that_is_away_loses_nobody<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        for failure in FAILURES {
            scene.store.fail(failure);
            for step in [Set, Increment, Read, Rotate, LogOut] {
                // A rotation and a logout that may have happened are nothing to come back from.
                if failure == Failure::ReplyLost && matches!(step, Rotate | LogOut) {
                    continue;
                }
                let visitor = alice.clone();
                let user = user.clone();
                let mut told = Script { visitor, user, acknowledged: 0, perhaps: 0 };
                let before = scene.store.calls().len();
                told.request(&[step]).await;
                assert!(scene.store.calls().len() > before, "{step:?} asked nothing");
                assert_eq!(told.visitor.cookie(), alice.cookie(), "{step:?}");
                assert_eq!(told.acknowledged, 0);
            }
            let visit = alice.open();
            let session = visit.session();
            // Never anonymous: each of them is an error.
            assert!(session.user().await.is_err());
            assert!(session.id().await.is_err());
            assert!(session.get(NOTE).await.is_err());
            assert!(session.if_logged_in().increment(VISITS, 1).await.is_err());
            assert!(session.authenticated_within(super::scene::HOUR).await.is_err());
            assert_eq!(visit.close(503).await.set_cookie, None);
            scene.store.recover();
            assert_eq!(who(&alice).await.as_ref(), Some(&user));
        }
    });
}

/// A first write whose answer was lost: 503, no cookie, and what it may have made is ended.
pub fn a_first_write_whose_answer_is_lost_leaves_no_session<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        for by_increment in [false, true] {
            let before = scene.store.abandoned().len();
            let visit = scene.stranger().open();
            scene.store.fail_at(1, Failure::ReplyLost);
            let error = if by_increment {
                let error = visit.session().increment(VISITS, 1).await.unwrap_err();
                assert_eq!(visit.close(503).await.set_cookie, None);
                error
            } else {
                visit.session().set(NOTE, "lost").unwrap();
                let head = visit.close(200).await;
                assert_eq!(head.set_cookie, None);
                head.failed.unwrap()
            };
            assert_eq!(error.status(), 503);
            let abandoned = &scene.store.abandoned()[before..];
            assert_eq!(abandoned.len(), 1);
            scene.is_soon_over(abandoned[0]).await;
        }
        // Known not to have happened, there is nothing to end.
        let before = scene.store.abandoned().len();
        let visit = scene.stranger().open();
        scene.store.fail_at(1, Failure::NotReached);
        assert!(visit.session().increment(VISITS, 1).await.is_err());
        // And the handler may try again.
        visit.session().increment(VISITS, 1).await.unwrap();
        assert!(visit.close(200).await.set_cookie.is_some());
        assert_eq!(scene.store.abandoned().len(), before);
    });
}

/// A request that is dropped before its head ends the session that it made, and no other.
// Proves R67.
pub fn a_request_that_is_dropped_ends_what_nobody_was_told_of<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        let visit = alice.open();
        visit.session().set(NOTE, "dropped").unwrap();
        visit.session().increment(VISITS, 1).await.unwrap();
        visit.session().set(NOTE, "dropped too").unwrap();
        drop(visit);
        assert_eq!(who(&alice).await.as_ref(), Some(&user));
        assert_eq!(scene.store.abandoned(), []);

        for made in [Set, Enter, Rotate] {
            let before = scene.store.abandoned().len();
            let visitor = if made == Rotate { alice.clone() } else { scene.stranger() };
            let visit = visitor.open();
            let session = visit.session();
            match made {
                Enter => assert_eq!(session.log_in(user.clone()).await.unwrap(), LogIn::Done),
                Rotate => session.rotate().await.unwrap(),
                _ => drop(session.increment(VISITS, 1).await.unwrap()),
            }
            let id = session.id().await.unwrap().unwrap();
            drop(visit);
            assert_eq!(scene.store.abandoned()[before..], [id], "{made:?}");
            scene.is_soon_over(id).await;
        }
    });
}

/// Without randomness no token is made: 503, no cookie, and the store is not asked.
// Proves R3, CVE-2025-66565.
pub fn without_randomness_no_session_is_made<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        let without = scene.manager.clone().without_randomness();
        let check = |error: SessionError| {
            assert!(matches!(error, SessionError::NoRandomness(_)), "{error}");
            assert_eq!((error.status(), error.retry_after()), (503, Some(1)));
        };
        costs!(scene, [], {
            let visit = without.open([]);
            check(visit.session().log_in(user.clone()).await.unwrap_err());
            check(visit.session().increment(VISITS, 1).await.unwrap_err());
            visit.session().set(NOTE, "first write").unwrap();
            let head = visit.close(200).await;
            assert_eq!(head.set_cookie, None);
            check(head.failed.unwrap());

            let visit = without.open([alice.cookie().unwrap().as_bytes()]);
            check(visit.session().log_in(user.clone()).await.unwrap_err());
            check(visit.session().rotate().await.unwrap_err());
            assert_eq!(visit.close(503).await.set_cookie, None);
        });
        // Who needs no new token notices nothing.
        let visit = without.open([alice.cookie().unwrap().as_bytes()]);
        visit.session().increment(VISITS, 1).await.unwrap();
        assert!(visit.close(200).await.failed.is_none());
        assert_eq!(who(&alice).await, Some(user));
    });
}

/// No token, and no value, is in the `Debug` form of anything that a log line may hold, or in the
/// words of an error.
// Proves R61.
pub fn no_token_and_no_value_is_shown_by_debug<H: Harness>(here: &H) {
    const SECRET: &str = "a value that nobody may log";
    let key = SecretKey::new("one secret of thirty-two bytes, and more").unwrap();
    for keys in [None, Some(Keys::new(key))] {
        let scene = Scene::with(here, Settings { keys, ..settings() });
        let mut shown = Shown { said: String::new(), tokens: Vec::new() };
        here.run(async {
            let user = scene.user("alice");
            let mut visitor = scene.stranger();
            for step in 0..7 {
                let visit = visitor.open();
                let session = visit.session();
                shown.visit(&scene.manager, &scene.store, &visit, &visitor);
                session.set(NOTE, SECRET).unwrap();
                shown.say(&session);
                if step == 5 {
                    scene.store.fail(Failure::ReplyLost);
                }
                let done = match step {
                    0 => session.get(CART).await.map(drop),
                    1 | 4 => {
                        let login = session.log_in(user.clone()).with(CART, SECRET);
                        shown.say(&login);
                        login.await.map(|outcome| shown.say(&outcome))
                    }
                    2 => session.increment(Field::<u64>::new("note"), 1).await.map(drop),
                    3 => session.rotate().await,
                    5 => session.increment(VISITS, 1).await.map(drop),
                    _ => session.log_out().await,
                };
                if let Err(error) = done {
                    shown.error(&error);
                }
                shown.say(&session.if_logged_in());
                shown.visit(&scene.manager, &scene.store, &visit, &visitor);
                let head = visit.close(200).await;
                scene.store.recover();
                shown.say(&head);
                if let Some(error) = &head.failed {
                    shown.error(error);
                }
                visitor.receive(&head);
                if visitor.cookie().is_some() {
                    shown.tokens.push(token(&visitor));
                }
                shown.say(&visitor);
            }
            let mut visitor = scene.anonymous().await;
            shown.tokens.push(token(&visitor));
            let visit = visitor.open();
            visit.session().get(NOTE).await.unwrap();
            shown.say(&visit);
            close(&mut visitor, visit).await;
        });
        shown.tokens.sort();
        shown.tokens.dedup();
        assert!(shown.tokens.len() >= 4 && shown.said.len() > 1_000, "too little was looked at");
        for token in &shown.tokens {
            // The seal may be shared; no part of the secret may be seen.
            assert!(!shown.said.contains(&token[..12]), "a token is shown");
        }
        assert!(!shown.said.contains(SECRET), "a value is shown");
        let bytes = format!("{:?}", SECRET.as_bytes());
        assert!(!shown.said.contains(&bytes[1..20]), "a value is shown as bytes");
    }
}

use crate::field::Field;
use crate::manager::OpenVisit;

/// All that was shown, and what may not be in it.
struct Shown {
    said: String,
    tokens: Vec<String>,
}

impl Shown {
    fn say(&mut self, what: &impl std::fmt::Debug) {
        self.said.push_str(&format!("{what:?}\n{what:#?}\n"));
    }

    fn error(&mut self, error: &SessionError) {
        self.say(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            self.said.push_str(&format!("{error}\n"));
            cause = error.source();
        }
    }

    fn visit(&mut self, manager: &Manager, store: &FailingStore, visit: &OpenVisit, by: &Visitor) {
        self.say(manager);
        self.say(manager.settings());
        self.say(store);
        self.say(visit);
        self.say(&visit.session());
        self.say(by);
    }
}
