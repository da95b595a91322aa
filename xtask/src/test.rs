//! `cargo xtask test`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use testbed::server::speaks_tls;

use crate::browser;
use crate::counts::{self, Counted};
use crate::extras;
use crate::servers::{self, Servers};
use crate::step::{Result, ask, cargo, root, run, say};

pub(crate) fn everything() -> Result {
    let start = Instant::now();
    let mut servers = servers()?;
    // One failing suite does not hide what the other has to say.
    let tests = suite(&servers, Scope::Everything, &[]);
    let range = on_the_other_servers(&servers);
    let docs = run(with_servers(
        cargo().args(["test", "--workspace", "--all-features", "--doc"]),
        &servers,
    ));
    let counts = counts::hold(&servers).map(|counted| left_out(counted, &mut servers));
    let suites = [
        ("tests", tests),
        ("tests of the range", range),
        ("doc tests", docs),
        ("instruction counts", counts),
    ];
    finish(start, &servers, &suites)
}

fn left_out(counted: Counted, servers: &mut Servers) {
    if let Counted::LeftOut(reason) = counted {
        say(format!("LEFT OUT: {reason}"));
        servers.left_out.push(reason);
    }
}

pub(crate) fn counts() -> Result {
    let start = Instant::now();
    let mut servers = servers::find_or_fetch()?;
    let counts = counts::hold(&servers).map(|counted| left_out(counted, &mut servers));
    finish(start, &servers, &[("instruction counts", counts)])
}

pub(crate) fn renew_counts() -> Result {
    counts::renew(&servers::find_or_fetch()?)
}

pub(crate) fn only(words: &[&str]) -> Result {
    let start = Instant::now();
    let mut servers = servers()?;
    let tests = suite(&servers, Scope::Everything, words);
    servers.left_out.push("every other test, and doc tests (--only)".to_owned());
    finish(start, &servers, &[("tests", tests)])
}

/// Pictures of every page, to look at.
pub(crate) fn screenshots() -> Result {
    browser::find_or_install_fonts()?;
    let servers = servers()?;
    let folder = root().join("target").join("screenshots");
    let mut pictures = cargo();
    pictures.args(["test", "--package", "cloakroom-cli", "--test", "browser", "--"]);
    pictures.args(["--ignored", "every_page_is_photographed"]);
    run(with_servers(&mut pictures, &servers).env("CLOAKROOM_SCREENSHOTS", &folder))?;
    println!("==> pictures are in {}", folder.display());
    Ok(())
}

/// Servers, a browser, and what a few tests need besides.
fn servers() -> Result<Servers> {
    let browser = browser::find_or_install()?;
    let mut servers = servers::find_or_fetch()?;
    match browser {
        Ok(variables) => servers.variables.extend(variables),
        Err(reason) => {
            say(format!("LEFT OUT: the demo in a browser ({reason})"));
            servers.without.push(browser::TESTS);
            servers.left_out.push(format!("the demo in a browser ({reason})"));
        }
    }
    extras::find_or_fetch(&mut servers);
    for (name, value) in &servers.variables {
        say(format!("{name}={value}"));
    }
    Ok(servers)
}

/// The tests of the Redis store, and of the demo from outside, on each server but the first. Races run
/// a share of their rounds there: what differs between versions shows in the first ones.
fn on_the_other_servers(servers: &Servers) -> Result {
    const LIST: &str = "CLOAKROOM_TEST_SERVERS";
    let list = servers.variables.iter().find(|(name, _)| *name == LIST);
    let others = list.map_or("", |(_, list)| list).split(':').skip(1);
    let mut outcome = Ok(());
    for server in others {
        say(format!("the tests of the Redis store, and of the demo from outside, on {server}"));
        let mut servers = servers.clone();
        servers.without.extend(ON_ONE_SERVER);
        if !speaks_tls(Path::new(server)) {
            say("LEFT OUT: TLS, which this server was built without");
            servers.without.push(OVER_TLS);
        }
        servers.variables.retain(|(name, _)| *name != LIST);
        servers.variables.push((LIST, server.to_owned()));
        servers.variables.push(("CLOAKROOM_TEST_ROUNDS", "200".to_owned()));
        outcome = outcome.and(suite(&servers, Scope::OnAServer, &[]));
    }
    outcome
}

/// Tests of the demo that choose a server themselves, or are not about it.
const ON_ONE_SERVER: [&str; 2] = ["by_another_clock", "in_prometheus"];

/// What the tests that need a server with TLS have in their names.
const OVER_TLS: &str = "tls";

#[derive(Clone, Copy)]
enum Scope {
    Everything,
    /// What differs from server to server.
    OnAServer,
}

impl Scope {
    /// For nextest, which builds all there is, and so nothing twice.
    fn filter(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &[],
            Self::OnAServer => &["-E", "package(cloakroom-redis) | binary_id(cloakroom-cli::it)"],
        }
    }

    fn targets(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &["--workspace", "--lib", "--bins", "--tests", "--examples"],
            Self::OnAServer => &[
                "--package=cloakroom-redis",
                "--package=cloakroom-cli",
                "--lib",
                "--test=it",
                "--test=deployments",
            ],
        }
    }
}

/// All tests but doc tests, which nextest does not know.
fn suite(servers: &Servers, scope: Scope, words: &[&str]) -> Result {
    let mut tests = cargo();
    if ask(cargo().args(["nextest", "--version"])).is_ok() {
        tests.args(["nextest", "run", "--workspace"]).args(scope.filter());
        tests.args(["--all-features", "--no-fail-fast"]).args(words).arg("--");
    } else {
        say(
            "cargo-nextest is not here; `cargo test` will do (cargo install --locked cargo-nextest)",
        );
        tests.arg("test").args(scope.targets()).args(["--all-features", "--no-fail-fast"]);
        tests.arg("--").args(words);
    }
    tests.args(servers.without.iter().flat_map(|name| ["--skip", name]));
    run(with_servers(&mut tests, servers))
}

fn with_servers<'a>(command: &'a mut Command, servers: &Servers) -> &'a mut Command {
    command.envs(servers.variables.iter().cloned())
}

/// One line at the end, to read when in a hurry.
fn finish(start: Instant, servers: &Servers, suites: &[(&str, Result)]) -> Result {
    let names: Vec<&str> = suites.iter().map(|(name, _)| *name).collect();
    let left_out = match servers.left_out.as_slice() {
        [] => String::new(),
        missing => format!("; left out: {}", missing.join(", ")),
    };
    let line = format!(
        "{} in {} s, against {}{left_out}",
        names.join(" and "),
        start.elapsed().as_secs(),
        servers.names,
    );
    let failures: Vec<&str> = suites
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().err())
        .map(String::as_str)
        .collect();
    if failures.is_empty() {
        println!("==> test passed: {line}");
        Ok(())
    } else {
        Err(format!("{}\n==> test FAILED: {line}", failures.join("\n")))
    }
}
