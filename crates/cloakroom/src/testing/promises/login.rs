//! Login rotates (P8): a new token, the old one dead, what is kept and what is not, and the limit of
//! sessions per user, whoever else logs in at the same time.

use std::num::NonZeroU32;
use std::time::Duration;

use super::scene::{
    CART, HOUR, NOTE, PAST_SHORT, Scene, VISITS, assert_ended, at_once, carrying, close, costs, id,
    is_removal, lifetime, log_in, log_out, note, settings, short, token, who,
};
use crate::field::Field;
use crate::outcome::{LogIn, SessionError};
use crate::settings::Settings;
use crate::store::{SessionLimit, User, WhenFull};
use crate::testing::{Harness, Visitor};

fn at_most(sessions: u32, when_full: WhenFull) -> Settings {
    let at_most = NonZeroU32::new(sessions).unwrap();
    Settings { sessions_per_user: Some(SessionLimit { at_most, when_full }), ..settings() }
}

/// Whoever knew the cookie before a login knows nothing after it.
// Proves R22, R23, CVE-2022-38054, CVE-2022-25896, CVE-2018-11385.
pub fn a_cookie_known_before_the_login_is_dead_after_it<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let (user, other) = (scene.user("alice"), scene.user("bob"));
        for before in 0..3 {
            // The attacker's own session, planted into the victim's browser.
            let attacker = match before {
                0 => scene.anonymous().await,
                1 => scene.logged_in(&other).await,
                _ => scene.logged_in(&user).await,
            };
            let mut victim = attacker.clone();
            let visit = victim.open();
            costs!(scene, [Rotate], {
                assert_eq!(visit.session().log_in(user.clone()).await.unwrap(), LogIn::Done);
            });
            close(&mut victim, visit).await;
            assert_ne!(token(&victim), token(&attacker));
            assert_eq!(who(&victim).await.as_ref(), Some(&user));
            assert_eq!(id(&attacker).await, None);
            let visit = attacker.open();
            assert_ended(visit.session().increment(VISITS, 1).await);
            assert_eq!(visit.close(200).await.set_cookie, None);
        }
    });
}

/// The same user keeps every field, of the store and of what waits; another user keeps nothing.
// Proves R24.
pub fn the_same_user_keeps_every_field_and_another_none<H: Harness>(here: &H) {
    let scene = Scene::with(here, carrying(&[NOTE.name().clone(), CART.name().clone()]));
    here.run(async {
        let (alice, bob) = (scene.user("alice"), scene.user("bob"));
        let mut visitor = scene.logged_in(&alice).await;
        let visit = visitor.open();
        visit.session().set(NOTE, "alice's").unwrap();
        visit.session().increment(VISITS, 7).await.unwrap();
        close(&mut visitor, visit).await;

        let visit = visitor.open();
        let session = visit.session();
        session.set(CART, "waits").unwrap();
        assert_eq!(session.log_in(alice.clone()).await.unwrap(), LogIn::Done);
        costs!(scene, [], {
            assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("alice's"));
            assert_eq!(session.get(CART).await.unwrap().as_deref(), Some("waits"));
            assert_eq!(session.get(VISITS).await.unwrap(), Some(7));
            close(&mut visitor, visit).await;
        });

        let visit = visitor.open();
        let session = visit.session();
        session.set(CART, "alice's, and waits").unwrap();
        assert_eq!(session.log_in(bob.clone()).await.unwrap(), LogIn::Done);
        close(&mut visitor, visit).await;
        let visit = visitor.open();
        let session = visit.session();
        assert_eq!(session.user().await.unwrap(), Some(bob));
        assert_eq!(session.get(NOTE).await.unwrap(), None);
        assert_eq!(session.get(CART).await.unwrap(), None);
        assert_eq!(session.get(VISITS).await.unwrap(), None);
    });
}

/// Not even when the other user's session expires while the request is on its way, and the store knows
/// nothing of it any more.
// Proves R24.
pub fn what_waited_for_a_user_whose_session_expired_is_not_the_next_ones<H: Harness>(here: &H) {
    let scene = Scene::with(here, carrying(&[NOTE.name().clone()]));
    here.run(async {
        let (alice, bob) = (scene.user("alice"), scene.user("bob"));
        loop {
            let mut visitor = scene.stranger();
            let visit = visitor.open();
            let session = visit.session();
            let login = session.log_in(alice.clone()).remembered(short());
            assert_eq!(login.await.unwrap(), LogIn::Done);
            close(&mut visitor, visit).await;

            let visit = visitor.open();
            let session = visit.session();
            if session.user().await.unwrap().is_none() {
                // A slow machine: it has expired already.
                continue;
            }
            session.set(NOTE, "alice's").unwrap();
            here.pass(PAST_SHORT);
            assert_eq!(session.log_in(bob.clone()).await.unwrap(), LogIn::Done);
            assert_eq!(session.get(NOTE).await.unwrap(), None);
            close(&mut visitor, visit).await;
            assert_eq!(note(&visitor).await, None);
            return;
        }
    });
}

/// From an anonymous session a login keeps what is named in the settings, stored or waiting, and
/// from somebody without a session what of it waits.
// Proves R24.
pub fn a_login_keeps_of_nobodys_session_only_what_is_named<H: Harness>(here: &H) {
    let scene = Scene::with(here, carrying(&[CART.name().clone(), VISITS.name().clone()]));
    here.run(async {
        for (with_session, removes) in [(false, false), (true, false), (true, true)] {
            let mut visitor = scene.stranger();
            if with_session {
                let visit = visitor.open();
                visit.session().set(NOTE, "stored").unwrap();
                visit.session().set(CART, "stored").unwrap();
                visit.session().set(VISITS, 3u64).unwrap();
                close(&mut visitor, visit).await;
            }
            let visit = visitor.open();
            let session = visit.session();
            session.set(NOTE, "waits").unwrap();
            if removes {
                session.remove(CART).unwrap();
            } else {
                session.set(CART, "waits").unwrap();
            }
            let _ = session.log_in(scene.user("alice")).await.unwrap();
            // What was not kept is not sent later either.
            costs!(scene, [], close(&mut visitor, visit).await);
            let visit = visitor.open();
            let session = visit.session();
            assert_eq!(session.get(NOTE).await.unwrap(), None);
            let cart = (!removes).then(|| "waits".to_owned());
            assert_eq!(session.get(CART).await.unwrap(), cart);
            assert_eq!(session.get(VISITS).await.unwrap(), with_session.then_some(3));
        }
    });
}

/// Nothing is kept unless the settings say so.
// Proves R24.
pub fn a_login_starts_clean_by_default<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut visitor = scene.anonymous().await;
        let visit = visitor.open();
        visit.session().set(CART, "waits").unwrap();
        let _ = visit.session().log_in(scene.user("alice")).await.unwrap();
        close(&mut visitor, visit).await;
        assert_eq!(note(&visitor).await, None);
        assert_eq!(visitor.open().session().get(CART).await.unwrap(), None);
    });
}

/// What a login was worth is kept in a field that each login writes: whoever logs in again with less has
/// less, whatever came before.
// Proves R41.
pub fn a_session_counts_for_what_its_last_login_was_worth<H: Harness>(here: &H) {
    const FACTORS: Field<u64> = Field::new("factors");
    let scene = Scene::with(here, carrying(&[FACTORS.name().clone()]));
    here.run(async {
        let user = scene.user("alice");
        let mut visitor = scene.anonymous().await;
        // Before the login as well, by a handler that should not, and by another request.
        let visit = visitor.open();
        visit.session().set(FACTORS, 9u64).unwrap();
        close(&mut visitor, visit).await;
        for worth in [1u64, 2, 1] {
            let before = visitor.clone();
            let visit = visitor.open();
            visit.session().set(FACTORS, 9u64).unwrap();
            let login = visit.session().log_in(user.clone()).with(FACTORS, worth).await;
            assert_eq!(login.unwrap(), LogIn::Done);
            close(&mut visitor, visit).await;
            let visit = visitor.open();
            assert_eq!(visit.session().get(FACTORS).await.unwrap(), Some(worth));
            // And the token of before, which may have been copied, is worth nothing.
            assert_eq!(who(&before).await, None);
        }
    });
}

/// Fields named at the login are there with it, over what was kept; and no login happens with one
/// that can't be kept.
pub fn fields_of_the_login_are_there_with_it<H: Harness>(here: &H) {
    let scene = Scene::with(here, carrying(&[NOTE.name().clone()]));
    here.run(async {
        for start in 0..3 {
            let user = scene.user("alice");
            let mut visitor = match start {
                0 => scene.stranger(),
                1 => scene.anonymous().await,
                _ => scene.logged_in(&user).await,
            };
            let visit = visitor.open();
            let session = visit.session();
            session.set(NOTE, "kept").unwrap();
            let login = session.log_in(user).with(NOTE, "of the login").with(VISITS, 5u64);
            let _ = login.await.unwrap();
            costs!(scene, [], {
                assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("of the login"));
                assert_eq!(session.get(VISITS).await.unwrap(), Some(5));
                close(&mut visitor, visit).await;
            });
            assert_eq!(note(&visitor).await.as_deref(), Some("of the login"));

            let visit = visitor.open();
            let session = visit.session();
            let login = session.log_in(scene.user("bob")).with(VISITS, u64::MAX);
            let error = costs!(scene, [], login.await.unwrap_err());
            assert!(matches!(error, SessionError::NotEncodable { .. }));
            let large = "x".repeat(1 << 20);
            let error = session.log_in(scene.user("bob")).with(NOTE, large).await.unwrap_err();
            assert!(matches!(error, SessionError::Refused(_)), "{error}");
            assert_eq!(error.status(), 422);
            assert_eq!(visit.close(422).await.set_cookie, None);
            assert!(who(&visitor).await.is_some(), "the session is as it was");
        }
    });
}

/// The cookie of a remembered login stays for its absolute timeout, and after a rotation for the
/// rest of it; any other goes when the browser closes.
// Proves R13, R41.
pub fn a_remembered_cookie_stays_for_the_absolute_timeout<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let month = 720 * HOUR;
    let max_age = |line: &str| -> Option<u64> {
        let (_, seconds) = line.split_once("; Max-Age=")?;
        Some(seconds.parse().unwrap())
    };
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.stranger();
        let visit = alice.open();
        visit.session().set(NOTE, "anonymous").unwrap();
        let line = close(&mut alice, visit).await.unwrap();
        assert_eq!(max_age(&line), None);

        let visit = alice.open();
        let _ = visit.session().log_in(user.clone()).await.unwrap();
        let line = close(&mut alice, visit).await.unwrap();
        assert_eq!(max_age(&line), None);

        for by_rotation in [true, false] {
            let mut alice = if by_rotation { alice.clone() } else { scene.stranger() };
            let visit = alice.open();
            let session = visit.session();
            let login = session.log_in(user.clone()).remembered(lifetime(HOUR, month));
            let _ = login.await.unwrap();
            let left = visit.session().expires_in().await.unwrap().unwrap();
            assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
            let line = close(&mut alice, visit).await.unwrap();
            assert_eq!(max_age(&line), Some(month.as_secs()));

            here.pass(Duration::from_millis(20));
            let visit = alice.open();
            visit.session().rotate().await.unwrap();
            let line = close(&mut alice, visit).await.unwrap();
            let rest = max_age(&line).unwrap();
            assert!(rest < month.as_secs() && rest > month.as_secs() / 2, "{rest}");
            // And the whole of it again with the next login that is remembered; none without.
            let visit = alice.open();
            let _ = visit.session().log_in(user.clone()).await.unwrap();
            let line = close(&mut alice, visit).await.unwrap();
            assert_eq!(max_age(&line), None);
        }

        // Only a logout removes a cookie, however little life is left.
        let moment = Duration::from_millis(900);
        let visit = scene.stranger().open();
        let session = visit.session();
        let login = session.log_in(user.clone()).remembered(lifetime(moment, moment));
        let _ = login.await.unwrap();
        let line = visit.close(200).await.set_cookie.unwrap();
        assert!(max_age(&line) > Some(0), "{}", &line[line.find(';').unwrap()..]);
    });
}

/// Where the limit refuses, a login that finds the user full changes nothing: no cookie, no session,
/// and what waited still waits.
pub fn a_login_that_finds_the_user_full_changes_nothing<H: Harness>(here: &H) {
    let scene = Scene::with(here, at_most(2, WhenFull::Refuse));
    here.run(async {
        let user = scene.user("alice");
        let mut first = scene.logged_in(&user).await;
        let mut second = scene.logged_in(&user).await;
        for visitor in [scene.stranger(), scene.anonymous().await] {
            let mut visitor = visitor;
            let before = visitor.cookie().map(str::to_owned);
            assert_eq!(log_in(&mut visitor, &user).await, LogIn::Full);
            assert_eq!(visitor.cookie(), before.as_deref());
            assert_eq!(note(&visitor).await.is_some(), before.is_some());

            let visit = visitor.open();
            visit.session().set(CART, "waited").unwrap();
            assert_eq!(visit.session().log_in(user.clone()).await.unwrap(), LogIn::Full);
            close(&mut visitor, visit).await;
            let kept = visitor.open().session().get(CART).await.unwrap();
            assert_eq!(kept.as_deref(), Some("waited"));
        }
        // To log in again takes no second place.
        assert_eq!(log_in(&mut second, &user).await, LogIn::Done);
        for full in [&first, &second] {
            assert_eq!(who(full).await.as_ref(), Some(&user));
        }
        log_out(&mut first).await;
        assert_eq!(log_in(&mut first, &user).await, LogIn::Done, "a logout makes room");
    });
}

/// Whom a login pushed out has lost the session like anybody whose session was ended.
pub fn a_session_that_was_pushed_out_is_ended<H: Harness>(here: &H) {
    let scene = Scene::with(here, at_most(1, WhenFull::EndOldest));
    here.run(async {
        let user = scene.user("alice");
        let oldest = scene.logged_in(&user).await;
        let half_way = oldest.open();
        assert!(half_way.session().user().await.unwrap().is_some());
        let newest = scene.logged_in(&user).await;
        assert_eq!(who(&oldest).await, None);
        let visit = oldest.open();
        visit.session().set(NOTE, "late").unwrap();
        for visit in [visit, half_way] {
            assert_ended(visit.session().increment(VISITS, 1).await);
            visit.session().log_out().await.unwrap();
            assert_eq!(visit.close(200).await.set_cookie, None);
        }
        assert_eq!(who(&newest).await, Some(user));
    });
}

/// 200 logins at once with a limit of 5: all are let in, and 5 stay.
// Proves R38, CVE-2024-4183.
pub fn two_hundred_logins_leave_the_five_that_are_allowed<H: Harness>(here: &H) {
    let (outcomes, alive) = log_in_200_times(here, WhenFull::EndOldest);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == LogIn::Done).count(), 200);
    assert_eq!(alive, 5);
}

/// 200 logins at once with a limit of 5: 5 are let in, and stay.
// Proves R38.
pub fn of_two_hundred_logins_five_are_let_in<H: Harness>(here: &H) {
    let (outcomes, alive) = log_in_200_times(here, WhenFull::Refuse);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == LogIn::Done).count(), 5);
    assert_eq!(alive, 5);
}

fn log_in_200_times<H: Harness>(here: &H, when_full: WhenFull) -> (Vec<LogIn>, usize) {
    let scene = Scene::with(here, at_most(5, when_full));
    let (managers, user) = (scene.two_managers(), scene.user("alice"));
    let logins = at_once(200, |number| {
        let mut visitor = Visitor::new(&managers[number % 2]);
        let outcome = here.run(async {
            // Half of them come from a session of their own.
            if number % 4 < 2 {
                let visit = visitor.open();
                visit.session().set(NOTE, "anonymous").unwrap();
                close(&mut visitor, visit).await;
            }
            log_in(&mut visitor, &user).await
        });
        (outcome, visitor)
    });
    let is = |visitor: &Visitor| here.run(who(visitor)).as_ref() == Some(&user);
    let alive = logins.iter().filter(|(_, visitor)| is(visitor)).count();
    (logins.into_iter().map(|(outcome, _)| outcome).collect(), alive)
}

/// A rotation issues a new token and changes nothing else: user, fields and deadline stay.
// Proves R22, R28, CVE-2018-11385.
pub fn a_rotation_changes_the_token_and_nothing_else<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user: User = scene.user("alice");
        for mut visitor in [scene.anonymous().await, scene.logged_in(&user).await] {
            let old = visitor.clone();
            let before = id(&old).await.unwrap();
            let expected = who(&old).await;
            here.pass(Duration::from_millis(20));
            let visit = visitor.open();
            let session = visit.session();
            let deadline = session.deadline().await.unwrap();
            session.set(NOTE, "waits").unwrap();
            session.increment(VISITS, 2).await.unwrap();
            session.set(CART, "rides along").unwrap();
            session.rotate().await.unwrap();
            costs!(scene, [], {
                assert_ne!(session.id().await.unwrap(), Some(before));
                assert_eq!(session.user().await.unwrap(), expected);
                assert_eq!(session.deadline().await.unwrap(), deadline);
                assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("waits"));
                assert_eq!(session.get(CART).await.unwrap().as_deref(), Some("rides along"));
                assert_eq!(session.get(VISITS).await.unwrap(), Some(2));
                close(&mut visitor, visit).await;
            });
            assert_ne!(token(&visitor), token(&old));
            assert_eq!(id(&old).await, None);
            assert_eq!(note(&visitor).await.as_deref(), Some("waits"));
            assert!(is_removal(&log_out(&mut visitor).await.unwrap()));
        }
    });
}
