//! What a counted page costs with more sessions in Redis, and with more fields in a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bench::load::{self, Plan, Visitors};
use bench::system;
use testbed::Server;

use crate::fill::{self, Layout};
use crate::settings::Settings;
use crate::sizes;
use crate::slice::{Slice, Stage};
use crate::variant::{REDIS, Running, SCRIPT, Variant};

/// Slices of the same round stand at the same place.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    /// By how many sessions there are, the fewest first.
    pub(crate) sessions: Vec<Filled>,
    /// By how many fields a session has beside the counter: ours, and the script by hand.
    pub(crate) fields: BTreeMap<u32, [Vec<Slice>; 2]>,
    /// Why there are no more sessions.
    pub(crate) left_out: Option<String>,
}

/// A server with so many sessions.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) count: usize,
    pub(crate) slices: Vec<Slice>,
    /// What one look at any one key costs the server, in microseconds of processor time.
    pub(crate) look: f64,
    /// What the server uses.
    pub(crate) bytes: f64,
}

/// Of so many sessions, visitors have these.
const SAMPLE: usize = 50_000;
const FIELDS: [u32; 4] = [0, 7, 14, 56];
/// Keys that are looked at alone, and how many in one write.
const LOOKS: usize = 50_000;
const TOGETHER: usize = 1_000;
const MOST: usize = 5_000_000;
/// What five million sessions take, generously.
const MEMORY_OF_MOST: u64 = 6_000_000_000;

pub(crate) fn measure(
    settings: &Settings,
    stage: &Stage,
    variants: &[Variant],
    executable: &Path,
) -> Scale {
    let mut scale = Scale::default();
    let Some(ours) = variants.iter().find(|variant| variant.is(REDIS)) else { return scale };
    by_sessions(settings, stage, ours, executable, &mut scale);
    if let Some(script) = variants.iter().find(|variant| variant.is(SCRIPT)) {
        by_fields(settings, stage, [ours, script], &mut scale);
    }
    scale
}

fn by_sessions(
    settings: &Settings,
    stage: &Stage,
    ours: &Variant,
    executable: &Path,
    scale: &mut Scale,
) {
    let mut counts = vec![1_000, 100_000];
    if settings.quick {
        scale.left_out = Some("a quick run leaves out five million sessions".into());
    } else if free_memory() < MEMORY_OF_MOST {
        scale.left_out = Some("there was no memory for five million sessions".into());
    } else {
        counts.push(MOST);
    }
    let bar = bench::progress(counts.len() * (1 + settings.rounds), "cost of scale");
    let filled: Vec<(Stage, Running, Vec<Vec<u8>>)> = counts
        .iter()
        .map(|count| {
            bar.set_message(format!("making {count} sessions"));
            let redis = Server::start_with(executable, &["--appendonly", "no"]);
            let cookies = fill::sessions(&redis.url(), *count, SAMPLE.min(*count), Layout::Bare);
            bar.inc(1);
            let running = ours.start(&redis, stage.cores.map(|[server, _]| server));
            let requests = cookies.iter().map(|cookie| load::get("/", Some(cookie))).collect();
            (Stage { redis, cores: stage.cores }, running, requests)
        })
        .collect();
    let mut slices = vec![Vec::new(); counts.len()];
    for _ in 0..settings.rounds {
        for ((stage, running, requests), slices) in filled.iter().zip(&mut slices) {
            bar.inc(1);
            slices.push(one(settings, stage, running, requests));
        }
    }
    bar.finish_and_clear();
    for ((count, slices), (stage, ..)) in counts.into_iter().zip(slices).zip(&filled) {
        let (look, bytes) = (look(stage), sizes::used(&stage.redis));
        scale.sessions.push(Filled { count, slices, look, bytes });
    }
}

/// The wait for memory alone: keys from anywhere, each looked at once.
fn look(stage: &Stage) -> f64 {
    let client = redis::Client::open(stage.redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<Vec<String>> = (0..LOOKS / TOGETHER)
        .map(|_| {
            let mut pipe = redis::pipe();
            (0..TOGETHER).for_each(|_| {
                pipe.cmd("RANDOMKEY");
            });
            pipe.query(&mut connection).unwrap()
        })
        .collect();
    let before = system::ran(stage.redis.pid());
    for keys in &keys {
        let mut pipe = redis::pipe();
        keys.iter().for_each(|key| {
            pipe.exists(key);
        });
        let found: Vec<bool> = pipe.query(&mut connection).unwrap();
        assert!(found.iter().all(|found| *found), "a session has ended meanwhile");
    }
    (system::ran(stage.redis.pid()) - before).as_secs_f64() * 1e6 / LOOKS as f64
}

fn by_fields(settings: &Settings, stage: &Stage, both: [&Variant; 2], scale: &mut Scale) {
    let core = stage.cores.map(|[server, _]| server);
    let servers = both.map(|variant| variant.start(&stage.redis, core));
    let requests = |server: &Running, fields: u32| -> Vec<Vec<u8>> {
        let users = (0..64).map(|number| format!("f{fields}u{number}"));
        let cookies = server.log_in(users, fields);
        cookies.iter().map(|cookie| load::get("/", Some(cookie))).collect()
    };
    let all = FIELDS.map(|fields| (fields, servers.each_ref().map(|one| requests(one, fields))));
    let bar = bench::progress(settings.rounds * FIELDS.len() * 2, "cost of fields");
    for _ in 0..settings.rounds {
        for (fields, requests) in &all {
            let slices = scale.fields.entry(*fields).or_default();
            for ((server, requests), slices) in servers.iter().zip(requests).zip(slices) {
                bar.inc(1);
                slices.push(one(settings, stage, server, requests));
            }
        }
    }
    bar.finish_and_clear();
}

fn one(settings: &Settings, stage: &Stage, at: &Running, requests: &[Vec<u8>]) -> Slice {
    let mut visitors = Visitors::at(at.addr, 64).unwrap_or_else(|error| at.fail(error));
    // Each has been here within the minute, so that no visit is the first and none has to be noted.
    let once = Plan::Once(Duration::from_secs(60));
    visitors.send(requests, once).unwrap_or_else(|error| at.fail(error));
    stage.slice(at, &mut visitors, requests, Plan::Any(settings.slice)).0
}

fn free_memory() -> u64 {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}
