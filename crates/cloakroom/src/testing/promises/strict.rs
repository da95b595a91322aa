//! Strict (P7): what the server did not issue is never adopted, and what can't be a token of ours
//! never reaches the store.

use std::num::NonZeroU32;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::scene::{
    HOUR, NOTE, Scene, VISITS, assert_ended, close, costs, id, is_removal, log_in, log_out, note,
    settings, token, who,
};
use crate::clock::Clock;
use crate::cookie::CookieSettings;
use crate::expiry::Timestamp;
use crate::outcome::{LogIn, SessionError};
use crate::rate::Rate;
use crate::settings::Settings;
use crate::store::Verb;
use crate::testing::{Harness, Visitor};
use crate::token::{Keys, SecretKey};

const ONE: &str = "one secret of thirty-two bytes, and more";
const OTHER: &str = "quite another of thirty-two bytes, and more";

fn sealed_with(secret: &str) -> Settings {
    Settings { keys: Some(Keys::new(SecretKey::new(secret).unwrap())), ..settings() }
}

/// A browser that sends this value under the cookie's name.
fn bringing(visitor: &Visitor, value: &str) -> Visitor {
    let mut visitor = visitor.clone();
    visitor.receive_line(&format!("__Host-session={value}; Path=/"));
    visitor
}

/// Nobody is there, the store is not asked, and the first write makes a session of its own.
async fn is_nobody_for_free<H: Harness>(scene: &Scene<'_, H>, visitor: &Visitor) {
    let before = scene.store.calls().len();
    let visit = visitor.open();
    let session = visit.session();
    assert_eq!(session.user().await.unwrap(), None);
    assert_eq!(session.get(NOTE).await.unwrap(), None);
    assert_eq!(session.take(NOTE).await.unwrap(), None);
    assert!(session.if_logged_in().increment(VISITS, 1).await.unwrap().is_none());
    session.rotate().await.unwrap();
    session.log_out().await.unwrap();
    assert_eq!(visit.close(200).await.set_cookie, None, "a cookie is never cleared on doubt");
    assert_eq!(scene.store.calls().len(), before, "the store was asked");
}

/// Whoever brings this becomes a newcomer at the first write: with another token, another id, and the
/// token that was brought as dead as before.
async fn is_never_adopted<H: Harness>(scene: &Scene<'_, H>, visitor: &Visitor) {
    let user = scene.user("mallory");
    for by_login in [true, false] {
        let mut adopting = visitor.clone();
        if by_login {
            assert_eq!(log_in(&mut adopting, &user).await, LogIn::Done);
        } else {
            let visit = adopting.open();
            visit.session().set(NOTE, "first write").unwrap();
            close(&mut adopting, visit).await;
            assert_eq!(note(&adopting).await.as_deref(), Some("first write"));
        }
        assert_ne!(token(&adopting), token(visitor));
        let planted = visitor.open().session().id().await.unwrap();
        assert_eq!(planted, None, "a planted token became alive");
        assert!(is_removed(log_out(&mut adopting).await));
    }
}

fn is_removed(set_cookie: Option<String>) -> bool {
    set_cookie.as_deref().is_some_and(is_removal)
}

/// Values that no token looks like: no store call, nobody, nothing cleared.
// Proves R17, CVE-2015-3982, mod_auth_openidc.
pub fn a_malformed_cookie_never_reaches_the_store<H: Harness>(here: &H) {
    for settings in [settings(), sealed_with(ONE)] {
        let scene = Scene::with(here, settings);
        here.run(async {
            let mut alice = scene.logged_in(&scene.user("alice")).await;
            let real = token(&alice);
            let (head, tail) = real.split_at(real.len() - 1);
            let mut malformed = vec![
                String::new(),
                "null".into(),
                "../../etc/passwd%00".into(),
                "A".repeat(100_000),
                head.to_owned(),
                real[1..].to_owned(),
                format!("{real}A"),
                format!("{real}="),
                format!("{real} "),
                format!(" {real}"),
                format!("\"{real}\""),
                format!("{head}%{tail}"),
                format!("{head}\u{e9}"),
            ];
            // Of the right length, in the alphabets next door.
            for letter in ["+", "/", "=", ".", "~", "\0"] {
                malformed.push(format!("{head}{letter}"));
                malformed.push(format!("{letter}{}", &real[1..]));
            }
            for value in malformed {
                let visitor = bringing(&alice, &value);
                is_nobody_for_free(&scene, &visitor).await;
            }
            for value in ["", "null", head] {
                is_never_adopted(&scene, &bringing(&alice, value)).await;
            }
            assert!(is_removed(log_out(&mut alice).await), "the real one still works");
        });
    }
}

/// With keys: tokens that others sealed, that nobody sealed, and ours with one letter changed.
// Proves R17, R21, CVE-2024-38513.
pub fn a_forged_token_never_reaches_the_store<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealed_with(ONE));
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        let others = scene.manager_with(sealed_with(OTHER));
        let theirs = token(&Visitor::logged_in(&others, user.as_str()).await.unwrap());
        let open = scene.mint().issue_for(user.as_str()).unwrap().token;
        let mut forged = vec![theirs, open.reveal().to_owned(), "A".repeat(token(&alice).len())];
        let real = token(&alice);
        for (at, letter) in real.char_indices() {
            let other = if letter == 'B' { 'C' } else { 'B' };
            forged.push(format!("{}{other}{}", &real[..at], &real[at + 1..]));
        }
        for value in &forged {
            is_nobody_for_free(&scene, &bringing(&alice, value)).await;
        }
        for value in &forged[..4] {
            let visitor = bringing(&alice, value);
            is_never_adopted(&scene, &visitor).await;
            is_nobody_for_free(&scene, &visitor).await;
        }
        assert_eq!(who(&alice).await, Some(user), "the real one still works");
    });
}

/// Without keys a token can look well and be nobody's. The store is asked, and never makes it one.
// Proves R21, CVE-2024-38513, CVE-2018-1000519.
pub fn a_planted_token_is_never_adopted<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let victim = scene.user("victim");
        let alice = scene.logged_in(&victim).await;
        let mint = scene.mint();
        for planted in [mint.issue_anonymous().unwrap(), mint.issue_for(victim.as_str()).unwrap()] {
            let visitor = bringing(&alice, planted.token.reveal());
            costs!(scene, [Apply], assert_eq!(who(&visitor).await, None));
            let visit = visitor.open();
            visit.session().rotate().await.unwrap();
            visit.session().log_out().await.unwrap();
            assert_eq!(visit.close(200).await.set_cookie, None);
            is_never_adopted(&scene, &visitor).await;
            // Not even by its own user, who logs in over it.
            let mut adopting = visitor.clone();
            assert_eq!(log_in(&mut adopting, &victim).await, LogIn::Done);
            assert_eq!(id(&visitor).await, None);
        }
        assert_eq!(who(&alice).await, Some(victim), "whose tag was planted notices nothing");
    });
}

/// The same name twice is like a session that was ended: no store call, no write, no cookie; only a
/// login begins anew.
// Proves R15.
pub fn a_cookie_sent_twice_is_like_one_that_was_ended<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        let cookie = alice.cookie().unwrap().to_owned();
        let planted = format!("__Host-session={}", "A".repeat(65));
        for lines in [
            vec![format!("{cookie}; {planted}")],
            vec![format!("{planted}; {cookie}")],
            vec![format!("{cookie}; {cookie}")],
            vec![cookie.clone(), planted.clone()],
            vec![format!("{cookie}; __Host-session=")],
        ] {
            let lines = || lines.iter().map(|line| line.as_bytes());
            costs!(scene, [], {
                let visit = scene.manager.open(lines());
                let session = visit.session();
                assert_eq!(session.user().await.unwrap(), None);
                assert_eq!(session.id().await.unwrap(), None);
                assert!(session.if_logged_in().increment(VISITS, 1).await.unwrap().is_none());
                assert_ended(session.set(NOTE, "late"));
                assert_ended(session.remove(NOTE));
                assert_ended(session.increment(VISITS, 1).await);
                assert_ended(session.take(NOTE).await);
                assert_ended(session.update(NOTE, |_| "late".into()).await);
                assert_ended(session.rotate().await);
                session.log_out().await.unwrap();
                assert_eq!(visit.close(200).await.set_cookie, None);
            });
            let visit = scene.manager.open(lines());
            let login = costs!(scene, [Create], visit.session().log_in(user.clone()).await);
            assert_eq!(login.unwrap(), LogIn::Done);
            let mut anew = alice.clone();
            close(&mut anew, visit).await;
            assert_ne!(anew.cookie(), Some(&*cookie));
        }
        assert!(is_removed(log_out(&mut alice).await), "the session itself was left alone");
    });
}

/// Names are compared to the byte: what another parser might take for our cookie is none.
// Proves R16, cookie-rs.
pub fn a_name_that_only_looks_like_ours_is_another_cookie<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        let (real, token) = (alice.cookie().unwrap(), token(&alice));
        for name in [
            "__%48ost-session",
            "__Host%2Dsession",
            "__host-session",
            "__HOST-SESSION",
            "session",
            "",
        ] {
            let line = format!("{name}={token}");
            costs!(scene, [], {
                let visit = scene.manager.open([line.as_bytes()]);
                assert_eq!(visit.session().user().await.unwrap(), None, "{name}");
                assert_eq!(visit.close(200).await.set_cookie, None);
            });
            // Nor does it stand in the way of the real one.
            let both = format!("{name}=x; {real}");
            let visit = scene.manager.open([both.as_bytes()]);
            assert_eq!(visit.session().user().await.unwrap(), Some(user.clone()), "{name}");
        }
    });
}

/// A token shown under another cookie's name names no session there.
// Proves R42, R57, CVE-2022-46170, CVE-2023-48309.
pub fn a_token_of_another_cookie_names_no_session<H: Harness>(here: &H) {
    for settings in [settings(), sealed_with(ONE)] {
        let scene = Scene::with(here, settings.clone());
        here.run(async {
            let alice = scene.logged_in(&scene.user("alice")).await;
            let cookie = CookieSettings::named("admin").unwrap();
            let sealed = settings.keys.is_some();
            let admin = scene.manager_with(Settings { cookie, ..settings });
            let line = format!("__Host-admin={}", token(&alice));
            let before = scene.store.calls().len();
            let visit = admin.open([line.as_bytes()]);
            assert_eq!(visit.session().user().await.unwrap(), None);
            let asked = if sealed { &[][..] } else { &[Verb::Apply][..] };
            assert_eq!(&scene.store.calls()[before..], asked);
        });
    }
}

/// A key that is being retired opens what it sealed; only a rotation replaces the token.
// Proves R74, CVE-2025-47278.
pub fn a_token_of_a_retired_key_lives_until_it_is_rotated<H: Harness>(here: &H) {
    let scene = Scene::with(here, sealed_with(ONE));
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.logged_in(&user).await;
        let key = |secret| SecretKey::new(secret).unwrap();
        let keys = Some(Keys::new(key(OTHER)).with_fallback(key(ONE)));
        let newer = scene.manager_with(Settings { keys, ..settings() });
        let newest = scene.manager_with(sealed_with(OTHER));
        let under = |manager: &crate::manager::Manager, visitor: &Visitor| {
            let mut here = Visitor::new(manager);
            here.receive_line(&format!("{}; Path=/", visitor.cookie().unwrap()));
            here
        };
        let visit = under(&newer, &alice).open();
        visit.session().increment(VISITS, 1).await.unwrap();
        visit.session().set(NOTE, "in passing").unwrap();
        assert_eq!(close(&mut alice, visit).await, None);
        costs!(scene, [], assert_eq!(who(&under(&newest, &alice)).await, None));

        let visit = under(&newer, &alice).open();
        visit.session().rotate().await.unwrap();
        close(&mut alice, visit).await;
        assert_eq!(who(&under(&newest, &alice)).await, Some(user));
    });
}

/// Without keys, whoever holds a token can say that it is of the other kind. Then it is nobody's, whatever
/// comes first, and also where the user's sessions have just ended all at once.
// Proves R57, CVE-2023-48309.
pub fn a_token_passed_off_as_one_of_the_other_kind_names_no_session<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let user = scene.user("alice");
        let alice = scene.logged_in(&user).await;
        let mut anonymous = Visitor::new(&scene.manager);
        let visit = anonymous.open();
        visit.session().set(NOTE, "hello").unwrap();
        close(&mut anonymous, visit).await;

        let flipped = [&alice, &anonymous].map(|visitor| {
            let mut bytes = BASE64URL_NOPAD.decode(token(visitor).as_bytes()).unwrap();
            bytes[32] ^= b'a' ^ b'u';
            bringing(visitor, &BASE64URL_NOPAD.encode(&bytes))
        });
        let are_nobody = async || {
            for visitor in &flipped {
                costs!(scene, [Apply], assert_eq!(who(visitor).await, None));
                let visit = visitor.open();
                visit.session().rotate().await.unwrap();
                assert_eq!(visit.session().user().await.unwrap(), None);
                assert_eq!(visit.session().get(NOTE).await.unwrap(), None);
                visit.session().log_out().await.unwrap();
                assert_eq!(visit.close(200).await.set_cookie, None);
                is_never_adopted(&scene, visitor).await;
            }
        };
        are_nobody().await;
        assert_eq!(who(&alice).await, Some(user.clone()), "the real one notices nothing");
        assert_eq!(note(&anonymous).await.as_deref(), Some("hello"));

        scene.manager.sessions_of(&user).revoke_all().await.unwrap();
        are_nobody().await;
    });
}

/// Strangers make as many sessions as the settings allow; one more is refused and costs nothing, and
/// who logs in notices nothing.
// Proves R68, CVE-2015-5143.
pub fn a_flood_of_strangers_is_refused_and_logins_are_not<H: Harness>(here: &H) {
    let number = |n| NonZeroU32::new(n).unwrap();
    let rate = Rate { per_second: number(10), at_once: number(5) };
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let scene = Scene::with(here, Settings { newcomers: Some(rate), ..settings() });
    let manager = scene.manager.clone().with_clock(clock);
    here.run(async {
        let flood = async || {
            let mut made = 0;
            for _ in 0..50 {
                let before = scene.store.calls().len();
                let visit = manager.open([]);
                visit.session().set(NOTE, "hello").unwrap();
                let head = visit.close(200).await;
                match head.failed {
                    None => made += 1,
                    Some(error) => {
                        assert!(matches!(error, SessionError::TooManyNewcomers), "{error}");
                        assert_eq!((error.status(), error.retry_after()), (503, Some(1)));
                        assert_eq!(head.set_cookie, None);
                        assert_eq!(scene.store.calls().len(), before, "the store was asked");
                    }
                }
            }
            made
        };
        assert_eq!(flood().await, 5);
        assert_eq!(flood().await, 0);
        let alice = scene.user("alice");
        let mut visitor = Visitor::new(&manager);
        assert_eq!(log_in(&mut visitor, &alice).await, LogIn::Done);
        assert_eq!(visitor.open().session().user().await.unwrap(), Some(alice));
        hands.advance(Duration::from_millis(200));
        assert_eq!(flood().await, 2);
        hands.advance(HOUR);
        assert_eq!(flood().await, 5);
    });
}
