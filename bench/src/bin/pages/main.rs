//! The tutorial's page beside its peers. Writes `docs/performance.md` and its pictures.
//!
//! `cargo xtask bench [--quick]`, which also builds the peers; by hand, `pages --own OWN [--peers FILE]
//! --docs FOLDER [--quick]`. Starts a Redis of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on says so and ends"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it says how far it is")]

mod settings;
mod variant;
mod scene;
mod slice;
mod table;
mod trips;
mod pace;
mod kept;
mod fill;
mod sizes;
mod scale;
mod run;
mod plot;
mod figures;
mod report;
mod readme;

use bench::system;
use testbed::Server;

use crate::run::Run;
use crate::settings::Settings;
use crate::slice::Stage;
use crate::variant::Variant;

fn main() {
    let settings = Settings::read();
    let machine = bench::machine();
    let cores = match system::cores()[..] {
        // What is started from here on inherits the core.
        [server, rest, ..] if system::keep_to(rest) => Some([server, rest]),
        _ => None,
    };
    // Nothing of what is compared waits for a disk.
    let redis = Server::start_with(&Server::every_executable()[0], &["--appendonly", "no"]);
    let name = sizes::name_of(&redis);
    let stage = Stage { redis, cores };
    let variants = Variant::all(&settings);
    let here: Vec<Variant> =
        variants.iter().filter(|variant| variant.skipped.is_none()).cloned().collect();

    let pages = settings.has("pages").then(|| pace::measure(&settings, &stage, &here));
    let kept = settings.has("kept").then(|| kept::measure(&settings, &stage, &here));
    let program = stage.redis.executable().to_owned();
    let scale = settings.has("scale").then(|| scale::measure(&settings, &stage, &here, &program));
    let sizes = settings.has("sizes").then(|| sizes::measure(&Server::every_executable()));
    let run = Run { machine, redis: name, cores, variants, pages, kept, scale, sizes };
    report::write(&settings, &run);
    if let Some(root) = &settings.readmes {
        readme::write(root, &run, &report::said("date", &["-u", "+%F"]));
    }
}
