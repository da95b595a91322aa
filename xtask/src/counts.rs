//! How many instructions the pieces of a request take, compared with `pieces/counts.txt`: figures that
//! no neighbour on the machine disturbs.
//!
//! Valgrind counts. It shows every program the same processor, one with AES and AVX2 and without what
//! came later, so the counts of x86-64 machines are alike; on others nothing is compared.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::servers::Servers;
use crate::step::{Result, ask, cargo, in_path, root, run, say};

/// By how much of itself a count may grow. Compilers differ by less; what is worth knowing is more.
const GROWTH: f64 = 0.05;
/// How often a piece is done, after as many times that don't count.
const TIMES: u64 = 300;

/// Whether it was compared, or why not.
pub(crate) enum Counted {
    Held,
    LeftOut(String),
}

/// Fails if a piece takes more than it did.
pub(crate) fn hold(servers: &Servers) -> Result<Counted> {
    if let Some(reason) = hindered() {
        return Ok(Counted::LeftOut(reason));
    }
    let program = build()?;
    let mut wrong = Vec::new();
    for line in fs::read_to_string(file()).map_err(|error| error.to_string())?.lines() {
        let Some((before, name)) = read(line) else { continue };
        let now = count(&program, name, servers)?;
        say(format!("{now} instructions (before: {before}): {name}"));
        if now as f64 > before as f64 * (1.0 + GROWTH) {
            wrong.push(format!("{name}: {now} instructions instead of {before}"));
        } else if (now as f64) < before as f64 * (1.0 - GROWTH) {
            say("that is less: keep it so with `cargo xtask counts --renew`");
        }
    }
    if wrong.is_empty() {
        return Ok(Counted::Held);
    }
    Err(format!(
        "{}\nIf it is worth that: cargo xtask counts --renew, and say why in the commit",
        wrong.join("\n")
    ))
}

/// Counts anew and writes the file.
pub(crate) fn renew(servers: &Servers) -> Result {
    if let Some(reason) = hindered() {
        return Err(reason);
    }
    let program = build()?;
    let old = fs::read_to_string(file()).map_err(|error| error.to_string())?;
    let mut new = String::new();
    for line in old.lines() {
        let line = match read(line) {
            None => line.to_owned(),
            Some((_, name)) => format!("{:>8}  {name}", count(&program, name, servers)?),
        };
        // Writing into a string can't fail.
        let _ = writeln!(new, "{line}");
    }
    say(format!("\n{new}"));
    fs::write(file(), new).map_err(|error| error.to_string())
}

fn hindered() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("instructions are counted on x86-64".to_owned());
    }
    let missing = || "instructions are counted by valgrind, which is not here".to_owned();
    in_path("valgrind").is_empty().then(missing)
}

fn file() -> PathBuf {
    root().join("pieces").join("counts.txt")
}

/// A count and a name; `None` for a comment.
fn read(line: &str) -> Option<(u64, &str)> {
    let (count, name) = line.trim().split_once("  ")?;
    Some((count.parse().ok()?, name))
}

fn build() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--quiet", "-p", "pieces", "--bin", "pieces"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    Ok(target.unwrap_or_else(|| root().join("target")).join("release").join("pieces"))
}

/// What doing it twice as often takes more, so that start and end don't count.
fn count(program: &PathBuf, name: &str, servers: &Servers) -> Result<u64> {
    let all = |times: u64| {
        let mut valgrind = Command::new("valgrind");
        // What it found goes to its output, which is empty otherwise.
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
        valgrind.arg(program).arg(name).arg(times.to_string());
        let said = ask(valgrind.envs(servers.variables.iter().cloned()))?;
        let counted = said.lines().find_map(|line| line.split_once("Collected : "));
        let counted = counted.and_then(|(_, number)| number.trim().parse::<u64>().ok());
        counted.ok_or_else(|| format!("valgrind counted nothing: {said}"))
    };
    Ok(all(2 * TIMES)?.saturating_sub(all(TIMES)?) / TIMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_count_and_a_name() {
        assert_eq!(read("    1234  open a token"), Some((1234, "open a token")));
        assert_eq!(read("# instructions  and what for"), None);
    }
}
