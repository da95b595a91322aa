//! The embedded store: how fast, how large, and whether it stays so. Prints Markdown.
//!
//! `cargo xtask bench embedded [MOST-SESSIONS]`; two million sessions take some 3 GB of memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]
#![allow(clippy::print_stdout, reason = "it prints")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Took, head, machine, memory, row};
use cloakroom::change::{Change, Fields, Operation};
use cloakroom::store::{Applied, Apply, Create, Created, Login, OnlyIf, Patience, Store};
use cloakroom::{
    Clock, FieldName, Kept, Lifetime, Prefix, SessionId, Settings, Timestamp, TokenMint, Touch,
    User,
};
use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};

const PATIENCE: Patience = Patience(Duration::from_secs(60));
const WINDOW: Durability = Durability::Window(Duration::from_secs(1));
const COUNT: FieldName = FieldName::new("count");
const FOR: Duration = Duration::from_secs(4);

fn main() {
    let most = std::env::args().nth(1).map_or(2_000_000, |most| most.parse().expect("a number"));
    println!("{}. Every session: a user's, two fields, 60 bytes of values.\n", machine());
    throughput();
    sizes(most);
    reuse(most.min(1_000_000));
}

fn open(folder: &Path, durability: Durability, clock: Clock) -> EmbeddedStore {
    let anonymous_at_most = usize::MAX;
    let settings =
        EmbeddedSettings { durability, clock, anonymous_at_most, ..EmbeddedSettings::default() };
    EmbeddedStore::open(folder, settings).unwrap()
}

fn length(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("sessions.redb")).unwrap().len()
}

/// Made by several at once.
fn made(store: &EmbeddedStore, how_many: usize, lifetime: Lifetime) -> Vec<SessionId> {
    let value = Kept(vec![b'x'; 58]);
    let fields: Fields = [(COUNT, Kept(b"10".to_vec())), (FieldName::new("cart"), value)].into();
    let threads = 16.min(how_many);
    let work = |number: usize| {
        let mint = TokenMint::new(Prefix::default(), "session", None);
        let share = how_many / threads + usize::from(number < how_many % threads);
        let one = |n: usize| {
            let user = User::new(format!("user {number} {n}")).unwrap();
            let id = mint.issue_for(user.as_str()).unwrap().id;
            let login = Some(Login { user: &user, limit: None, client: None });
            let new = Create { id: &id, lifetime, remembered: false, fields: &fields, login };
            let created = pollster::block_on(store.create(new, PATIENCE)).unwrap();
            assert!(matches!(created, Created::Done(..)));
            id
        };
        (0..share).map(one).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|n| scope.spawn(move || work(n))).collect();
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    })
}

fn hours() -> Lifetime {
    Lifetime::new(Duration::from_secs(36_000), Duration::from_secs(36_000)).unwrap()
}

/// So many do this to sessions here and there, for a while.
fn load(store: &EmbeddedStore, ids: &[SessionId], workers: usize, change: &Change) -> (f64, Took) {
    let limits = &Settings::default().limits;
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let work = |worker: usize| {
        let mut took = Vec::new();
        let mut at = worker * 7_919;
        while !over.load(Ordering::Relaxed) {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = &ids[(at >> 33) % ids.len()];
            let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
            let begun = Instant::now();
            let apply = Apply { id, change, only_if, touch, limits, token: None };
            let applied = pollster::block_on(store.apply(apply, PATIENCE)).unwrap();
            took.push(begun.elapsed());
            assert!(matches!(applied, Applied::Done(..)));
        }
        took
    };
    let all = thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|n| scope.spawn(move || work(n))).collect();
        // How long is measured.
        thread::sleep(FOR);
        over.store(true, Ordering::Relaxed);
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    let took = Took::new(all);
    (took.count() as f64 / begun.elapsed().as_secs_f64(), took)
}

fn increment() -> Change {
    Change::of(Operation::Increment { field: COUNT, by: 1, never_below_zero: true })
}

fn throughput() {
    println!("## Operations per second\n");
    let names =
        ["durability", "operation", "at once", "per second", "p50 µs", "p99 µs", "p99.9 µs"];
    println!("{}", head(names));
    for (name, durability) in [("every write", Durability::EveryWrite), ("window of 1 s", WINDOW)] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), durability, Clock::system());
        let ids = made(&store, 10_000, hours());
        for (what, change) in [("increment", increment()), ("read", Change::read())] {
            for workers in [1, 64] {
                let (rate, took) = load(&store, &ids, workers, &change);
                let rate = format!("{rate:.0}");
                let [p50, p99, p999] = [500, 990, 999].map(|at| took.at(at));
                println!("{}", row([&name, &what, &workers, &rate, &p50, &p99, &p999]));
            }
        }
    }
}

fn sizes(most: usize) {
    println!("\n## The same with more sessions\n");
    let names = [
        "sessions",
        "made per second",
        "increments per second, 64 at once",
        "p50 µs",
        "p99 µs",
        "reads per second, 1 at once",
        "p50 µs",
        "p99 µs",
        "file, bytes a session",
        "memory, bytes a session",
        "opened within",
    ];
    println!("{}", head(names));
    for sessions in [1_000, 100_000, most] {
        let folder = tempfile::tempdir().unwrap();
        let before = memory();
        let store = open(folder.path(), WINDOW, Clock::system());
        let begun = Instant::now();
        let ids = made(&store, sessions, hours());
        drop(store);
        let rate = format!("{:.0}", sessions as f64 / begun.elapsed().as_secs_f64());
        let file = length(folder.path()) / sessions as u64;
        let begun = Instant::now();
        let store = open(folder.path(), Durability::EveryWrite, Clock::system());
        let opened = format!("{:.2?}", begun.elapsed());
        let held = memory().saturating_sub(before) / sessions as u64;
        let (writes, wrote) = load(&store, &ids, 64, &increment());
        let (reads, read) = load(&store, &ids, 1, &Change::read());
        let (writes, reads) = (format!("{writes:.0}"), format!("{reads:.0}"));
        println!(
            "{}",
            row([
                &sessions,
                &rate,
                &writes,
                &wrote.at(500),
                &wrote.at(990),
                &reads,
                &read.at(500),
                &read.at(990),
                &file,
                &held,
                &opened
            ])
        );
    }
}

fn reuse(sessions: usize) {
    println!("\n## The file after {sessions} sessions expired\n");
    println!("{}", head(["", "bytes"]));
    let folder = tempfile::tempdir().unwrap();
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let minute = Lifetime::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    for round in 1..=3 {
        let store = open(folder.path(), WINDOW, clock.clone());
        made(&store, sessions, minute);
        drop(store);
        println!("{}", row([&format!("made, time {round}"), &length(folder.path())]));
        let store = open(folder.path(), WINDOW, clock.clone());
        hands.advance(Duration::from_secs(61));
        while !store.is_empty() {
            // The sweeper takes 64,000 a second.
            thread::sleep(Duration::from_millis(100));
        }
        drop(store);
        println!("{}", row([&format!("swept, time {round}"), &length(folder.path())]));
    }
    drop(open(folder.path(), WINDOW, clock));
    println!("{}", row([&"opened again", &length(folder.path())]));
}
