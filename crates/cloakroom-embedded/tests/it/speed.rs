//! Figures, not assertions: `cargo test --release -p cloakroom-embedded -- --ignored speed --nocapture`.

use std::thread;
use std::time::{Duration, Instant};

use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};

use crate::house::*;

#[test]
#[ignore = "measures, and takes a while"]
fn how_fast_it_is() {
    for durability in [Durability::EveryWrite, Durability::Window(Duration::from_secs(1))] {
        for writers in [1, 64] {
            let folder = folder();
            let settings = EmbeddedSettings { durability, ..EmbeddedSettings::default() };
            let store = EmbeddedStore::open(folder.path(), settings).unwrap();
            let begun = Instant::now();
            let mut took: Vec<Duration> = thread::scope(|scope| {
                let work = || {
                    let id = created(&store, None);
                    let mut took = Vec::new();
                    while begun.elapsed() < Duration::from_secs(5) {
                        let begun = Instant::now();
                        pollster::block_on(counted(&store, id)).unwrap();
                        took.push(begun.elapsed());
                    }
                    took
                };
                let all: Vec<_> = (0..writers).map(|_| scope.spawn(work)).collect();
                all.into_iter().flat_map(|one| one.join().unwrap()).collect()
            });
            let each_second = took.len() as f64 / begun.elapsed().as_secs_f64();
            took.sort_unstable();
            let at = |share: usize| took[took.len() * share / 1000];
            eprintln!(
                "{durability:?}, {writers} writers: {each_second:.0}/s, p50 {:?}, p99 {:?}, p99.9 {:?}",
                at(500),
                at(990),
                at(999)
            );
        }
    }
}

#[test]
#[ignore = "measures, and takes a while"]
fn how_long_reopening_takes() {
    for sessions in [1_000_u32, 100_000, 1_000_000] {
        let folder = folder();
        let settings = EmbeddedSettings {
            durability: Durability::Window(Duration::from_millis(500)),
            ..EmbeddedSettings::default()
        };
        let store = EmbeddedStore::open(folder.path(), settings).unwrap();
        let fields: cloakroom::change::Fields =
            [(COUNT, cloakroom::Kept(vec![b'7'; 200]))].into_iter().collect();
        for number in 0..sessions {
            let user = format!("user {number}");
            let made = create(&store, fresh(Some(&user)), Some(&user), lifetime(), &fields);
            let _ = pollster::block_on(made).unwrap();
        }
        drop(store);
        let length = std::fs::metadata(folder.path().join("sessions.redb")).unwrap().len();
        let begun = Instant::now();
        let store = open(&folder);
        let opened = begun.elapsed();
        let id = created(&store, None);
        let begun = Instant::now();
        for _ in 0..1_000 {
            pollster::block_on(counted(&store, id)).unwrap();
        }
        let each = begun.elapsed() / 1_000;
        eprintln!(
            "{sessions} sessions: reopened in {opened:?}, {} bytes each, {each:?} a write",
            length / u64::from(sessions)
        );
        drop(store);
    }
}
