//! What the papers (README, `docs/`) show in fenced blocks, for the tests that prove it.
//!
//! The comment on the line before a block says who proves it: `<!-- played on the demo -->`. A browser
//! of Markdown does not show it. `xtask/tests/tidy/papers.rs` knows every kind of block, and fails at
//! one that nobody proves.

use std::fs;
use std::path::PathBuf;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The comment that stands on the line before it, or nothing.
    pub marker: String,
    /// The word behind its fence.
    pub language: String,
    /// Its lines, each with its end.
    pub text: String,
}

/// The blocks of a paper, named from the root of the repository.
pub fn blocks(paper: &str) -> Vec<Block> {
    blocks_of(&text(paper))
}

/// The blocks of a text in Markdown.
pub fn blocks_of(text: &str) -> Vec<Block> {
    let (mut blocks, mut marker, mut lines) = (Vec::new(), "", (1..).zip(text.lines()));
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            blocks.push(Block {
                line: number,
                marker: marker.to_owned(),
                language: language.to_owned(),
                text: inside.map(|line| format!("{line}\n")).collect(),
            });
        }
        let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        marker = comment.unwrap_or_default();
    }
    blocks
}

/// A file, named from the root of the repository.
#[track_caller]
pub fn text(file: &str) -> String {
    let path = path(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where a file of the repository is.
pub fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file)
}

/// Says that a block does not show what happens. With `CLOAKROOM_PAPERS=write` in the environment it is
/// mended instead, in the paper and in its Japanese twin.
///
/// # Panics
/// Unless it was mended.
#[track_caller]
pub fn stale(paper: &str, shown: &str, happens: &str) {
    assert!(
        std::env::var_os("CLOAKROOM_PAPERS").is_some_and(|value| value == "write"),
        "{paper} shows\n{shown}\nand what happens is\n{happens}\n(CLOAKROOM_PAPERS=write mends it)"
    );
    for paper in [paper.to_owned(), paper.replace(".md", ".ja.md")] {
        let path = path(&paper);
        if let Ok(text) = fs::read_to_string(&path) {
            fs::write(&path, text.replace(shown, happens)).unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_comment_right_before_it() {
        let text = "<!-- played -->\n```console\n$ ls\n\n```\n<!-- lost -->\n\n```\n```\n";
        let [played, plain] = &blocks_of(text)[..] else { panic!("two blocks") };
        assert_eq!((played.line, &*played.marker, &*played.language), (2, "played", "console"));
        assert_eq!(played.text, "$ ls\n\n");
        assert_eq!((plain.line, &*plain.marker, &*plain.text), (8, "", ""));
    }
}
