//! The pages, round by round: in each, every scene has one slice at every variant, one variant after
//! the other, so that a machine that gets slower does so for all.

use std::collections::BTreeMap;
use std::time::Duration;

use bench::load::{self, Plan, Visitors};
use indicatif::ProgressBar;
use testbed::Request;

use crate::scene::Scene;
use crate::settings::Settings;
use crate::slice::Stage;
use crate::table::Slices;
use crate::trips::{self, Trips};
use crate::variant::{Running, STATIC, Variant};

/// How many visitors have a session at every variant.
const VISITORS: usize = 64;

/// What the rounds brought.
#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) slices: Slices,
    pub(crate) trips: BTreeMap<(Scene, String), Trips>,
    /// Bytes of memory that each server held at the end.
    pub(crate) memory: BTreeMap<String, u64>,
}

pub(crate) fn measure(settings: &Settings, stage: &Stage, variants: &[Variant]) -> Pages {
    let core = stage.cores.map(|[server, _]| server);
    let servers: Vec<Running> =
        variants.iter().map(|variant| variant.start(&stage.redis, core)).collect();
    let cookies: Vec<Vec<String>> = servers.iter().map(visitors_of).collect();
    servers.iter().zip(&cookies).for_each(|(server, cookies)| works(server, cookies));

    let mut trips = BTreeMap::new();
    for (server, cookies) in servers.iter().zip(&cookies) {
        for scene in Scene::ALL.into_iter().filter(|scene| scene.has(&server.variant)) {
            let counted = trips::count(stage, server, scene, cookies);
            trips.insert((scene, server.variant.name.clone()), counted);
        }
    }

    let mut slices = Slices::default();
    let length = settings.rounds * Scene::ALL.len();
    let bar = bench::progress(length * servers.len(), "pages");
    for round in 0..settings.rounds {
        for scene in Scene::ALL {
            // Whoever comes first may find the core still warm or cold: each is first now and then.
            let from = round % servers.len();
            let order = (from..servers.len()).chain(0..from);
            for (server, cookies) in order.map(|at| (&servers[at], &cookies[at])) {
                bar.set_message(format!("{}: {}", server.variant.name, scene.word()));
                bar.inc(1);
                if scene.has(&server.variant) {
                    one(settings, stage, &mut slices, scene, server, cookies, round);
                }
            }
        }
        said(&bar, round, settings.rounds);
    }
    bar.finish_and_clear();
    let memory = servers.iter().map(|server| {
        (server.variant.name.clone(), bench::system::memory_of(server.program.pid()))
    });
    Pages { slices, trips, memory: memory.collect() }
}

/// A line a round, where nobody sees the bar.
fn said(bar: &ProgressBar, round: usize, rounds: usize) {
    if bar.is_hidden() {
        eprintln!("==> round {} of {rounds}", round + 1);
    }
}

fn visitors_of(server: &Running) -> Vec<String> {
    if server.variant.is(STATIC) {
        return vec!["session=none".into(); VISITORS];
    }
    server.log_in((0..VISITORS).map(|number| format!("visitor{number}")), 0)
}

/// A server that answers something else is fast for nothing.
fn works(server: &Running, cookies: &[String]) {
    if server.variant.is(STATIC) {
        return;
    }
    for expected in ["Logged in as visitor7, visits: 1", "Logged in as visitor7, visits: 2"] {
        let page = Request::get(server.addr, "/").header("Cookie", &cookies[7]).send();
        if !page.text().contains(expected) {
            server.fail(format_args!("{:?} instead of {expected:?}", page.text()));
        }
    }
}

fn one(
    settings: &Settings,
    stage: &Stage,
    slices: &mut Slices,
    scene: Scene,
    server: &Running,
    cookies: &[String],
    round: usize,
) {
    let name = &server.variant.name;
    let mut visitors =
        Visitors::at(server.addr, scene.at_once()).unwrap_or_else(|error| server.fail(error));
    match scene {
        // Measured with the logins that it undoes.
        Scene::Logout => {}
        Scene::Login => {
            // As many as fill a slice, by what the server did before.
            let rate = slices.median(Scene::Counted, name, |slice| slice.rate).unwrap_or(2_000.0);
            let count = (rate * settings.slice.as_secs_f64() / 2.0) as usize;
            let logins: Vec<Vec<u8>> = (0..count.clamp(64, 20_000))
                .map(|user| load::post("/login", None, &format!("username=r{round}u{user}")))
                .collect();
            let all = Plan::Once(Duration::from_secs(60));
            let (slice, answers) = stage.slice(server, &mut visitors, &logins, all);
            slices.add(Scene::Login, name, slice);
            let logouts: Vec<Vec<u8>> = answers
                .cookies
                .iter()
                .flatten()
                .map(|cookie| load::post("/logout", Some(cookie), ""))
                .collect();
            let (slice, _) = stage.slice(server, &mut visitors, &logouts, all);
            slices.add(Scene::Logout, name, slice);
        }
        _ => {
            let requests: Vec<Vec<u8>> =
                cookies.iter().map(|cookie| load::get(scene.path(), Some(cookie))).collect();
            stage.warm(server, &mut visitors, &requests);
            let plan = Plan::Own(settings.slice);
            let (slice, _) = stage.slice(server, &mut visitors, &requests, plan);
            slices.add(scene, name, slice);
        }
    }
}
