//! `docs/performance.md`: what was measured, as tables and pictures.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bench::{head, row};

use crate::figures;
use crate::kept::{Kept, PAIRS, Share};
use crate::pace::Pages;
use crate::plot::{Bar, Plot};
use crate::run::Run;
use crate::scale::{Filled, Scale};
use crate::scene::Scene;
use crate::settings::Settings;
use crate::sizes::Sizes;
use crate::slice::NOISY;
use crate::table::{What, figure, median_of, ratio_of, thousands};
use crate::variant::{PIPELINE, REDIS, STATIC};

pub(crate) fn write(settings: &Settings, run: &Run) {
    fs::create_dir_all(settings.docs.join("images")).unwrap();
    let file = settings.docs.join("performance.md");
    fs::write(&file, page(settings, run)).unwrap();
    println!("kept in {}", file.display());
}

fn page(settings: &Settings, run: &Run) -> String {
    let mut text = opening(settings, run);
    text.push_str(&figures::table(run));
    let beside = run.pages.as_ref().map(|pages| beside(run, pages, &settings.docs));
    text.push_str(&beside.unwrap_or_else(|| left_out("Beside the peers")));
    let kept = run.kept.as_ref().map(|kept| of_many(run, kept));
    text.push_str(&kept.unwrap_or_else(|| left_out("What is left of the work of many")));
    let scale = run.scale.as_ref().map(scaled);
    text.push_str(&scale.unwrap_or_else(|| left_out("The cost of scale")));
    let sizes = run.sizes.as_ref().map(|sizes| sized(run, sizes));
    text.push_str(&sizes.unwrap_or_else(|| left_out("Bytes a session") + &left_out("Sizing")));
    text.push_str(&compared(run));
    text.push_str(HOW);
    text
}

/// A section that others link to, without figures.
fn left_out(section: &str) -> String {
    format!("\n## {section}\n\nNot in this run.\n")
}

/// What a program says.
pub(crate) fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map_or(String::new(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn opening(settings: &Settings, run: &Run) -> String {
    let quick = if settings.quick { " --quick" } else { "" };
    let usual = Settings::default().rounds;
    let fewer = !settings.quick && settings.rounds != usual;
    let rounds = if fewer { format!(" --rounds {}", settings.rounds) } else { String::new() };
    let pinned = match run.cores {
        Some([server, rest]) => format!(
            "the server alone on core {server}, Redis and the load generator on core {rest}"
        ),
        None => "no process could be kept to a core, so servers and load took turns".into(),
    };
    format!(
        "# Performance\n\n\
         Measured on {} by `cargo xtask bench{quick}{rounds}`, built with {}, against {} on the same \
         machine without persistence: {}; {pinned}. {} rounds of slices of {} ms.\n\n\
         Other pages: [the store of one machine](performance-embedded.md), \
         [many sessions of one user](performance-users.md).\n",
        said("date", &["-u", "+%F"]),
        said("rustc", &["--version"]),
        run.redis,
        run.machine,
        settings.rounds,
        settings.slice.as_millis(),
    )
}

fn beside(run: &Run, pages: &Pages, docs: &Path) -> String {
    let (noisy, all) = pages.slices.noisy();
    let mut text = format!(
        "\n## Beside the peers\n\n\
         Medians over the rounds. Ratios are of slices of the same round, in processor time of the \
         server for one request: to a static text by axum, and to the page written by hand with the \
         redis crate. Of {all} slices {noisy} were noisy, because other programs had more than {:.0} % of \
         one of the two cores; they count only where most were.\n",
        NOISY * 100.0
    );
    for scene in Scene::ALL {
        text.push_str(&format!("\n### {}\n\n", scene.title()));
        text.push_str(&format!(
            "![Processor time of server and Redis](images/performance-{}.svg)\n\n",
            scene.word()
        ));
        text.push_str(&head([
            "",
            "server CPU, µs",
            "× static",
            "× by hand",
            "Redis CPU, µs",
            "requests a second",
            "p50, ms",
            "p99, ms",
            "p99.9, ms",
            "commands sent (carried out)",
            "trips",
            "bytes to, from Redis",
            "bytes of the answer",
            "noisy slices",
        ]));
        text.push('\n');
        let mut bars = Vec::new();
        for variant in &run.variants {
            let name = variant.name.as_str();
            let slices = pages.slices.of(scene, name);
            if slices.is_empty() {
                continue;
            }
            let median = |what: What| figure(pages.slices.median(scene, name, what));
            let ratio = |to: &str| figure(pages.slices.ratio(scene, name, to, |one| one.server));
            let trips = pages.trips.get(&(scene, name.to_owned())).copied().unwrap_or_default();
            let whole = |number: f64| format!("{number:.0}");
            let asks = variant.uses_redis() && trips.sent > 0.0;
            let (redis, commands, count, bytes) = if asks {
                (
                    median(|one| one.redis),
                    format!("{} ({})", whole(trips.sent), whole(trips.done)),
                    whole(trips.trips),
                    format!("{}, {}", whole(trips.to), whole(trips.from)),
                )
            } else {
                let nothing = || "–".to_owned();
                (nothing(), nothing(), nothing(), nothing())
            };
            let noisy = slices.iter().filter(|slice| slice.is_noisy()).count();
            let failures = match slices.iter().map(|slice| slice.failures).sum::<usize>() {
                0 => String::new(),
                failures => format!("; {failures} answers failed"),
            };
            text.push_str(&row([
                &variant.title(),
                &median(|one| one.server),
                &ratio(STATIC),
                &ratio(PIPELINE),
                &redis,
                &median(|one| one.rate),
                &median(|one| one.p50),
                &median(|one| one.p99),
                &median(|one| one.p999),
                &commands,
                &count,
                &bytes,
                &median(|one| one.bytes),
                &format!("{noisy} of {}{failures}", slices.len()),
            ]));
            text.push('\n');
            bars.push(Bar {
                name: variant.title().replace('*', ""),
                parts: vec![
                    pages.slices.median(scene, name, |one| one.server).unwrap_or(0.0),
                    if asks {
                        pages.slices.median(scene, name, |one| one.redis).unwrap_or(0.0)
                    } else {
                        0.0
                    },
                ],
                ours: variant.title().contains("**"),
            });
        }
        let plot = Plot {
            title: format!("{}: processor time for one request, µs", scene.title()),
            parts: ["server", "Redis"],
            bars,
        };
        let file = docs.join("images").join(format!("performance-{}.svg", scene.word()));
        fs::write(file, plot.svg()).unwrap();
    }
    text.push_str("\n### Memory\n\nWhat a server held at the end, in MB. Of Cloakroom, memory and embedded hold the sessions themselves.\n\n");
    text.push_str(&head(["", "MB"]));
    text.push('\n');
    for variant in &run.variants {
        if let Some(bytes) = pages.memory.get(&variant.name) {
            text.push_str(&row([&variant.title(), &figure(Some(*bytes as f64 / 1e6))]));
            text.push('\n');
        }
    }
    text
}

pub(crate) fn share(share: Option<Share>) -> String {
    match share {
        None => "–".into(),
        Some(Share { kept, of }) if kept == of => "100 %".into(),
        Some(Share { kept, of }) => {
            // Never rounded up to all.
            format!("{:.1} %", (kept as f64 * 1_000.0 / of as f64).floor() / 10.0)
        }
    }
}

fn of_many(run: &Run, kept: &BTreeMap<String, Kept>) -> String {
    let mut text = format!(
        "\n## What is left of the work of many\n\n\
         Increments of one counter by 64 clients with the same cookie, on one process and on two; {PAIRS} \
         pairs of requests that set one field each at the same time, of which both are there; and \
         {PAIRS} logouts while a slow request of the same session is under way and then sets a field, \
         after which the cookie is good for nothing. Increments are 20,000; in a quick run fewer of those that \
         would take longer than eight seconds.\n\n"
    );
    text.push_str(&head([
        "",
        "increments",
        "kept, one process",
        "kept, two processes",
        "both fields there",
        "logouts that lasted",
    ]));
    text.push('\n');
    for variant in &run.variants {
        let Some(kept) = kept.get(&variant.name) else { continue };
        let of = kept.on_one.map_or(0, |share| share.of);
        text.push_str(&row([
            &variant.title(),
            &thousands(of as f64),
            &share(kept.on_one),
            &share(kept.on_two),
            &share(kept.fields),
            &share(kept.logouts),
        ]));
        text.push('\n');
    }
    text.push_str(
        "\nA dash under two processes: the store is for one process. A dash under logouts: of peers it is \
         measured only where the public can read of it",
    );
    let known = run.variants.iter().filter_map(|one| Some((&one.name, one.race.as_ref()?)));
    let known: Vec<String> = known.map(|(name, page)| format!("[{name}]({page})")).collect();
    if known.is_empty() {
        text.push_str(".\n");
    } else {
        text.push_str(&format!(" ({}).\n", known.join(", ")));
    }
    text
}

fn scaled(scale: &Scale) -> String {
    let mut text = String::from(
        "\n## The cost of scale\n\n\
         The counted page with Cloakroom on Redis, 64 visitors at once, who take any of the sessions (of \
         some 50,000), all of which have been here within the minute. Each number of sessions has a server of \
         its own, and slices take turns.\n\n",
    );
    text.push_str(&head([
        "sessions in Redis",
        "Redis CPU, µs",
        "× the first",
        "server CPU, µs",
        "× the first",
        "one look, µs",
        "Redis' memory, MB",
    ]));
    text.push('\n');
    let first = scale.sessions.first().map_or(&[][..], |filled| &filled.slices);
    for Filled { count, slices, look, bytes } in &scale.sessions {
        text.push_str(&row([
            &thousands(*count as f64),
            &figure(median_of(slices, |one| one.redis)),
            &figure(ratio_of(slices, first, |one| one.redis)),
            &figure(median_of(slices, |one| one.server)),
            &figure(ratio_of(slices, first, |one| one.server)),
            &figure(Some(*look)),
            &figure(Some(bytes / 1e6)),
        ]));
        text.push('\n');
    }
    text.push_str(
        "\nOne look is what `EXISTS` of any one key costs this server, a thousand to a write: what grows there is the wait for memory. A counted page looks at two keys and at when both end.\n",
    );
    if let Some(reason) = &scale.left_out {
        text.push_str(&format!("\nNot all of it: {reason}.\n"));
    }
    text.push_str(
        "\n### By the number of fields\n\n\
         A request brings the whole session along. Small fields (`value 7`), beside the counter; the script \
         by hand returns two values whatever there is.\n\n",
    );
    text.push_str(&head([
        "more fields",
        "Redis CPU, µs",
        "× the script by hand",
        "server CPU, µs",
        "× the script by hand",
    ]));
    text.push('\n');
    for (fields, [ours, script]) in &scale.fields {
        text.push_str(&row([
            fields,
            &figure(median_of(ours, |one| one.redis)),
            &figure(ratio_of(ours, script, |one| one.redis)),
            &figure(median_of(ours, |one| one.server)),
            &figure(ratio_of(ours, script, |one| one.server)),
        ]));
        text.push('\n');
    }
    text
}

/// How much more memory a server is given than its sessions take, for fragmentation, for the buffers of
/// replicas, and for the copies that a snapshot makes of what changes meanwhile.
const ROOM: f64 = 2.0;
/// How busy a shard should be.
const BUSY: f64 = 0.6;

fn sized(run: &Run, sizes: &Sizes) -> String {
    let mut text = format!(
        "\n## Bytes a session\n\n\
         Of the server's memory, with 100,000 sessions: seven small fields (91 bytes of names and values), \
         one session a user. Time to live, index and the server's own tables are included. On {}, in this \
         order.\n\n",
        sizes.servers.join(", ")
    );
    text.push_str(&head(["kept", "bytes", "the first keeps it as"]));
    text.push('\n');
    for size in &sizes.sizes {
        let bytes: Vec<String> = size.bytes.iter().map(|bytes| format!("{bytes:.0}")).collect();
        text.push_str(&row([&size.what, &bytes.join(", "), &size.encoding]));
        text.push('\n');
    }
    text.push_str(
        "\nA value of more than 64 bytes turns a session into the bigger encoding: `cloakroom sessions \
         orphans` finds those.\n",
    );

    let Some(bytes) = sizes.measured().and_then(|size| size.bytes.first().copied()) else {
        return text;
    };
    let counted = |pages: &Pages| pages.slices.median(Scene::Counted, REDIS, |one| one.redis);
    let cost = run.pages.as_ref().and_then(counted);
    text.push_str(&format!(
        "\n## Sizing\n\n\
         Memory for one shard, computed from {bytes:.0} bytes a session (a user, a device, seven small fields) \
         and [twice that](operations.md#how-large): memory fragments, replicas want buffers, and a snapshot \
         copies what changes meanwhile.\n\n",
    ));
    let shards = [1_u32, 2, 4, 8, 16, 32];
    text.push_str(&head(["sessions", "1 shard", "2", "4", "8", "16", "32"]));
    text.push('\n');
    for sessions in [1e6, 10e6, 100e6] {
        let cell = |shards: u32| {
            let bytes = sessions * bytes * ROOM / f64::from(shards);
            if bytes < 1e9 {
                format!("{:.0} MB", bytes / 1e6)
            } else {
                format!("{:.1} GB", bytes / 1e9)
            }
        };
        let [a, b, c, d, e, f] = shards.map(cell);
        text.push_str(&row([&thousands(sessions), &a, &b, &c, &d, &e, &f]));
        text.push('\n');
    }
    if let Some(cost) = cost {
        let cell = |shards: u32| {
            let a_second = BUSY * 1e6 / cost * f64::from(shards);
            thousands((a_second / 1_000.0).round() * 1_000.0)
        };
        let [a, b, c, d, e, f] = shards.map(cell);
        text.push_str(&row([&"counted pages a second", &a, &b, &c, &d, &e, &f]));
        text.push_str(&format!(
            "\n\nThe last line is what shards do that are busy {:.0} % of the time, at the {} µs that one \
             counted page costs Redis on this machine. Each session of another size counts as its share: \
             `INFO memory` says what yours take. A user's sessions and their index are on one shard, so \
             one user is never spread.\n",
            BUSY * 100.0,
            figure(Some(cost))
        ));
    }
    text
}

fn compared(run: &Run) -> String {
    let mut text = String::from("\n## What was compared\n\n");
    text.push_str(&head(["", "versions"]));
    text.push('\n');
    for variant in &run.variants {
        let what = match &variant.skipped {
            Some(reason) => format!("left out: {reason}"),
            None => variant.version.clone(),
        };
        text.push_str(&row([&variant.title(), &what]));
        text.push('\n');
    }
    text
}

const HOW: &str = "
## How it is measured

- Every variant is a small server of the same pages, in `bench/src/bin/own` and `bench/peers`, each peer
  in the setting that its documentation recommends, all compiled languages in the same release profile.
- All servers run all the time. In each round every scene has one short slice at every variant, one after
  the other, and a ratio is of two slices of one round: what slows the machine down slows both.
- Processor time is what the system has counted for the server's threads, and for those of Redis, between
  two looks. It tells more than requests a second, which depend on what the other core can do.
- Each of 64 visitors (or 8) has an open connection, a session of their own, and one request at a time.
  So latencies are those of a server that is as busy as it can be.
- Commands, trips and bytes are counted by Redis, over 60 requests one after the other.
- By hand means: a hash a session, a set of a user's sessions, an idle timeout, one trip a page. It has no
  absolute deadline, no limits, no check of the index, and keeps the token as it is. Its pipeline also makes
  ended sessions anew.
- Differences under 7 % mean nothing on such a machine.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_three_digits_that_count() {
        let shown = [0.5, 12.345, 123.4, 12_345.6].map(|number| figure(Some(number)));
        assert_eq!(shown, ["0.50", "12.3", "123", "12,346"]);
        assert_eq!(share(Some(Share { kept: 19_999, of: 20_000 })), "99.9 %");
    }

    /// Headings, and the heads of tables.
    fn shape(page: &str) -> Vec<&str> {
        let lines: Vec<&str> = page.lines().collect();
        let is_head = |at: usize| lines.get(at + 1).is_some_and(|line| line.starts_with("|---"));
        let kept = |at: &usize| lines[*at].starts_with('#') || is_head(*at);
        (0..lines.len()).filter(kept).map(|at| lines[at]).collect()
    }

    /// The page in the repository is one that this program has written, however long ago.
    #[test]
    fn the_page_has_the_shape_that_is_written_now() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("images")).unwrap();
        let settings = Settings { docs: folder.path().to_owned(), ..Settings::default() };
        let run = Run {
            machine: String::new(),
            redis: String::new(),
            cores: None,
            variants: Vec::new(),
            pages: Some(Pages::default()),
            kept: Some(BTreeMap::new()),
            scale: Some(Scale::default()),
            sizes: Some(Sizes::example()),
        };
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
        let here = fs::read_to_string(docs.join("performance.md")).unwrap();
        let written = page(&settings, &run);
        // A run of some parts leaves the others out.
        let mut written = shape(&written).into_iter();
        for line in shape(&here) {
            let same = written.any(|now| now == line);
            assert!(same, "{line}: write the page anew: cargo xtask bench --quick");
        }
        for scene in Scene::ALL {
            let picture = docs.join(format!("images/performance-{}.svg", scene.word()));
            assert!(picture.is_file(), "{}", picture.display());
        }
    }
}
