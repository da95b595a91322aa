//! What a paper points to is there: files, headings, and the tests that it calls proofs.

use std::path::Path;

use crate::folder::{shown, text};
use crate::papers::papers;

/// Links inside the repository, and the headings they name.
pub(crate) fn lead_somewhere(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for paper in papers(root) {
        for (_, target) in links(&text(&paper)) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            if file.contains("://") {
                continue;
            }
            let file = if file.is_empty() { paper.clone() } else { paper.with_file_name(file) };
            if !file.exists() {
                wrong.push(format!("{}: there is no {target}", shown(&paper, root)));
            } else if !heading.is_empty() && !anchors(&text(&file)).iter().any(|it| it == heading) {
                wrong.push(format!("{}: {target} has no such heading", shown(&paper, root)));
            }
        }
    }
    wrong
}

/// A link whose text is the name of a test leads to the file that has it.
pub(crate) fn proofs_are_tests(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for paper in papers(root) {
        for (words, target) in links(&text(&paper)) {
            let Some(name) = words.strip_prefix('`').and_then(|words| words.strip_suffix('`'))
            else {
                continue;
            };
            let is_name = name.contains('_')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
            if !is_name || !target.ends_with(".rs") {
                continue;
            }
            let source = std::fs::read_to_string(paper.with_file_name(&target)).unwrap_or_default();
            let declared = ["fn NAME(", "fn NAME<", "in one test NAME,", "NAME(\""];
            if !declared.iter().any(|form| source.contains(&form.replace("NAME", name))) {
                wrong.push(format!("{}: {target} has no test {name}", shown(&paper, root)));
            }
        }
    }
    wrong
}

/// Text and target of `[text](target)`, outside of code blocks.
fn links(paper: &str) -> Vec<(String, String)> {
    let mut fenced = false;
    let plain: Vec<&str> = paper
        .lines()
        .filter(|line| {
            fenced ^= line.starts_with("```");
            !fenced
        })
        .collect();
    // A link may run on to the next line.
    let plain = plain.join(" ");
    let mut links = Vec::new();
    for (at, _) in plain.match_indices("](") {
        let words = plain[..at].rsplit('[').next().unwrap_or_default();
        let target = plain[at + 2..].split(')').next().unwrap_or_default();
        links.push((words.to_owned(), target.to_owned()));
    }
    links
}

/// The headings as a link names them.
fn anchors(paper: &str) -> Vec<String> {
    let headings = paper.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
        kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
    };
    headings.map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::planted;

    #[test]
    fn a_link_to_nothing_is_found() {
        let folder = planted(&[
            (
                "README.md",
                "[a](docs/a.md#what-it-is) [b](docs/b.md) [c](docs/a.md#what) [d](#me)\n# Me",
            ),
            ("docs/a.md", "[back](../README.md)\n## What it is?\n[out](https://example.com/x)"),
        ]);
        let wrong = lead_somewhere(folder.path());
        assert_eq!(
            wrong,
            ["README.md: there is no docs/b.md", "README.md: docs/a.md#what has no such heading",]
        );
    }

    #[test]
    fn a_proof_that_is_no_test_is_found() {
        let folder = planted(&[
            (
                "README.md",
                "[`it_holds`](tests/it.rs) [`it_is_gone`](tests/it.rs) [`it.rs`](tests/it.rs) \
                 [`all_hold`](tests/it.rs)",
            ),
            ("tests/it.rs", "fn it_holds() {}\nx::a_suite!(in one test all_hold, here);"),
        ]);
        let wrong = proofs_are_tests(folder.path());
        assert_eq!(wrong, ["README.md: tests/it.rs has no test it_is_gone"]);
    }
}
