//! `cargo xtask fuzz`: the targets of `fuzz`, under libFuzzer.
//!
//! What it takes: a C++ compiler, for libFuzzer comes as source in a crate. The stable compiler can
//! report where a program has been; no nightly, no cargo-fuzz.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::step::{Result, ask, cargo, in_path, offline, root, run, say};

/// What makes the compiler note, for libFuzzer, which ways were taken and what was compared.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const SECONDS: &str = "60";

/// One target, or every one, for so many seconds each.
pub(crate) fn fuzz(arguments: &[&str]) -> Result {
    let (named, seconds) = match arguments {
        [] => (None, SECONDS),
        ["--seconds", seconds] => (None, *seconds),
        [target] => (Some(*target), SECONDS),
        [target, "--seconds", seconds] => (Some(*target), *seconds),
        _ => return Err("it takes cargo xtask fuzz [TARGET] [--seconds N]".to_owned()),
    };
    let seconds: u32 = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
    let targets = targets(named)?;
    let engine = build()?;
    let mut outcomes = Vec::new();
    for target in &targets {
        outcomes.push(run_one(&engine, target, seconds));
    }
    let mut broken = Vec::new();
    println!("| target | inputs tried | seconds |\n|---|---|---|");
    for (target, outcome) in targets.iter().zip(outcomes) {
        match outcome {
            Ok((tried, took)) => println!("| {target} | {tried} | {took} |"),
            Err(reason) => broken.push(reason),
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// The folders of the corpus.
fn targets(named: Option<&str>) -> Result<Vec<String>> {
    let corpus = root().join("fuzz").join("corpus");
    let entries =
        fs::read_dir(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let mut all: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    match named {
        None => Ok(all),
        Some(name) if all.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(format!("there is no target {name}, only {}", all.join(", "))),
    }
}

fn build() -> Result<PathBuf> {
    if ["c++", "g++", "clang++"].iter().all(|compiler| in_path(compiler).is_empty()) {
        return Err("libFuzzer comes as C++ source, and there is no c++, g++ or clang++ in PATH: \
                    install one (on Debian: apt-get install g++)"
            .to_owned());
    }
    let rustc = ask(Command::new("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc -vV does not say for which machine it compiles")?;
    let folder = root().join("target").join("fuzz");
    let mut build = cargo();
    // With a target named, what runs while compiling is built without the flags.
    build.args(["build", "--release", "--locked", "--manifest-path", "fuzz/engine/Cargo.toml"]);
    build.args(["--target", host]).arg("--target-dir").arg(folder.join("build"));
    if offline() {
        build.arg("--offline");
    }
    run(build.env("RUSTFLAGS", COVERAGE)).map_err(|error| {
        format!(
            "{error}\nthe fuzzer could not be built; the corpus is run all the same by \
                 cargo nextest run -p fuzz"
        )
    })?;
    Ok(folder.join("build").join(host).join("release").join("fuzz-engine"))
}

/// How many inputs were tried, and for how long.
fn run_one(engine: &Path, target: &str, seconds: u32) -> Result<(String, u64)> {
    let folder = root().join("target").join("fuzz").join(target);
    let found = folder.join("corpus");
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let seeds = root().join("fuzz").join("corpus").join(target);
    let mut command = Command::new(engine);
    command.env("CLOAKROOM_FUZZ_TARGET", target).current_dir(&folder);
    // What the command line reads beside its words.
    command.env_remove("REDIS_URL").env_remove("RUST_LOG");
    command.args([&found, &seeds]);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    say(format!("{target} for {seconds} s"));
    let start = Instant::now();
    let output = command.output().map_err(|error| format!("{}: {error}", engine.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = said.lines().rev().take(40).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(format!(
            "{}\n{target} is broken: what broke it is a file in {}; when it is mended, keep that in \
             fuzz/corpus/{target} under a name that says what it is",
            last.join("\n"),
            folder.display()
        ));
    }
    let tried = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok((tried.unwrap_or("?").trim().to_owned(), start.elapsed().as_secs()))
}
