//! One trip (P1): what each operation of a session costs, as its documentation says.

use std::num::NonZeroU32;

use super::scene::{
    HOUR, NOTE, PAST_SHORT, Scene, VISITS, close, costs, id, lifetime, log_in, settings, short,
};
use crate::field::{Field, List};
use crate::settings::Settings;
use crate::testing::{Harness, Visitor};

const SEEN: Field<List<u32>> = Field::new("seen");

/// A request that never asks for its session, whatever cookie it brings.
pub fn a_request_that_asks_nothing_costs_nothing<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.logged_in(&scene.user("alice")).await;
        for visitor in [alice, scene.anonymous().await, scene.stranger()] {
            costs!(scene, [], {
                let visit = visitor.open();
                let _session = visit.session();
                let head = visit.close(200).await;
                assert!(!head.depends_on_session && head.set_cookie.is_none());
            });
        }
    });
}

/// The first operation brings everything, whichever it is; each later read is free.
pub fn the_first_read_brings_everything_and_later_ones_are_free<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        for first in 0..9 {
            let visit = alice.open();
            let session = visit.session();
            costs!(
                scene,
                [Apply],
                match first {
                    0 => drop(session.get(NOTE).await.unwrap()),
                    1 => drop(session.user().await.unwrap()),
                    2 => drop(session.id().await.unwrap()),
                    3 => drop(session.expires_at().await.unwrap()),
                    7 => drop(session.deadline().await.unwrap()),
                    4 => drop(session.expires_in().await.unwrap()),
                    5 => assert!(session.authenticated_within(HOUR).await.unwrap()),
                    6 => drop(session.if_logged_in().get(NOTE).await.unwrap().unwrap()),
                    _ => assert!(session.increment(VISITS, 1).await.unwrap() > 0),
                }
            );
            costs!(scene, [], {
                session.get(NOTE).await.unwrap();
                assert_eq!(session.user().await.unwrap().as_ref(), Some(&user));
                session.id().await.unwrap().unwrap();
                session.expires_at().await.unwrap().unwrap();
                session.deadline().await.unwrap().unwrap();
                session.expires_in().await.unwrap().unwrap();
                assert!(session.authenticated_within(HOUR).await.unwrap());
                session.if_logged_in().get(VISITS).await.unwrap().unwrap();
                assert!(visit.close(200).await.depends_on_session);
            });
        }
    });
}

/// The table of [`Session`](crate::Session), line by line.
pub fn every_operation_costs_what_the_table_says<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        let visit = alice.open();
        let session = visit.session();
        costs!(scene, [], session.set(NOTE, "waits").unwrap());
        costs!(scene, [], session.remove(VISITS).unwrap());
        costs!(scene, [], session.get(NOTE).await.unwrap());
        costs!(scene, [Apply], session.increment(VISITS, 1).await.unwrap());
        costs!(scene, [Apply], session.increment(VISITS, 1).await.unwrap());
        costs!(scene, [Apply], session.take(NOTE).await.unwrap());
        let keep = NonZeroU32::new(3).unwrap();
        costs!(scene, [Apply], session.append(SEEN, &1, keep).await.unwrap());
        costs!(scene, [Apply], session.update(NOTE, |_| "known".into()).await.unwrap());
        costs!(scene, [], session.set(NOTE, "before the head").unwrap());
        costs!(scene, [Apply], close(&mut alice, visit).await);

        let visit = alice.open();
        costs!(scene, [Apply Apply], visit.session().update(NOTE, |_| "read".into()).await.unwrap());
        costs!(scene, [], close(&mut alice, visit).await);

        let visit = alice.open();
        let counted = visit.session();
        costs!(scene, [Apply], counted.if_logged_in().increment(VISITS, 1).await.unwrap().unwrap());
        costs!(scene, [], close(&mut alice, visit).await);

        // What waits rides along with everything that travels.
        let visit = alice.open();
        visit.session().set(NOTE, "rides along").unwrap();
        costs!(scene, [Rotate], visit.session().rotate().await.unwrap());
        costs!(scene, [], close(&mut alice, visit).await);

        let user = visit_user(&alice).await;
        let _ = costs!(scene, [Rotate], log_in(&mut alice, &user).await);
        let visit = alice.open();
        visit.session().set(NOTE, "dropped").unwrap();
        costs!(scene, [End], visit.session().log_out().await.unwrap());
        costs!(scene, [], close(&mut alice, visit).await);

        let _ = costs!(scene, [Create], log_in(&mut scene.stranger(), &user).await);
    });
}

async fn visit_user(visitor: &Visitor) -> crate::store::User {
    visitor.open().session().user().await.unwrap().unwrap()
}

/// Who never had a session reads, takes, removes and logs out for nothing, and makes none.
pub fn a_newcomer_who_writes_nothing_costs_nothing<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let visit = scene.stranger().open();
        let session = visit.session();
        costs!(scene, [], {
            assert_eq!(session.get(NOTE).await.unwrap(), None);
            assert_eq!(session.user().await.unwrap(), None);
            assert_eq!(session.id().await.unwrap(), None);
            assert_eq!(session.expires_at().await.unwrap(), None);
            assert_eq!(session.deadline().await.unwrap(), None);
            assert_eq!(session.expires_in().await.unwrap(), None);
            assert!(!session.authenticated_within(HOUR).await.unwrap());
            assert_eq!(session.take(NOTE).await.unwrap(), None);
            assert!(session.if_logged_in().get(NOTE).await.unwrap().is_none());
            assert!(session.if_logged_in().take(NOTE).await.unwrap().is_none());
            assert!(session.if_logged_in().increment(VISITS, 1).await.unwrap().is_none());
            assert!(session.if_logged_in().update(VISITS, |_| 1).await.unwrap().is_none());
            session.rotate().await.unwrap();
            session.log_out().await.unwrap();
            session.remove(NOTE).unwrap();
            assert_eq!(visit.close(200).await.set_cookie, None);
        });
    });
}

/// A new visitor's first write, of whichever kind, is one trip, and what it brings back is free.
pub fn a_newcomers_first_write_costs_one_trip<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        for first in 0..4 {
            let mut visitor = scene.stranger();
            let visit = visitor.open();
            let session = visit.session();
            if first == 0 {
                session.set(NOTE, "hello").unwrap();
                costs!(scene, [Create], close(&mut visitor, visit).await);
            } else {
                costs!(
                    scene,
                    [Create],
                    match first {
                        1 => drop(session.increment(VISITS, 1).await.unwrap()),
                        2 => drop(session.update(VISITS, |_| 1).await.unwrap()),
                        _ => session.append(SEEN, &1, NonZeroU32::MIN).await.unwrap(),
                    }
                );
                costs!(scene, [], session.id().await.unwrap().unwrap());
                costs!(scene, [], close(&mut visitor, visit).await);
            }
            assert!(id(&visitor).await.is_some());
        }
    });
}

/// With a cookie whose session has expired, reading is one trip and the first write two.
pub fn an_expired_cookie_costs_a_first_write_two_trips<H: Harness>(here: &H) {
    let scene = Scene::with(here, Settings { anonymous: short(), ..settings() });
    here.run(async {
        let mut visitor = scene.anonymous().await;
        let expired = visitor.cookie().unwrap().to_owned();
        here.pass(PAST_SHORT);

        let visit = visitor.open();
        costs!(scene, [Apply], assert_eq!(visit.session().get(NOTE).await.unwrap(), None));
        costs!(scene, [], assert_eq!(visit.session().user().await.unwrap(), None));
        costs!(scene, [], close(&mut visitor, visit).await);

        let visit = visitor.open();
        visit.session().set(NOTE, "again").unwrap();
        costs!(scene, [Apply Create], close(&mut visitor, visit).await);
        assert_ne!(visitor.cookie(), Some(&*expired), "a newcomer gets a token of their own");

        here.pass(PAST_SHORT);
        let visit = visitor.open();
        costs!(scene, [Rotate], visit.session().rotate().await.unwrap());
        costs!(scene, [Create], visit.session().increment(VISITS, 1).await.unwrap());
        close(&mut visitor, visit).await;

        here.pass(PAST_SHORT);
        let user = scene.user("alice");
        let visit = visitor.open();
        let session = visit.session();
        let remembered = session.log_in(user).remembered(lifetime(HOUR, HOUR));
        let outcome = costs!(scene, [Rotate], remembered.await.unwrap());
        assert_eq!(outcome, crate::outcome::LogIn::Done);
        close(&mut visitor, visit).await;
    });
}
