//! Sealed fields: who reads the store can't read them, and who writes to it can't move them.

use super::scene::{
    HOUR, NOTE, Scene, at_once, carrying, close, costs, id, listening, log_in, log_out, settings,
};
use crate::change::{Change, Fields, Refusal};
use crate::events::Event;
use crate::expiry::Touch;
use crate::field::{Field, FieldName, Kept, List};
use crate::outcome::{LogIn, SessionError};
use crate::sealed::{FieldKeys, Sealed};
use crate::settings::Settings;
use crate::store::{Applied, Apply, OnlyIf, Patience};
use crate::testing::{Harness, Visitor};
use crate::token::{SecretKey, SessionId};

const ONE: &str = "one secret of thirty-two bytes, and more";
const OTHER: &str = "quite another of thirty-two bytes, and more";

const CARD: Field<Sealed<String>> = Field::new("card");
const CODE: Field<Sealed<u64>> = Field::new("code");
const SEEN: Field<Sealed<List<u32>>> = Field::new("seen");
const PLAIN: &str = "4111 1111 1111 1111";

fn sealing_with(key: &str) -> Settings {
    Settings { field_keys: Some(FieldKeys::new(SecretKey::new(key).unwrap())), ..settings() }
}

/// What the store has, as whoever can reach it sees and changes it.
async fn in_the_store<H: Harness>(scene: &Scene<'_, H>, id: &SessionId, change: Change) -> Fields {
    let limits = &scene.manager.settings().limits;
    let (only_if, touch) = (OnlyIf::Alive, Touch::Never);
    let apply = Apply { id, change: &change, only_if, touch, limits, token: None };
    match scene.here.store().apply(apply, Patience(HOUR)).await.unwrap() {
        Applied::Done(snapshot, _) => snapshot.fields,
        other => panic!("{other:?}"),
    }
}

async fn looked_at<H: Harness>(scene: &Scene<'_, H>, id: &SessionId) -> Fields {
    in_the_store(scene, id, Change::read()).await
}

async fn put<H: Harness>(scene: &Scene<'_, H>, id: &SessionId, field: &str, value: &Kept) {
    let field = FieldName::named(field).unwrap();
    let writes = [(field, Some(value.clone()))].into_iter().collect();
    in_the_store(scene, id, Change { writes, operation: None }).await;
}

async fn card(visitor: &Visitor) -> Option<String> {
    visitor.open().session().get(CARD).await.unwrap().map(|card| card.0)
}

/// A card in the session of who has it in the jar.
async fn keep_card(visitor: &mut Visitor) {
    let visit = visitor.open();
    visit.session().set(CARD, PLAIN).unwrap();
    close(visitor, visit).await;
}

#[track_caller]
fn assert_sealed(fields: &Fields, field: &str) {
    let kept = &fields[field];
    assert!(kept.starts_with(b"sealed:1:"), "{}", kept.escape_ascii());
    assert!(!kept.windows(4).any(|part| part == b"4111"));
}

/// Whatever way a value takes into a session, the store has it sealed.
// Proves R58.
pub fn what_is_sealed_is_read_here_and_nowhere_else<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealing_with(ONE));
    here.run(async {
        // However it comes to a session: a first write, a login, a write that waits.
        let mut stranger = scene.stranger();
        keep_card(&mut stranger).await;
        let mut bob = scene.stranger();
        let visit = bob.open();
        let login = visit.session().log_in(scene.user("bob")).with(CARD, PLAIN).await;
        assert_eq!(login.unwrap(), LogIn::Done);
        close(&mut bob, visit).await;
        let mut carol = scene.stranger();
        let visit = carol.open();
        visit.session().set(CARD, "not kept").unwrap();
        assert_eq!(visit.session().log_in(scene.user("carol")).await.unwrap(), LogIn::Done);
        visit.session().set(CARD, PLAIN).unwrap();
        close(&mut carol, visit).await;
        for visitor in [&stranger, &bob, &carol] {
            assert_eq!(card(visitor).await.as_deref(), Some(PLAIN));
            let fields = looked_at(&scene, &id(visitor).await.unwrap()).await;
            assert_sealed(&fields, "card");
        }
    });
}

/// Every way to put a value where it does not belong, and to spoil it.
// Proves R58.
pub fn a_value_that_was_moved_or_changed_is_absent_and_told<H: Harness>(here: &H) {
    let (settings, told) = listening(sealing_with(ONE));
    let scene = Scene::with(here, settings);
    here.run(async {
        let user = scene.user("alice");
        let mut one = scene.logged_in(&user).await;
        let mut other = scene.logged_in(&user).await;
        keep_card(&mut one).await;
        keep_card(&mut other).await;
        let [of_one, of_other] = [id(&one).await.unwrap(), id(&other).await.unwrap()];
        let sealed = looked_at(&scene, &of_one).await["card"].clone();
        let mut spoilt = sealed.clone();
        spoilt.0[20] ^= 1;
        let in_the_clear = Kept(PLAIN.as_bytes().to_vec());
        let stand_in = Kept(format!("sealed:0:0{}", ".".repeat(60)).into_bytes());
        let mut expected = Vec::new();
        for (session, field, value) in [
            (of_other, "card", &sealed),
            (of_one, "seen", &sealed),
            (of_one, "card", &spoilt),
            (of_one, "card", &in_the_clear),
            (of_one, "card", &stand_in),
        ] {
            put(&scene, &session, field, value).await;
            let visitor = if session == of_one { &one } else { &other };
            let visit = visitor.open();
            for _ in 0..3 {
                let absent = match field {
                    "card" => visit.session().get(CARD).await.unwrap().is_none(),
                    _ => visit.session().get(SEEN).await.unwrap().is_none(),
                };
                assert!(absent, "{field} of {session} opened");
            }
            // Three reads of one request are told once.
            visit.session().set(NOTE, "and the session goes on").unwrap();
            assert!(visit.close(200).await.failed.is_none());
            let field = FieldName::named(field).unwrap();
            expected.push(Event::SealBroken { session, field });
        }
        // In its place it opens.
        put(&scene, &of_one, "card", &sealed).await;
        assert_eq!(card(&one).await.as_deref(), Some(PLAIN));
        log_out(&mut one).await;
        let mut heard = told.up_to(|event| matches!(event, Event::LoggedOut { .. }));
        heard.retain(|event| matches!(event, Event::SealBroken { .. }));
        assert_eq!(heard, expected);
    });
}

/// A key that was retired opens until it is taken away; what is written moves to the new one.
// Proves R58, R74.
pub fn a_retired_key_opens_and_a_forgotten_one_does_not<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealing_with(ONE));
    let former = SecretKey::new(ONE).unwrap();
    let both = FieldKeys::new(SecretKey::new(OTHER).unwrap()).with_fallback(former);
    let both = scene.manager_with(Settings { field_keys: Some(both), ..settings() });
    let new = scene.manager_with(sealing_with(OTHER));
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        keep_card(&mut alice).await;
        let at = |manager| {
            let mut visitor = Visitor::new(manager);
            visitor.receive_line(&format!("{}; Path=/", alice.cookie().unwrap()));
            visitor
        };
        assert_eq!(card(&at(&new)).await, None);
        assert_eq!(card(&at(&both)).await.as_deref(), Some(PLAIN));
        // To read moves nothing; to write does.
        assert_eq!(card(&at(&new)).await, None);
        keep_card(&mut at(&both)).await;
        assert_eq!(card(&at(&new)).await.as_deref(), Some(PLAIN));
        assert_eq!(card(&alice).await, None, "the new key is not known there");
    });
}

/// Login and rotation change the id that a value is bound to: it is sealed anew before anybody knows the
/// new token, in one more trip, and only where there is something.
// Proves R22, R58.
pub fn what_moves_to_another_id_is_sealed_anew<H: Harness>(here: &H) {
    let settings =
        Settings { field_keys: sealing_with(ONE).field_keys, ..carrying(&[CARD.name().clone()]) };
    let scene = Scene::with(here, settings);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.stranger();
        keep_card(&mut alice).await;
        for step in ["login", "rotation", "login again", "both at once"] {
            let before = looked_at(&scene, &id(&alice).await.unwrap()).await["card"].clone();
            let visit = alice.open();
            let session = visit.session();
            if step != "rotation" {
                assert_eq!(session.log_in(user.clone()).await.unwrap(), LogIn::Done);
            }
            if step == "rotation" || step == "both at once" {
                session.rotate().await.unwrap();
            }
            assert_eq!(session.get(CARD).await.unwrap().unwrap().as_str(), PLAIN, "{step}");
            if step == "both at once" {
                // The second move took along what waited after the first.
                costs!(scene, [], close(&mut alice, visit).await);
            } else {
                costs!(scene, [Apply], close(&mut alice, visit).await);
            }
            assert_eq!(card(&alice).await.as_deref(), Some(PLAIN), "{step}");
            let after = looked_at(&scene, &id(&alice).await.unwrap()).await;
            assert_sealed(&after, "card");
            assert_ne!(after["card"], before, "{step}");
        }
        // With nothing sealed, nothing is added.
        let mut bob = scene.logged_in(&scene.user("bob")).await;
        let visit = bob.open();
        costs!(scene, [Rotate], visit.session().rotate().await.unwrap());
        costs!(scene, [], close(&mut bob, visit).await);
        // Another user on this browser has nothing of it.
        assert_eq!(log_in(&mut alice, &scene.user("mallory")).await, LogIn::Done);
        assert_eq!(card(&alice).await, None);
    });
}

/// The session has moved, whatever becomes of the handler: what it kept is not lost, and what the handler
/// wrote is.
// Proves R58.
pub fn a_handler_that_fails_takes_nothing_along<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealing_with(ONE));
    here.run(async {
        let mut alice = scene.logged_in(&scene.user("alice")).await;
        keep_card(&mut alice).await;
        let visit = alice.open();
        let session = visit.session();
        session.rotate().await.unwrap();
        session.set(CARD, "written by a handler that fails").unwrap();
        session.set(NOTE, "likewise").unwrap();
        let head = visit.close(500).await;
        assert!(head.failed.is_none());
        alice.receive(&head);
        assert_eq!(card(&alice).await.as_deref(), Some(PLAIN));
        assert_eq!(alice.open().session().get(NOTE).await.unwrap(), None);
    });
}

/// Sealed or not, what a handler asks comes to the same.
// Proves R58.
pub fn every_operation_on_a_sealed_field_does_what_it_does_on_others<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealing_with(ONE));
    let mut alice = here.run(scene.logged_in(&scene.user("alice")));
    let plus = |by: u64| move |kept: Option<Sealed<u64>>| Sealed(kept.map_or(0, |it| it.0) + by);
    here.run(async {
        let visit = alice.open();
        let session = visit.session();
        // What waits is read, updated and taken as what is kept.
        assert_eq!(session.get(CODE).await.unwrap(), None);
        assert_eq!(session.update(CODE, plus(1)).await.unwrap(), Sealed(1));
        session.set(CODE, 5_u64).unwrap();
        assert_eq!(session.get(CODE).await.unwrap(), Some(Sealed(5)));
        assert_eq!(session.update(CODE, plus(2)).await.unwrap(), Sealed(7));
        let (user, code) = session.if_logged_in().get(CODE).await.unwrap().unwrap();
        assert_eq!(Some(user), session.user().await.unwrap());
        assert_eq!(code, Some(Sealed(7)));
        session.set(CARD, PLAIN).unwrap();
        assert_eq!(session.take(CARD).await.unwrap().unwrap().as_str(), PLAIN);
        assert_eq!(session.take(CARD).await.unwrap(), None);
        session.set(SEEN, List(vec![1, 2])).unwrap();
        close(&mut alice, visit).await;
        assert_eq!(alice.open().session().get(SEEN).await.unwrap().unwrap().0, List(vec![1, 2]));
    });
    // Of many who update, all are counted.
    at_once(8, |_| {
        here.run(async {
            let visit = alice.open();
            visit.session().update(CODE, plus(1)).await.unwrap();
            assert!(visit.close(200).await.failed.is_none());
        });
    });
    here.run(async {
        let visit = alice.open();
        assert_eq!(visit.session().get(CODE).await.unwrap(), Some(Sealed(15)));
        visit.session().remove(CODE).unwrap();
        close(&mut alice, visit).await;
        assert!(!looked_at(&scene, &id(&alice).await.unwrap()).await.contains_key("code"));
        // A newcomer who updates or takes.
        let mut stranger = scene.stranger();
        let visit = stranger.open();
        visit.session().set(CARD, PLAIN).unwrap();
        assert_eq!(visit.session().take(CARD).await.unwrap().unwrap().as_str(), PLAIN);
        visit.session().set(CODE, 1_u64).unwrap();
        assert_eq!(visit.session().update(CODE, plus(2)).await.unwrap(), Sealed(3));
        close(&mut stranger, visit).await;
        let fields = looked_at(&scene, &id(&stranger).await.unwrap()).await;
        assert_eq!(fields.len(), 1);
        assert_sealed(&fields, "code");
        // Limits count what is kept.
        let limit = scene.manager.settings().limits.value_bytes as usize;
        let longest = (limit - 47) / 4 * 3 - 3;
        let visit = stranger.open();
        visit.session().set(CARD, "x".repeat(longest)).unwrap();
        let over = visit.session().set(CARD, "x".repeat(limit - 47));
        assert!(matches!(over, Err(SessionError::Refused(Refusal::ValueTooLarge { .. }))));
        assert!(visit.close(200).await.failed.is_none());
        assert_eq!(card(&stranger).await.unwrap().len(), longest);
    });
}

/// Nothing is kept in the clear because a key was forgotten.
// Proves R58.
pub fn without_a_key_nothing_is_written_in_the_clear<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.logged_in(&scene.user("alice")).await;
        let visit = alice.open();
        let session = visit.session();
        let refused = |error: SessionError| {
            assert!(matches!(error, SessionError::NoFieldKeys { .. }), "{error}");
            assert_eq!(error.status(), 500);
        };
        refused(session.set(CARD, PLAIN).unwrap_err());
        refused(session.get(CARD).await.unwrap_err());
        refused(session.update(CODE, |_| Sealed(1)).await.unwrap_err());
        let login = session.log_in(scene.user("bob")).with(CARD, PLAIN).await;
        refused(login.unwrap_err());
        assert!(visit.close(200).await.failed.is_none());
        assert!(looked_at(&scene, &id(&alice).await.unwrap()).await.is_empty());
    });
}
