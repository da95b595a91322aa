//! What a person sees, and what the docs say about it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use testbed::papers::text;
use testbed::{Program, Server};

use crate::run::*;

static OPERATIONS: LazyLock<String> = LazyLock::new(|| text("docs/operations.md"));
const FINDINGS: &str = include_str!("../../src/doctor/finding.rs");

fn page(args: &[&str], env: &[(&str, &str)]) -> String {
    let program = Program::start(CLOAKROOM, &[&["doctor"], args].concat(), env);
    program.wait();
    program.log()
}

/// Without what differs from run to run: times and sizes, the port, the random prefix, and the line
/// breaks that follow from them.
fn normalised(page: &str) -> String {
    let mut text = String::new();
    let words = page.split_whitespace().map(|word| match word.split_once("doctor-") {
        Some((before, _)) => format!("{before}#"),
        None => word.to_owned(),
    });
    for sign in words.collect::<String>().chars() {
        match sign {
            '0'..='9' | '.' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            sign => text.push(sign),
        }
    }
    text
}

#[test]
fn the_samples_in_the_docs_are_what_it_prints() {
    let server = Server::start();
    server.command(&["CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "volatile-lru"]);
    for lang in ["en", "ja"] {
        let said = page(&["--lang", lang], &[("REDIS_URL", &server.url())]);
        let fence = format!("```console\n$ cloakroom doctor --lang {lang}\n");
        let (_, sample) = OPERATIONS.split_once(&fence).expect("a sample in the docs");
        let (sample, _) = sample.split_once("```").unwrap();
        assert_eq!(normalised(&said), normalised(sample), "it prints:\n{said}");
    }
}

/// Every code that there is, from the one place that names them.
fn codes() -> BTreeSet<&'static str> {
    let quoted = FINDINGS.split("=> (\"").skip(1);
    quoted.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_verdict_is_in_the_docs_and_has_a_test() {
    let tests = [
        include_str!("network.rs"),
        include_str!("tls.rs"),
        include_str!("login.rs"),
        include_str!("state.rs"),
        include_str!("permissions.rs"),
        include_str!("rehearsal.rs"),
        include_str!("deployments.rs"),
        include_str!("folder.rs"),
        // What can't be caused from outside is tested beside its code.
        include_str!("../../src/doctor/network.rs"),
    ]
    .concat();
    // Only a later version writes one; the embedded store's own tests forge it.
    let untested = ["sessions.newer"];
    assert!(codes().len() > 80, "{:?}", codes());
    for code in codes() {
        assert!(OPERATIONS.contains(&format!("`{code}`")), "{code} is not in the docs");
        let tested = tests.contains(&format!("\"{code}\""));
        assert_eq!(tested, !untested.contains(&code), "{code}");
    }
}

#[test]
fn the_language_comes_from_the_environment() {
    let japanese = |env: &[(&str, &str)]| page(&["unix:///nowhere"], env).contains("接続先");
    assert!(!japanese(&[]));
    assert!(japanese(&[("LANG", "ja_JP.UTF-8")]));
    assert!(japanese(&[("LC_ALL", "ja_JP.UTF-8"), ("LANG", "en_US.UTF-8")]));
    assert!(!japanese(&[("LC_MESSAGES", "C"), ("LANG", "ja_JP.UTF-8")]));
    assert!(page(&["unix:///nowhere", "--lang", "en"], &[("LANG", "ja")]).contains("Address"));
}

#[test]
fn a_pipe_gets_no_colours_unless_it_asks_and_no_color_is_kept() {
    let coloured = |env: &[(&str, &str)]| page(&["unix:///nowhere"], env).contains('\u{1b}');
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}
