//! What a session takes of Redis' memory, by what is kept of it.

use std::path::Path;

use redis::{Client, Pipeline};
use testbed::Server;

use crate::fill;

/// The fields of a small session: 7 names and values, 94 bytes.
pub(crate) const FIELDS: [(&str, &str); 7] = [
    ("visits", "12"),
    ("name", "Alice Liddell"),
    ("locale", "ja-JP"),
    ("theme", "dark"),
    ("cart", "[1017,4,90]"),
    ("page", "/orders/2026"),
    ("since", "2026-11-25"),
];

/// What is kept of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A user, and no field.
    Bare,
    /// Nobody is logged in; the seven fields.
    Anonymous,
    /// A user and the seven fields.
    User,
    /// The same, and the device.
    Device,
    /// The same, and a field of 65 bytes.
    Long,
}

/// What a layout takes.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) what: &'static str,
    /// Of the server's memory, index and time to live included.
    pub(crate) bytes: f64,
    /// What Redis calls the encoding.
    pub(crate) encoding: String,
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

/// The layout that the figures to reach are about.
pub(crate) const MEASURED: &str = LAYOUTS[2].1;

/// Writes one session by hand.
type Write = fn(&mut Pipeline, usize);

pub(crate) fn measure(executable: &Path) -> Vec<Size> {
    let bar = bench::progress(3 + LAYOUTS.len(), "bytes a session");
    let mut sizes = Vec::new();
    let by_hand: [(&str, Write); 3] = [
        ("the fields as a JSON string, by hand", json),
        ("the fields as a hash, by hand", hash),
        ("the same, and a set of the user's sessions", hash_and_index),
    ];
    for (what, write) in by_hand {
        bar.inc(1);
        sizes.push(size(executable, what, |server| {
            let client = Client::open(server.url()).unwrap();
            let mut connection = client.get_connection().unwrap();
            for from in (0..SESSIONS).step_by(1_000) {
                let mut pipe = redis::pipe();
                (from..from + 1_000).for_each(|number| write(&mut pipe, number));
                pipe.query::<()>(&mut connection).unwrap();
            }
        }));
    }
    for (layout, what) in LAYOUTS {
        bar.inc(1);
        sizes.push(size(executable, what, |server| {
            let _ = fill::sessions(&server.url(), SESSIONS, 1, layout);
        }));
    }
    bar.finish_and_clear();
    sizes
}

fn size(executable: &Path, what: &'static str, fill: impl FnOnce(&Server)) -> Size {
    let server = Server::start_with(executable, &["--appendonly", "no"]);
    let before = used(&server);
    fill(&server);
    let bytes = (used(&server) - before) / SESSIONS as f64;
    let page = server.command(&["SCAN", "0", "COUNT", "1000"]).list();
    let keys = page[1].list().into_iter().map(|key| key.text());
    let key = keys.into_iter().find(|key| key.contains(":session:")).unwrap();
    let encoding = server.command(&["OBJECT", "ENCODING", &key]).text();
    Size { what, bytes, encoding }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_as_many_and_as_small_as_the_page_says() {
        let bytes: usize = FIELDS.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(bytes, 94);
    }
}
