//! Periodic rotation as a browser meets it: nobody is disturbed, and a copied cookie is found out.

use std::time::Duration;

use super::scene::{
    Heard, Scene, VISITS, assert_ended, at_once, is_removal, listening, log_in, settings,
};
use crate::events::Event;
use crate::outcome::{LogIn, SessionError};
use crate::rotation::Rotation;
use crate::settings::Settings;
use crate::store::User;
use crate::testing::{Harness, Visitor};
use crate::token::{Keys, SecretKey};

/// How long a token is current, and then good. A request that takes longer is handed none.
const TERM: Duration = Duration::from_secs(2);

fn rotating() -> (Settings, Heard) {
    let key = SecretKey::new("one secret of thirty-two bytes, and more").unwrap();
    let keys = Keys::new(key).rotating(Rotation::new(TERM, TERM).unwrap());
    listening(Settings { keys: Some(keys), ..settings() })
}

/// Past the end of a token's term, in steps that every harness takes.
fn a_term_passes(here: &impl Harness) {
    for _ in 0..7 {
        here.pass(TERM / 7 + Duration::from_millis(5));
    }
}

/// Who this browser is, what it is told to keep, and whether it was.
async fn asks(visitor: &Visitor) -> (Result<Option<User>, SessionError>, Option<String>) {
    let visit = visitor.open();
    let user = visit.session().user().await;
    (user, visit.close(200).await.set_cookie)
}

/// Parallel requests of one browser when the token is due: all succeed, and one is handed the next.
// Proves R29.
pub fn of_many_requests_at_once_one_is_handed_the_next_token<H: Harness>(here: &H) {
    let (settings, _) = rotating();
    let scene = Scene::with(here, settings);
    let alice = here.run(scene.logged_in(&scene.user("alice")));
    a_term_passes(here);
    let answers = at_once(50, |_| {
        here.run(async {
            let visit = alice.open();
            let counted = visit.session().if_logged_in().increment(VISITS, 1).await;
            assert!(counted.unwrap().is_some(), "a parallel request was logged out");
            visit.close(200).await.set_cookie
        })
    });
    let handed_out: Vec<_> = answers.iter().flatten().collect();
    let [line] = handed_out[..] else { panic!("{} tokens were handed out", handed_out.len()) };
    assert!(!is_removal(line));
    let mut renewed = alice.clone();
    renewed.receive_line(line);
    assert_ne!(renewed.cookie(), alice.cookie());
    here.run(async {
        // Who is on the way with the old one is let in, and handed nothing.
        for visitor in [&alice, &renewed] {
            let (user, set_cookie) = asks(visitor).await;
            assert!(user.unwrap().is_some());
            assert_eq!(set_cookie, None);
        }
        let visits = renewed.open().session().get(VISITS).await.unwrap();
        assert_eq!(visits, Some(50));
    });
}

/// An old token whose successor was used, after the grace: nobody can say which of the two is the
/// thief, so neither goes on, and it is told.
// Proves R29, CVE-2026-56750.
pub fn a_copied_cookie_ends_the_session_for_both_and_is_told<H: Harness>(here: &H) {
    let (settings, told) = rotating();
    let scene = Scene::with(here, settings);
    here.run(async {
        let thief = scene.logged_in(&scene.user("alice")).await;
        let mut alice = thief.clone();
        let id = alice.open().session().id().await.unwrap().unwrap();
        a_term_passes(here);
        let (_, next) = asks(&alice).await;
        alice.receive_line(&next.unwrap());
        assert!(asks(&alice).await.0.unwrap().is_some());
        a_term_passes(here);
        let (user, set_cookie) = asks(&thief).await;
        assert_eq!((user.unwrap(), set_cookie), (None, None));
        let (user, set_cookie) = asks(&alice).await;
        assert_eq!((user.unwrap(), set_cookie), (None, None), "the other one goes on");
        assert_ended(thief.open().session().increment(VISITS, 1).await);
        // What came after it is told after it.
        let heard = told.up_to(|event| *event == Event::MetEnded { session: id });
        let stolen = heard.iter().filter(|event| **event == Event::Stolen { session: id });
        assert_eq!(stolen.count(), 1);
    });
}

/// The answer with the new token never arrived: after the grace it is issued once more.
// Proves R29.
pub fn a_token_that_is_lost_on_the_way_is_issued_again<H: Harness>(here: &H) {
    let (settings, _) = rotating();
    let scene = Scene::with(here, settings);
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        for round in 0..3 {
            a_term_passes(here);
            let (user, next) = asks(&alice).await;
            assert!(user.unwrap().is_some(), "a lost answer logged somebody out, round {round}");
            let next = next.unwrap();
            // Each second answer arrives.
            if round % 2 == 1 {
                alice.receive_line(&next);
            }
        }
        assert!(asks(&alice).await.0.unwrap().is_some());
    });
}

/// Whoever logs in over stolen goods is somebody who knows the password: it goes ahead, with nothing of
/// the session that ended.
// Proves R22, R29.
pub fn a_login_over_a_copied_cookie_begins_anew<H: Harness>(here: &H) {
    let (settings, _) = rotating();
    let scene = Scene::with(here, settings);
    here.run(async {
        let user = scene.user("alice");
        let mut late = scene.logged_in(&user).await;
        late.open().session().increment(VISITS, 7).await.unwrap();
        let mut alice = late.clone();
        a_term_passes(here);
        alice.receive_line(&asks(&alice).await.1.unwrap());
        assert!(asks(&alice).await.0.unwrap().is_some());
        a_term_passes(here);
        assert_eq!(log_in(&mut late, &user).await, LogIn::Done);
        assert_eq!(asks(&late).await.0.unwrap(), Some(user));
        assert_eq!(late.open().session().get(VISITS).await.unwrap(), None);
        assert_eq!(asks(&alice).await.0.unwrap(), None);
    });
}
