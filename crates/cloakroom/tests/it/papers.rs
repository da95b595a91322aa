//! What is written down is what runs.

use std::time::Duration;

use cloakroom::Settings;

const MINUTE: u64 = 60;

// Proves R25, R66.
#[test]
fn the_defaults_in_the_paper_are_those_that_run() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let paper = std::fs::read_to_string(file).unwrap();
    let Settings { lifetime, anonymous, patience, limits, newcomers, .. } = Settings::default();
    let minutes = |time: Duration| time.as_secs() / MINUTE;
    let newcomers = newcomers.unwrap();
    let at_most = u64::from(newcomers.at_once.get())
        + u64::from(newcomers.per_second.get()) * anonymous.idle().as_secs();
    for said in [
        format!("| `lifetime`, idle | {} minutes |", minutes(lifetime.idle())),
        format!("| `lifetime`, absolute | {} hours |", minutes(lifetime.absolute()) / 60),
        format!(
            "| `anonymous` | {} minutes idle, {} hour absolute |",
            minutes(anonymous.idle()),
            minutes(anonymous.absolute()) / 60
        ),
        format!("| `patience` | {} ms of waiting", patience.as_millis()),
        format!(
            "| `limits` | {} fields, {} KiB a value, {} KiB a session |",
            limits.fields,
            limits.value_bytes / 1024,
            limits.session_bytes / 1024
        ),
        format!("| `newcomers` | {} new anonymous sessions a second", newcomers.per_second),
        format!("at most {},000 sessions an instance", at_most / 1_000),
    ] {
        assert!(paper.contains(&said), "docs/settings.md doesn't say: {said}");
    }
}
