//! `cargo xtask mutants`: the code that a lock is made of, changed a little in every way, and whether a
//! test notices. What is changed and which tests run stands in `.cargo/mutants.toml`.

use crate::step::{Result, ask, cargo, root, run};

/// Every change, or those of the files named.
pub(crate) fn mutants(files: &[&str]) -> Result {
    if ask(cargo().args(["mutants", "--version"])).is_err() {
        return Err("cargo-mutants is not here: cargo install --locked cargo-mutants".to_owned());
    }
    let mut mutants = cargo();
    // Never in place: the tree that it changes is a copy.
    mutants.args(["mutants", "--workspace", "--jobs", "1", "--output"]).arg(root().join("target"));
    // Hundreds of builds, and nobody debugs them.
    mutants.envs([("NEXTEST_PROFILE", "mutants"), ("CARGO_PROFILE_DEV_DEBUG", "0")]);
    for file in files {
        // A file adds to those of the configuration; the name says that nothing else is wanted.
        let only = format!("^{}:", file.replace('.', r"\."));
        mutants.args(["--file", file, "--re", &only]);
    }
    run(&mut mutants)
}
