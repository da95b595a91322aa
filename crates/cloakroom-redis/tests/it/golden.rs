//! The examples of the layout: what they show is read, and what is written is what they show.

use cloakroom::{Client, Field, Json, User};
use testbed::papers::{Block, blocks};
use testbed::shell::words;
use testbed::{Reply, Server};

use crate::house::{VISITS, manager};

const PAPER: &str = "docs/layout.md";
/// The instant of the example, in milliseconds.
const THEN: u64 = 1_763_880_000_000;

const NAME: Field<String> = Field::new("name");
const MEMBER: Field<bool> = Field::new("member");
const SIZES: Field<Json<Vec<u32>>> = Field::new("sizes");

#[track_caller]
fn golden(beginning: &str) -> Block {
    let mut golden = blocks(PAPER).into_iter().filter(|block| block.text.starts_with(beginning));
    golden.next().expect("an example that begins so")
}

/// The commands of the example, a line each, with its instants moved by so much.
fn commands(moved: u64) -> Vec<Vec<String>> {
    let today = |number: &str| match number.parse::<u64>() {
        Ok(then) if then >= THEN => (then + moved).to_string(),
        _ => number.to_owned(),
    };
    let today = |word: String| word.split(' ').map(today).collect::<Vec<_>>().join(" ");
    let lines = golden("HSET").text;
    lines.lines().map(|line| words(line).into_iter().map(today).collect()).collect()
}

fn now(server: &Server) -> u64 {
    let time = server.command(&["TIME"]);
    let part = |at: usize| time.list()[at].text().parse::<u64>().unwrap();
    part(0) * 1000 + part(1) / 1000
}

fn pairs(words: &[String]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        words.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    pairs.sort();
    pairs
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.list().iter().map(Reply::text).collect()
}

#[tokio::test]
async fn the_session_of_the_layout_is_found_by_its_cookie() {
    let server = Server::start();
    for command in commands(now(&server) - THEN) {
        server.command(&command);
    }
    let cookie = golden("Cookie: ").text;
    let cookie = cookie.trim_end().strip_prefix("Cookie: ").unwrap();
    let visit = manager(&server).open([cookie.as_bytes()]);
    let session = visit.session();
    assert_eq!(session.user().await.unwrap().unwrap().as_str(), "ゆき");
    assert_eq!(session.get(VISITS).await.unwrap(), Some(41));
    assert_eq!(session.get(NAME).await.unwrap().as_deref(), Some("Alice Liddell"));
    assert_eq!(session.get(MEMBER).await.unwrap(), Some(true));
    assert_eq!(session.get(SIZES).await.unwrap().unwrap().0, [38, 39]);
    let counted = session.if_logged_in().increment(VISITS, 1).await.unwrap();
    assert_eq!(counted.unwrap().1, 42);
}

#[tokio::test]
async fn what_a_login_writes_is_the_session_of_the_layout() {
    let server = Server::start();
    let visit = manager(&server).open([]);
    let session = visit.session();
    let client = Client::from_text("saf ios 203.0.113.0/24 shop");
    let login = session.log_in(User::new("ゆき").unwrap()).from_client(client);
    let login = login.with(VISITS, 41_u64).with(NAME, "Alice Liddell").with(MEMBER, true);
    assert_eq!(login.with(SIZES, Json(vec![38, 39])).await.unwrap(), cloakroom::LogIn::Done);
    let id = session.id().await.unwrap().unwrap();

    // The keys, as the first block of the layout writes them.
    let key = |line: &str| {
        let (pattern, _) = line.split_once(' ').unwrap();
        let key = pattern.replace("{prefix}", "shop").replace("{id}", &id.hash());
        key.replace("{tag}", &format!("{{{}}}", id.tag()))
    };
    let keys: Vec<String> = golden("{prefix}").text.lines().map(key).collect();
    // The others are of sessions that ended, or were carried over.
    let [session, index, ..] = &keys[..] else { panic!("two keys") };
    let mut kept = server.keys();
    kept.sort();
    assert_eq!(kept, keys[..2]);

    let [hset, expires, zadd, forgotten] = &commands(0)[..] else { panic!("four commands") };
    assert_eq!(index, &zadd[1]);
    let written = texts(&server.command(&["HGETALL", session]));
    let life = written[written.iter().position(|field| field == "~").unwrap() + 1].clone();
    let created: u64 = life.split(' ').nth(1).unwrap().parse().unwrap();
    let then = |value: &String| value.replace(&created.to_string(), &THEN.to_string());
    let written: Vec<String> = written.iter().map(then).collect();
    assert_eq!(pairs(&written), pairs(&hset[2..]));

    let score = server.command(&["ZSCORE", index, &id.hash()]).text();
    assert_eq!(
        score.parse::<f64>().unwrap() as u64 - created + THEN,
        zadd[2].parse::<u64>().unwrap()
    );
    for (key, command) in [(session, expires), (index, forgotten)] {
        let end = created + command[2].parse::<u64>().unwrap() - THEN;
        let (before, left, after) = (now(&server), server.ttl_ms(key) as u64, now(&server));
        assert!((before..=after + 1).contains(&(end - left)), "{key}: {left} ms left");
    }
}
