//! "Your devices": a user sees and ends their own sessions and nobody else's, and who may ask without
//! a session does so for any user.

use std::num::NonZeroU32;

use super::scene::{
    NOTE, Scene, VISITS, assert_ended, at_once, close, costs, id, is_removal, listening, log_in,
    log_out, settings, token, who,
};
use crate::change::Fields;
use crate::client::{Client, Difference};
use crate::events::Event;
use crate::manager::Manager;
use crate::outcome::LogIn;
use crate::settings::Settings;
use crate::store::{SessionLimit, User, WhenFull};
use crate::testing::{Harness, Visitor};

const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// One who logged in to be remembered.
async fn remembered(manager: &Manager, user: &User) -> Visitor {
    let mut visitor = Visitor::new(manager);
    let visit = visitor.open();
    let session = visit.session();
    let login = session.log_in(user.clone()).remembered(settings().lifetime);
    assert_eq!(login.await.unwrap(), LogIn::Done);
    close(&mut visitor, visit).await;
    visitor
}

/// Each device is shown as it logged in, and looking costs what the table says.
// Proves R36.
pub fn a_user_sees_their_own_sessions_and_no_other<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let (alice, bob) = (scene.user("alice"), scene.user("bob"));
        let mut phone = scene.stranger();
        let client = Client::from_text("saf ios 203.0.113.0/24 shop");
        let visit = phone.open();
        let session = visit.session();
        let _ = session.log_in(alice.clone()).from_client(client.clone()).await.unwrap();
        close(&mut phone, visit).await;
        let laptop = scene.logged_in(&alice).await;
        let _theirs = scene.logged_in(&bob).await;

        let visit = laptop.open();
        let session = visit.session();
        let (user, page) = costs!(scene, [Apply SessionsOf], {
            session.if_logged_in().sessions(None, TEN).await.unwrap().unwrap()
        });
        assert_eq!(user, alice);
        let this = session.id().await.unwrap().unwrap();
        let [other] = &page.sessions.iter().filter(|s| s.id != this).collect::<Vec<_>>()[..] else {
            panic!("{page:?}");
        };
        assert_eq!(page.sessions.len(), 2);
        assert_eq!(Some(other.id), id(&phone).await);
        assert_eq!(other.client, Some(client.clone()));

        // What was told stays through a rotation.
        let visit = phone.open();
        visit.session().rotate().await.unwrap();
        close(&mut phone, visit).await;
        let rotated = id(&phone).await;
        let page = scene.manager.sessions_of(&alice).page(None, TEN).await.unwrap();
        let shown = page.sessions.iter().find(|listed| Some(listed.id) == rotated).unwrap();
        assert_eq!(shown.client, Some(client));
    });
}

/// Page after page, by the text of a link; and who isn't logged in has none.
pub fn pages_go_on_by_the_text_of_a_link<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.user("alice");
        let visitor = scene.logged_in(&alice).await;
        for _ in 0..4 {
            let _ = scene.logged_in(&alice).await;
        }
        let visit = visitor.open();
        let session = visit.session();
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let two = NonZeroU32::new(2).unwrap();
            let page = session.if_logged_in().sessions(after.as_deref(), two).await.unwrap();
            let (_, page) = page.unwrap();
            seen.extend(page.sessions.iter().map(|listed| listed.id));
            after = page.next.map(|next| next.to_string());
            if after.is_none() {
                break;
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);

        let nobody = scene.anonymous().await;
        let visit = nobody.open();
        let session = visit.session();
        assert_eq!(session.if_logged_in().sessions(None, TEN).await.unwrap(), None);
        assert_eq!(session.if_logged_in().revoke_others().await.unwrap(), None);
        assert_eq!(session.if_logged_in().log_out_everywhere().await.unwrap(), None);
        assert_eq!(visit.close(200).await.set_cookie, None);
        assert!(id(&nobody).await.is_some(), "nobody's session is nobody's to end");
        costs!(scene, [], {
            let visit = scene.stranger().open();
            assert_eq!(visit.session().if_logged_in().revoke("x").await.unwrap(), None);
        });
    });
}

/// The other is out at its next request; its late writes are not stored; its cookie is not touched.
// Proves R33, R36.
pub fn one_session_ends_another_and_stays<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.user("alice");
        let (phone, laptop) = (scene.logged_in(&alice).await, scene.logged_in(&alice).await);
        let handle = id(&phone).await.unwrap().hash();
        let late = phone.open();
        late.session().set(NOTE, "late").unwrap();

        let visit = laptop.open();
        let session = visit.session();
        session.set(NOTE, "waits").unwrap();
        let revoke = async || session.if_logged_in().revoke(&handle).await.unwrap().unwrap();
        assert!(costs!(scene, [Apply EndOf], revoke().await).1);
        assert!(!costs!(scene, [EndOf], revoke().await).1);
        let head = costs!(scene, [Apply], visit.close(200).await);
        assert!(head.failed.is_none() && head.set_cookie.is_none(), "{head:?}");

        let head = late.close(200).await;
        assert!(head.failed.is_some() && head.set_cookie.is_none(), "{head:?}");
        assert_eq!(who(&phone).await, None);
        assert_eq!(who(&laptop).await, Some(alice));
    });
}

/// After a factor changed: a new token first, so that a copy of the old one ends nobody meanwhile, and
/// then every other session, those that are remembered too.
// Proves R33, CVE-2015-8125, CVE-2021-41268.
pub fn who_changed_a_factor_goes_on_under_a_new_token_and_alone<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.user("alice");
        let remembered = remembered(&scene.manager, &alice).await;
        let (laptop, bob) =
            (scene.logged_in(&alice).await, scene.logged_in(&scene.user("bob")).await);
        let mut mine = scene.logged_in(&alice).await;
        let copied = mine.clone();
        let visit = mine.open();
        let session = visit.session();
        costs!(scene, [Rotate EndOf], {
            session.rotate().await.unwrap();
            let others = session.if_logged_in().revoke_others().await.unwrap();
            assert_eq!(others, Some((alice.clone(), 2)));
        });
        close(&mut mine, visit).await;
        assert_ne!(token(&mine), token(&copied));
        for dead in [&copied, &remembered, &laptop] {
            assert_eq!(who(dead).await, None);
        }
        assert_eq!(who(&mine).await, Some(alice));
        assert!(who(&bob).await.is_some());
    });
}

/// Neither by its handle nor by text that is none.
// Proves R36.
pub fn nobody_elses_session_can_be_named<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let (alice, bob) = (scene.user("alice"), scene.user("bob"));
        let (hers, his) = (scene.logged_in(&alice).await, scene.logged_in(&bob).await);
        let nobodys = scene.anonymous().await;
        let visit = hers.open();
        let session = visit.session();
        let handles = [id(&his).await, id(&nobodys).await].map(|id| id.unwrap().hash());
        for handle in handles.iter().map(String::as_str).chain(["", "x", "\0", &"A".repeat(9999)]) {
            let (_, ended) = session.if_logged_in().revoke(handle).await.unwrap().unwrap();
            assert!(!ended, "{handle}");
            assert!(!scene.manager.sessions_of(&alice).revoke(handle).await.unwrap());
        }
        assert_eq!(who(&his).await, Some(bob));
        assert!(id(&nobodys).await.is_some());
    });
}

/// With its own session a visitor logs out, cookie included, by either way.
pub fn ending_ones_own_session_is_a_logout<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.user("alice");
        for everywhere in [false, true] {
            let (mut phone, laptop) =
                (scene.logged_in(&alice).await, scene.logged_in(&alice).await);
            let visit = phone.open();
            let session = visit.session();
            session.set(NOTE, "dropped with the session").unwrap();
            if everywhere {
                let ended = session.if_logged_in().log_out_everywhere().await.unwrap();
                assert_eq!(ended, Some((alice.clone(), 2)));
            } else {
                let own = session.id().await.unwrap().unwrap().hash();
                assert!(session.if_logged_in().revoke(&own).await.unwrap().unwrap().1);
            }
            assert_eq!(session.user().await.unwrap(), None);
            assert!(is_removal(&close(&mut phone, visit).await.unwrap()));
            assert_eq!(who(&laptop).await.is_none(), everywhere);
            let _ = scene.manager.sessions_of(&alice).revoke_all().await.unwrap();
        }
    });
}

/// What was taken away ends nobody: the thief's request that was under way neither.
pub fn who_was_ended_ends_nobody<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let alice = scene.user("alice");
        let (thief, owner) = (scene.logged_in(&alice).await, scene.logged_in(&alice).await);
        let under_way = thief.open();
        let session = under_way.session();
        assert_eq!(session.user().await.unwrap(), Some(alice.clone()));
        let visit = owner.open();
        let ended = visit.session().if_logged_in().revoke_others().await.unwrap();
        assert_eq!(ended, Some((alice.clone(), 1)));
        let others = session.if_logged_in().revoke_others().await.unwrap();
        assert_eq!(others, None);
        assert_eq!(session.if_logged_in().log_out_everywhere().await.unwrap(), None);
        assert_ended(session.increment(VISITS, 1).await);
        assert_eq!(under_way.close(200).await.set_cookie, None);
        assert_eq!(who(&owner).await, Some(alice));
    });
}

/// For who may ask without a session: counted, shown whole, ended, erased.
// Proves R32, R35.
pub fn an_operator_counts_exports_ends_and_erases<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    here.run(async {
        let (alice, bob) = (scene.user("alice"), scene.user("bob"));
        let his = scene.logged_in(&bob).await;
        let mut hers = Vec::new();
        for number in 0..5 {
            let mut visitor = scene.logged_in(&alice).await;
            visitor.visit(async |session| session.set(NOTE, format!("{number}"))).await.unwrap();
            hers.push(visitor);
        }
        let sessions = scene.manager.sessions_of(&alice);
        assert_eq!(costs!(scene, [CountOf], sessions.count().await).unwrap(), 5);
        let mut notes = Vec::new();
        let mut after = None;
        loop {
            let page = sessions.export(after, NonZeroU32::new(2).unwrap()).await.unwrap();
            let note = |fields: &Fields| fields[NOTE.name()].to_vec();
            notes.extend(page.sessions.iter().map(|session| note(&session.fields)));
            after = page.next.map(|next| sessions.cursor(&next.to_string()).unwrap());
            if after.is_none() {
                break;
            }
        }
        notes.sort();
        assert_eq!(notes, [b"0", b"1", b"2", b"3", b"4"]);

        let kept = id(&hers[2]).await.unwrap();
        let ended = costs!(scene, [EndOf], sessions.revoke_all_but(&kept).await);
        assert_eq!(ended.unwrap(), 4);
        assert_eq!(who(&hers[2]).await, Some(alice.clone()));
        assert_eq!(who(&hers[3]).await, None);
        assert_eq!(sessions.erase().await.unwrap(), 1);
        assert_eq!((sessions.count().await.unwrap(), who(&hers[2]).await), (0, None));
        assert_eq!(who(&his).await, Some(bob));
    });
}

/// A login's own limit wins over that of the settings.
pub fn a_login_can_have_a_limit_of_its_own<H: Harness>(here: &H) {
    let limit = |at_most, when_full| SessionLimit { at_most, when_full };
    let refuse_one = limit(NonZeroU32::MIN, WhenFull::Refuse);
    let scene = Scene::with(here, Settings { sessions_per_user: Some(refuse_one), ..settings() });
    here.run(async {
        let alice = scene.user("alice");
        let first = scene.logged_in(&alice).await;
        assert_eq!(log_in(&mut scene.stranger(), &alice).await, LogIn::Full);
        let mut second = scene.stranger();
        let visit = second.open();
        let session = visit.session();
        let ten = limit(TEN, WhenFull::Refuse);
        assert_eq!(session.log_in(alice.clone()).at_most(ten).await.unwrap(), LogIn::Done);
        close(&mut second, visit).await;
        let mut third = scene.stranger();
        let visit = third.open();
        let one = limit(NonZeroU32::MIN, WhenFull::EndOldest);
        let session = visit.session();
        assert_eq!(session.log_in(alice.clone()).at_most(one).await.unwrap(), LogIn::Done);
        close(&mut third, visit).await;
        assert_eq!((who(&first).await, who(&second).await), (None, None));
        assert_eq!(who(&third).await, Some(alice));
    });
}

/// Log out everywhere against who logs in and counts: nobody who was in before it stays in.
// Proves R30, R32, CVE-2022-38054, CVE-2021-25970, CVE-2015-8125.
pub fn after_a_logout_everywhere_nobody_of_before_is_in<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let managers = scene.two_managers();
    for _ in 0..scene.rounds(20) {
        let alice = scene.user("alice");
        let before: Vec<_> = here.run(async {
            let mut visitors = Vec::new();
            for number in 0..8 {
                let manager = &managers[number % 2];
                let visitor = if number % 4 < 2 {
                    remembered(manager, &alice).await
                } else {
                    Visitor::logged_in(manager, alice.as_str()).await.unwrap()
                };
                visitors.push(visitor);
            }
            visitors
        });
        let after = at_once(8, |number| {
            here.run(async {
                if number == 0 {
                    let visit = before[0].open();
                    let everywhere = visit.session().if_logged_in().log_out_everywhere().await;
                    assert!(everywhere.unwrap().is_some());
                    let _ = visit.close(200).await;
                    for visitor in &before {
                        let visit = visitor.open();
                        let counted = visit.session().if_logged_in().increment(VISITS, 1).await;
                        assert_eq!(counted.unwrap(), None, "somebody of before is in");
                    }
                    let manager = &managers[1];
                    let new = Visitor::logged_in(manager, alice.as_str()).await;
                    assert_eq!(who(&new.unwrap()).await, Some(alice.clone()));
                    return;
                }
                for _ in 0..5 {
                    let visit = before[number].open();
                    let _ = visit.session().if_logged_in().increment(VISITS, 1).await.unwrap();
                    let _ = visit.close(200).await;
                }
            });
        });
        assert_eq!(after.len(), 8);
    }
}

/// A role that one instance takes away is gone at the next request to another one: nothing stands
/// between a session and the store.
// Proves R40.
pub fn a_role_that_was_taken_away_is_gone_at_once_on_every_instance<H: Harness>(here: &H) {
    let scene = Scene::set(here);
    let [one, two] = scene.two_managers();
    here.run(async {
        let mut admin = Visitor::new(&one);
        let visit = admin.open();
        let login = visit.session().log_in(scene.user("admin")).with(NOTE, "may delete").await;
        assert_eq!(login.unwrap(), LogIn::Done);
        close(&mut admin, visit).await;
        let cookie = admin.cookie().unwrap().to_owned();
        let role = async || {
            let visit = two.open([cookie.as_bytes()]);
            visit.session().get(NOTE).await.unwrap()
        };
        for _ in 0..10 {
            assert_eq!(role().await.as_deref(), Some("may delete"));
            let visit = one.open([cookie.as_bytes()]);
            visit.session().remove(NOTE).unwrap();
            close(&mut admin, visit).await;
            assert_eq!(role().await, None);
            let visit = one.open([cookie.as_bytes()]);
            visit.session().set(NOTE, "may delete").unwrap();
            close(&mut admin, visit).await;
        }
    });
}

/// A signal, and nothing more: the session goes on, and no trip is added.
// Proves R72.
pub fn another_client_is_told_once_a_request_and_ends_nothing<H: Harness>(here: &H) {
    let (settings, told) = listening(settings());
    let scene = Scene::with(here, settings);
    let [then, other_address, now] =
        ["ffx lnx 203.0.113.0/24", "ffx lnx 203.0.113.7", "chr win 10.0.0.0/24"]
            .map(Client::from_text);
    here.run(async {
        let user = scene.user("alice");
        let mut alice = scene.stranger();
        let visit = alice.open();
        let of_visit = visit.session();
        let login = of_visit.log_in(user.clone()).from_client(then.clone());
        assert_eq!(login.await.unwrap(), LogIn::Done);
        close(&mut alice, visit).await;
        let session = id(&alice).await.unwrap();
        let what = [Difference::Browser, Difference::System, Difference::Network];
        for (client, differences) in
            [(&then, &[][..]), (&other_address, &[]), (&now, &what), (&now, &what)]
        {
            let visit = alice.open().from_client(|| client.clone());
            let of_visit = visit.session();
            for _ in 0..3 {
                of_visit.if_logged_in().increment(VISITS, 1).await.unwrap().unwrap();
            }
            let told = costs!(scene, [], of_visit.client_differences().await.unwrap());
            assert_eq!(told, differences);
            close(&mut alice, visit).await;
        }
        // Rotation keeps who logged in, and a login notes who does.
        let mut visit = alice.open().from_client(|| now.clone());
        visit.session().rotate().await.unwrap();
        close(&mut alice, visit).await;
        visit = alice.open().from_client(|| then.clone());
        assert_eq!(visit.session().client_differences().await.unwrap(), []);
        close(&mut alice, visit).await;
        // Nobody is asked for their client without a cookie.
        let stranger =
            scene.stranger().open().from_client(|| panic!("there is nothing to compare"));
        assert_eq!(stranger.session().client_differences().await.unwrap(), []);

        assert_eq!(log_out(&mut alice).await.as_deref().map(is_removal), Some(true));
        let changed = Event::ClientChanged { session, user, then, now, differences: what.to_vec() };
        let told = told.up_to(|event| matches!(event, Event::LoggedOut { .. }));
        let signals = told.iter().filter(|event| matches!(event, Event::ClientChanged { .. }));
        assert_eq!(signals.collect::<Vec<_>>(), [&changed, &changed]);
        assert!(!told.iter().any(|event| matches!(event, Event::MetEnded { .. })));
    });
}
