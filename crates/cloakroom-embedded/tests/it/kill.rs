//! `kill -9` under load, again and again: whatever was acknowledged is there.
//!
//! The program that is killed is this test binary, which runs `load` alone. It says what it was
//! answered, a line each; what it had said no more than begun may or may not have happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::change::Change;
use cloakroom::store::{Applied, Store};
use cloakroom::{Prefix, SessionId, Tag};
use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use testbed::Program;

use crate::house::*;

const FOLDER: &str = "CLOAKROOM_TEST_FOLDER";
const WINDOW: &str = "CLOAKROOM_TEST_WINDOW_MS";
const WORKERS: usize = 8;

/// Not a test: what is killed.
#[test]
#[ignore = "runs for ever; `nothing_acknowledged_is_lost_by_a_kill` starts and kills it"]
fn load() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let window = std::env::var(WINDOW).ok().map(|ms| Duration::from_millis(ms.parse().unwrap()));
    let durability = window.map_or(Durability::EveryWrite, Durability::Window);
    let settings = EmbeddedSettings {
        anonymous_at_most: 1_000_000,
        durability,
        ..EmbeddedSettings::default()
    };
    let store = EmbeddedStore::open(folder, settings).unwrap();
    // One call a line, so that a line is whole or not there.
    let begun = Instant::now();
    let say = |line: String| {
        let line = format!("{line} {}\n", begun.elapsed().as_millis());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    say("opened".into());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (store, say) = (&store, &say);
            scope.spawn(move || {
                pollster::block_on(async {
                    let user = format!("user {worker}");
                    loop {
                        let id = fresh(Some(&user));
                        let none = BTreeMap::new();
                        let _ = create(store, id, Some(&user), lifetime(), &none).await.unwrap();
                        say(format!("alive {worker} {id} 0"));
                        for _ in 0..10 {
                            let count = counted(store, id).await.unwrap();
                            say(format!("alive {worker} {id} {count}"));
                        }
                        if worker % 2 == 0 {
                            say(format!("ending {worker} {id} 0"));
                            let _ = store.end(&id, PATIENCE).await.unwrap();
                            say(format!("ended {worker} {id} 0"));
                        }
                    }
                });
            });
        }
    });
}

/// What a program said of a session.
struct Said {
    what: String,
    worker: usize,
    id: SessionId,
    count: u64,
    at: u64,
}

fn all_said(log: &str) -> Vec<Said> {
    let mut said = Vec::new();
    // What stands behind the last line break was cut off.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what @ ("alive" | "ending" | "ended"), worker, hash, count, at] = words[..] else {
            continue;
        };
        let tag = Tag::of_user(&Prefix::default(), &format!("user {worker}"));
        let id = SessionId::parse(tag, hash).unwrap();
        let (worker, count) = (worker.parse().unwrap(), count.parse().unwrap());
        said.push(Said { what: what.to_owned(), worker, id, count, at: at.parse().unwrap() });
    }
    said
}

/// The last that a program said of each session.
fn said(log: &str) -> BTreeMap<SessionId, (String, u64)> {
    all_said(log).into_iter().map(|said| (said.id, (said.what, said.count))).collect()
}

fn start(folder: &Path, also: &[(&str, &str)]) -> Program {
    let test = ["--exact", "kill::load", "--ignored", "--nocapture", "--test-threads", "1"];
    let program = std::env::current_exe().unwrap();
    let env = [&[(FOLDER, folder.to_str().unwrap())], also].concat();
    Program::start(program, &test, &env)
}

// Proves F40.
#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let cycles: u32 = std::env::var("CLOAKROOM_TEST_KILLS").map_or(50, |n| n.parse().unwrap());
    let folder = folder();
    let mut told = 0;
    let mut reopening = Duration::ZERO;
    for cycle in 0..cycles {
        let program = start(folder.path(), &[]);
        program.wait_for_log("opened");
        // At another instant each time; what is under way then is what this is about.
        thread::sleep(Duration::from_millis(u64::from(cycle * 37 % 211)));
        program.kill();
        let log = program.log();
        assert!(!log.contains("panicked"), "{log}");

        let begun = Instant::now();
        let store = open(&folder);
        reopening = reopening.max(begun.elapsed());
        for (id, (what, count)) in said(&log) {
            told += 1;
            let found = count_of(&store, id);
            match &*what {
                "alive" => {
                    let found = found.unwrap_or_else(|| panic!("cycle {cycle}: {id} is lost"));
                    assert!(
                        (count..=count + 1).contains(&found),
                        "cycle {cycle}: {id}: {found} instead of {count}"
                    );
                }
                "ended" => assert_eq!(found, None, "cycle {cycle}: {id} came back"),
                _ => {}
            }
        }
    }
    assert!(told > cycles, "only {told} sessions in {cycles} cycles");
    eprintln!("{cycles} kills, {told} sessions looked at, reopened within {reopening:?}");
}

/// With a window, what is left is a state that was: all that a worker did up to some instant, and
/// nothing after it. That instant is no further back than the window, and the time that a
/// transaction takes on a busy machine.
#[test]
fn a_kill_costs_no_more_than_the_window_and_nothing_comes_back() {
    let cycles: u32 = std::env::var("CLOAKROOM_TEST_KILLS").map_or(50, |n| n.parse().unwrap()) / 10;
    let (window, transaction) = (100, 900);
    let (mut looked_at, mut lost) = (0, 0);
    for cycle in 0..cycles.max(1) {
        let folder = folder();
        let program = start(folder.path(), &[(WINDOW, &window.to_string())]);
        program.wait_for_log("opened");
        // Long enough that most of it is older than the window.
        thread::sleep(Duration::from_millis(1_200 + u64::from(cycle * 37 % 211)));
        program.kill();
        let log = program.log();
        assert!(!log.contains("panicked"), "{log}");
        let store = open(&folder);
        let all = all_said(&log);
        let end = all.iter().map(|said| said.at).max().unwrap_or_default();
        for worker in 0..WORKERS {
            let mut gone = None;
            for said in all.iter().filter(|said| said.worker == worker && said.what != "ending") {
                let found = pollster::block_on(apply(&store, said.id, &Change::read())).unwrap();
                let there = match (&*said.what, found) {
                    (_, Applied::Ended) => true,
                    ("alive", Applied::Done(found, _)) => {
                        number(found.fields.get(&COUNT)) >= said.count
                    }
                    _ => false,
                };
                looked_at += 1;
                lost += u32::from(!there);
                match (gone, there) {
                    (Some(at), true) => panic!(
                        "cycle {cycle}: what worker {worker} did at {at} ms is lost, and not what it \
                         did at {} ms",
                        said.at
                    ),
                    (None, false) => {
                        let age = end - said.at;
                        assert!(
                            age <= window + transaction,
                            "cycle {cycle}: lost {age} ms of writes"
                        );
                        gone = Some(said.at);
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(looked_at > 100 * cycles, "only {looked_at} writes in {cycles} cycles");
    eprintln!("{cycles} kills with a window of {window} ms: {lost} of {looked_at} writes lost");
}
