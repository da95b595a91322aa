//! The one door: what CI runs is what a developer types, and nothing else.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks")]

mod step;
mod python;
mod apt;
mod servers;
mod browser;
mod counts;
mod extras;
mod test;
mod dependencies;
mod security;
mod check;
mod peers;
mod bench;
mod fuzz;
mod mutants;
mod models;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <command>

  test                     every test and doc test, against real servers
  test --only <words>...   only the tests whose names contain one of the words; no doc tests
  check                    formatting, lints, docs, dependencies, packages, requirements of security
  security-matrix          write docs/security.md: which test proves which requirement
  servers                  find or fetch the test servers, print the variables that point to them;
                           to run tests by hand: export $(cargo xtask servers)
  counts                   how many instructions the pieces of a request take (`test` does it too)
  counts --renew           write them into pieces/counts.txt
  screenshots              pictures of every page of the demo, into target/screenshots
  bench [--quick] [--rounds N]
                           the tutorial's page beside its peers, its figures to reach, what sessions cost
                           in Redis; an hour (quick: some minutes), and replaces docs/performance.md
  bench embedded [N]       figures of the embedded store, with up to N sessions (2,000,000); takes
                           minutes, and replaces docs/performance-embedded.md
  bench users [N]          figures of N sessions of one user on Redis (100,000); a minute, and replaces
                           docs/performance-users.md
  fuzz [TARGET] [--seconds N]  libFuzzer on one target of fuzz/, or on each, for 60 s; takes a C++
                           compiler
  mutants [FILE]...        whether a test notices each small change of the code that a lock is made of;
                           takes hours, and cargo-mutants
  models [NAME]            what threads do at once, under a model checker; a minute to compile, and half
                           to play. CLOAKROOM_SCHEDULES: how many schedules; CLOAKROOM_SCHEDULE: the one
                           that failed, again
  help                     this text

environment:
  CLOAKROOM_TEST_SERVER    the redis-server or valkey-server to test with, instead of the one in PATH
  CLOAKROOM_TEST_PYTHON    the python3 to test with, instead of the one in PATH
  CLOAKROOM_TEST_BROWSER   the chromium or google-chrome to test with, instead of the one in PATH, and
  CLOAKROOM_TEST_BROWSER_DRIVER  its chromedriver
  CLOAKROOM_OFFLINE=1      fetch nothing; say what is left out because of it

Servers are kept in target/test-servers. One thing is installed outside target/: where PATH has no
Chromium with its ChromeDriver, `test` and `screenshots` install Debian's by apt-get, as root.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::everything(),
        ["test", "--only", words @ ..] if is_words(words) => test::only(words),
        ["check"] => check::check(),
        ["security-matrix"] => security::write(),
        ["screenshots"] => test::screenshots(),
        ["servers"] => servers::print(),
        ["counts"] => test::counts(),
        ["counts", "--renew"] => test::renew_counts(),
        ["bench", flags @ ..] if flags.first().is_none_or(|flag| flag.starts_with("--")) => {
            bench::pages(flags)
        }
        ["bench", name, rest @ ..] => bench::bench(name, rest),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["mutants", files @ ..] => mutants::mutants(files),
        ["models", words @ ..] if words.len() <= 1 => models::models(words),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => return usage(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(1)
        }
    }
}

/// Whether these can be filters: a forgotten word or a second flag is a typing error.
fn is_words(words: &[&str]) -> bool {
    !words.is_empty() && words.iter().all(|word| !word.is_empty() && !word.starts_with('-'))
}

fn usage(arguments: &[&str]) -> ExitCode {
    match arguments {
        [] => eprintln!("error: a command is missing\n"),
        ["test", "--only", ..] => eprintln!(
            "error: `--only` wants words from test names, such as: cargo xtask test --only logout\n"
        ),
        _ => eprintln!("error: there is no `cargo xtask {}`\n", arguments.join(" ")),
    }
    eprintln!("{HELP}");
    ExitCode::from(2)
}
