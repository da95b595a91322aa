//! The embedded store: how fast, how large, and whether it stays so. Prints Markdown.
//!
//! `cargo xtask bench embedded [MOST-SESSIONS]`; two million sessions take some 3 GB of memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]
#![allow(clippy::print_stdout, reason = "it prints")]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Took, cpu, head, machine, memory, row};
use cloakroom::change::{Change, Fields, Operation};
use cloakroom::store::{Applied, Apply, Create, Created, Login, OnlyIf, Patience, Store};
use cloakroom::{
    Clock, FieldName, Kept, Lifetime, Prefix, SessionId, Settings, Timestamp, TokenMint, Touch,
    User,
};
use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use tempfile::TempDir;

const PATIENCE: Patience = Patience(Duration::from_secs(60));
const WINDOW: Durability = Durability::Window(Duration::from_secs(1));
const COUNT: FieldName = FieldName::new("count");
const FOR: Duration = Duration::from_secs(4);
const SLICES: usize = 7;
/// Asks this program to open a folder, and no more.
const OPENED: &str = "opened";

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [what, folder] = &arguments[..]
        && what == OPENED
    {
        return open_and_say(folder.as_ref());
    }
    let most = arguments.first().map_or(2_000_000, |most| most.parse().expect("a number"));
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

/// How many bytes of memory an opened store takes, and how long the opening and how much CPU time of
/// that: said by a process of its own, whose memory nothing else has used.
fn opened(folder: &Path) -> (u64, String) {
    let program = std::env::current_exe().unwrap();
    let said = Command::new(program).arg(OPENED).arg(folder).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (bytes, times) = said.trim().split_once(' ').expect("a number, and more");
    (bytes.parse().unwrap(), times.to_owned())
}

fn open_and_say(folder: &Path) {
    let (before, begun) = (memory(), Instant::now());
    let store = open(folder, Durability::EveryWrite, Clock::system());
    let took = begun.elapsed();
    println!("{} {took:.2?} ({:.2?})", memory().saturating_sub(before), cpu());
    drop(store);
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
fn load(
    ids: &[SessionId],
    workers: usize,
    time: Duration,
    work: impl Fn(&SessionId) + Sync,
) -> (f64, Took) {
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let worker = |number: usize| {
        let mut took = Vec::new();
        let mut at = number * 7_919;
        while !over.load(Ordering::Relaxed) {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = &ids[(at >> 33) % ids.len()];
            let begun = Instant::now();
            work(id);
            took.push(begun.elapsed());
        }
        took
    };
    let all = thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|n| scope.spawn(move || worker(n))).collect();
        // How long is measured.
        thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    let took = Took::new(all);
    (took.count() as f64 / begun.elapsed().as_secs_f64(), took)
}

fn apply<'a>(store: &'a EmbeddedStore, change: &'a Change) -> impl Fn(&SessionId) + Sync + 'a {
    let limits = Settings::default().limits;
    move |id| {
        let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
        let apply = Apply { id, change, only_if, touch, limits: &limits, token: None };
        let applied = pollster::block_on(store.apply(apply, PATIENCE)).unwrap();
        assert!(matches!(applied, Applied::Done(..)));
    }
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
                let (rate, took) = load(&ids, workers, FOR, apply(&store, &change));
                let rate = format!("{rate:.0}");
                let [p50, p99, p999] = [500, 990, 999].map(|at| took.at(at));
                println!("{}", row([&name, &what, &workers, &rate, &p50, &p99, &p999]));
            }
        }
    }
}

/// About as many bytes as a session's record has.
const RECORD: usize = 128;

/// A store of so many sessions, a bare table of as many to compare it with, and what a slice of load after another showed of it.
struct Sized {
    sessions: usize,
    store: EmbeddedStore,
    ids: Vec<SessionId>,
    bare: HashMap<SessionId, Box<[u8; RECORD]>>,
    writes: Vec<Slice>,
    reads: Vec<Slice>,
    looks: Vec<Slice>,
    _folder: TempDir,
}

/// Operations per second, microseconds of the median one and of one in a hundred, and microseconds
/// of CPU time that one took, the store's own threads included.
type Slice = [f64; 4];

/// Slices of all sizes take turns, so that what else the machine does falls on all of them alike;
/// what is printed are the medians of the slices.
fn sizes(most: usize) {
    println!("\n## The same with more sessions\n");
    let names = [
        "sessions",
        "made per second",
        "opened within (CPU time)",
        "file, bytes a session",
        "the same after the load",
        "memory, bytes a session",
    ];
    println!("{}", head(names));
    let mut all = Vec::new();
    let mut rows = Vec::new();
    for sessions in [1_000, 100_000, most] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), WINDOW, Clock::system());
        let begun = Instant::now();
        let ids = made(&store, sessions, hours());
        drop(store);
        let rate = format!("{:.0}", sessions as f64 / begun.elapsed().as_secs_f64());
        let file = length(folder.path()) / sessions as u64;
        let (held, took) = opened(folder.path());
        rows.push((rate, took, file, held / sessions as u64));
        let store = open(folder.path(), Durability::EveryWrite, Clock::system());
        let bare = ids.iter().map(|id| (*id, Box::new([1; RECORD]))).collect();
        let [writes, reads, looks] = [const { Vec::new() }; 3];
        all.push(Sized { sessions, store, ids, bare, writes, reads, looks, _folder: folder });
    }
    for _ in 0..SLICES {
        for one in &mut all {
            one.writes.push(slice(&one.ids, 64, apply(&one.store, &increment())));
            one.reads.push(slice(&one.ids, 1, apply(&one.store, &Change::read())));
            one.looks.push(slice(&one.ids, 1, |id| assert_eq!(one.bare[id][RECORD - 1], 1)));
        }
    }
    for (one, (rate, opened, file, held)) in all.iter().zip(rows) {
        let now = length(one._folder.path()) / one.sessions as u64;
        println!("{}", row([&one.sessions, &rate, &opened, &file, &now, &held]));
    }
    println!(
        "\nUnder load, {SLICES} slices of a second each, the sizes in turn; medians of the slices:\n"
    );
    let names = ["operation", "at once", "sessions", "per second", "p50 µs", "p99 µs", "CPU µs"];
    println!("{}", head(names));
    for (what, at_once, of) in [
        ("increment", 64, (|one| &one.writes) as fn(&Sized) -> &Vec<Slice>),
        ("read", 1, |one| &one.reads),
        ("a look into a bare table", 1, |one| &one.looks),
    ] {
        for one in &all {
            let median = |at: usize| {
                let mut all: Vec<f64> = of(one).iter().map(|slice| slice[at]).collect();
                all.sort_unstable_by(f64::total_cmp);
                all[all.len() / 2]
            };
            let rate = format!("{:.0}", median(0));
            let [p50, p99, cpu] = [1, 2, 3].map(|at| format!("{:.1}", median(at)));
            println!("{}", row([&what, &at_once, &one.sessions, &rate, &p50, &p99, &cpu]));
        }
    }
    println!("{WHAT_GROWS}");
}

/// Says what the table above shows, whatever its figures are.
const WHAT_GROWS: &str = "
What a write puts into the file does not depend on the number of sessions: the file is a log. What
grows with that number is the wait for memory: with a thousand sessions the processor's cache has all
that an operation looks at, with two million nothing. The last rows show that wait alone, as a program
has it that looks for ids in a `HashMap` and reads one byte of what it finds. An operation of the store
looks at one slot of such a table and at one record; what it changed is noted in the queue and, when it
is written, in the table of what lies where in the file: some ten places.";

fn slice(ids: &[SessionId], workers: usize, work: impl Fn(&SessionId) + Sync) -> Slice {
    let before = cpu();
    let (rate, took) = load(ids, workers, Duration::from_secs(1), work);
    // Reads renew the ends of sessions, which are written within a second: that is theirs as well.
    thread::sleep(Duration::from_millis(1_200));
    let spent = (cpu() - before).as_secs_f64() * 1e6 / took.count() as f64;
    [rate, took.micros(500), took.micros(990), spent]
}

fn reuse(sessions: usize) {
    println!("\n## The file after {sessions} sessions expired\n");
    println!("{}", head(["", "bytes", "opened within"]));
    let folder = tempfile::tempdir().unwrap();
    let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
    let minute = Lifetime::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    let say = |what: &str, took: Option<Duration>| {
        let took = took.map_or("-".into(), |took| format!("{took:.2?}"));
        println!("{}", row([&what, &length(folder.path()), &took]));
    };
    let open = || {
        let begun = Instant::now();
        (open(folder.path(), WINDOW, clock.clone()), Some(begun.elapsed()))
    };
    for round in 1..=2 {
        let (store, _) = open();
        made(&store, sessions, minute);
        drop(store);
        let (store, took) = open();
        say(&format!("made, time {round}"), took);
        hands.advance(Duration::from_secs(61));
        while !store.is_empty() {
            // The sweeper takes 64,000 a second.
            thread::sleep(Duration::from_millis(100));
        }
        // And what they took in the file is given back some megabytes a second.
        thread::sleep(Duration::from_secs(10));
        drop(store);
        say(&format!("swept, time {round}"), None);
    }
    let (_, took) = open();
    say("opened again", took);
}
