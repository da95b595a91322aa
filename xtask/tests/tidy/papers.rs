//! Every code block and every command in the papers is somebody's to prove: a source file that the
//! compiler reads, a test that plays it, or a rule here that knows the command.

use std::path::{Path, PathBuf};

use testbed::papers::{Block, blocks_of};

use crate::folder::{entries, files, manifest, packages, shown, text};

/// Who plays what a paper shows of the shell: the beginning of the comment on the line before the
/// block, and the test that reads the paper.
const PLAYED: [(&str, &str); 3] = [
    ("played on step ", "examples/tests/it/papers.rs"),
    ("played on the program", "examples/tests/it/readme.rs"),
    ("played on the demo", "crates/cloakroom-cli/tests/it/readme.rs"),
];

/// Programs of others, which no test of ours starts, and why they stand in a paper.
const OTHERS: [(&str, &str); 7] = [
    ("redis-server", "the tests start it too, each on a port of its own"),
    (
        "docker run --rm --name redis -p 127.0.0.1:6379:6379 redis",
        "the same server, where it is not installed",
    ),
    ("docker exec redis redis-cli", "the client that comes with that server"),
    ("openssl rand -hex 32", "32 random bytes, as text"),
    ("cargo install --locked watchexec-cli", "a tool that a reader may want"),
    ("cargo install --locked cargo-nextest", "a tool that a developer may want"),
    ("watchexec --restart --exts rs -- ", "starts what stands behind it"),
];

/// The papers: every Markdown file beside the manifest, and in `docs/`.
pub(crate) fn papers(root: &Path) -> Vec<PathBuf> {
    let mut papers = entries(root);
    papers.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    papers.extend(files(&root.join("docs"), "md"));
    papers
}

pub(crate) fn every_block_is_proved(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for paper in papers(root) {
        let name = shown(&paper, root);
        for block in blocks_of(&text(&paper)) {
            if let Err(reason) = is_proved(root, &name, &block) {
                wrong.push(format!("{name}:{}: {reason}", block.line));
            }
        }
    }
    wrong
}

fn is_proved(root: &Path, paper: &str, block: &Block) -> Result<(), String> {
    let marker = &*block.marker;
    // The tests read the English paper; that the Japanese one shows the same is a rule of its own.
    let english = paper.replace(".ja.md", ".md");
    let names_it = |file: &str| {
        let source = std::fs::read_to_string(root.join(file)).map_err(|_| format!("no {file}"))?;
        let named = source.contains(&format!("{english:?}"));
        if named { Ok(()) } else { Err(format!("{file} does not read {english}")) }
    };
    if let Some(file) = marker.strip_prefix("read by ") {
        return names_it(file);
    }
    if let Some((_, file)) = PLAYED.iter().find(|(played, _)| marker.starts_with(played)) {
        return names_it(file);
    }
    if root.join(marker).is_file() {
        let same = text(&root.join(marker)).contains(&block.text);
        return if same { Ok(()) } else { Err(format!("this does not stand in {marker}")) };
    }
    match &*block.language {
        // Pictures.
        "mermaid" => Ok(()),
        "console" if marker.is_empty() => {
            let commands = block.text.lines().filter_map(|line| line.strip_prefix("$ "));
            commands.map(without_comment).try_for_each(|command| is_known(root, command))
        }
        language => Err(format!(
            "nobody proves this {language} block: say in a comment on the line before which file it \
             is from, or which test reads or plays it"
        )),
    }
}

/// Commands in running text: what stands between backticks and begins like one.
pub(crate) fn every_command_is_known(root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for paper in papers(root) {
        let text = text(&paper);
        let mut fenced = false;
        // A command may run on to the next line.
        let plain: Vec<&str> = text
            .lines()
            .filter(|line| {
                let fence = line.starts_with("```");
                fenced ^= fence;
                !fence && !fenced
            })
            .collect();
        for code in plain.join(" ").split('`').skip(1).step_by(2) {
            let words = without_variables(code);
            let is_command = ["cargo ", "docker ", "openssl ", "watchexec "]
                .iter()
                .any(|program| words.starts_with(program));
            if is_command && let Err(reason) = is_known(root, code) {
                wrong.push(format!("{}: {reason}", shown(&paper, root)));
            }
        }
    }
    wrong
}

fn without_comment(command: &str) -> &str {
    command.split_once("    # ").map_or(command, |(command, _)| command).trim_end()
}

/// Without `NAME=value` before the program.
fn without_variables(command: &str) -> &str {
    let mut command = command;
    while let Some((first, rest)) = command.split_once(' ')
        && first.split_once('=').is_some_and(|(name, _)| is_variable(name))
    {
        command = rest;
    }
    command
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Whether a command does what it says: as far as a look into this repository tells.
fn is_known(root: &Path, command: &str) -> Result<(), String> {
    let unknown = |what: &str| Err(format!("`{command}`: {what}"));
    if let Some((known, _)) = OTHERS.iter().find(|(known, _)| command.starts_with(known)) {
        let rest = &command[known.len()..];
        return if known.ends_with("-- ") { is_known(root, rest) } else { Ok(()) };
    }
    let words: Vec<&str> = without_variables(command).split(' ').collect();
    match words[..] {
        ["export", setting] => {
            let name = setting.split(['=', '(']).next().unwrap_or_default();
            // `export $(cargo xtask servers)` and `export A=$(openssl ..)` name a command as well.
            if name == "$" || is_variable(name) { Ok(()) } else { unknown("no variable") }
        }
        ["export", ..] => {
            let inner = command.split_once("$(").and_then(|(_, rest)| rest.strip_suffix(')'));
            inner.map_or_else(|| unknown("no command in it"), |inner| is_known(root, inner))
        }
        ["cargo", "xtask", task, ..] => {
            let help = text(&root.join("xtask/src/main.rs"));
            let is_task = help.lines().any(|line| line.trim().split(' ').next() == Some(task));
            if is_task { Ok(()) } else { unknown("`cargo xtask help` does not know it") }
        }
        ["cargo", "run", "--release", ..] => {
            let workspace = manifest(&root.join("Cargo.toml"));
            let default = &workspace["workspace"]["default-members"];
            let only = default.as_array().is_some_and(|members| members.len() == 1);
            if only { Ok(()) } else { unknown("`default-members` is not one program") }
        }
        ["cargo", _, "-p" | "--package", package, ref flags @ ..]
        | ["cargo", "nextest", "run", "-p", package, ref flags @ ..] => {
            let folder = packages(root).into_iter().find(|folder| {
                manifest(&folder.join("Cargo.toml"))["package"]["name"].as_str() == Some(package)
            });
            match folder {
                Some(folder) => has(&folder, flags).or_else(|what| unknown(&what)),
                None => unknown("no such package"),
            }
        }
        ["cargo", "xtask"] | ["cargo", "fmt"] | ["cargo", "doc", "--open"] => Ok(()),
        _ => unknown("xtask/tests/tidy/papers.rs does not know it"),
    }
}

/// Whether a package has what the flags name.
fn has(package: &Path, flags: &[&str]) -> Result<(), String> {
    match flags {
        [] | ["--", ..] => Ok(()),
        ["--bin", name, rest @ ..] => {
            let exists = package.join(format!("src/bin/{name}.rs")).is_file();
            if exists { has(package, rest) } else { Err(format!("no program {name}")) }
        }
        ["--features", name, rest @ ..] => {
            let manifest = manifest(&package.join("Cargo.toml"));
            let features = manifest.get("features").and_then(|features| features.get(*name));
            if features.is_some() { has(package, rest) } else { Err(format!("no feature {name}")) }
        }
        ["--all-features" | "--all-targets" | "--doc" | "--no-deps" | "--open", rest @ ..] => {
            has(package, rest)
        }
        [word, rest @ ..] if !word.starts_with('-') => {
            let sources = files(package, "rs");
            let is_test = |file: &PathBuf| {
                file.file_stem().is_some_and(|stem| stem == *word)
                    || text(file).lines().any(|line| line.contains("fn ") && line.contains(word))
            };
            if sources.iter().any(is_test) {
                has(package, rest)
            } else {
                Err(format!("no test {word}"))
            }
        }
        [flag, ..] => Err(format!("what is {flag}?")),
    }
}

/// A Japanese paper shows what the English one shows. Only pictures, and comments behind a command,
/// have words in them.
pub(crate) fn languages_show_the_same(root: &Path, paper: &str) -> Vec<String> {
    let blocks = |name: &str| -> Vec<(String, String, Vec<String>)> {
        let mut blocks = blocks_of(&text(&root.join(name)));
        blocks.retain(|block| block.language != "mermaid");
        let lines =
            |text: &str| text.lines().map(|line| without_comment(line).to_owned()).collect();
        blocks.into_iter().map(|block| (block.marker, block.language, lines(&block.text))).collect()
    };
    let (english, japanese) = (format!("{paper}.md"), format!("{paper}.ja.md"));
    let pairs = blocks(&english).into_iter().zip(blocks(&japanese));
    let different = pairs.filter(|(english, japanese)| english != japanese);
    different
        .map(|(shown, _)| {
            format!("{english} and {japanese} differ in a block: {}", shown.2.join("\n"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::planted;

    const WORKSPACE: (&str, &str) = ("Cargo.toml", "[workspace]\ndefault-members = [\"a\"]");
    const HELP: (&str, &str) = ("xtask/src/main.rs", "  test    every test\n");
    const TESTS: (&str, &str) =
        ("examples/tests/it/papers.rs", "const PAPER: &str = \"docs/a.md\";");

    #[track_caller]
    fn wrong_in(paper: &str) -> Vec<String> {
        let folder = planted(&[
            WORKSPACE,
            HELP,
            TESTS,
            ("examples/Cargo.toml", "[package]\nname = \"examples\"\n[features]\nmore = []"),
            ("examples/src/bin/step1.rs", "fn main() {\n    greet();\n}\n"),
            ("docs/a.md", paper),
        ]);
        let root = folder.path();
        [every_block_is_proved(root), every_command_is_known(root)].concat()
    }

    #[test]
    fn a_block_that_nobody_proves_is_found() {
        for (paper, proved) in [
            ("<!-- examples/src/bin/step1.rs -->\n```rust\n    greet();\n```", true),
            ("<!-- examples/src/bin/step1.rs -->\n```rust\n    leave();\n```", false),
            ("```rust\n    greet();\n```", false),
            ("<!-- played on step 1 -->\n```console\n$ curl\n```", true),
            ("<!-- played on the demo -->\n```console\n$ curl\n```", false),
            ("<!-- played by ear -->\n```console\n$ cargo xtask test\n```", false),
            ("<!-- read by examples/tests/it/papers.rs -->\n```redis\nGET a\n```", true),
            ("<!-- read by examples/tests/it/lost.rs -->\n```redis\nGET a\n```", false),
            ("```mermaid\nflowchart\n```", true),
            ("```\nplain\n```", false),
        ] {
            let wrong = wrong_in(paper);
            assert_eq!(wrong.is_empty(), proved, "{paper}: {wrong:?}");
        }
    }

    #[test]
    fn a_command_that_nobody_knows_is_found() {
        for (command, known) in [
            ("cargo xtask test --only logout", true),
            ("cargo xtask tset", false),
            ("REDIS_URL=redis://h cargo run --release", true),
            ("cargo run -p examples --bin step1 -- --help", true),
            ("cargo run -p examples --features more --bin step1", true),
            ("cargo run -p examples --bin step9", false),
            ("cargo run -p examples --features none --bin step1", false),
            ("cargo run -p exmaples --bin step1", false),
            ("cargo nextest run -p examples papers", true),
            ("cargo nextest run -p examples paprs", false),
            ("cargo frobnicate", false),
            ("watchexec --restart --exts rs -- cargo run -p examples --bin step1", true),
            ("watchexec --restart --exts rs -- cargo run -p examples --bin step9", false),
            ("openssl rand -hex 32", true),
        ] {
            for paper in
                [format!("```console\n$ {command}    # so\n```"), format!("So `{command}`.")]
            {
                let wrong = wrong_in(&paper);
                assert_eq!(wrong.is_empty(), known, "{paper}: {wrong:?}");
            }
        }
    }

    #[test]
    fn a_block_that_differs_in_one_language_is_found() {
        let english = "```console\n$ ls    # here\n```\n```mermaid\nA\n```";
        for (japanese, same) in [
            ("```console\n$ ls    # ここ\n```\n```mermaid\nあ\n```", true),
            ("```console\n$ ls -l\n```\n```mermaid\nあ\n```", false),
            ("<!-- played -->\n```console\n$ ls\n```\n```mermaid\nあ\n```", false),
        ] {
            let folder = planted(&[("docs/a.md", english), ("docs/a.ja.md", japanese)]);
            let wrong = languages_show_the_same(folder.path(), "docs/a");
            assert_eq!(wrong.is_empty(), same, "{japanese}: {wrong:?}");
        }
    }
}
