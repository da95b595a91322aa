//! Imports run one way, inside a crate and between crates.

use std::path::Path;

use crate::folder::{crate_roots, manifest, packages, shown};
use crate::source::files_of;

/// Which of our crates each may depend on; its tests may use `testbed` as well.
const BELOW: [(&str, &[&str]); 7] = [
    ("cloakroom", &[]),
    ("cloakroom-embedded", &["cloakroom"]),
    ("cloakroom-redis", &["cloakroom"]),
    ("cloakroom-tower", &["cloakroom"]),
    ("cloakroom-cli", &["cloakroom", "cloakroom-embedded", "cloakroom-redis", "cloakroom-tower"]),
    ("examples", &["cloakroom", "cloakroom-embedded", "cloakroom-redis", "cloakroom-tower"]),
    ("testbed", &[]),
];

/// A module's rank is the place of its `mod` line in the crate's root; it may use modules of a
/// lower rank. The root itself, which shows them all, is exempt, and so are tests in a module; the
/// modules of a test binary have their order too.
pub(crate) fn run_one_way(root: &Path) -> Vec<String> {
    let roots = packages(root).into_iter().flat_map(|package| crate_roots(&package));
    roots.flat_map(|crate_root| run_one_way_in(&crate_root, root)).collect()
}

fn run_one_way_in(crate_root: &Path, root: &Path) -> Vec<String> {
    let files = files_of(crate_root);
    let Some(top) = files.first() else { return Vec::new() };
    let modules = top.found.modules.iter().filter(|module| !module.test && module.is_top());
    let modules: Vec<&str> = modules.map(|module| &*module.name).collect();
    let is_test = crate_root.components().any(|part| part.as_os_str() == "tests");
    let rank = |name: &str| modules.iter().position(|module| *module == name).map(|at| at + 1);

    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.test) {
        for import in &file.found.imports {
            let Some(by) = &import.by else { continue };
            let Some(by_rank) = rank(by) else { continue };
            let place = format!("{}:{}", shown(&file.path, root), import.line);
            let name = &import.name;
            match rank(name) {
                Some(rank) if rank > by_rank => {
                    wrong.push(format!("{place}: {by} (rank {by_rank}) uses {name} (rank {rank})"));
                }
                Some(_) => {}
                // Nobody looks for a direction inside a test.
                None if is_test => {}
                // What the root has from a module, or for itself, would hide the direction.
                None => wrong.push(format!(
                    "{place}: {by} takes {name} from the crate's root: name the module it is in"
                )),
            }
        }
    }
    wrong
}

/// The same between crates, where manifests are the imports.
pub(crate) fn between_crates(root: &Path) -> Vec<String> {
    let manifests = packages(root).into_iter().map(|package| manifest(&package.join("Cargo.toml")));
    let ours: Vec<(String, toml::Table)> = manifests
        .map(|manifest| (manifest["package"]["name"].as_str().unwrap().to_owned(), manifest))
        .collect();
    let mut wrong = Vec::new();
    for (name, manifest) in &ours {
        let Some((_, below)) = BELOW.iter().find(|(known, _)| known == name) else {
            // What stands beside `crates/` is a tool of the house, and free.
            if root.join("crates").join(name).exists() {
                wrong.push(format!("{name} has no line in BELOW, in xtask/tests/tidy/imports.rs"));
            }
            continue;
        };
        for (section, also) in [
            ("dependencies", None),
            ("build-dependencies", None),
            ("dev-dependencies", Some("testbed")),
        ] {
            let Some(uses) = manifest.get(section).and_then(|section| section.as_table()) else {
                continue;
            };
            for used in uses.keys().filter(|used| ours.iter().any(|(name, _)| &name == used)) {
                if !below.contains(&used.as_str()) && also != Some(used.as_str()) {
                    wrong.push(format!("{name} has {used} in [{section}]"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::planted;

    fn wrong_in(files: &[(&str, &str)]) -> Vec<String> {
        let manifest = ("crates/a/Cargo.toml", "[package]\nname = \"a\"");
        let folder = planted(&[&[manifest], files].concat());
        run_one_way(folder.path())
    }

    #[test]
    fn an_import_from_above_is_found_with_both_ranks() {
        let wrong = wrong_in(&[
            ("crates/a/src/lib.rs", "mod store; mod session; pub use session::Session;"),
            ("crates/a/src/store.rs", "\nuse crate::session::Session;"),
            ("crates/a/src/session.rs", "use crate::store::Store;"),
        ]);
        assert_eq!(wrong, ["crates/a/src/store.rs:2: store (rank 1) uses session (rank 2)"]);
    }

    #[test]
    fn it_is_found_in_a_module_of_the_module() {
        let wrong = wrong_in(&[
            ("crates/a/src/main.rs", "mod store; mod session;"),
            ("crates/a/src/store/mod.rs", "mod memory;"),
            ("crates/a/src/store/memory.rs", "fn f() { super::super::session::end() }"),
            ("crates/a/src/session.rs", ""),
        ]);
        assert_eq!(wrong, ["crates/a/src/store/memory.rs:1: store (rank 1) uses session (rank 2)"]);
    }

    #[test]
    fn the_root_does_not_hide_the_direction() {
        let wrong = wrong_in(&[
            ("crates/a/src/lib.rs", "mod store; mod session; pub use session::Session;"),
            ("crates/a/src/store.rs", "use crate::Session;"),
            ("crates/a/src/session.rs", ""),
        ]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("store takes Session from the crate's root"), "{wrong:?}");
    }

    #[test]
    fn tests_and_the_root_may_use_everything() {
        let wrong = wrong_in(&[
            (
                "crates/a/src/lib.rs",
                "mod store; mod session; #[cfg(test)] mod helper; use crate::session::S;",
            ),
            (
                "crates/a/src/store.rs",
                "#[cfg(test)] mod tests { use super::*; use crate::session::Session; }",
            ),
            ("crates/a/src/session.rs", "#[cfg(test)] mod tests;"),
            ("crates/a/src/session/tests.rs", "use crate::helper::help;"),
            ("crates/a/src/helper.rs", "use crate::session::S;"),
        ]);
        assert_eq!(wrong, [] as [&str; 0]);
    }

    #[test]
    fn a_crate_that_depends_upwards_is_found() {
        let folder = planted(&[
            (
                "crates/cloakroom/Cargo.toml",
                "[package]\nname = \"cloakroom\"\n[dependencies]\nserde = \"1\"\n\
                 cloakroom-redis.workspace = true\n[dev-dependencies]\ntestbed.workspace = true",
            ),
            (
                "crates/cloakroom-redis/Cargo.toml",
                "[package]\nname = \"cloakroom-redis\"\n[dependencies]\n\
                 cloakroom.workspace = true\ntestbed.workspace = true",
            ),
            ("crates/testbed/Cargo.toml", "[package]\nname = \"testbed\""),
            ("crates/new/Cargo.toml", "[package]\nname = \"new\""),
        ]);
        assert_eq!(
            between_crates(folder.path()),
            [
                "cloakroom has cloakroom-redis in [dependencies]",
                "cloakroom-redis has testbed in [dependencies]",
                "new has no line in BELOW, in xtask/tests/tidy/imports.rs",
            ]
        );
    }
}
