//! What is left of the work of many at once: counts, fields, and the end of a session.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use bench::load::{self, Answers, Plan, Visitors};
use testbed::Request;

use crate::settings::Settings;
use crate::slice::Stage;
use crate::variant::{EMBEDDED, MEMORY, Running, STATIC, Variant};

/// So many increments of one counter.
pub(crate) const INCREMENTS: usize = 20_000;
/// By so many clients.
const CLIENTS: usize = 64;
/// How often two requests meet.
pub(crate) const PAIRS: usize = 50;

/// A share of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) kept: usize,
    pub(crate) of: usize,
}

/// What one variant kept; `None` for what it was not asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    /// Increments that were acknowledged, on one process.
    pub(crate) on_one: Option<Share>,
    /// The same on two.
    pub(crate) on_two: Option<Share>,
    /// Pairs of requests that set a field each, of which both are there.
    pub(crate) fields: Option<Share>,
    /// Logouts during a slow request that lasted.
    pub(crate) logouts: Option<Share>,
}

pub(crate) fn measure(
    settings: &Settings,
    stage: &Stage,
    variants: &[Variant],
) -> BTreeMap<String, Kept> {
    let core = stage.cores.map(|[server, _]| server);
    let asked = variants.iter().filter(|variant| !variant.is(STATIC));
    let bar = bench::progress(4 * (variants.len() - 1), "kept");
    let all = asked.map(|variant| {
        let one = variant.start(&stage.redis, core);
        let says = |what: &str| {
            bar.set_message(format!("{}: {what}", variant.name));
            bar.inc(1);
        };
        says("one process");
        let on_one = Some(increments(settings, &[&one]));
        says("two processes");
        // The others are for one process by design.
        let on_two = (!variant.is(MEMORY) && !variant.is(EMBEDDED)).then(|| {
            let two = variant.start(&stage.redis, core);
            increments(settings, &[&one, &two])
        });
        says("two fields");
        let fields = Some(both_fields(&one));
        says("logout");
        let logouts = (variant.is_ours() || variant.race.is_some()).then(|| logouts(&one));
        if bar.is_hidden() {
            eprintln!("==> kept: {}", variant.name);
        }
        (variant.name.clone(), Kept { on_one, on_two, fields, logouts })
    });
    let all = all.collect();
    bar.finish_and_clear();
    all
}

/// Sends all of these at once, each on a connection of its own if there are that many.
fn at_once(at: &Running, clients: usize, requests: &[Vec<u8>]) -> Answers {
    let mut visitors = Visitors::at(at.addr, clients).unwrap_or_else(|error| at.fail(error));
    let answers = visitors.send(requests, Plan::Once(Duration::from_secs(300)));
    answers.unwrap_or_else(|error| at.fail(error))
}

fn page(at: &Running, path: &str, cookie: &str) -> String {
    Request::get(at.addr, path).header("Cookie", cookie).send().text().to_owned()
}

fn visits(at: &Running, cookie: &str) -> usize {
    let page = page(at, "/", cookie);
    let number = page.rsplit(' ').next().and_then(|number| number.trim().parse().ok());
    number.unwrap_or_else(|| at.fail(format_args!("{page:?} instead of a number of visits")))
}

fn increments(settings: &Settings, servers: &[&Running]) -> Share {
    let first = servers[0];
    let cookie = first.log_in(std::iter::once(format!("counter{}", servers.len())), 0).remove(0);
    let request = load::get("/", Some(&cookie));
    let probe = at_once(first, CLIENTS, &vec![request.clone(); 200]);
    let of = if settings.quick {
        // Eight seconds, which is enough but for those that take longest.
        let in_time = 8.0 * 200.0 / probe.wall.as_secs_f64();
        INCREMENTS.min((in_time as usize / 1_000 * 1_000).max(1_000))
    } else {
        INCREMENTS
    };
    let before = visits(first, &cookie);
    let share = vec![request; of / servers.len()];
    let refused: usize = thread::scope(|scope| {
        let send = |server: &Running| at_once(server, CLIENTS / servers.len(), &share).failures;
        let all: Vec<_> = servers.iter().map(|server| scope.spawn(move || send(server))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // What was answered with an error was not promised.
    let of = of - refused;
    // An instance with a cache of its own may know of more than another: the best of them counts.
    let after = servers.iter().map(|server| visits(server, &cookie)).max().unwrap_or(0);
    // To look is to count: one look at each.
    let kept = after.saturating_sub(before + servers.len()).min(of);
    Share { kept, of }
}

fn both_fields(at: &Running) -> Share {
    let cookies = at.log_in((0..PAIRS).map(|number| format!("pair{number}")), 0);
    let set = |field: &'static str| {
        cookies.iter().map(move |cookie| load::post(&format!("/set/{field}"), Some(cookie), ""))
    };
    // One after the other of a pair, so that both are on their way together.
    let pairs: Vec<Vec<u8>> = set("a").zip(set("b")).flat_map(|(a, b)| [a, b]).collect();
    at_once(at, 2 * PAIRS, &pairs);
    let kept = cookies.iter().filter(|cookie| page(at, "/fields", cookie) == "set,set").count();
    Share { kept, of: PAIRS }
}

fn logouts(at: &Running) -> Share {
    let cookies = at.log_in((0..PAIRS).map(|number| format!("leaver{number}")), 0);
    let requests = |path: &str| -> Vec<Vec<u8>> {
        cookies.iter().map(|cookie| load::post(path, Some(cookie), "")).collect()
    };
    let (slow, logouts) = (requests("/set/a"), requests("/logout"));
    thread::scope(|scope| {
        scope.spawn(|| at_once(at, PAIRS, &slow));
        // The slow requests work for 20 ms; this is the middle of it.
        thread::sleep(Duration::from_millis(10));
        at_once(at, PAIRS, &logouts);
    });
    let is_over = |cookie: &&String| {
        !page(at, "/fields", cookie).contains("set")
            && !page(at, "/read", cookie).contains("Logged in")
    };
    Share { kept: cookies.iter().filter(is_over).count(), of: PAIRS }
}
