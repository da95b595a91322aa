//! What a session takes of Redis' memory, by what is kept of it.

use std::path::{Path, PathBuf};

use redis::{Client, Pipeline};
use testbed::Server;

use crate::fill::{self, FIELDS, Layout};

/// What a layout takes.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) what: &'static str,
    /// Of the memory of each server, index and time to live included.
    pub(crate) bytes: Vec<f64>,
    /// What the first of them calls the encoding.
    pub(crate) encoding: String,
}

/// What sessions take on each server.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) servers: Vec<String>,
    pub(crate) sizes: Vec<Size>,
}

impl Sizes {
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let size = Size { what: MEASURED, bytes: vec![1.0], encoding: String::new() };
        Self { servers: vec!["a server".into()], sizes: vec![size] }
    }

    /// Of the layout that the figures to reach are about.
    pub(crate) fn measured(&self) -> Option<&Size> {
        self.sizes.iter().find(|size| size.what == MEASURED)
    }
}

/// So many sessions, and as many users: enough that the server's own tables are as full as they are on
/// average (100,000 entries in 131,072 places).
const SESSIONS: usize = 100_000;

const LAYOUTS: [(Layout, &str); 4] = [
    (Layout::Anonymous, "Cloakroom, nobody logged in"),
    (Layout::User, "Cloakroom, a user, with their index"),
    (Layout::Device, "Cloakroom, a user and device, with their index"),
    (Layout::Long, "the same, and a field of 65 bytes"),
];

const MEASURED: &str = LAYOUTS[2].1;

/// Writes one session by hand.
type Write = fn(&mut Pipeline, usize);

pub(crate) fn measure(executables: &[PathBuf]) -> Sizes {
    let by_hand: [(&str, Write); 3] = [
        ("the fields as a JSON string, by hand", json),
        ("the fields as a hash, by hand", hash),
        ("the same, and a set of the user's sessions", hash_and_index),
    ];
    let bar =
        bench::progress(executables.len() * (by_hand.len() + LAYOUTS.len()), "bytes a session");
    let mut all = Sizes::default();
    for executable in executables {
        let mut add = |what, fill: &dyn Fn(&Server)| {
            bar.inc(1);
            let (bytes, encoding) = size(executable, fill);
            match all.sizes.iter_mut().find(|size| size.what == what) {
                Some(size) => size.bytes.push(bytes),
                None => all.sizes.push(Size { what, bytes: vec![bytes], encoding }),
            }
        };
        for (what, write) in by_hand {
            add(what, &|server| by_hand_at(server, write));
        }
        for (layout, what) in LAYOUTS {
            add(what, &|server| {
                let _ = fill::sessions(&server.url(), SESSIONS, 1, layout);
            });
        }
        all.servers.push(name_of(&Server::start_with(executable, &[])));
    }
    bar.finish_and_clear();
    all
}

fn by_hand_at(server: &Server, write: Write) {
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    for from in (0..SESSIONS).step_by(1_000) {
        let mut pipe = redis::pipe();
        (from..from + 1_000).for_each(|number| write(&mut pipe, number));
        pipe.query::<()>(&mut connection).unwrap();
    }
}

fn size(executable: &Path, fill: &dyn Fn(&Server)) -> (f64, String) {
    let server = Server::start_with(executable, &["--appendonly", "no"]);
    let before = used(&server);
    fill(&server);
    let bytes = (used(&server) - before) / SESSIONS as f64;
    let page = server.command(&["SCAN", "0", "COUNT", "1000"]).list();
    let keys = page[1].list().into_iter().map(|key| key.text());
    let key = keys.into_iter().find(|key| key.contains(":session:")).unwrap();
    (bytes, server.command(&["OBJECT", "ENCODING", &key]).text())
}

/// Such as "Redis 7.0.15".
pub(crate) fn name_of(server: &Server) -> String {
    let said = server.command(&["INFO", "server"]).text();
    let version = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    match (version("valkey_version:"), version("redis_version:")) {
        (Some(version), _) => format!("Valkey {}", version.trim()),
        (None, Some(version)) => format!("Redis {}", version.trim()),
        (None, None) => "a server of an unknown version".into(),
    }
}

pub(crate) fn used(server: &Server) -> f64 {
    let memory = server.command(&["INFO", "memory"]).text();
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse().ok()).unwrap_or(0.0)
}

/// A key as ours is: a hash in base64url of 43 characters.
fn key(number: usize) -> String {
    format!("shop:session:{number:043}")
}

fn json(pipe: &mut Pipeline, number: usize) {
    let fields: serde_json::Map<String, serde_json::Value> =
        FIELDS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let text = serde_json::Value::Object(fields).to_string();
    pipe.set_ex(key(number), text, 1800).ignore();
}

fn hash(pipe: &mut Pipeline, number: usize) {
    pipe.hset_multiple(key(number), &FIELDS).ignore().expire(key(number), 1800).ignore();
}

fn hash_and_index(pipe: &mut Pipeline, number: usize) {
    hash(pipe, number);
    let index = format!("shop:user:user{number:08}");
    pipe.zadd(&index, format!("{number:043}"), 1_763_880_000_000_u64).ignore();
    pipe.expire(index, 1800).ignore();
}
