//! `cloakroom store`: sessions are looked after, and carried from one store to another.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use cloakroom::change::Fields;
use cloakroom::store::{Create, Created, Login, Patience, Store};
use cloakroom::{FieldName, Kept, Prefix, Settings, TokenMint, User};
use cloakroom_embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use testbed::{Program, Server};

use crate::demo::*;

const PATIENCE: Patience = Patience(Duration::from_secs(30));

fn store(args: &[&str], folder: &Path) -> Program {
    let args = [&["store"], args, &["--data", folder.to_str().unwrap()]].concat();
    Program::start(CLOAKROOM, &args, &[])
}

/// What it said, once it has ended as expected.
#[track_caller]
fn said(program: Program, code: i32) -> String {
    assert_eq!(program.wait(), Some(code), "{}", program.log());
    program.log()
}

fn open(folder: &Path, prefix: &str) -> EmbeddedStore {
    let prefix = Prefix::new(prefix).unwrap();
    let durability = Durability::Window(Duration::from_secs(1));
    EmbeddedStore::open(
        folder,
        EmbeddedSettings { prefix, durability, ..EmbeddedSettings::default() },
    )
    .unwrap()
}

/// Makes sessions as a service would, of a hundred users and of nobody; answers their hashes.
fn made(folder: &Path, prefix: &str, how_many: usize) -> BTreeSet<String> {
    let store = open(folder, prefix);
    let mint = TokenMint::new(Prefix::new(prefix).unwrap(), COOKIE, None);
    let fields: Fields = [(FieldName::new("visits"), Kept(b"7".to_vec()))].into_iter().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = (0..how_many).map(|number| {
        let user = User::new(format!("user {}", number % 100)).unwrap();
        let named = number % 3 > 0;
        let issued =
            if named { mint.issue_for(user.as_str()) } else { mint.issue_anonymous() }.unwrap();
        let login = named.then_some(Login { user: &user, limit: None, client: None });
        let lifetime = Settings::default().lifetime;
        let new = Create { id: &issued.id, lifetime, remembered: false, fields: &fields, login };
        let created = runtime.block_on(store.create(new, PATIENCE)).unwrap();
        assert!(matches!(created, Created::Done(..)));
        issued.id.hash()
    });
    made.collect()
}

fn sessions_at(server: &Server, prefix: &str) -> BTreeSet<String> {
    let start = format!("{prefix}:{{");
    let keys = server.keys().into_iter().filter(|key| key.starts_with(&start));
    keys.filter_map(|key| Some(key.split_once("}:session:")?.1.to_owned())).collect()
}

#[test]
fn a_visitor_stays_logged_in_from_the_folder_to_redis_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let demo = in_folder(folder.path(), &[]);
    let mut browser = logged_in_at(demo.addr(), "alice");
    let mut leaver = logged_in_at(demo.addr(), "bob");
    assert_eq!(visit(&mut browser), somebody("alice", 1));
    assert_eq!(visit(&mut leaver), somebody("bob", 1));

    // While it is served nobody may touch it.
    for args in [&["check"][..], &["compact"], &["export", "--to", &server.url()]] {
        let log = said(store(args, folder.path()), 1);
        assert!(log.contains("is in use by process"), "{log}");
    }
    assert_eq!(demo.terminate(), Some(0));
    let log = said(store(&["check"], folder.path()), 0);
    assert!(log.contains("2 live sessions: 2 of 2 users, 0 anonymous"), "{log}");

    let log = said(store(&["export", "--to", &server.url(), "--set-aside"], folder.path()), 0);
    assert!(log.contains("2 sessions carried over") && log.contains("secret-key"), "{log}");
    let key = std::fs::read_to_string(folder.path().join("secret-key")).unwrap();
    assert!(!log.contains(&key), "the key is shown");
    let env = [("SECRET_KEY", &*key), ("REDIS_URL", &*server.url())];
    let demo = serve(&[], &env);
    browser.move_to(demo.addr());
    leaver.move_to(demo.addr());
    assert_eq!(visit(&mut browser), somebody("alice", 2));
    let left = token(&leaver);
    assert_eq!(leaver.post_form("/logout", "").status, 303);
    assert_eq!(demo.terminate(), Some(0));
    assert_eq!(server.keys_without_ttl(), [""; 0]);

    let log = said(store(&["import", "--from", &server.url()], folder.path()), 0);
    assert!(log.contains("1 sessions carried over"), "{log}");
    let demo = in_folder(folder.path(), &[]);
    browser.move_to(demo.addr());
    assert_eq!(visit(&mut browser), somebody("alice", 3));
    assert_eq!(seen_with(demo.addr(), &left), None);
}

#[test]
fn an_export_that_was_killed_and_repeated_loses_and_doubles_nothing() {
    for resume in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start();
        let ids = made(folder.path(), "cloakroom-demo", 4_000);
        let url = server.url();
        let first = store(&["export", "--to", &url], folder.path());
        let checkpoint = folder.path().join("export.checkpoint");
        let begun = || checkpoint.exists().then_some(());
        testbed::eventually(Duration::from_secs(30), begun).unwrap();
        first.kill();
        let before = sessions_at(&server, "cloakroom-demo").len();
        assert!(before > 0 && before < ids.len(), "killed too late: {before}");

        // Who logs out in between, with the marker long gone.
        let out = server.keys().into_iter().find(|key| key.contains("}:session:")).unwrap();
        server.command(&["DEL", &out]);
        let args = ["export", "--to", &url, "--resume"];
        let log = said(store(&args[..if resume { 4 } else { 3 }], folder.path()), 0);
        let mut left = ids.clone();
        left.remove(out.split_once("}:session:").unwrap().1);
        assert!(sessions_at(&server, "cloakroom-demo") == left, "{log}");
        if !resume {
            assert!(log.contains("--resume would go on from"), "{log}");
            let counted = format!("{} were at", before - 1);
            assert!(log.contains(&counted) && log.contains(" 1 had ended"), "{counted}: {log}");
        }
        // Repeated once more, nothing happens.
        let log = said(store(&args[..3], folder.path()), 0);
        assert!(log.contains("0 sessions carried over") && log.contains(" 1 had ended"), "{log}");
        assert!(sessions_at(&server, "cloakroom-demo") == left);
        assert_eq!(server.keys_without_ttl(), [""; 0]);
    }
}

#[test]
fn an_import_that_was_killed_and_repeated_loses_and_doubles_nothing() {
    let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start();
    let ids = made(source.path(), "cloakroom-demo", 3_000);
    let url = server.url();
    said(store(&["export", "--to", &url], source.path()), 0);
    let first = store(&["import", "--from", &url], folder.path());
    let checkpoint = folder.path().join("import.checkpoint");
    let begun = || checkpoint.exists().then_some(());
    testbed::eventually(Duration::from_secs(30), begun).unwrap();
    first.kill();
    let log = said(store(&["import", "--from", &url], folder.path()), 0);
    assert!(!log.contains("; of the others 0 were"), "killed too early: {log}");
    let log = said(store(&["check"], folder.path()), 0);
    assert!(log.contains(&format!("{} live sessions: 2000 of 100 users", ids.len())), "{log}");
}

#[test]
fn what_can_not_work_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let url = server.url();
    for args in [&["check"][..], &["compact"], &["export", "--to", &url]] {
        let log = said(store(args, folder.path()), 1);
        assert!(log.contains("there are no sessions"), "{log}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");

    made(folder.path(), "shop", 10);
    let log = said(store(&["export", "--to", &url], folder.path()), 2);
    assert!(log.contains("another prefix than cloakroom-demo"), "{log}");
    assert_eq!(server.keys(), [""; 0]);
    let log = said(store(&["export", "--to", &url, "--resume"], folder.path()), 2);
    assert!(log.contains("nothing to resume"), "{log}");
    let log = said(store(&["export", "--to", "redis://u:secret@:x"], folder.path()), 2);
    assert!(log.contains("--to or REDIS_URL") && !log.contains("secret@"), "{log}");
    server.kill();
    let log = said(store(&["export", "--prefix", "shop", "--to", &url], folder.path()), 1);
    assert!(log.contains("stopped half way") && log.contains("run it again"), "{log}");
    server.restart();
    said(store(&["export", "--prefix", "shop", "--to", &url], folder.path()), 0);
    assert_eq!(sessions_at(&server, "shop").len(), 10);
}

#[test]
fn check_finds_damage_and_compact_gives_room_back() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "shop", 2_000);
    let file = folder.path().join("sessions.redb");
    let log = said(store(&["compact"], folder.path()), 0);
    let now = std::fs::metadata(&file).unwrap().len();
    assert!(log.contains(&format!("{now} bytes, of ")), "{log}");
    let log = said(store(&["check"], folder.path()), 0);
    assert!(log.contains("2000 live sessions") && log.contains("layout 2"), "{log}");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    for command in ["check", "compact"] {
        let log = said(store(&[command], folder.path()), 1);
        assert!(log.contains("is damaged") && log.contains("put a copy back"), "{log}");
    }
}

/// Numbers are different each time; a path is where the test runs.
#[test]
fn the_commands_of_the_paper_say_what_the_paper_shows() {
    let server = Server::start();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("sessions");
    let demo = in_folder(&folder, &[]);
    for user in ["alice", "bob"] {
        let _ = logged_in_at(demo.addr(), user);
    }
    let served = masked(&said(store(&["check"], &folder), 1), place.path());
    assert_eq!(demo.terminate(), Some(0));

    let blocks = testbed::papers::blocks("docs/embedded.md");
    let read = |block: &&testbed::papers::Block| block.marker.ends_with("it/carry.rs");
    let [idle, busy, export] = &blocks.iter().filter(read).collect::<Vec<_>>()[..] else {
        panic!("three blocks are read here: {blocks:#?}");
    };
    assert_eq!(shown(&busy.text), [("store check --data sessions".to_owned(), served)]);
    for (command, expected) in [idle, export].into_iter().flat_map(|block| shown(&block.text)) {
        let arguments = command.replace("redis://127.0.0.1:6379", &server.url());
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let args: Vec<&str> = arguments
            .iter()
            .map(
                |argument| {
                    if *argument == "sessions" { folder.to_str().unwrap() } else { argument }
                },
            )
            .collect();
        let log = said(Program::start(CLOAKROOM, &args, &[]), 0);
        assert_eq!(masked(&log, place.path()), expected, "{command}");
    }
}

/// The commands of a block without the program, and what they print.
fn shown(block: &str) -> Vec<(String, String)> {
    let commands = block.split("$ cloakroom ").skip(1);
    let halves = commands.map(|part| part.split_once('\n').unwrap());
    halves.map(|(command, said)| (command.to_owned(), masked(said, Path::new("-")))).collect()
}

fn masked(said: &str, place: &Path) -> String {
    let said = said.replace(&format!("{}/", place.display()), "");
    let mut masked = String::new();
    for char in said.trim().chars() {
        let digit = char.is_ascii_digit();
        if !(digit && masked.ends_with('0')) {
            masked.push(if digit { '0' } else { char });
        }
    }
    masked
}

/// Runs what stands behind it on a terminal.
const ON_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[test]
fn a_bar_shows_on_a_terminal_how_far_it_is_and_nowhere_else() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start());
    made(folder.path(), "cloakroom-demo", 1_200);
    let (there, url) = (folder.path().to_str().unwrap(), server.url());
    let export = [CLOAKROOM, "store", "export", "--data", there, "--to", &url];
    let python = std::env::var("CLOAKROOM_TEST_PYTHON").expect(
        "CLOAKROOM_TEST_PYTHON names no Python: run `cargo xtask test`, which installs one",
    );
    let terminal = [("TERM", "xterm")];
    let shown = [&["-c", ON_A_TERMINAL], &export[..]].concat();
    let shown = said(Program::start(python, &shown, &terminal), 0);
    assert!(shown.contains('█') && shown.contains(" of 1,200 sessions, "), "{shown}");
    let piped = said(store(&["export", "--to", &url], folder.path()), 0);
    assert!(!piped.contains('█') && piped.contains("1200 were at"), "{piped}");
}
