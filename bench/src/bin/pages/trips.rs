//! What a request asks of Redis, counted by Redis itself.

use bench::load::{self, Plan, Visitors};
use std::time::Duration;
use testbed::Server;

use crate::scene::Scene;
use crate::slice::Stage;
use crate::variant::Running;

/// For one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trips {
    /// Commands that the client sent.
    pub(crate) sent: f64,
    /// Commands that were carried out, those inside of scripts too.
    pub(crate) done: f64,
    /// How often something arrived: with one visitor at a time, a trip each.
    pub(crate) trips: f64,
    /// Bytes to and from the server.
    pub(crate) to: f64,
    pub(crate) from: f64,
}

/// So many requests, one after the other.
const REQUESTS: usize = 60;

#[derive(Clone, Copy)]
struct Counters([u64; 4]);

fn counters(redis: &Server) -> Counters {
    let stats = redis.command(&["INFO", "stats"]).text();
    let number = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    };
    Counters([
        number("total_commands_processed:"),
        number("total_reads_processed:"),
        number("total_net_input_bytes:"),
        number("total_net_output_bytes:"),
    ])
}

pub(crate) fn count(stage: &Stage, at: &Running, scene: Scene, cookies: &[String]) -> Trips {
    if !at.variant.uses_redis() {
        return Trips::default();
    }
    let redis = &stage.redis;
    let send = |visitors: &mut Visitors, requests: &[Vec<u8>]| {
        let answers = visitors.send(requests, Plan::Once(Duration::from_secs(60)));
        answers.unwrap_or_else(|error| at.fail(error)).cookies
    };
    let mut visitors = Visitors::at(at.addr, 1).unwrap_or_else(|error| at.fail(error));
    let logins = |word: &str| -> Vec<Vec<u8>> {
        let form = |number| format!("username={word}{number}");
        (0..REQUESTS).map(|number| load::post("/login", None, &form(number))).collect()
    };
    let mut requests = |word: &str| -> Vec<Vec<u8>> {
        match scene {
            Scene::Login => logins(word),
            Scene::Logout => {
                let cookies = send(&mut visitors, &logins(word));
                cookies.iter().map(|cookie| load::post("/logout", cookie.as_deref(), "")).collect()
            }
            _ => {
                let of = |number: usize| load::get(scene.path(), Some(&cookies[number]));
                (0..REQUESTS).map(of).collect()
            }
        }
    };
    // The first sends the scripts that a server does not have yet.
    let [warm, first, second] = ["warm", "first", "second"].map(&mut requests);
    send(&mut visitors, &warm);

    let empty = counters(redis);
    let before = counters(redis);
    send(&mut visitors, &first);
    let after = counters(redis);
    let each = |at: usize| {
        let by_us = before.0[at] - empty.0[at];
        (after.0[at] - before.0[at]).saturating_sub(by_us) as f64 / REQUESTS as f64
    };

    let monitor = redis.client_commands();
    send(&mut visitors, &second);
    let sent = monitor.finish().len() as f64 / REQUESTS as f64;
    Trips { sent, done: each(0), trips: each(1), to: each(2), from: each(3) }
}
