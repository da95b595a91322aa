use std::time::Duration;

use crate::change::{Limits, Operation, Writes};
use crate::expiry::{Lifetime, Timestamp};
use crate::field::FieldName;
use crate::store::ENDED_FOR;
use crate::token::{Prefix, TokenMint};

use super::*;

const LIMITS: Limits = Limits { fields: 9, value_bytes: 99, session_bytes: 999 };
const COUNT: FieldName = FieldName::new("count");

/// What a journal was told: whether it is urgent, and of which records, that are there or gone.
type Told = (bool, Vec<(SessionId, bool)>);

fn told(changes: Changes<'_>) -> Told {
    (changes.urgent(), changes.records().map(|(id, record)| (id, record.is_some())).collect())
}

fn id() -> SessionId {
    TokenMint::new(Prefix::default(), "session", None).issue_anonymous().unwrap().id
}

fn create(engine: &Engine, id: &SessionId) -> Told {
    let hour = Duration::from_secs(3600);
    let lifetime = Lifetime::new(hour / 2, hour).unwrap();
    let fields = &Fields::new();
    let new = Create { id, lifetime, remembered: false, fields, login: None };
    engine.create(&new, told).1
}

fn apply(engine: &Engine, id: &SessionId, change: &Change) -> Told {
    let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
    let apply = Apply { id, change, only_if, touch, limits: &LIMITS, token: None };
    engine.apply(&apply, told).1
}

#[test]
fn a_journal_hears_of_every_change_once_and_how_urgent_it_is() {
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let engine = Engine::new(clock, 9);
    let id = id();
    assert_eq!(create(&engine, &id), (true, vec![(id, true)]));
    assert_eq!(create(&engine, &id), (false, vec![]));
    let count = Operation::Increment { field: COUNT, by: 1, never_below_zero: true };
    assert_eq!(apply(&engine, &id, &Change::of(count)), (true, vec![(id, true)]));

    // Nothing has changed, not even the end, until the clock goes on.
    assert_eq!(apply(&engine, &id, &Change::read()), (false, vec![]));
    hands.advance(Duration::from_secs(1));
    assert_eq!(apply(&engine, &id, &Change::read()), (false, vec![(id, true)]));
    let nothing = Operation::Take { field: FieldName::new("nothing") };
    assert_eq!(apply(&engine, &id, &Change::of(nothing)), (false, vec![]));

    assert_eq!(engine.end(&id, told), (Ended::Now, (true, vec![(id, true)])));
    assert_eq!(engine.end(&id, told), (Ended::Before, (false, vec![])));
    hands.advance(ENDED_FOR);
    let mut swept = Vec::new();
    assert_eq!(engine.sweep(|changes| swept.push(told(changes))), 1);
    assert_eq!(swept, [(false, vec![(id, false)])]);
}

#[test]
fn a_rotation_is_one_change_of_two_records() {
    let engine = Engine::new(Clock::system(), 9);
    let old = id();
    let _ = create(&engine, &old);
    let (new, writes) = (id(), Writes::new());
    let (limits, why) = (&LIMITS, Why::Renewal);
    let rotate = Rotate { old: &old, new: &new, writes: &writes, limits, why, token: None };
    let (rotated, (urgent, mut records)) = engine.rotate(&rotate, told);
    assert!(matches!(rotated, Rotated::Done(..)));
    records.sort_unstable_by_key(|(id, _)| *id == new);
    assert_eq!((urgent, records), (true, vec![(old, true), (new, true)]));
}

#[test]
fn an_engine_that_is_given_records_is_as_the_one_they_came_from() {
    let (clock, _) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let engine = Engine::new(clock.clone(), 1);
    let id = id();
    let mut records = Vec::new();
    let hour = Duration::from_secs(3600);
    let fields = &Fields::new();
    let lifetime = Lifetime::new(hour, hour).unwrap();
    let new = Create { id: &id, lifetime, remembered: false, fields, login: None };
    let (created, ()) = engine.create(&new, |changes| {
        records.extend(changes.records().map(|(id, record)| (id, record.unwrap().clone())));
    });
    assert!(matches!(created, Ok(Created::Done(..))));
    let other = Engine::new(clock, 1);
    other.replace(records, || ());
    assert_eq!(other.create(&new, |_| ()).0, Ok(Created::Taken));
    // The cap counts what was given.
    let another = self::id();
    let one_more = Create { id: &another, ..new };
    assert_eq!(other.create(&one_more, |_| ()).0, Err(TooManyAnonymous(1)));
    assert_eq!(other.end(&id, |_| ()).0, Ended::Now);
}

#[test]
fn the_sweeper_finds_what_was_used_when_it_ends_and_not_when_it_would_have() {
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let engine = Engine::new(clock, 9);
    let (used, left) = (id(), id());
    let _ = (create(&engine, &used), create(&engine, &left));
    let minutes = |n: u64| Duration::from_secs(60 * n);
    hands.advance(minutes(20));
    let _ = apply(&engine, &used, &Change::read());
    hands.advance(minutes(10));
    assert_eq!(engine.sweep(|_| ()), 1);
    assert_eq!(engine.end(&left, |_| ()).0, Ended::Unknown);
    hands.advance(minutes(19));
    assert_eq!((engine.sweep(|_| ()), engine.len()), (0, 1));
    // A marker ends sooner than what it stands for.
    assert_eq!(engine.end(&used, |_| ()).0, Ended::Now);
    hands.advance(minutes(2));
    assert_eq!((engine.sweep(|_| ()), engine.len()), (1, 0));
}
