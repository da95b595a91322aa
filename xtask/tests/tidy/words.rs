//! What is written in more than one place agrees.

use std::fs;
use std::path::Path;

use crate::folder::{manifest, packages, shown};

pub(crate) fn changelog_has_the_version(root: &Path) -> Vec<String> {
    let manifest = manifest(&root.join("Cargo.toml"));
    let version = manifest["workspace"]["package"]["version"].as_str().unwrap();
    let Ok(changelog) = fs::read_to_string(root.join("CHANGELOG.md")) else {
        return vec!["CHANGELOG.md is missing".to_owned()];
    };
    // `## 0.1.0`, `## [0.1.0] - 2026-11-30`.
    let is_entry = |heading: &str| {
        heading.split([' ', '[', ']']).any(|word| word.strip_prefix('v').unwrap_or(word) == version)
    };
    if Outline::of(&changelog).headings.iter().any(|(_, text)| is_entry(text)) {
        Vec::new()
    } else {
        vec![format!("CHANGELOG.md has no entry for {version}: what does it mean for a user?")]
    }
}

/// In [workspace.package] and nowhere else, so that it rises in one line.
pub(crate) fn rust_version_is_stated_once(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let top = manifest(&root.join("Cargo.toml"));
    let stated = top.get("workspace").and_then(|workspace| workspace.get("package"));
    if !stated.is_some_and(|package| package.get("rust-version").is_some_and(|it| it.is_str())) {
        wrong.push("Cargo.toml: [workspace.package] states no rust-version".to_owned());
    }
    for file in packages(root).iter().map(|package| package.join("Cargo.toml")) {
        let manifest = manifest(&file);
        let version = manifest.get("package").and_then(|package| package.get("rust-version"));
        let inherited = version.and_then(|version| version.get("workspace"));
        if inherited != Some(&toml::Value::Boolean(true)) {
            wrong.push(format!("{}: write `rust-version.workspace = true`", shown(&file, root)));
        }
    }
    // Clippy would take its own.
    let clippy = root.join("clippy.toml");
    if clippy.exists() && manifest(&clippy).contains_key("msrv") {
        wrong.push("clippy.toml: without `msrv`, clippy takes the rust-version".to_owned());
    }
    wrong
}

/// The papers for users, which are there in both languages: `README.md` and `README.ja.md`.
pub(crate) const TRANSLATED: [&str; 3] = ["README", "docs/tutorial", "docs/migrating"];

/// A section or an example that was added to one language only shows here; whether the sentences
/// say the same is for a reader to see.
pub(crate) fn languages_have_one_structure(root: &Path, paper: &str) -> Vec<String> {
    let (english_name, japanese_name) = (format!("{paper}.md"), format!("{paper}.ja.md"));
    let read = |name: &str| {
        fs::read_to_string(root.join(name)).map_err(|_| vec![format!("{name} is missing")])
    };
    let (english, japanese) = match (read(&english_name), read(&japanese_name)) {
        (Ok(english), Ok(japanese)) => (Outline::of(&english), Outline::of(&japanese)),
        (Err(wrong), _) | (_, Err(wrong)) => return wrong,
    };
    let mut wrong = Vec::new();
    let levels = |outline: &Outline| -> Vec<usize> {
        outline.headings.iter().map(|(level, _)| *level).collect()
    };
    if levels(&english) != levels(&japanese) {
        wrong.push(format!(
            "{english_name} and {japanese_name} differ in their headings:\n{}\n{}",
            english.listed(),
            japanese.listed()
        ));
    }
    if english.fences != japanese.fences {
        wrong.push(format!(
            "{english_name} and {japanese_name} differ in their code blocks:\n  {}\n  {}",
            english.fences.join(", "),
            japanese.fences.join(", ")
        ));
    }
    wrong
}

/// The structure of a Markdown text.
struct Outline {
    /// Level and text.
    headings: Vec<(usize, String)>,
    /// The languages of the fenced code blocks.
    fences: Vec<String>,
}

impl Outline {
    fn of(text: &str) -> Outline {
        let mut outline = Outline { headings: Vec::new(), fences: Vec::new() };
        let mut fence = None;
        for line in text.lines().map(str::trim_start) {
            let marks = line.len() - line.trim_start_matches('`').len();
            let level = line.len() - line.trim_start_matches('#').len();
            match fence {
                // A block may show a shorter fence, and `# comments`.
                Some(opened) if marks >= opened && line[marks..].trim().is_empty() => fence = None,
                Some(_) => {}
                None if marks >= 3 => {
                    fence = Some(marks);
                    outline.fences.push(line[marks..].trim().to_owned());
                }
                None if level > 0 && line[level..].starts_with(' ') => {
                    outline.headings.push((level, line[level..].trim().to_owned()));
                }
                None => {}
            }
        }
        outline
    }

    fn listed(&self) -> String {
        let lines =
            self.headings.iter().map(|(level, text)| format!("  {} {text}", "#".repeat(*level)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::planted;

    const WORKSPACE: (&str, &str) =
        ("Cargo.toml", "[workspace.package]\nversion = \"0.2.0\"\nrust-version = \"1.90\"");

    #[test]
    fn a_version_without_an_entry_is_found() {
        for (changelog, known) in [
            ("# Changelog\n## 0.2.0 - today", true),
            ("# Changelog\n## [0.2.0]", true),
            ("# Changelog\n## 0.2.0-rc.1\nNot yet 0.2.0.\n## 10.2.0", false),
        ] {
            let folder = planted(&[WORKSPACE, ("CHANGELOG.md", changelog)]);
            let wrong = changelog_has_the_version(folder.path());
            assert_eq!(wrong.is_empty(), known, "{changelog}: {wrong:?}");
        }
        assert_eq!(
            changelog_has_the_version(planted(&[WORKSPACE]).path()),
            ["CHANGELOG.md is missing"]
        );
    }

    #[test]
    fn a_second_rust_version_is_found() {
        let folder = planted(&[
            WORKSPACE,
            ("clippy.toml", "msrv = \"1.80\""),
            ("crates/a/Cargo.toml", "[package]\nrust-version.workspace = true"),
            ("crates/b/Cargo.toml", "[package]\nrust-version = \"1.80\""),
            ("tool/Cargo.toml", "[package]"),
        ]);
        assert_eq!(
            rust_version_is_stated_once(folder.path()),
            [
                "crates/b/Cargo.toml: write `rust-version.workspace = true`",
                "tool/Cargo.toml: write `rust-version.workspace = true`",
                "clippy.toml: without `msrv`, clippy takes the rust-version",
            ]
        );
    }

    #[test]
    fn a_paper_that_was_left_behind_in_one_language_is_found() {
        let english = "# A\n## Use\n```sh\n# a comment\n```\n## More\n```rust\n```";
        for (japanese, wrong) in [
            ("# あ\n## 使い方\n```sh\n```\n## 他\n```rust\n```", 0),
            ("# あ\n## 使い方\n```sh\n```\n```rust\n```", 1),
            ("# あ\n## 使い方\n```sh\n```\n### 他\n```rust\n```", 1),
            ("# あ\n## 使い方\n```sh\n```\n## 他\n```text\n```", 1),
            ("# あ", 2),
        ] {
            let folder = planted(&[("docs/a.md", english), ("docs/a.ja.md", japanese)]);
            let found = languages_have_one_structure(folder.path(), "docs/a");
            assert_eq!(found.len(), wrong, "{japanese}: {found:?}");
        }
        let folder = planted(&[("README.md", english)]);
        let found = languages_have_one_structure(folder.path(), "README");
        assert_eq!(found, ["README.ja.md is missing"]);
    }
}
