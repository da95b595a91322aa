//! What is there after the store was closed and opened again.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use cloakroom::store::{Created, Ended, Login, Rotate, Rotated, Store, Why};
use cloakroom::{Clock, Lifetime, SessionLimit, User, WhenFull};
use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};

use crate::house::*;

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = folder();
    let (kept, gone) = {
        let store = open(&folder);
        let kept: Vec<_> =
            (0..50).map(|n| created(&store, (n % 2 == 0).then_some("eve"))).collect();
        let gone = created(&store, Some("eve"));
        assert_eq!(ended(&store, gone), Ended::Now);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for id in &kept {
                        pollster::block_on(counted(&store, *id)).unwrap();
                    }
                });
            }
        });
        (kept, gone)
    };
    let store = open(&folder);
    assert!(kept.iter().all(|id| count_of(&store, *id) == Some(8)));
    assert_eq!(ended(&store, gone), Ended::Before);
    assert_eq!(store.len(), 51);
}

#[test]
fn the_index_of_a_user_is_there_after_reopening() {
    let folder = folder();
    let store = open(&folder);
    let old: Vec<_> = (0..3).map(|_| created(&store, Some("alice"))).collect();
    drop(store);

    let store = open(&folder);
    let user = User::new("alice").unwrap();
    let limit =
        SessionLimit { at_most: NonZeroU32::new(2).unwrap(), when_full: WhenFull::EndOldest };
    let (new, nobody) = (fresh(Some("alice")), fresh(None));
    let fields = &BTreeMap::new();
    let login = Login { user: &user, limit: Some(limit), client: None };
    let why = Why::Login { login, lifetime: lifetime(), remembered: false, carried: &[], fields };
    let limits = &limits();
    let writes = &BTreeMap::new();
    let rotate = Rotate { old: &nobody, new: &new, writes, limits, why, token: None };
    let rotated = pollster::block_on(store.rotate(rotate, PATIENCE)).unwrap();
    assert!(matches!(rotated, Rotated::Done(..)));
    // Revoked sessions stay revoked.
    drop(store);
    let store = open(&folder);
    assert_eq!(old.iter().filter(|id| count_of(&store, **id).is_some()).count(), 1);
    assert_eq!(count_of(&store, new), Some(0));
}

// Proves R27, CVE-2024-35220.
#[test]
fn no_opening_moves_a_deadline() {
    let folder = folder();
    let (clock, hands) = Clock::manual(noon());
    let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
    let open = || EmbeddedStore::open(folder.path(), settings.clone()).unwrap();
    let id = created(&open(), Some("alice"));
    // Used often enough, for ten hours but a second.
    for step in [3000; 11].into_iter().chain([2999]) {
        hands.advance(Duration::from_secs(step));
        assert_eq!(count_of(&open(), id), Some(0));
    }
    hands.advance(Duration::from_secs(1));
    assert_eq!(count_of(&open(), id), None);
}

#[test]
fn a_use_that_only_renewed_the_end_is_there_after_reopening() {
    let folder = folder();
    let (clock, hands) = Clock::manual(noon());
    let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder.path(), settings.clone()).unwrap();
    let id = created(&store, None);
    hands.advance(Duration::from_secs(3000));
    assert_eq!(count_of(&store, id), Some(0));
    drop(store);
    hands.advance(Duration::from_secs(3000));
    let store = EmbeddedStore::open(folder.path(), settings).unwrap();
    assert_eq!(count_of(&store, id), Some(0));
}

#[test]
fn a_window_is_written_when_the_store_is_dropped() {
    let folder = folder();
    let durability = Durability::Window(Duration::from_secs(3600));
    let settings = EmbeddedSettings { durability, ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder.path(), settings).unwrap();
    let id = created(&store, None);
    drop(store);
    assert_eq!(count_of(&open(&folder), id), Some(0));
}

#[test]
fn the_room_of_expired_sessions_is_used_again() {
    let folder = folder();
    let (clock, hands) = Clock::manual(noon());
    let anonymous_at_most = 1_000_000;
    let settings = EmbeddedSettings {
        clock,
        anonymous_at_most,
        durability: Durability::Window(Duration::from_millis(200)),
        ..EmbeddedSettings::default()
    };
    let length = || std::fs::metadata(folder.path().join("sessions.redb")).unwrap().len();
    let minute = Lifetime::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    let rounds: u32 = std::env::var("CLOAKROOM_TEST_EXPIRED").map_or(5_000, |n| n.parse().unwrap());
    let mut lengths = Vec::new();
    for _ in 0..6 {
        let store = EmbeddedStore::open(folder.path(), settings.clone()).unwrap();
        for _ in 0..rounds {
            let none = BTreeMap::new();
            let made = create(&store, fresh(None), None, minute, &none);
            assert!(matches!(pollster::block_on(made), Ok(Created::Done(..))));
        }
        drop(store);
        lengths.push(length());
        hands.advance(Duration::from_secs(60));
    }
    // Up to three times of what is alive, however often that is another.
    assert!(lengths.iter().all(|length| *length <= 3 * lengths[0]), "{lengths:?}");
    let store = EmbeddedStore::open(folder.path(), settings).unwrap();
    assert!(store.is_empty());
    eprintln!("{rounds} sessions expired, six times: {lengths:?}, at last {}", length());
}

#[test]
fn the_sweeper_removes_what_has_expired_from_memory_and_file() {
    let folder = folder();
    let (clock, hands) = Clock::manual(noon());
    let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder.path(), settings).unwrap();
    for _ in 0..100 {
        created(&store, None);
    }
    hands.advance(Duration::from_secs(3600));
    testbed::eventually(Duration::from_secs(30), || store.is_empty().then_some(())).unwrap();
    drop(store);
    // A clock on which they would be alive.
    let (clock, _) = Clock::manual(noon());
    let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
    assert!(EmbeddedStore::open(folder.path(), settings).unwrap().is_empty());
}

#[test]
fn a_window_without_end_is_written_when_the_store_is_dropped() {
    let folder = folder();
    let durability = Durability::Window(Duration::MAX);
    let settings = EmbeddedSettings { durability, ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder.path(), settings).unwrap();
    let ids: Vec<_> = (0..3).map(|_| created(&store, None)).collect();
    drop(store);
    let store = open(&folder);
    assert!(ids.into_iter().all(|id| count_of(&store, id) == Some(0)));
}

#[test]
fn a_file_that_was_moved_away_leaves_room_for_a_new_one() {
    let folder = folder();
    let id = created(&open(&folder), None);
    let (file, elsewhere) = (folder.path().join("sessions.redb"), folder.path().join("elsewhere"));
    std::fs::rename(&file, &elsewhere).unwrap();
    let store = open(&folder);
    assert!(store.is_empty());
    let new = created(&store, None);
    drop(store);
    assert_eq!(count_of(&open(&folder), new), Some(0));
    assert_ne!(id, new);
}
