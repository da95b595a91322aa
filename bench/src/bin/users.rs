//! Many sessions of one user on Redis: what listing, counting and ending them costs, and what others
//! notice of it. Prints Markdown.
//!
//! `cargo xtask bench users [SESSIONS]`; starts a `redis-server` of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]
#![allow(clippy::print_stdout, reason = "it prints")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench::{Took, head, machine, row};
use cloakroom::testing::Visitor;
use cloakroom::{Field, Manager, Prefix, Settings, Tag, User};
use cloakroom_redis::RedisStore;
use testbed::Server;

const VISITS: Field<u64> = Field::new("visits");
/// How long another visitor is looked at, before and after.
const WINDOW: Duration = Duration::from_secs(20);

fn main() {
    let most = std::env::args().nth(1).map_or(100_000, |most| most.parse().expect("a number"));
    println!("{}. Redis on the same machine.\n", machine());
    println!("## Sessions of one user\n");
    println!(
        "The first two are what the server says of its own time, the median of 200 calls; the end of all \
         is the time from the call to its answer. What they held is removed after that, a little at a \
         time: how many of them in the time of the measurement, and how long one step of it kept the \
         server, by the server's own clock.\n"
    );
    let names = [
        "sessions",
        "count, server µs",
        "first page of 50, server µs",
        "end of all, ms",
        "removed",
        "a step, server µs, p50",
        "the longest",
    ];
    println!("{}", head(names));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut others = Vec::new();
    for sessions in [10, 1_000, most] {
        let (line, beside) = runtime.block_on(of_one_user(sessions));
        println!("{line}");
        others.push(beside);
    }
    println!("\n## Another user's counted page meanwhile\n");
    println!(
        "One visitor, who asks again as soon as there is an answer, {WINDOW:?} before the end of all and \
         {WINDOW:?} at most from then on, until nothing is left.\n"
    );
    println!("{}", head(["sessions ended", "when", "pages", "p50 µs", "p99 µs", "p99.9 µs"]));
    others.iter().for_each(|lines| println!("{lines}"));
}

async fn of_one_user(sessions: usize) -> (String, String) {
    let server = Arc::new(Server::start());
    let store = RedisStore::open(&server.url(), Prefix::default()).unwrap();
    let patience = Duration::from_secs(60);
    let manager = Manager::new(store, Settings { patience, ..Settings::default() });
    let alice = User::new("alice").unwrap();
    let logins: Vec<_> = (0..64)
        .map(|task| {
            let (manager, share) =
                (manager.clone(), sessions / 64 + usize::from(task < sessions % 64));
            tokio::spawn(async move {
                for _ in 0..share {
                    let _ = Visitor::logged_in(&manager, "alice").await.unwrap();
                }
            })
        })
        .collect();
    for login in logins {
        login.await.unwrap();
    }
    let all = manager.sessions_of(&alice);
    assert_eq!(all.count().await.unwrap(), sessions as u64);

    let mut count = Vec::new();
    for _ in 0..200 {
        server.command(&["CONFIG", "RESETSTAT"]);
        let _ = all.count().await.unwrap();
        count.push(on_the_server(&server));
    }
    let mut page = Vec::new();
    for _ in 0..200 {
        server.command(&["CONFIG", "RESETSTAT"]);
        let _ = all.page(None, NonZeroU32::new(50).unwrap()).await.unwrap();
        page.push(on_the_server(&server));
    }

    // Another visitor goes on all the while.
    let (over, ending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let beside = {
        let (over, ending) = (over.clone(), ending.clone());
        let bob = Visitor::logged_in(&manager, "bob").await.unwrap();
        tokio::spawn(async move {
            let (mut before, mut meanwhile) = (Vec::new(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let visit = bob.open();
                let counted = visit.session().if_logged_in().increment(VISITS, 1).await.unwrap();
                assert!(counted.is_some());
                let _ = visit.close(200).await;
                let to = if ending.load(Ordering::Relaxed) { &mut meanwhile } else { &mut before };
                to.push(begun.elapsed());
            }
            (Took::new(before), Took::new(meanwhile))
        })
    };
    // So long there is nothing beside the pages.
    tokio::time::sleep(WINDOW).await;
    ending.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(all.revoke_all().await.unwrap(), sessions as u64);
    let ended = begun.elapsed();
    let left = || {
        let tag = Tag::of_user(&Prefix::default(), alice.as_str());
        let key = format!("{}:{{{tag}}}:ended", Prefix::default().as_str());
        server.command(&["ZCARD", &key]).int()
    };
    while left() > 0 && begun.elapsed() < WINDOW {
        // Each look at it is a connection: rarely, beside what is measured.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (removed, gone) = (sessions as i64 - left(), begun.elapsed());
    over.store(true, Ordering::Relaxed);
    let (before, meanwhile) = beside.await.unwrap();
    // Nobody is looked at any more: now every command may be noted, which takes time itself.
    server.command(&["CONFIG", "SET", "slowlog-max-len", "100000"]);
    server.command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    server.command(&["SLOWLOG", "RESET"]);
    if left() > 0 {
        // So long the removal is watched.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let steps = Took::new(steps_of_removal(&server));

    let step = |at| if steps.count() == 0 { "-".to_owned() } else { steps.at(at) };
    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        format!("{:.0}", of[of.len() / 2])
    };
    let line = row([
        &sessions,
        &median(count),
        &median(page),
        &format!("{:.2}", ended.as_secs_f64() * 1e3),
        &format!("{removed} in {:.1} s", gone.as_secs_f64()),
        &step(500),
        &step(1000),
    ]);
    let of = |when: &str, took: &Took| {
        row([&sessions, &when, &took.count(), &took.at(500), &took.at(990), &took.at(999)])
    };
    (line, format!("{}\n{}", of("before", &before), of("while they are removed", &meanwhile)))
}

/// The time that the scripts since the last reset took, in microseconds, by the server's own clock.
fn on_the_server(server: &Server) -> f64 {
    let stats = server.command(&["INFO", "commandstats"]).text();
    let line =
        stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).expect("scripts ran");
    let usec = line.split("usec=").nth(1).and_then(|rest| rest.split(',').next());
    usec.expect("its time").parse().expect("a number")
}

/// How long each step of removing what ended sessions held took on the server.
fn steps_of_removal(server: &Server) -> Vec<Duration> {
    let log = server.command(&["SLOWLOG", "GET", "100000"]).list();
    let step = |entry: &testbed::Reply| {
        let entry = entry.list();
        let words: Vec<String> = entry[3].list().iter().map(testbed::Reply::text).collect();
        // Of the scripts that are given what has ended, the one that is given sessions as well.
        let removes = words.len() > 5
            && words[0].eq_ignore_ascii_case("evalsha")
            && words[4].ends_with(":ended")
            && words[5].contains(":session:");
        removes.then(|| Duration::from_micros(entry[2].int() as u64))
    };
    log.iter().filter_map(step).collect()
}
