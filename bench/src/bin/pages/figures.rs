//! The figures to reach: each with its bound, what was measured, and whether that is enough.

use bench::{head, row};

use crate::kept::Share;
use crate::run::Run;
use crate::scene::Scene;
use crate::table::{What, figure, ratio_of};
use crate::variant::{MEMORY, PIPELINE, REDIS, SCRIPT, STATIC};

/// One of them.
struct Figure {
    what: &'static str,
    bound: String,
    measured: Option<String>,
    reached: Option<bool>,
}

const SERVER: What = |slice| slice.server;
const OF_REDIS: What = |slice| slice.redis;

/// A section of the page.
pub(crate) fn table(run: &Run) -> String {
    let mut text = String::from(
        "\n## The figures to reach\n\n\
         Processor time of the server for one request, with one core for the server, unless it says \
         something else. Ratios are medians over pairs of slices of the same round.\n\n",
    );
    text.push_str(&head(["", "bound", "measured", "reached"]));
    text.push('\n');
    for Figure { what, bound, measured, reached } in all(run) {
        let measured = measured.unwrap_or_else(|| "not in this run".into());
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        text.push_str(&row([&what, &bound, &measured, &reached]));
        text.push('\n');
    }
    text
}

fn all(run: &Run) -> Vec<Figure> {
    let ratio = |what, scene, ours: &str, most: f64, to: &str, of: What, words: &str| {
        let pages = run.pages.as_ref();
        let ratio = pages.and_then(|pages| pages.slices.ratio(scene, ours, to, of));
        at_most(what, most, words, ratio)
    };
    let peer = "tower-sessions";
    let counted = "tutorial's page on Redis, 64 at once";
    let by_few = "tutorial's page on Redis, 8 at once";
    let mut all = vec![
        ratio(
            "page that does not ask for its session",
            Scene::Untouched,
            REDIS,
            1.05,
            STATIC,
            SERVER,
            "axum static",
        ),
        ratio(counted, Scene::Counted, REDIS, 0.95, PIPELINE, SERVER, "pipeline by hand"),
        ratio(counted, Scene::Counted, REDIS, 0.55, peer, SERVER, peer),
        ratio(by_few, Scene::CountedByFew, REDIS, 1.10, PIPELINE, SERVER, "pipeline by hand"),
        ratio(by_few, Scene::CountedByFew, REDIS, 0.65, peer, SERVER, peer),
        ratio(
            "page that only reads, on Redis",
            Scene::Read,
            REDIS,
            0.95,
            PIPELINE,
            SERVER,
            "`HGETALL` and `EXPIRE` by hand",
        ),
        ratio(
            "tutorial's page in memory",
            Scene::Counted,
            MEMORY,
            1.20,
            STATIC,
            SERVER,
            "axum static",
        ),
        ratio(
            "CPU of Redis for the tutorial's page",
            Scene::Counted,
            REDIS,
            1.4,
            SCRIPT,
            OF_REDIS,
            "smallest script by hand",
        ),
        ratio("login", Scene::Login, REDIS, 1.2, PIPELINE, SERVER, "pipeline by hand"),
        ratio("logout", Scene::Logout, REDIS, 1.2, PIPELINE, SERVER, "pipeline by hand"),
    ];
    all.push(increments(run));
    all.push(bytes(run));
    all.push(many(run));
    all
}

fn at_most(what: &'static str, most: f64, unit: &str, measured: Option<f64>) -> Figure {
    Figure {
        what,
        bound: format!("≤ {most:.2} × {unit}"),
        measured: measured.map(|measured| figure(Some(measured))),
        reached: measured.map(|measured| measured <= most),
    }
}

fn increments(run: &Run) -> Figure {
    let kept = run.kept.as_ref().and_then(|kept| kept.get(REDIS));
    let shares: Vec<Share> =
        kept.map_or(Vec::new(), |kept| kept.on_one.into_iter().chain(kept.on_two).collect());
    let shown = shares.iter().map(|Share { kept, of }| format!("{kept} of {of}"));
    Figure {
        what: "increments kept, on one process and on two",
        bound: "all".into(),
        measured: (!shares.is_empty()).then(|| shown.collect::<Vec<_>>().join(", ")),
        reached: (!shares.is_empty()).then(|| shares.iter().all(|share| share.kept == share.of)),
    }
}

fn bytes(run: &Run) -> Figure {
    let sizes = run.sizes.as_ref().and_then(|sizes| Some((sizes, sizes.measured()?)));
    let each = sizes.map(|(sizes, size)| {
        let each = sizes.servers.iter().zip(&size.bytes);
        each.map(|(server, bytes)| format!("{bytes:.0} on {server}")).collect::<Vec<_>>().join(", ")
    });
    Figure {
        what: "bytes a session: 7 small fields, index entry, device, one session a user",
        bound: "≤ 580".into(),
        measured: each,
        reached: sizes.map(|(_, size)| size.bytes.iter().all(|bytes| *bytes <= 580.0)),
    }
}

fn many(run: &Run) -> Figure {
    let sessions = run.scale.as_ref().map_or(&[][..], |scale| &scale.sessions);
    let first = sessions.first().map_or(&[][..], |filled| &filled.slices);
    let last = sessions.iter().find(|filled| filled.count >= 5_000_000);
    let ratio =
        last.and_then(|last| ratio_of(&last.slices, first, |slice| slice.server + slice.redis));
    at_most("server and Redis, with 5,000,000 sessions", 1.10, "that with 1,000", ratio)
}
