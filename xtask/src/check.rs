//! `cargo xtask check`: all that can be said about the code without running it.

use std::time::Instant;

use crate::dependencies::{Metadata, Package, Rules};
use crate::security;
use crate::step::{Result, ask, cargo, offline, run, say};

pub(crate) fn check() -> Result {
    let start = Instant::now();
    let metadata = Metadata::read()?;
    let rules = Rules::read()?;
    let mut checks = Checks::default();

    checks.add("format", run(cargo().args(["fmt", "--all", "--check"])));
    checks.add("lints", clippy(&["--workspace", "--all-targets", "--all-features"]));
    // The features of one member must not be what makes another compile: each alone, as its users
    // have it. Clippy over the workspace has already seen all features at once.
    for package in metadata.published().filter(|package| !package.features.is_empty()) {
        let lints = clippy(&["--package", &package.name, "--no-default-features"]);
        checks.add("lints without features", lints);
    }
    checks.add("docs", docs());
    checks.add("security", security::is_fresh());
    checks.said("licences", metadata.licences_are_allowed(&rules));
    checks.said("sources", metadata.sources_are_allowed(&rules));
    checks.said("cryptography", metadata.cryptography_was_chosen());
    checks.said("rust versions", metadata.rust_versions_are_ours_or_older());
    checks.not_done.push("compiling with the promised rust-version itself".to_owned());
    deny(&mut checks);
    for package in metadata.published() {
        checks.add("packages", is_fit_for_publishing(package));
    }
    checks.finish(start)
}

fn clippy(which: &[&str]) -> Result {
    run(cargo().arg("clippy").args(which).args(["--", "-D", "warnings"]))
}

fn docs() -> Result {
    let mut docs = cargo();
    docs.args(["doc", "--workspace", "--all-features", "--no-deps"]);
    run(docs.env("RUSTDOCFLAGS", "-D warnings"))
}

/// What only `cargo deny` can tell.
fn deny(checks: &mut Checks) {
    if ask(cargo().args(["deny", "--version"])).is_err() {
        checks.not_done.push(
            "advisories and duplicate versions (cargo install --locked cargo-deny)".to_owned(),
        );
        return;
    }
    // The graph of who brought each duplicate would fill pages.
    let deny = ["deny", "check", "--hide-inclusion-graph"];
    checks.add("cargo deny", run(cargo().args(deny).args(["licenses", "bans", "sources"])));
    if offline() {
        checks.not_done.push("advisories (CLOAKROOM_OFFLINE is set)".to_owned());
    } else {
        checks.add("advisories", run(cargo().args(deny).arg("advisories")));
    }
}

/// What the registry asks for, and what a package owes its readers.
fn is_fit_for_publishing(package: &Package) -> Result {
    let name = &package.name;
    let mut list = cargo();
    // A package may be looked at before its last change is committed.
    list.args(["package", "--list", "--allow-dirty", "--package", name]);
    say(format!("cargo package --list --package {name}"));
    let files = ask(&mut list)?;
    let mut missing: Vec<&str> = ["LICENSE-MIT", "LICENSE-APACHE"]
        .into_iter()
        .filter(|licence| files.lines().all(|file| file != *licence))
        .collect();
    if package.description.is_none() {
        missing.push("a description");
    }
    if package.keywords.is_empty() || package.keywords.len() > 5 {
        missing.push("one to five keywords");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("the package {name} lacks {}", missing.join(", ")))
    }
}

/// Every check runs, whatever became of the ones before; the verdict comes at the end.
#[derive(Default)]
struct Checks {
    passed: usize,
    failed: Vec<String>,
    not_done: Vec<String>,
}

impl Checks {
    fn add(&mut self, name: &str, outcome: Result) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(reason) => self.failed.push(format!("{name}: {reason}")),
        }
    }

    /// For a check that is no command, and so has not been announced.
    fn said(&mut self, name: &str, outcome: Result) {
        say(format!("{name} of the dependencies"));
        self.add(name, outcome);
    }

    fn finish(self, start: Instant) -> Result {
        for part in &self.not_done {
            say(format!("NOT CHECKED: {part}"));
        }
        let seconds = start.elapsed().as_secs();
        if self.failed.is_empty() {
            println!("==> check passed: {} checks in {seconds} s", self.passed);
            return Ok(());
        }
        let all = self.passed + self.failed.len();
        Err(format!(
            "{}\n==> check FAILED: {} of {all} checks in {seconds} s",
            self.failed.join("\n"),
            self.failed.len()
        ))
    }
}
