//! House rules that no compiler knows, as ordinary tests. Each rule is a function over a folder
//! that returns what is wrong, a line each; beside it stand tests that plant a violation and see it
//! found.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read or parsed is a failed test")]

mod folder;
mod source;
mod imports;
mod files;
mod words;
mod papers;
mod links;
mod deploy;

use std::path::Path;

#[track_caller]
fn holds(rule: impl Fn(&Path) -> Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let wrong = rule(root);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn imports_run_one_way() {
    holds(imports::run_one_way);
}

#[test]
fn crates_depend_only_on_the_crates_below_them() {
    holds(imports::between_crates);
}

#[test]
fn every_rust_file_belongs_to_a_module() {
    holds(files::all_in_a_module);
}

#[test]
fn every_lua_file_is_compiled_in() {
    holds(files::all_scripts_included);
}

#[test]
fn no_sleep_goes_unexplained() {
    holds(files::sleeps_are_explained);
}

// Proves R55, CVE-2013-0263.
#[test]
fn no_secret_is_compared() {
    holds(files::secrets_are_not_compared);
}

#[test]
fn the_changelog_knows_this_version() {
    holds(words::changelog_has_the_version);
}

#[test]
fn the_rust_version_is_stated_once() {
    holds(words::rust_version_is_stated_once);
}

#[test]
fn the_japanese_papers_follow_the_english_ones() {
    for paper in words::TRANSLATED {
        holds(|root| words::languages_have_one_structure(root, paper));
        holds(|root| papers::languages_show_the_same(root, paper));
    }
}

#[test]
fn every_code_block_in_the_papers_is_proved() {
    holds(papers::every_block_is_proved);
}

#[test]
fn every_command_in_the_papers_is_known() {
    holds(papers::every_command_is_known);
}

#[test]
fn every_link_in_the_papers_leads_somewhere() {
    holds(links::lead_somewhere);
}

#[test]
fn the_compose_file_is_in_order() {
    holds(deploy::compose_file_is_in_order);
}

#[test]
fn every_proof_in_the_papers_is_a_test() {
    holds(links::proofs_are_tests);
}
