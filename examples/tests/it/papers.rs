//! The tutorial says what is true: its code is the steps' code, and what it shows of the shell is
//! what the steps and the server answer.

use std::collections::HashMap;
use std::fs;

use testbed::{Browser, Reply, Request, Server};

use crate::house::*;

const ENGLISH: &str = "docs/tutorial.md";
const JAPANESE: &str = "docs/tutorial.ja.md";

/// A fenced block, with the comment that stands on the line before it.
#[derive(Debug, PartialEq)]
struct Block {
    marker: String,
    language: String,
    text: String,
}

fn blocks(paper: &str) -> Vec<Block> {
    let text = text(paper);
    let (mut blocks, mut marker, mut lines) = (Vec::new(), "", text.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(Block {
                marker: marker.to_owned(),
                language: language.to_owned(),
                text: text.map(|line| format!("{line}\n")).collect(),
            });
        }
        let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        marker = comment.unwrap_or_default();
    }
    blocks
}

/// A file, named from the root of the repository.
fn text(file: &str) -> String {
    let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

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
    for (english, japanese) in english.iter().zip(&japanese) {
        assert_eq!(english, japanese);
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
        Shell::at(number).play(&block.text);
        played.push(number);
    }
    assert_eq!(played, [1, 2, 3, 4]);
}

/// As much of a shell as the tutorial uses.
struct Shell {
    server: Server,
    step: Step,
    /// By the names of curl's files.
    jars: HashMap<String, Browser>,
    /// The key of the session that `--scan` showed.
    session: String,
}

impl Shell {
    fn at(number: usize) -> Self {
        let (server, step) = alone(number);
        Self { server, step, jars: HashMap::new(), session: String::new() }
    }

    #[track_caller]
    fn play(&mut self, block: &str) {
        for part in block.split("$ ").skip(1) {
            let (command, expected) = part.split_once('\n').unwrap();
            let answer = self.run(command);
            assert_eq!(plain(&answer), plain(expected), "$ {command}\n{answer}");
        }
    }

    fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        match words[..] {
            ["curl", ..] => self.curl(&words),
            ["cp", from, to] => {
                self.jars.insert(to.to_owned(), self.jars[from].clone());
                String::new()
            }
            ["redis-cli", "--scan"] => {
                self.session = sessions(&self.server).concat();
                self.server.keys().iter().map(|key| format!("{key}\n")).collect()
            }
            ["redis-cli", ref arguments @ ..] => {
                let real = |word: &&str| match word.contains(":session:") {
                    true => self.session.clone(),
                    false => (*word).to_owned(),
                };
                let arguments: Vec<String> = arguments.iter().map(real).collect();
                as_redis_cli_shows(&self.server.command(&arguments))
            }
            _ => panic!("{command}: say here what it does"),
        }
    }

    fn curl(&mut self, words: &[&str]) -> String {
        let value = |flag| words.iter().position(|word| *word == flag).map(|at| words[at + 1]);
        let url = words.iter().find_map(|word| word.strip_prefix("http://127.0.0.1:5000"));
        let (addr, target) = (self.step.addr(), url.expect("an address"));
        let request = match value("-d") {
            Some(form) => Request::post(addr, target).form(form),
            None => Request::new(addr, value("-X").unwrap_or("GET"), target),
        };
        // A login begins with an empty jar; every other command reads one.
        let jar = value("-b").or(value("-c")).expect("a jar");
        let mut browser = match value("-b") {
            Some(jar) => self.jars[jar].clone(),
            None => Browser::at(addr),
        };
        let answer = browser.send(request);
        if value("-c").is_some() {
            self.jars.insert(jar.to_owned(), browser);
        }
        match words {
            [.., "|", "grep", "set-cookie"] => {
                format!("set-cookie: {}\n", answer.headers("set-cookie")[0])
            }
            _ => answer.text().to_owned(),
        }
    }
}

/// As it stands in a terminal.
fn as_redis_cli_shows(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("{text}\n"),
        Reply::Int(int) => format!("(integer) {int}\n"),
        Reply::Array(Some(items)) => {
            let lines = (1..).zip(items);
            lines.map(|(number, item)| format!("{number}) {}", as_redis_cli_shows(item))).collect()
        }
        value => format!("{:?}\n", value.text()),
    }
}

/// Without what is different each time: signatures, tokens, ids, instants, and seconds gone by. The
/// lines of a scan come in any order.
fn plain(text: &str) -> Vec<String> {
    let is_random = |word: &str| {
        word.len() >= 40 || word.len() >= 13 && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            if let "(integer) 8" | "(integer) 9" | "(integer) 10" = line {
                return "(about ten seconds)".to_owned();
            }
            let parts =
                line.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
            parts
                .map(|part| {
                    let word = part.trim_end_matches(|c: char| {
                        !c.is_ascii_alphanumeric() && !"-_".contains(c)
                    });
                    if is_random(word) { part.replace(word, "RANDOM") } else { part.to_owned() }
                })
                .collect()
        })
        .collect();
    if lines.iter().all(|line| line.starts_with("tutorial:")) {
        lines.sort();
    }
    lines
}
