//! What the memory store does beyond the contract: it forgets, and it has a cap.

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::change::Fields;
use cloakroom::engine::Engine;
use cloakroom::store::{Create, Happened};
use cloakroom::testing::Visitor;
use cloakroom::{
    Clock, Field, Hands, LogIn, Manager, MemoryStore, Prefix, Rate, SessionError, Settings,
    Timestamp, TokenMint, User,
};

const NOTE: Field<String> = Field::new("note");

fn store_of(at_most: usize) -> (MemoryStore, Hands, Manager) {
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let store = MemoryStore::with_cap(clock, at_most);
    let manager = Manager::new(store.clone(), Settings::default());
    (store, hands, manager)
}

/// A newcomer's first write.
fn arrive(manager: &Manager) -> Result<Visitor, SessionError> {
    pollster::block_on(async {
        let mut visitor = Visitor::new(manager);
        let visit = visitor.open();
        visit.session().set(NOTE, "hello")?;
        let head = visit.close(200).await;
        visitor.receive(&head);
        head.failed.map_or(Ok(visitor), Err)
    })
}

// Proves R68, CVE-2015-5143.
#[test]
fn strangers_can_not_fill_the_memory_and_users_can_log_in_all_the_same() {
    let (store, hands, manager) = store_of(3);
    let visitors: Vec<_> = (0..3).map(|_| arrive(&manager).unwrap()).collect();
    match arrive(&manager) {
        Err(SessionError::Unavailable(error)) => assert_eq!(error.happened, Happened::No),
        other => panic!("{other:?}"),
    }
    pollster::block_on(async {
        // With a session or without one.
        for visitor in [visitors[0].clone(), Visitor::new(&manager)] {
            let visit = visitor.open();
            let login = visit.session().log_in(User::new("alice").unwrap()).await;
            assert_eq!(login.unwrap(), LogIn::Done);
            let _ = visit.close(200).await;
        }
        // Who ends a session makes room.
        let visit = visitors[1].open();
        visit.session().log_out().await.unwrap();
        let _ = visit.close(200).await;
    });
    arrive(&manager).unwrap();
    arrive(&manager).unwrap();
    assert!(arrive(&manager).is_err());
    // And so does time, for sessions that nobody asks for any more.
    hands.advance(manager.settings().anonymous.idle());
    store.sweep();
    arrive(&manager).unwrap();
}

// Proves R68, CVE-2015-5143.
#[test]
fn a_flood_of_strangers_costs_what_the_formula_says_and_no_more() {
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let store = MemoryStore::with_cap(clock.clone(), usize::MAX);
    let number = |n| NonZeroU32::new(n).unwrap();
    let rate = Rate { per_second: number(2), at_once: number(30) };
    let settings = Settings { newcomers: Some(rate), ..Settings::default() };
    let instances =
        [(); 2].map(|()| Manager::new(store.clone(), settings.clone()).with_clock(clock.clone()));
    let idle = settings.anonymous.idle().as_secs();
    let at_most = 2 * (30 + 2 * usize::try_from(idle).unwrap());
    // Twenty requests a second for twice the life of an anonymous session.
    let mut most = 0;
    for _ in 0..2 * idle {
        for manager in instances.iter().chain(&instances).cycle().take(20) {
            drop(arrive(manager));
        }
        hands.advance(Duration::from_secs(1));
        store.sweep();
        most = most.max(store.len());
    }
    assert!(most <= at_most, "{most} sessions, and {at_most} by the formula");
    assert!(most > at_most * 9 / 10, "the flood was too small to tell: {most} of {at_most}");
}

#[test]
fn a_sweep_forgets_what_has_expired_and_nothing_else() {
    let (store, hands, manager) = store_of(100);
    for _ in 0..10 {
        arrive(&manager).unwrap();
    }
    hands.advance(manager.settings().anonymous.idle() - Duration::from_millis(1));
    assert_eq!(store.sweep(), 0);
    let late = arrive(&manager).unwrap();
    hands.advance(Duration::from_millis(2));
    assert_eq!((store.sweep(), store.len()), (10, 1));
    let note = pollster::block_on(late.open().session().get(NOTE)).unwrap();
    assert_eq!(note.as_deref(), Some("hello"));
}

#[test]
fn the_store_sweeps_by_itself() {
    let (store, hands, manager) = store_of(100);
    arrive(&manager).unwrap();
    hands.advance(manager.settings().anonymous.absolute());
    eventually(|| store.is_empty());
}

/// The sweeper looks once a second by the system's time, which nobody moves by hand.
fn eventually(happens: impl Fn() -> bool) {
    let began = Instant::now();
    while !happens() {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not happen");
        // No event says when another thread has done its work.
        thread::sleep(Duration::from_millis(5));
    }
}

// Proves R67, R68.
#[test]
fn however_many_make_sessions_at_once_the_cap_holds() {
    const THREADS: usize = 4;
    let mint = TokenMint::new(Prefix::default(), "session", None);
    for round in 0..3_000 {
        let engine = Engine::new(Clock::system(), 1);
        let start = std::sync::Barrier::new(THREADS);
        let made = std::thread::scope(|scope| {
            let make = || {
                let (id, fields) = (mint.issue_anonymous().unwrap().id, Fields::new());
                let lifetime = Settings::default().anonymous;
                let (fields, login) = (&fields, None);
                let new = Create { id: &id, lifetime, remembered: false, fields, login };
                start.wait();
                engine.create(&new, |_| ()).0.is_ok()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|it| *it).count()
        });
        assert_eq!((made, engine.len()), (1, 1), "round {round}");
    }
}
