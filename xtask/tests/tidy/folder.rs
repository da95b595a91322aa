//! What lies where in a workspace, or in the small one that a test plants.

use std::fs;
use std::path::{Path, PathBuf};

/// The packages: each folder with a manifest, in `crates/` or beside it.
pub(crate) fn packages(root: &Path) -> Vec<PathBuf> {
    let mut folders = entries(&root.join("crates"));
    folders.extend(entries(root));
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders
}

/// Every file with this ending, at any depth.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in entries(folder) {
        if entry.is_dir() {
            found.extend(files(&entry, ending));
        } else if entry.extension().is_some_and(|extension| extension == ending) {
            found.push(entry);
        }
    }
    found
}

/// The files that cargo compiles by themselves: everything else hangs from one of them.
pub(crate) fn crate_roots(package: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> =
        ["src/lib.rs", "src/main.rs", "build.rs"].map(|file| package.join(file)).to_vec();
    for folder in ["src/bin", "tests", "examples", "benches"] {
        for entry in entries(&package.join(folder)) {
            roots.push(if entry.is_dir() { entry.join("main.rs") } else { entry });
        }
    }
    roots.retain(|root| root.is_file() && root.extension().is_some_and(|ending| ending == "rs"));
    roots
}

/// A manifest, read as far as TOML goes.
pub(crate) fn manifest(file: &Path) -> toml::Table {
    text(file).parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The path as a reader of the message knows it.
pub(crate) fn shown(file: &Path, root: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}

/// The entries of a folder that may not exist, in the same order everywhere.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    entries.sort();
    entries
}

/// A folder with these files, for a rule to find wrong.
#[cfg(test)]
pub(crate) fn planted(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}
