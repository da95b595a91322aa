//! `kill -9` under load, again and again: whatever was acknowledged is there.
//!
//! The program that is killed is this test binary, which runs `load` alone. It says what it was
//! answered, a line each; what it had said no more than begun may or may not have happened.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::store::Store;
use cloakroom::{Prefix, SessionId, Tag};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use testbed::Program;

use crate::house::*;

const FOLDER: &str = "CLOAKROOM_TEST_FOLDER";
const WORKERS: usize = 8;

/// Not a test: what is killed.
#[test]
#[ignore = "runs for ever; `nothing_acknowledged_is_lost_by_a_kill` starts and kills it"]
fn load() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let settings = EmbeddedSettings { anonymous_at_most: 1_000_000, ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder, settings).unwrap();
    // One call a line, so that a line is whole or not there.
    let say = |line: String| std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
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

/// The last that a program said of each session.
fn said(log: &str) -> BTreeMap<SessionId, (String, u64)> {
    let mut last = BTreeMap::new();
    // What stands behind the last line break was cut off.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what @ ("alive" | "ending" | "ended"), worker, hash, count] = words[..] else {
            continue;
        };
        let tag = Tag::of_user(&Prefix::default(), &format!("user {worker}"));
        let id = SessionId::parse(tag, hash).unwrap();
        last.insert(id, (what.to_owned(), count.parse().unwrap()));
    }
    last
}

fn start(folder: &Path) -> Program {
    let test = ["--exact", "kill::load", "--ignored", "--nocapture", "--test-threads", "1"];
    let program = std::env::current_exe().unwrap();
    Program::start(program, &test, &[(FOLDER, folder.to_str().unwrap())])
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let cycles: u32 = std::env::var("CLOAKROOM_TEST_KILLS").map_or(50, |n| n.parse().unwrap());
    let folder = folder();
    let mut told = 0;
    let mut reopening = Duration::ZERO;
    for cycle in 0..cycles {
        let program = start(folder.path());
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
