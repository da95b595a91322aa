//! `cargo xtask bench`: figures, printed and kept under `docs`.

use std::fs;
use std::process::Command;

use crate::step::{Result, ask, cargo, root, run, say};
use crate::{peers, servers};

/// The benchmarks of one thing each: a program of `bench` whose output is a section in Markdown.
const KNOWN: [&str; 2] = ["embedded", "users"];

/// The pages beside the peers. Arguments go to the program that measures.
pub(crate) fn pages(arguments: &[&str]) -> Result {
    let servers = servers::find_or_fetch()?;
    run(cargo().args([
        "build",
        "--release",
        "--quiet",
        "-p",
        "bench",
        "--bin",
        "own",
        "--bin",
        "pages",
    ]))?;
    let peers = peers::build()?;
    let programs = root().join("target/release");
    let mut measure = Command::new(programs.join("pages"));
    measure.arg("--own").arg(programs.join("own")).arg("--peers").arg(peers);
    measure.arg("--docs").arg(root().join("docs")).arg("--readmes").arg(root()).args(arguments);
    run(measure.envs(servers.variables))
}

pub(crate) fn bench(name: &str, arguments: &[&str]) -> Result {
    if !KNOWN.contains(&name) {
        return Err(format!("there is no benchmark {name}, only {}", KNOWN.join(", ")));
    }
    let mut run = cargo();
    run.args(["run", "--release", "--quiet", "-p", "bench", "--bin", name, "--"]).args(arguments);
    let figures = ask(&mut run)?;
    let today = ask(Command::new("date").args(["-u", "+%F"]))?;
    let compiler = ask(Command::new("rustc").arg("--version"))?;
    let head = format!(
        "# Performance: {name}\n\nMeasured on {} by `cargo xtask bench {name}`, built with {}.\n",
        today.trim(),
        compiler.trim()
    );
    let page = root().join("docs").join(format!("performance-{name}.md"));
    println!("{figures}");
    fs::write(&page, format!("{head}{figures}"))
        .map_err(|error| format!("cannot write {}: {error}", page.display()))?;
    say(format_args!("kept in {}", page.display()));
    Ok(())
}
