//! The command line of `cloakroom`, a word a line. What it refuses, it refuses without a word of a
//! password.

// The file as the program has it; what it offers the program, nobody uses here.
#[path = "../../crates/cloakroom-cli/src/args.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "written for another crate")]
mod args;

use args::{Command, read};

const STORE: &str = "redis://shop:hunter2-CANARY@cache.example";

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // `STORE` in a line is a URL with a password, wherever it stands.
    let words: Vec<String> = text.lines().map(|word| word.replace("STORE", STORE)).collect();
    let told = |before: &[&str]| {
        let before = before.iter().map(|word| (*word).to_owned());
        read(before.chain(words.iter().cloned()))
    };
    let plain = told(&["cloakroom"]);
    if let Err(error) = &plain {
        let said = format!("{error}");
        // What a flag or command of that name would be is no secret's place.
        let misplaced = words.iter().any(|word| word.contains("CANARY") && !is_the_place(word));
        assert!(misplaced || !said.contains("CANARY"), "{said}");
    }
    // Without a command, `serve` is meant: with it the same words are the same.
    let served = told(&["cloakroom", "serve"]);
    if let (Ok(Command::Serve(plain)), Ok(Command::Serve(served))) = (&plain, &served) {
        assert_eq!(shown(plain), shown(served));
    }
}

/// Where a URL belongs: by itself, or behind the flag that takes it.
fn is_the_place(word: &str) -> bool {
    ["", "--store=", "--to=", "--from="].iter().any(|flag| word == format!("{flag}{STORE}"))
}

/// The settings that a value can be got wrong in.
fn shown(serve: &args::Serve) -> String {
    let limit = serve.logins.sessions_per_user;
    format!(
        "{} {:?} {:?} {:?} {:?} {limit:?} {:?} {:?}",
        serve.port,
        serve.store,
        serve.idle,
        serve.absolute,
        serve.prefix,
        serve.logins.trust_proxy,
        serve.logins.label
    )
}
