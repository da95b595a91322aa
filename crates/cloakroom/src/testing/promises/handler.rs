//! What a handler can rely on: reads see what waits, writes leave in their order or not at all, and
//! a session is made by a write and by nothing else.

use std::num::NonZeroU32;
use std::time::Duration;

use super::scene::{
    CART, HOUR, NOTE, PAST_SHORT, Scene, VISITS, assert_ended, close, costs, id, is_removal,
    log_in, log_out, note, settings, short, token, who,
};
use crate::change::Limits;
use crate::expiry::{Lifetime, Touch};
use crate::field::{Field, List};
use crate::outcome::SessionError;
use crate::settings::Settings;
use crate::store::Verb;
use crate::testing::Harness;

const TEXT_AS_NUMBER: Field<u64> = Field::new("note");
const SEEN: Field<List<u32>> = Field::new("seen");

/// Reads see what waits, without sending it; nobody else sees it before it leaves.
pub fn reads_see_what_waits_and_never_send_it<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        let visit = alice.open();
        visit.session().set(NOTE, "stored").unwrap();
        close(&mut alice, visit).await;

        let visit = alice.open();
        let session = visit.session();
        session.set(NOTE, "waits").unwrap();
        session.set(CART, "waits too").unwrap();
        costs!(scene, [], {
            assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("waits"));
        });
        // One that brings the session here sends nothing either.
        costs!(scene, [Apply], assert_eq!(session.user().await.unwrap(), Some(user.clone())));
        let (_, seen) = session.if_logged_in().get(CART).await.unwrap().unwrap();
        assert_eq!(seen.as_deref(), Some("waits too"));
        assert_eq!(note(&alice).await.as_deref(), Some("stored"));
        session.remove(NOTE).unwrap();
        assert_eq!(session.get(NOTE).await.unwrap(), None, "set, removed, read");
        session.set(NOTE, "set again").unwrap();
        assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("set again"));
        costs!(scene, [Apply], close(&mut alice, visit).await);
        assert_eq!(note(&alice).await.as_deref(), Some("set again"));
    });
}

/// What waits leaves with the next awaited change, before it, in the order written.
pub fn what_waits_leaves_with_the_next_change_in_order<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        let visit = alice.open();
        let session = visit.session();
        session.set(VISITS, 40u64).unwrap();
        session.set(NOTE, "first").unwrap();
        session.set(NOTE, "then").unwrap();
        session.set(CART, "gone").unwrap();
        session.remove(CART).unwrap();
        costs!(scene, [Apply], assert_eq!(session.increment(VISITS, 2).await.unwrap(), 42));
        assert_eq!(note(&alice).await.as_deref(), Some("then"), "it has left");
        // What was written after it waits anew.
        session.set(VISITS, 7u64).unwrap();
        costs!(scene, [Apply], assert_eq!(session.take(VISITS).await.unwrap(), Some(7)));
        session.set(NOTE, "updated").unwrap();
        let updated = session.update(NOTE, |note| note.unwrap_or_default() + "!").await;
        assert_eq!(updated.unwrap(), "updated!");
        session.set(SEEN, List(vec![1])).unwrap();
        session.append(SEEN, &2, NonZeroU32::MAX).await.unwrap();
        assert_eq!(session.get(SEEN).await.unwrap(), Some(List(vec![1, 2])));
        costs!(scene, [], close(&mut alice, visit).await);

        let visit = alice.open();
        let session = visit.session();
        assert_eq!(session.get(VISITS).await.unwrap(), None, "taken");
        assert_eq!(session.get(CART).await.unwrap(), None);
        assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("updated!"));
        assert_eq!(session.get(SEEN).await.unwrap(), Some(List(vec![1, 2])));
    });
}

/// A handler that answers 5xx gets none of its waiting writes stored; 4xx and redirects do.
pub fn what_waits_is_dropped_with_a_5xx_and_kept_otherwise<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.logged_in(&scene.user("alice")).await;
        for (status, stored) in
            [(200, true), (303, true), (404, true), (499, true), (500, false), (503, false)]
        {
            let visit = alice.open();
            visit.session().set(NOTE, status.to_string()).unwrap();
            let before = scene.store.calls().len();
            assert!(visit.close(status).await.failed.is_none());
            let sent = scene.store.calls().len() - before;
            assert_eq!(sent, usize::from(stored), "{status}");
            assert_eq!(note(&alice).await == Some(status.to_string()), stored, "{status}");
        }
        let mut stranger = scene.stranger();
        let visit = stranger.open();
        visit.session().set(NOTE, "lost").unwrap();
        let head = visit.close(500).await;
        stranger.receive(&head);
        assert_eq!(stranger.cookie(), None, "a failed first visit makes no session");
    });
}

/// A change that came to nothing has taken nothing along: what waits still does.
pub fn what_waits_stays_when_the_change_comes_to_nothing<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        // Refused: the field is no number.
        for mut visitor in [scene.logged_in(&scene.user("alice")).await, scene.anonymous().await] {
            let visit = visitor.open();
            visit.session().set(NOTE, "no number").unwrap();
            close(&mut visitor, visit).await;
            let visit = visitor.open();
            let session = visit.session();
            session.set(CART, "waits").unwrap();
            let error = session.increment(TEXT_AS_NUMBER, 1).await.unwrap_err();
            assert!(matches!(error, SessionError::Refused(_)));
            assert_eq!((error.status(), error.retry_after()), (422, None));
            assert_eq!(session.get(CART).await.unwrap().as_deref(), Some("waits"));
            close(&mut visitor, visit).await;
            let kept = visitor.open().session().get(CART).await.unwrap();
            assert_eq!(kept.as_deref(), Some("waits"));
        }

        // A newcomer is refused alike, and no session is made for it.
        let mut visitor = scene.stranger();
        let visit = visitor.open();
        let session = visit.session();
        session.set(NOTE, "waits").unwrap();
        let error = costs!(scene, [], session.increment(TEXT_AS_NUMBER, 1).await.unwrap_err());
        assert!(matches!(error, SessionError::Refused(_)));
        assert!(matches!(session.increment(VISITS, -1).await, Err(SessionError::Refused(_))));
        costs!(scene, [Create], close(&mut visitor, visit).await);
        assert_eq!(note(&visitor).await.as_deref(), Some("waits"));

        // Not logged in.
        let mut visitor = scene.anonymous().await;
        let visit = visitor.open();
        let session = visit.session();
        session.set(NOTE, "waits").unwrap();
        assert!(session.if_logged_in().increment(VISITS, 1).await.unwrap().is_none());
        assert!(session.if_logged_in().take(NOTE).await.unwrap().is_none());
        assert!(session.if_logged_in().get(NOTE).await.unwrap().is_none());
        assert_eq!(note(&visitor).await.as_deref(), Some("anonymous"), "it has not left");
        close(&mut visitor, visit).await;
        assert_eq!(note(&visitor).await.as_deref(), Some("waits"));
        assert_eq!(visitor.open().session().get(VISITS).await.unwrap(), None);

        // Conflict: others are quicker, every time.
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        let visit = alice.open();
        let session = visit.session();
        session.set(CART, "waits").unwrap();
        let other = alice.open();
        let mut tries = 0;
        // From another thread, for this one is in the middle of a change.
        let updated = session.update(VISITS, |visits| {
            tries += 1;
            if tries <= 3 {
                std::thread::scope(|scope| {
                    scope.spawn(|| here.run(other.session().increment(VISITS, 1)).unwrap());
                });
            }
            visits.unwrap_or(0) + 10
        });
        assert_eq!((updated.await.unwrap(), tries), (13, 4));
        close(&mut alice, visit).await;
        let kept = alice.open().session().get(CART).await.unwrap();
        assert_eq!(kept.as_deref(), Some("waits"));
    });
}

/// Waiting writes over a limit replace the response, and the session stays as it was.
pub fn writes_over_a_limit_are_refused_whole<H: Harness>(here: &H) {
    let limits = Limits { fields: 2, value_bytes: 100, session_bytes: 150 };
    let scene = Scene::with(here, Settings { limits, ..settings() });
    here.run(async {
        for mut visitor in [scene.anonymous().await, scene.stranger()] {
            let before = note(&visitor).await;
            let calls = scene.store.calls().len();
            let visit = visitor.open();
            let session = visit.session();
            let error = session.set(NOTE, "x".repeat(101)).unwrap_err();
            assert_eq!(error.status(), 422);
            session.set(NOTE, "a").unwrap();
            session.set(CART, "b").unwrap();
            session.set(VISITS, 3u64).unwrap();
            let head = visit.close(200).await;
            assert_eq!(head.failed.as_ref().map(SessionError::status), Some(422), "{head:?}");
            assert_eq!(head.set_cookie, None);
            assert!(scene.store.calls().len() - calls <= 1);
            visitor.receive(&head);
            assert_eq!(note(&visitor).await, before);
        }
    });
}

/// A mistake of the application is an error at once, and costs nothing.
pub fn what_can_not_be_kept_is_an_error_at_once<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        let visit = alice.open();
        let session = visit.session();
        costs!(scene, [], {
            let error = session.set(VISITS, u64::MAX).unwrap_err();
            assert!(matches!(error, SessionError::NotEncodable { .. }));
            assert_eq!(error.status(), 500);
        });
        session.set(NOTE, "no number").unwrap();
        let error = session.get(TEXT_AS_NUMBER).await.unwrap_err();
        assert!(matches!(error, SessionError::NotDecodable { .. }));
        assert_eq!(error.status(), 422);
        close(&mut alice, visit).await;
        // What another version of the application kept ends nobody's session.
        let visit = alice.open();
        assert!(visit.session().get(TEXT_AS_NUMBER).await.is_err());
        close(&mut alice, visit).await;
        assert_eq!(note(&alice).await.as_deref(), Some("no number"));
    });
}

/// To take what waits, or to remove what never was, makes no session.
pub fn a_newcomer_who_takes_or_removes_makes_no_session<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut visitor = scene.stranger();
        let visit = visitor.open();
        let session = visit.session();
        costs!(scene, [], {
            session.set(NOTE, "flash").unwrap();
            assert_eq!(session.take(NOTE).await.unwrap().as_deref(), Some("flash"));
            assert_eq!(session.take(NOTE).await.unwrap(), None);
            session.remove(CART).unwrap();
            session.set(NOTE, "and removed").unwrap();
            session.remove(NOTE).unwrap();
            close(&mut visitor, visit).await;
        });
        assert_eq!(visitor.cookie(), None);
    });
}

/// The same for a cookie whose session has expired; it costs the one look.
pub fn an_expired_visitor_who_takes_makes_no_session<H: Harness>(here: &H) {
    let scene = Scene::with(here, Settings { anonymous: short(), ..settings() });
    here.run(async {
        let mut visitor = scene.anonymous().await;
        here.pass(PAST_SHORT);
        let visit = visitor.open();
        let session = visit.session();
        session.set(CART, "flash").unwrap();
        let taken = costs!(scene, [Apply], session.take(CART).await.unwrap());
        assert_eq!(taken.as_deref(), Some("flash"));
        assert_eq!(costs!(scene, [], close(&mut visitor, visit).await), None);
    });
}

/// A logout of nobody makes nothing, clears nothing, and forgets what waited.
// Proves R68, CVE-2015-5143.
pub fn a_logout_of_nobody_does_nothing<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let visit = scene.stranger().open();
        visit.session().set(NOTE, "forgotten").unwrap();
        costs!(scene, [], {
            visit.session().log_out().await.unwrap();
            assert_eq!(visit.session().get(NOTE).await.unwrap(), None);
            assert_eq!(visit.close(200).await.set_cookie, None);
        });
    });
}

/// Writes after a logout make a fresh anonymous session, under a new token.
pub fn writes_after_a_logout_make_a_fresh_session<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        let old = alice.clone();
        let visit = alice.open();
        let session = visit.session();
        session.set(CART, "dropped").unwrap();
        session.log_out().await.unwrap();
        assert_eq!(session.id().await.unwrap(), None);
        assert_eq!(session.get(CART).await.unwrap(), None);
        session.set(NOTE, "you are logged out").unwrap();
        let line = costs!(scene, [Create], close(&mut alice, visit).await);
        assert!(!is_removal(&line.unwrap()));
        assert_ne!(token(&alice), token(&old));
        let visit = alice.open();
        let session = visit.session();
        assert_eq!(session.user().await.unwrap(), None);
        assert_eq!(session.get(NOTE).await.unwrap().as_deref(), Some("you are logged out"));
        assert_eq!(session.get(CART).await.unwrap(), None);
        assert_eq!(id(&old).await, None);
    });
}

/// All clones are one session: a newcomer's first writes, made at once, make one.
pub fn all_clones_are_one_session<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    for _ in 0..scene.rounds(100) {
        let before = scene.store.calls().len();
        let mut visitor = scene.stranger();
        let visit = visitor.open();
        let sums = super::scene::at_once(4, |_| {
            let session = visit.session();
            here.run(async { session.increment(VISITS, 1).await.unwrap() })
        });
        assert_eq!(sums.iter().sum::<u64>(), 1 + 2 + 3 + 4);
        let calls = scene.store.calls();
        assert_eq!(calls[before..], [Verb::Create, Verb::Apply, Verb::Apply, Verb::Apply]);
        here.run(async {
            let (one, other) = (visit.session(), visit.session());
            one.set(NOTE, "of one").unwrap();
            assert_eq!(other.get(NOTE).await.unwrap().as_deref(), Some("of one"));
            close(&mut visitor, visit).await;
            log_out(&mut visitor).await;
        });
    }
}

/// Clones that read at once bring the session here once.
pub fn clones_that_read_at_once_share_one_trip<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let alice = here.run(scene.logged_in(&scene.user("alice")));
    for _ in 0..scene.rounds(100) {
        let before = scene.store.calls().len();
        let visit = alice.open();
        super::scene::at_once(4, |_| {
            let session = visit.session();
            here.run(async { session.user().await.unwrap().unwrap() })
        });
        assert_eq!(scene.store.calls()[before..], [Verb::Apply]);
    }
}

/// A login goes ahead on a session that has ended, as on any other: fresh, without its fields and
/// without what waited for it.
pub fn a_login_over_an_ended_session_goes_ahead_fresh<H: Harness>(here: &H) {
    let scene = Scene::with(here, super::scene::carrying(&[CART.name().clone()]));
    here.run(async {
        let user = scene.user("alice");
        for knows in [false, true] {
            let mut alice = scene.logged_in(&user).await;
            let mut late = alice.clone();
            log_out(&mut alice).await;
            let visit = late.open();
            let session = visit.session();
            session.set(CART, "meant for the old one").unwrap();
            if knows {
                assert_ended(session.increment(VISITS, 1).await);
            }
            assert_eq!(session.log_in(user.clone()).await.unwrap(), crate::outcome::LogIn::Done);
            session.increment(VISITS, 1).await.unwrap();
            close(&mut late, visit).await;
            let visit = late.open();
            let session = visit.session();
            assert_eq!(session.user().await.unwrap().as_ref(), Some(&user));
            assert_eq!(session.get(CART).await.unwrap(), None, "knows: {knows}");
            assert_eq!(session.get(VISITS).await.unwrap(), Some(1));
        }
    });
}

/// How long ago somebody logged in, by the store's clock; to log in again makes it now.
// Proves R28, R37, CVE-2026-42084.
pub fn authenticated_within_counts_from_the_login<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        here.pass(Duration::from_millis(200));
        let within = async |visitor: &crate::testing::Visitor, time| {
            visitor.open().session().authenticated_within(time).await.unwrap()
        };
        assert!(within(&alice, HOUR).await);
        assert!(!within(&alice, Duration::from_millis(199)).await);
        let visit = alice.open();
        visit.session().rotate().await.unwrap();
        close(&mut alice, visit).await;
        assert!(!within(&alice, Duration::from_millis(199)).await, "a rotation is no login");
        // A machine may be slow; not each of 20 times.
        let mut within_a_moment = false;
        for _ in 0..20 {
            let visit = alice.open();
            let session = visit.session();
            let _ = session.log_in(user.clone()).await.unwrap();
            let moment = Duration::from_millis(199);
            within_a_moment |= session.authenticated_within(moment).await.unwrap();
            close(&mut alice, visit).await;
        }
        assert!(within_a_moment, "to log in again makes it now");
        assert!(within(&alice, HOUR).await);
        assert!(!within(&scene.anonymous().await, HOUR).await, "nobody is logged in");
        assert!(!within(&scene.stranger(), HOUR).await);
    });
}

/// `expires_at` and `expires_in` agree, follow the use, and are none without a session.
pub fn the_end_of_a_session_is_told_by_the_stores_clock<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let idle = scene.manager.settings().lifetime.idle();
        let mut alice = scene.stranger();
        let _ = log_in(&mut alice, &scene.user("alice")).await;
        let visit = alice.open();
        let first = visit.session().expires_at().await.unwrap().unwrap();
        let left = visit.session().expires_in().await.unwrap().unwrap();
        assert!(left <= idle && left > idle / 2, "{left:?} of {idle:?}");
        close(&mut alice, visit).await;

        here.pass(Duration::from_millis(20));
        let visit = alice.open();
        visit.session().touch(Touch::Never);
        assert_eq!(visit.session().expires_at().await.unwrap(), Some(first), "it did not count");
        visit.session().increment(VISITS, 1).await.unwrap();
        assert_eq!(visit.session().expires_at().await.unwrap(), Some(first), "nor did this");
        close(&mut alice, visit).await;

        let visit = alice.open();
        let later = visit.session().expires_at().await.unwrap().unwrap();
        assert!(later.since(first) >= Duration::from_millis(20));
        close(&mut alice, visit).await;
    });
}

/// A session that is only polled ends at its idle timeout.
// Proves R26.
pub fn polling_keeps_nobody_logged_in<H: Harness>(here: &H) {
    let idle = Duration::from_millis(150);
    let lifetime = Lifetime::new(idle, HOUR).unwrap();
    let scene = Scene::with(here, Settings { lifetime, touch: Touch::Never, ..settings() });
    here.run(async {
        let alice = scene.logged_in(&scene.user("alice")).await;
        for _ in 0..4 {
            let visit = alice.open();
            visit.session().user().await.unwrap();
            here.pass(idle / 3);
        }
        assert_eq!(who(&alice).await, None);
    });
}

/// After the head has left nothing waits and no cookie can be set; awaited operations still work.
pub fn after_the_head_only_awaited_operations_work<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        let visit = alice.open();
        let session = visit.session();
        close(&mut alice, visit).await;
        let late = |answer: Result<(), SessionError>| {
            let error = answer.unwrap_err();
            assert!(matches!(error, SessionError::HeadHasLeft(_)), "{error}");
            assert_eq!(error.status(), 500);
        };
        costs!(scene, [], {
            late(session.set(NOTE, "late"));
            late(session.remove(NOTE));
            late(session.rotate().await);
            late(session.log_in(user.clone()).await.map(drop));
        });
        assert_eq!(session.increment(VISITS, 1).await.unwrap(), 1);
        assert_eq!(session.user().await.unwrap(), Some(user));
        session.log_out().await.unwrap();
        assert_eq!(who(&alice).await, None);

        let visit = scene.stranger().open();
        let session = visit.session();
        assert!(visit.close(200).await.set_cookie.is_none());
        costs!(scene, [], late(session.increment(VISITS, 1).await.map(drop)));
        costs!(scene, [], assert_eq!(session.get(NOTE).await.unwrap(), None));
    });
}
