//! `cargo xtask models`: what threads do at once, under a model checker that decides whose turn it is.

use crate::step::{Result, cargo, root, run};

/// Every model, or those whose names have this word; a schedule that failed is printed, and played again
/// with `CLOAKROOM_SCHEDULE`.
pub(crate) fn models(words: &[&str]) -> Result {
    let engine = ["--package", "cloakroom", "--features", "testing,shuttle", "--test", "models"];
    let embedded = ["--package", "cloakroom-embedded", "--lib"];
    let embedded_words = if words.is_empty() { &["models"][..] } else { words };
    one(&engine, words, "1000").and(one(&embedded, embedded_words, "100"))
}

fn one(which: &[&str], words: &[&str], schedules: &str) -> Result {
    let mut models = cargo();
    models.args(["test", "--locked", "--target-dir"]).arg(root().join("target").join("models"));
    models.args(which).arg("--").args(words);
    if std::env::var_os("CLOAKROOM_SCHEDULES").is_none() {
        models.env("CLOAKROOM_SCHEDULES", schedules);
    }
    run(models.env("RUSTFLAGS", "--cfg shuttle"))
}
