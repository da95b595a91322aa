//! Every target over its corpus: what once broke something never does again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it's a test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &Target) -> Vec<PathBuf> {
    let folder = fs::read_dir(corpus().join(target.name)).unwrap();
    let mut inputs: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

/// As they are, and a little damaged: each byte once another one, once missing, and once the end.
fn holds(name: &str) {
    let target = fuzz::target(name).unwrap();
    let (mut runs, mut wrong) = (0, Vec::new());
    let mut try_one = |input: &[u8], which: &str| {
        runs += 1;
        if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
            wrong.push(format!("{which}: {:?}", input.escape_ascii().to_string()));
        }
    };
    for file in inputs(target) {
        let (input, which) = (fs::read(&file).unwrap(), file.display().to_string());
        try_one(&input, &which);
        for at in 0..input.len().min(100) {
            try_one(&input[..at], &which);
            try_one(&[&input[..at], &input[at + 1..]].concat(), &which);
            for other in [input[at] ^ 1, b';', 0xff] {
                let mut damaged = input.clone();
                damaged[at] = other;
                try_one(&damaged, &which);
            }
        }
    }
    assert!(runs > 0, "the corpus of {name} is empty");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const TESTED: [&str; 11] = [
    "cookie",
    "token",
    "reply",
    "record",
    "field",
    "name",
    "url",
    "flags",
    "forwarded",
    "device",
    "language",
];

// Proves R14, R15, R16.
#[test]
fn cookie_lines_are_read_as_the_standard_says() {
    holds("cookie");
}

// Proves R17.
#[test]
fn no_token_opens_but_what_was_sealed() {
    holds("token");
}

// Proves R69.
#[test]
fn whatever_a_server_answers_nobody_becomes_somebody_else() {
    holds("reply");
}

// Proves R69.
#[test]
fn whatever_a_file_holds_no_dead_session_is_alive() {
    holds("record");
}

// Proves R69.
#[test]
fn what_is_kept_is_read_exactly_or_refused() {
    holds("field");
}

// Proves R12.
#[test]
fn no_name_brings_an_attribute_or_a_line() {
    holds("name");
}

#[test]
fn no_url_shows_its_password() {
    holds("url");
}

#[test]
fn no_flag_shows_a_password() {
    holds("flags");
}

#[test]
fn nobody_but_a_trusted_proxy_names_the_client() {
    holds("forwarded");
}

#[test]
fn any_device_is_a_family_with_a_name() {
    holds("device");
}

#[test]
fn any_language_header_is_read_as_the_standard_says() {
    holds("language");
}

#[test]
fn every_target_has_a_test_and_a_corpus_and_no_folder_is_without_a_target() {
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(TESTED[..], names);
    names.sort_unstable();
    let mut folders: Vec<String> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, names);
    for target in &TARGETS {
        assert!(inputs(target).len() >= 3, "{} has hardly a seed", target.name);
    }
}
