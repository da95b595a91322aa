//! `cargo xtask test`.

use std::process::Command;
use std::time::Instant;

use crate::servers::{self, Servers};
use crate::step::{Result, ask, cargo, run, say};

pub(crate) fn everything() -> Result {
    let start = Instant::now();
    let servers = servers()?;
    // One failing suite does not hide what the other has to say.
    let tests = suite(&servers, &[]);
    let docs = run(with_servers(
        cargo().args(["test", "--workspace", "--all-features", "--doc"]),
        &servers,
    ));
    finish(start, &servers, &[("tests", tests), ("doc tests", docs)])
}

pub(crate) fn only(words: &[&str]) -> Result {
    let start = Instant::now();
    let mut servers = servers()?;
    let tests = suite(&servers, words);
    servers.left_out.push("every other test, and doc tests (--only)".to_owned());
    finish(start, &servers, &[("tests", tests)])
}

fn servers() -> Result<Servers> {
    let servers = servers::find_or_fetch()?;
    for (name, value) in &servers.variables {
        say(format!("{name}={value}"));
    }
    Ok(servers)
}

/// All tests but doc tests, which nextest does not know.
fn suite(servers: &Servers, words: &[&str]) -> Result {
    let mut tests = cargo();
    if ask(cargo().args(["nextest", "--version"])).is_ok() {
        tests.args(["nextest", "run", "--workspace", "--all-features", "--no-fail-fast"]);
        tests.args(words);
    } else {
        say(
            "cargo-nextest is not here; `cargo test` will do (cargo install --locked cargo-nextest)",
        );
        tests.args(["test", "--workspace", "--all-features", "--no-fail-fast"]);
        tests.args(["--lib", "--bins", "--tests", "--examples", "--"]).args(words);
    }
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
