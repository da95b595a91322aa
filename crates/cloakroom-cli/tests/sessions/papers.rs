//! docs/commands.md shows what the program says: its commands are run here, one after the other.

use testbed::Server;

use crate::scene::{Scene, session, with};

#[test]
fn the_page_about_commands_shows_what_they_say() {
    let scene = Scene::Redis(Server::start());
    scene.keep(&[
        with(with(session(Some("alice"), 2), "visits", "41"), "name", "ありす"),
        session(Some("alice"), 5),
        session(Some("alice"), 9),
        session(Some("bob"), 3),
        session(None, 4),
    ]);
    let page = testbed::papers::text("docs/commands.md");
    let (mut said, mut output, mut commands) = (String::new(), false, 0);
    for line in page.lines() {
        if let Some(command) = line.strip_prefix("$ cloakroom ") {
            let args: Vec<&str> = command.split(' ').collect();
            said += &format!("{line}\n{}", scene.run(&args).1);
            (output, commands) = (true, commands + 1);
        } else if line == "```" {
            output = false;
        }
        if !output {
            said += &format!("{line}\n");
        }
    }
    assert!(commands >= 10, "{commands}");
    let shown = concat!(env!("CARGO_TARGET_TMPDIR"), "/commands.md");
    if without_times(&said) != without_times(&page) {
        std::fs::write(shown, said).unwrap();
        panic!("docs/commands.md shows something else than is said: compare it with {shown}");
    }
}

/// The dates differ from day to day.
fn without_times(text: &str) -> String {
    let is_date = |word: &str| {
        word.starts_with("20") && word.trim_end_matches([',', ' ', '\n']).ends_with('Z')
    };
    text.split_inclusive([' ', '\n']).filter(|word| !is_date(word)).collect()
}
