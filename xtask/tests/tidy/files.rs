//! No file lies about unused, and no test waits without a reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::folder::{crate_roots, files, packages, shown, text};
use crate::source::{File, files_of, read};

/// A file that no `mod` names is compiled by nobody, and rots.
pub(crate) fn all_in_a_module(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages(root) {
        let known: BTreeSet<PathBuf> = sources(&package).map(|file| plain(&file.path)).collect();
        let folders = ["src", "tests", "examples", "benches"].map(|folder| package.join(folder));
        let files = folders.iter().flat_map(|folder| files(folder, "rs"));
        let lost = files.filter(|file| !known.contains(&plain(file)));
        wrong.extend(lost.map(|file| format!("{}: no `mod` names it", shown(&file, root))));
    }
    wrong
}

/// The same for scripts, which have to be inside the program.
pub(crate) fn all_scripts_included(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages(root) {
        let included: BTreeSet<PathBuf> = sources(&package)
            .flat_map(|file| {
                let names = file.found.included.into_iter();
                names.map(move |name| plain(&file.path.with_file_name(name))).collect::<Vec<_>>()
            })
            .collect();
        let scripts = files(&package.join("src"), "lua").into_iter();
        let lost = scripts.filter(|script| !included.contains(&plain(script)));
        wrong.extend(lost.map(|script| format!("{}: nothing includes it", shown(&script, root))));
    }
    wrong
}

/// Time enters a test through a clock. Where it cannot, because another process has one of its own,
/// a comment on the same line or the one before says why.
pub(crate) fn sleeps_are_explained(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in packages(root).iter().flat_map(|package| files(package, "rs")) {
        let text = text(&file);
        let lines: Vec<&str> = text.lines().collect();
        let found = read(&text, &[]).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for line in found.sleeps {
            let here = lines[line - 1].contains("//");
            let above = line >= 2 && lines[line - 2].trim_start().starts_with("//");
            if !here && !above {
                wrong.push(format!(
                    "{}:{line}: a sleep; wait for an event, or say in a comment why there is none",
                    shown(&file, root)
                ));
            }
        }
    }
    wrong
}

/// What holds a secret, or may.
const SECRETS: [&str; 8] =
    ["Token", "SecretKey", "Keys", "TokenMint", "Issued", "FieldKeys", "FieldKey", "Presented"];

/// A comparison stops at the first byte that differs, and its time tells where that was. So the types
/// that hold a secret can't be compared, nor is what they reveal: what is derived from them is looked up.
pub(crate) fn secrets_are_not_compared(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in packages(root).iter().flat_map(|package| files(&package.join("src"), "rs")) {
        let text = text(&file);
        for secret in SECRETS {
            let is_it = |rest: &str| rest.starts_with(['(', ' ', ';', '<']);
            let derived = ["struct", "enum"].into_iter().any(|kind| {
                let declared = format!("{kind} {secret}");
                text.match_indices(&declared).any(|(at, _)| {
                    let above = text[..at].rsplit("\n\n").next().unwrap_or_default();
                    let mut derives = above.lines().filter(|line| line.starts_with("#[derive("));
                    is_it(&text[at + declared.len()..]) && derives.any(|line| line.contains("Eq"))
                })
            });
            let by_hand = text.contains(&format!("Eq for {secret} "));
            if derived || by_hand {
                wrong.push(format!("{}: {secret} can be compared", shown(&file, root)));
            }
        }
        let tests = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        for (at, line) in text[..tests].lines().enumerate() {
            let compares = [" == ", " != ", ".eq(", ".ne("].iter().any(|it| line.contains(it));
            if line.contains("reveal()") && compares {
                let place = shown(&file, root);
                wrong.push(format!("{place}:{}: what a secret reveals is compared", at + 1));
            }
        }
    }
    wrong
}

fn sources(package: &Path) -> impl Iterator<Item = File> {
    crate_roots(package).into_iter().flat_map(|root| files_of(&root))
}

/// Without the `..` of a `#[path]` or an include.
fn plain(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::planted;

    const MANIFEST: (&str, &str) = ("crates/a/Cargo.toml", "");

    #[test]
    fn a_file_that_no_mod_names_is_found() {
        let folder = planted(&[
            MANIFEST,
            ("crates/a/src/lib.rs", "mod store; #[path = \"engines/fast.rs\"] mod engine;"),
            ("crates/a/src/store.rs", "mod memory; // mod forgotten;"),
            ("crates/a/src/store/memory.rs", ""),
            ("crates/a/src/store/forgotten.rs", ""),
            ("crates/a/src/engines/fast.rs", ""),
            ("crates/a/src/engines/slow.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
            ("crates/a/tests/it/main.rs", "mod races { mod logout; }"),
            ("crates/a/tests/it/races/logout.rs", ""),
            ("crates/a/tests/it/old.rs", ""),
            ("crates/a/tests/plain.rs", "mod common;"),
            ("crates/a/tests/common/mod.rs", ""),
        ]);
        assert_eq!(
            all_in_a_module(folder.path()),
            [
                "crates/a/src/engines/slow.rs: no `mod` names it",
                "crates/a/src/store/forgotten.rs: no `mod` names it",
                "crates/a/tests/it/old.rs: no `mod` names it",
            ]
        );
    }

    #[test]
    fn a_script_that_nothing_includes_is_found() {
        let folder = planted(&[
            MANIFEST,
            ("crates/a/src/lib.rs", "mod script;"),
            (
                "crates/a/src/script.rs",
                "const APPLY: &str = include_str!(\"lua/apply.lua\");
                 const BOTH: &str = concat!(include_str!(\"lua/../lua/end.lua\"), \"\");
                 // include_str!(\"lua/old.lua\")",
            ),
            ("crates/a/src/lua/apply.lua", ""),
            ("crates/a/src/lua/end.lua", ""),
            ("crates/a/src/lua/old.lua", ""),
        ]);
        assert_eq!(
            all_scripts_included(folder.path()),
            ["crates/a/src/lua/old.lua: nothing includes it"]
        );
    }

    #[test]
    fn a_secret_that_can_be_compared_is_found() {
        let folder = planted(&[
            MANIFEST,
            (
                "crates/a/src/lib.rs",
                "#[derive(Clone)]\npub struct Token(String);\n\n\
              #[derive(PartialEq)]\npub struct TokenName(u8);",
            ),
            ("crates/a/src/key.rs", "\n\n#[derive(Clone, PartialEq)]\npub struct SecretKey(u8);"),
            ("crates/a/src/keys.rs", "impl PartialEq for Keys {}"),
            ("crates/a/src/cookie.rs", "#[derive(PartialEq, Eq)]\npub(crate) enum Presented {}"),
            (
                "crates/a/src/line.rs",
                "#[derive(Clone)]\n#[cfg_attr(test, derive(PartialEq))]\nstruct FieldKeys(u8);\n\
                 fn f(a: &Token, b: &str) -> bool {\n    a.reveal() == b\n}\n\
                 #[cfg(test)]\nmod tests {\n    fn f() -> bool {\n a.reveal() == b }\n}",
            ),
        ]);
        assert_eq!(
            secrets_are_not_compared(folder.path()),
            [
                "crates/a/src/cookie.rs: Presented can be compared",
                "crates/a/src/key.rs: SecretKey can be compared",
                "crates/a/src/keys.rs: Keys can be compared",
                "crates/a/src/line.rs:5: what a secret reveals is compared",
            ]
        );
    }

    #[test]
    fn a_sleep_without_a_reason_is_found() {
        let folder = planted(&[
            MANIFEST,
            (
                "crates/a/tests/it/main.rs",
                "fn sleep(n: u8) {}
                 fn f() {
                     // The server's own clock has to move.
                     thread::sleep(second);
                     sleep(second).await; // The same.
                     let text = \"sleep(1)\";

                     tokio::time::sleep(second).await;
                 }",
            ),
        ]);
        let wrong = sleeps_are_explained(folder.path());
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("crates/a/tests/it/main.rs:8:"), "{wrong:?}");
    }
}
