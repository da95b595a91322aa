//! The README's program, and what it says of it, in both languages.

use std::net::SocketAddr;

use cloakroom::{Manager, MemoryStore, Prefix, Settings};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;
use testbed::papers::{Block, blocks, text};
use testbed::{Browser, Server, Shell};
use tokio::runtime::Runtime;

const PAPER: &str = "README.md";

#[allow(dead_code, reason = "its `main` listens on port 5000, which here may be taken")]
#[path = "../../src/bin/readme.rs"]
mod program;

/// The program on a free port, for as long as the runtime lives.
fn serve(manager: impl FnOnce() -> Manager) -> (Runtime, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let addr = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = program::app(manager());
        tokio::spawn(async { axum::serve(listener, app).await });
        addr
    });
    (runtime, addr)
}

#[test]
fn the_program_is_shown_whole() {
    let program = text("examples/src/bin/readme.rs");
    let (_, program) = program.split_once('\n').unwrap();
    let is_of_it = |block: &Block| block.marker == "examples/src/bin/readme.rs";
    let shown: Vec<Block> = blocks(PAPER).into_iter().filter(is_of_it).collect();
    // What it is about comes first, then what stands around it.
    let [handlers, imports, server] = &shown[..] else { panic!("{shown:?}") };
    assert!((15..=22).contains(&handlers.text.lines().count()), "about twenty lines");
    assert_eq!(format!("{}\n{}\n{}", imports.text, handlers.text, server.text), program);
}

#[test]
fn the_exchange_with_the_program_is_what_happens() {
    let (_runtime, addr) = serve(|| Manager::new(MemoryStore::new(), Settings::default()));
    let blocks = blocks(PAPER);
    let mut played = blocks.iter().filter(|block| block.marker == "played on the program");
    Shell::at(addr).play(PAPER, played.next().expect("the exchange"));
    assert_eq!(played.next(), None);
}

/// The lines that keep the sessions, as the README shows them.
fn embedded() -> Result<Manager, Box<dyn std::error::Error>> {
    use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
    let store = EmbeddedStore::open("/var/lib/shop", EmbeddedSettings::default())?;
    let manager = Manager::new(store, Settings::default());
    Ok(manager)
}

fn redis() -> Result<Manager, Box<dyn std::error::Error>> {
    use cloakroom::{Keys, Prefix, SecretKey};
    use cloakroom_redis::RedisStore;
    let store = RedisStore::open("redis://127.0.0.1:6379", Prefix::new("shop")?)?;
    let secret = std::env::var("SECRET_KEY").map_err(|_| "SECRET_KEY is not set")?;
    let keys = Some(Keys::new(SecretKey::new(secret)?));
    let manager = Manager::new(store, Settings { keys, ..Settings::default() });
    Ok(manager)
}

#[test]
fn the_program_runs_on_every_store() {
    // The functions above compile; where they keep things is not for a test to write to.
    let _ = (embedded, redis);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let stores: [Box<dyn FnOnce() -> Manager>; 2] = [
        Box::new(|| {
            let store = EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap();
            Manager::new(store, Settings::default())
        }),
        Box::new(|| {
            let store = RedisStore::open(&server.url(), Prefix::new("shop").unwrap()).unwrap();
            Manager::new(store, Settings::default())
        }),
    ];
    for store in stores {
        let (_runtime, addr) = serve(store);
        let mut browser = Browser::at(addr);
        browser.post_form("/login", "username=alice");
        assert_eq!(browser.get("/").text(), "Logged in as alice, visits: 1\n");
        browser.post_form("/logout", "");
        assert_eq!(browser.get("/").text(), "You are not logged in\n");
    }
}

/// The manifest: what it names is here, under the name and the features that it says.
#[test]
fn the_dependencies_are_those_of_the_program() {
    let block = blocks(PAPER).into_iter().find(|block| block.language == "toml").unwrap();
    let shown: toml::Table = block.text.parse().unwrap();
    let ours: toml::Table = text("examples/Cargo.toml").parse().unwrap();
    let program = text("examples/src/bin/readme.rs");
    let shown = shown["dependencies"].as_table().unwrap();
    assert_eq!(shown.len(), 5);
    for (name, dependency) in shown {
        assert!(program.contains(&name.replace('-', "_")), "the program does not use {name}");
        assert!(ours["dependencies"].get(name).is_some(), "{name} is not what it is compiled with");
        if let Some(folder) = dependency.get("path") {
            let manifest = folder.as_str().unwrap().strip_prefix("cloakroom/").unwrap();
            let manifest: toml::Table = text(&format!("{manifest}/Cargo.toml")).parse().unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some(name.as_str()));
            for feature in dependency.get("features").into_iter().flat_map(|it| it.as_array()) {
                let known = manifest["features"].as_table().unwrap();
                assert!(feature.iter().all(|it| known.contains_key(it.as_str().unwrap())));
            }
        }
    }
}
