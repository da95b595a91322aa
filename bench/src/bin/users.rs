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

fn main() {
    let most = std::env::args().nth(1).map_or(100_000, |most| most.parse().expect("a number"));
    println!("{}. Redis on the same machine.\n", machine());
    println!("## Sessions of one user\n");
    println!(
        "The first two are what the server says of its own time, the median of 200 calls; the end of all \
         is the time from the call to its answer, and then until nothing is left of what they held.\n"
    );
    let names = [
        "sessions",
        "count, server µs",
        "first page of 50, server µs",
        "end of all, ms",
        "left, s",
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
    // A sleep, because the span itself is wanted: two seconds of pages with nothing beside them.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ending.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(all.revoke_all().await.unwrap(), sessions as u64);
    let ended = begun.elapsed();
    let tag = Tag::of_user(&Prefix::default(), alice.as_str());
    let left = format!("{}:{{{}}}:ended", Prefix::default().as_str(), tag);
    while server.command(&["EXISTS", &left]).text() != "0" {
        // A sleep, because the server tells nobody when a key is gone.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    let (before, meanwhile) = beside.await.unwrap();

    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        format!("{:.0}", of[of.len() / 2])
    };
    let line = row([
        &sessions,
        &median(count),
        &median(page),
        &format!("{:.2}", ended.as_secs_f64() * 1e3),
        &format!("{:.2}", gone.as_secs_f64()),
    ]);
    let of = |when: &str, took: &Took| {
        row([&sessions, &when, &took.count(), &took.at(500), &took.at(990), &took.at(999)])
    };
    (line, format!("{}\n{}", of("before", &before), of("until nothing is left", &meanwhile)))
}

/// The time that the scripts since the last reset took, in microseconds, by the server's own clock.
fn on_the_server(server: &Server) -> f64 {
    let stats = server.command(&["INFO", "commandstats"]).text();
    let line =
        stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).expect("scripts ran");
    let usec = line.split("usec=").nth(1).and_then(|rest| rest.split(',').next());
    usec.expect("its time").parse().expect("a number")
}
