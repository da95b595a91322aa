//! The tutorial says what is true: its code is the steps' code, and what it shows of the shell is
//! what the steps and the server answer.

use testbed::Shell;
use testbed::papers::{Block, blocks, text};

use crate::house::*;

const ENGLISH: &str = "docs/tutorial.md";
const JAPANESE: &str = "docs/tutorial.ja.md";

#[test]
fn the_code_of_the_tutorial_is_that_of_the_steps() {
    for paper in [ENGLISH, JAPANESE] {
        let mut shown = Vec::new();
        for block in blocks(paper).iter().filter(|block| block.language == "rust") {
            let source = text(&block.marker);
            assert!(source.contains(&block.text), "{paper}, {}:\n{}", block.marker, block.text);
            shown.push(block.marker.clone());
        }
        shown.dedup();
        let steps = [1, 2, 3, 4].map(|step| format!("examples/src/bin/step{step}.rs"));
        assert_eq!(shown, steps, "{paper}");
    }
}

#[test]
fn the_japanese_tutorial_shows_what_the_english_one_shows() {
    // Pictures have words in them; how many there are, the house rules count.
    let shown = |paper| {
        let mut blocks = blocks(paper);
        blocks.retain(|block| block.language != "mermaid");
        blocks
    };
    let (english, japanese) = (shown(ENGLISH), shown(JAPANESE));
    assert_eq!(english.len(), japanese.len());
    for (english, japanese) in english.into_iter().zip(japanese) {
        assert_eq!(Block { line: english.line, ..japanese }, english);
    }
}

#[test]
fn what_the_tutorial_shows_of_the_shell_is_what_happens() {
    let mut played = Vec::new();
    for block in blocks(ENGLISH) {
        let Some(number) = block.marker.strip_prefix("played on step ") else {
            assert!(!block.text.contains("redis-cli"), "not played:\n{}", block.text);
            continue;
        };
        let number = number.parse().unwrap();
        let (server, step) = alone(number);
        Shell::at(step.addr()).with(&server).play(ENGLISH, &block);
        played.push(number);
    }
    assert_eq!(played, [1, 2, 3, 4]);
}
