//! What `quick.lua` answers, and what it leaves to the rest of the script, in a real server.

use cloakroom_redis::scripts;
use testbed::{Reply, Server};

/// Of each thing the usual first. `CREATED` stands for five minutes ago.
const LIVES: [&str; 17] = [
    "1 CREATED 28800000 1800000 290000 s",
    "1 CREATED 28800000 1800000 290000 r",
    "1 CREATED 2000000 1800000 290000 s",
    "1 CREATED 28800000 1800000 0 s",
    "1 CREATED 28800000 20000 290000 s",
    "1 CREATED 200000 100000 290000 s",
    "1 CREATED 299000 299000 298500 s",
    "1 CREATED 28800000 1800000 290000 s of a later version",
    "2 CREATED 28800000 1800000 290000 s",
    "1 CREATED 28800000 0 290000 s",
    "1 CREATED 28800000 0 390000 s",
    "1 CREATED 1800000 28800000 290000 s",
    "1 CREATED 34560000001 1800000 290000 s",
    "1 9763880000000000 28800000 1800000 0 s",
    "1 CREATED 28800000 1800000 290000 x",
    "1 CREATED 28800000 1800000 290000 sx",
    "",
];
const USERS: [&str; 5] = [
    "alice",
    "-",
    "",
    "a\u{7f}",
    "0123456789012345678901234567890123456789012345678901234567890abcd",
];
/// Until when the index keeps the session, from now; or what is there instead; or the token names none.
const INDEXED: [&str; 7] = ["28500000", "unnamed", "1000", "1790000", "absent", "other", "wrong"];
const COUNTERS: [&str; 12] = [
    "41",
    "9007199254740993",
    "0",
    "9",
    "99",
    "-1",
    "007",
    "many",
    "",
    "99999999999999",
    "999999999999999",
    "absent",
];
const CALLS: [&[&str]; 19] = [
    &["0", "alive", "16384 64 65536", "count", "visits", "1"],
    &["0", "alive"],
    &["0", "logged-in"],
    &["0", "logged-in", "16384 64 65536", "count", "visits", "1"],
    &["0", "alive", "16384 64 65536", "increment", "visits", "1"],
    &["0", "alive", "16384 64 65536", "count", "visits", "17"],
    &["0", "alive", "16384 64 65536", "count", "visits", "-50"],
    &["0", "alive", "16384 64 65536", "count", "visits", "0"],
    &["0", "alive", "1 64 65536", "count", "visits", "1"],
    &["0", "alive", "14 64 65536", "count", "visits", "1"],
    &["0", "alive", "16384 64 65536", "writes", "2", "a", "b", "0", "count", "visits", "1"],
    &["0", "alive", "16384 64 65536", "writes", "0", "1", "a", "count", "visits", "1"],
    &["0", "alive", "16384 64 65536", "append", "visits", "1", "3"],
    &["0", "alive", "16384 64 65536", "compare-and-set", "visits", "1"],
    &["0", "alive", "16384 64 65536", "writes", "0", "0", "read"],
    &["0", "alive", "16384 64 1", "count", "visits", "1"],
    &["never", "alive"],
    &["1000", "logged-in"],
    &["token", "0", "0", "60000", "10000", "0", "alive"],
];
const KEY: &str =
    "app:{0123456789abcdefghijkl}:session:0123456789012345678901234567890123456789abc";
const INDEX: &str = "app:{0123456789abcdefghijkl}:user";

/// Puts a session there as told, anew.
const PUT: &str = "
    redis.call('DEL', KEYS[1], KEYS[2])
    local life, user, indexed, counter, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
    redis.call('HSET', KEYS[1], '~', (string.gsub(life, 'CREATED', string.format('%.0f', now - 300000))))
    if user ~= '-' then redis.call('HSET', KEYS[1], '~user', user) end
    if counter ~= 'absent' then redis.call('HSET', KEYS[1], 'visits', counter) end
    redis.call('HSET', KEYS[1], 'cart', 'umbrella', '1', '5')
    redis.call('PEXPIRE', KEYS[1], 600000)
    if indexed == 'wrong' then redis.call('SET', KEYS[2], 'no sorted set')
    elseif indexed == 'other' then redis.call('ZADD', KEYS[2], now + 600000, 'other')
    elseif indexed ~= 'absent' and indexed ~= 'unnamed' then
      redis.call('ZADD', KEYS[2], now + indexed, string.sub(KEYS[1], -43))
    end
    redis.call('PEXPIRE', KEYS[2], 28500000)";

/// What there is: what stands under both keys, and how long still.
const LOOK: &str = "
    local said = {}
    for _, key in ipairs(KEYS) do
      local kind = redis.call('TYPE', key).ok
      said[#said + 1] = kind
      if kind == 'hash' then said[#said + 1] = redis.call('HGETALL', key) end
      if kind == 'string' then said[#said + 1] = redis.call('GET', key) end
      if kind == 'zset' then said[#said + 1] = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
    end
    said[#said + 1] = redis.call('PTTL', KEYS[2]) > 0 and 'ends' or 'stays'
    return { said, redis.call('PTTL', KEYS[1]) }";

/// A session, and what is asked of it.
#[derive(Debug, Clone, Copy)]
struct Case {
    life: &'static str,
    user: &'static str,
    indexed: &'static str,
    counter: &'static str,
    call: &'static [&'static str],
}

impl Case {
    /// Every case that differs from what is usual in two things at most.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for life in LIVES {
            for (user, indexed) in USERS.iter().flat_map(|user| INDEXED.map(|kept| (*user, kept))) {
                for (counter, call) in
                    COUNTERS.iter().flat_map(|held| CALLS.map(|call| (*held, call)))
                {
                    all.push(Self { life, user, indexed, counter, call });
                }
            }
        }
        all.retain(|case| case.differences() <= 2);
        all
    }

    fn differences(self) -> usize {
        let alike = [
            self.life == LIVES[0],
            [(USERS[0], INDEXED[0]), ("-", "unnamed")].contains(&(self.user, self.indexed)),
            self.counter == COUNTERS[0],
            self.call == CALLS[0] || self.call == CALLS[1],
        ];
        alike.iter().filter(|alike| !**alike).count()
    }

    fn keys(self) -> &'static [&'static str] {
        if self.indexed == "unnamed" { &[KEY] } else { &[KEY, INDEX] }
    }

    /// Puts it there, lets a script answer, and returns the reply, what is there then, and how long the
    /// session still has.
    fn answered(self, server: &Server, now: &str, text: &str) -> (Reply, Reply, i64) {
        let put =
            ["EVAL", PUT, "2", KEY, INDEX, self.life, self.user, self.indexed, self.counter, now];
        assert!(server.command(&put).is_nil(), "{self:?}");
        let keys = self.keys();
        let count = keys.len().to_string();
        let reply = server.command(&[&["EVAL", text, &count], keys, self.call].concat());
        let there = server.command(&["EVAL", LOOK, "2", KEY, INDEX]).list();
        (reply, there[0].clone(), there[1].int())
    }
}

/// Not a session of ours, and to be removed.
#[test]
fn a_hash_of_too_many_fields_is_left_to_the_rest() {
    let server = Server::start();
    let [quick, _] = parts();
    let case = Case::all()[0];
    let fields = "for i = 1, 1026 do redis.call('HSET', KEYS[1], 'field' .. i, i) end";
    assert_ne!(case.answered(&server, &now(&server), &quick).0, left());
    server.command(&["EVAL", fields, "1", KEY]);
    let reply = server.command(&[&["EVAL", &quick, "2", KEY, INDEX], case.call].concat());
    assert_eq!(reply, left());
}

fn now(server: &Server) -> String {
    let time = server.command(&["TIME"]).list();
    format!("{}000", time[0].text())
}

/// The script, cut in two: what answers quickly or says that it leaves it, and the rest.
fn parts() -> [String; 2] {
    let (quick, rest) = scripts::APPLY.text.split_once("-- What the scripts share").unwrap();
    [format!("{quick} return 'left'"), format!("--{rest}")]
}

/// A reply in MessagePack: its outcome, its two instants of eight bytes each, and what follows.
fn parted(reply: &Reply) -> (&[u8], [u64; 2], &[u8]) {
    let Reply::Bulk(Some(reply)) = reply else { panic!("{reply:?} is not in one piece") };
    let (outcome, rest) = reply.split_at(6);
    assert_eq!(outcome, b"\x95\xa4done");
    let (instants, rest) = rest.split_at(18);
    let instant = |at: &[u8]| {
        assert_eq!(at[0], 0xcf);
        u64::from_be_bytes(at[1..].try_into().unwrap())
    };
    (outcome, [instant(&instants[..9]), instant(&instants[9..])], rest)
}

fn left() -> Reply {
    Reply::Bulk(Some(b"left".to_vec()))
}

#[test]
fn what_it_answers_is_what_the_rest_would_and_what_it_leaves_is_untouched() {
    let server = Server::start();
    let [quick, rest] = parts();
    let (mut answers, mut usual) = (0, 0);
    for case in Case::all() {
        let now = now(&server);
        let (reply, there, life) = case.answered(&server, &now, &quick);
        if reply == left() {
            let (_, as_it_was, _) = case.answered(&server, &now, "return 'left'");
            assert_eq!(there, as_it_was, "{case:?}");
            assert!((590_000..=600_000).contains(&life), "{case:?}: {life}");
            assert_ne!(case.differences(), 0, "{case:?}: left to the rest");
            continue;
        }
        answers += 1;
        usual += usize::from(case.differences() == 0);
        let (full, there_by_the_rest, life_by_the_rest) = case.answered(&server, &now, &rest);
        assert_eq!(there, there_by_the_rest, "{case:?}");
        assert!((life - life_by_the_rest).abs() < 10_000, "{case:?}: {life}, {life_by_the_rest}");
        let [(outcome, [now, expires], rest), full] = [&reply, &full].map(parted);
        // Both by their own clock, but for a session whose deadline is near.
        let [now_by_the_rest, expires_by_the_rest] = full.1;
        let lives_as_long = expires - now == expires_by_the_rest - now_by_the_rest;
        assert!(lives_as_long || expires == expires_by_the_rest, "{case:?}");
        assert_eq!((outcome, rest), (full.0, full.2), "{case:?}");
    }
    assert_eq!(usual, 4);
    assert!(answers > 50, "{answers}");
}
