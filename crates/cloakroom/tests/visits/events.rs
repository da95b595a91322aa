//! What the application is told of its sessions, and that telling it costs no request anything.

use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom::{
    Clock, Event, Events, Field, LogIn, Manager, MemoryStore, Prefix, SessionLimit, Settings,
    Timestamp, TokenMint, User, WhenFull,
};
use pollster::block_on;

const VISITS: Field<u64> = Field::new("visits");

fn listening() -> (Events, Receiver<Event>) {
    let (heard, told) = channel();
    (Events::tell(move |event| drop(heard.send(event))), told)
}

async fn id(visitor: &Visitor) -> cloakroom::SessionId {
    visitor.open().session().id().await.unwrap().unwrap()
}

// Proves R62.
#[test]
fn the_life_of_sessions_is_told_in_order() {
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let (events, told) = listening();
    let two = NonZeroU32::new(2).unwrap();
    let settings = Settings {
        events: Some(events),
        sessions_per_user: Some(SessionLimit { at_most: two, when_full: WhenFull::EndOldest }),
        ..Settings::default()
    };
    let manager = Manager::new(MemoryStore::with_clock(clock), settings);
    let alice = User::new("alice").unwrap();
    block_on(async {
        let mut phone = Visitor::new(&manager);
        phone.visit(async |session| session.increment(VISITS, 1).await).await.unwrap();
        let anonymous = id(&phone).await;
        assert_eq!(told.recv().unwrap(), Event::Created { session: anonymous });

        let login = phone.visit(async |session| session.log_in(alice.clone()).await).await;
        assert_eq!(login.unwrap(), LogIn::Done);
        let first = id(&phone).await;
        let instead_of = Some(anonymous);
        let (user, pushed_out) = (alice.clone(), Vec::new());
        let logged_in = Event::LoggedIn { user, session: first, instead_of, pushed_out };
        assert_eq!(told.recv().unwrap(), logged_in);

        phone.visit(async |session| session.rotate().await).await.unwrap();
        let second = id(&phone).await;
        assert_eq!(told.recv().unwrap(), Event::Rotated { old: first, new: second });

        // Two more: the limit pushes out who has the least life left.
        let mut others = Vec::new();
        for pushed_out in [vec![], vec![second]] {
            hands.advance(Duration::from_secs(60));
            others.push(Visitor::logged_in(&manager, "alice").await.unwrap());
            let session = id(&others[others.len() - 1]).await;
            let user = alice.clone();
            let logged_in = Event::LoggedIn { user, session, instead_of: None, pushed_out };
            assert_eq!(told.recv().unwrap(), logged_in);
        }
        assert_eq!(phone.visit(async |session| session.user().await).await.unwrap(), None);
        assert_eq!(told.recv().unwrap(), Event::MetEnded { session: second });

        let last = id(&others[1]).await;
        let visit = others[1].open();
        let ended = visit.session().if_logged_in().revoke_others().await.unwrap();
        assert_eq!(ended, Some((alice.clone(), 1)));
        let by = Some(last);
        assert_eq!(told.recv().unwrap(), Event::Revoked { user: alice.clone(), by, count: 1 });

        others[1].visit(async |session| session.log_out().await).await.unwrap();
        assert_eq!(told.recv().unwrap(), Event::LoggedOut { session: last });

        let mut late = Visitor::logged_in(&manager, "bob").await.unwrap();
        let session = id(&late).await;
        assert!(matches!(told.recv().unwrap(), Event::LoggedIn { .. }));
        hands.advance(Duration::from_secs(1800));
        assert_eq!(late.visit(async |session| session.user().await).await.unwrap(), None);
        assert_eq!(told.recv().unwrap(), Event::Expired { session });

        let _ = Visitor::logged_in(&manager, "alice").await.unwrap();
        assert!(matches!(told.recv().unwrap(), Event::LoggedIn { .. }));
        assert_eq!(manager.sessions_of(&alice).revoke_all().await.unwrap(), 1);
        let revoked = Event::Revoked { user: alice.clone(), by: None, count: 1 };
        assert_eq!(told.recv().unwrap(), revoked);
    });
    assert!(told.try_recv().is_err(), "nothing else happened");
}

/// Whatever is asked first with a token whose session is not there, or was ended, is noticed.
// Proves R62, R64.
#[test]
fn what_comes_without_a_session_is_told_whatever_is_asked_first() {
    let (events, told) = listening();
    let settings = Settings { events: Some(events), ..Settings::default() };
    let manager = Manager::new(MemoryStore::new(), settings);
    let prefix = Prefix::default();
    block_on(async {
        for first in 0..3 {
            let ask = async |visitor: &Visitor| {
                let visit = visitor.open();
                let session = visit.session();
                match first {
                    0 => drop(session.user().await),
                    1 => drop(session.rotate().await),
                    _ => session.log_out().await.unwrap(),
                }
                assert_eq!(visit.close(200).await.set_cookie, None);
            };
            // Well-formed, for there is no key, and nobody's.
            let mint = TokenMint::new(prefix.clone(), "__Host-session", None);
            let guess = mint.issue_for("alice").unwrap();
            let mut stranger = Visitor::new(&manager);
            stranger.receive_line(&format!("__Host-session={}; Path=/", guess.token.reveal()));
            ask(&stranger).await;
            assert_eq!(told.recv().unwrap(), Event::Expired { session: guess.id }, "{first}");

            let mut alice = Visitor::logged_in(&manager, "alice").await.unwrap();
            let session = id(&alice).await;
            assert!(matches!(told.recv().unwrap(), Event::LoggedIn { .. }));
            let before = alice.clone();
            alice.visit(async |session| session.log_out().await).await.unwrap();
            assert_eq!(told.recv().unwrap(), Event::LoggedOut { session });
            ask(&before).await;
            assert_eq!(told.recv().unwrap(), Event::MetEnded { session }, "{first}");
        }
    });
    assert!(told.try_recv().is_err(), "nothing else happened");
}

// Proves R62.
#[test]
fn a_refused_login_is_told() {
    let (events, told) = listening();
    let limit = SessionLimit { at_most: NonZeroU32::MIN, when_full: WhenFull::Refuse };
    let settings =
        Settings { events: Some(events), sessions_per_user: Some(limit), ..Settings::default() };
    let manager = Manager::new(MemoryStore::new(), settings);
    let alice = User::new("alice").unwrap();
    block_on(async {
        let _first = Visitor::logged_in(&manager, "alice").await.unwrap();
        assert!(matches!(told.recv().unwrap(), Event::LoggedIn { .. }));
        let mut second = Visitor::new(&manager);
        let full = second.visit(async |session| session.log_in(alice.clone()).await).await;
        assert_eq!(full.unwrap(), LogIn::Full);
        assert_eq!(told.recv().unwrap(), Event::LimitReached { user: alice });
    });
}

/// The listener hangs for as long as the test goes on: every request is answered all the same, and
/// what it could not take is counted.
#[test]
fn a_listener_that_hangs_holds_up_nobody() {
    let (release, hung): (Sender<()>, _) = channel();
    let events = Events::tell(move |_| {
        let _ = hung.recv();
    });
    let settings = Settings { events: Some(events.clone()), ..Settings::default() };
    let manager = Manager::new(MemoryStore::new(), settings);
    block_on(async {
        for _ in 0..Events::WAITING_AT_MOST + 10 {
            let _ = Visitor::logged_in(&manager, "alice").await.unwrap();
        }
    });
    // One is in the listener's hands, or still in the queue.
    assert!((9..=10).contains(&events.dropped()), "{}", events.dropped());
    drop(release);
}
