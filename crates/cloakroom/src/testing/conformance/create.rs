//! A session is made.

use super::stage::{
    HOUR, NO_FIELDS, Stage, assert_same, at_most, creating, fields, kept, lifetime, name, writing,
};
use crate::change::{Change, Fields, Writes};
use crate::expiry::{Life, Lifetime};
use crate::field::Kept;
use crate::store::{Apply, Create, Created, Login, OnlyIf, User, WhenFull};
use crate::testing::Harness;

/// Names and values are bytes to a store: it escapes, trims and converts nothing.
pub fn what_a_session_is_given_comes_back_to_the_byte<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let given = awkward_fields();
    let id = stage.anonymous();
    assert_same(&stage.created(creating(&id, &given)).fields, &given);
    stage.holds(&id, &given);
}

/// The same bytes by the other way in.
pub fn what_is_written_later_comes_back_to_the_byte<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let given = awkward_fields();
    let id = stage.with(&NO_FIELDS);
    let writes: Writes =
        given.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    let change = Change { writes, operation: None };
    assert_same(&stage.changed(&id, &change).fields, &given);
    stage.holds(&id, &given);
}

fn awkward_fields() -> Fields {
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [(&str, &[u8]); 22] = [
        ("empty", b""),
        ("every byte", &every_byte),
        ("NUL", b"a\0b\0"),
        ("no UTF-8", b"\xff\xfe\xc3\x28"),
        ("lines", b"\r\n$3\r\nfoo\r\n"),
        ("nil", b"nil"),
        ("false", b"false"),
        ("a space at the end ", b" both ends "),
        ("a number", b"007"),
        ("a long number", b"9223372036854775807"),
        ("1", b"1e3"),
        ("{braces}:session:x", b"{}"),
        ("quote\"quote'", b"\"'\\"),
        ("\\0 %s $1 ${x}", b"%d%n"),
        ("not~first", b"~"),
        ("user", b"no user"),
        ("created", b"no date"),
        ("-1", b"-0"),
        ("ゆき", "雪".as_bytes()),
        ("e\u{301}", "combined".as_bytes()),
        ("é", b"composed"),
        // 64 bytes in 16 letters.
        ("🦀🧥🎟🗝🦀🧥🎟🗝🦀🧥🎟🗝🦀🧥🎟🗝", "🧥".as_bytes()),
    ];
    values.into_iter().map(|(field, value)| (name(field), kept(value))).collect()
}

/// 1,024 fields with the longest names, and a value of a quarter of a MiB.
pub fn a_session_can_be_as_large_as_the_layout_allows<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let mut large: Fields =
        (0..1_023).map(|i| (name(&format!("{i:064}")), kept([b'v'; 100]))).collect();
    large.insert(name("long"), Kept(vec![0xa5; 256 * 1024]));
    let created = stage.with(&large);
    stage.holds(&created, &large);

    let written = stage.with(&NO_FIELDS);
    let writes = large.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    stage.changed(&written, &Change { writes, operation: None });
    stage.holds(&written, &large);
}

/// It begins at the store's own now, and expires at the nearer of idle timeout and deadline.
pub fn a_life_begins_now_and_lasts_as_long_as_it_was_given<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for (lifetime, remembered) in [
        (Lifetime::new(HOUR, 8 * HOUR).unwrap(), false),
        (Lifetime::new(HOUR, HOUR).unwrap(), true),
        (lifetime(3_600_001, 3_600_002), false),
        (Lifetime::new(Lifetime::LONGEST, Lifetime::LONGEST).unwrap(), true),
    ] {
        let id = stage.anonymous();
        let created = stage.created(Create { lifetime, remembered, ..creating(&id, &NO_FIELDS) });
        assert_eq!(created.life, Life::beginning(created.now, lifetime, remembered));
        let idle = created.now + lifetime.idle();
        assert_eq!(created.expires_at, idle.min(created.now + lifetime.absolute()));
        assert_eq!(created.user, None);

        let seen = stage.second().peek(&id);
        assert_eq!((seen.life, seen.expires_at), (created.life, created.expires_at));
        assert!(seen.now >= created.now, "the clock ran backwards");
    }
}

/// The shortest lifetime is one, too.
pub fn a_session_of_one_millisecond_is_made_and_dies<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.anonymous();
    let created = stage.created(Create { lifetime: lifetime(1, 1), ..creating(&id, &NO_FIELDS) });
    assert_eq!(created.expires_at.since(created.now).as_millis(), 1);
    stage.pass(5);
    stage.is_unknown(&id);
}

/// Two sessions under one id would be one person in the other's coat.
// Proves R21, R67.
pub fn a_session_is_never_overwritten<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let held = fields([("whose", "the first one's")]);
    let id = stage.with(&held);
    let before = stage.peek(&id);
    let other = fields([("whose", "the second one's"), ("more", "")]);
    let again = Create { lifetime: lifetime(1_000, 2_000), ..creating(&id, &other) };
    assert_eq!(stage.create(again), Created::Taken);
    let after = stage.second().peek(&id);
    assert_same(&after.fields, &held);
    assert_eq!((after.life, after.expires_at), (before.life, before.expires_at));
}

/// Where nothing is made, nobody is put out for it.
pub fn a_login_under_a_taken_id_ends_nobody<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let sessions = [stage.of(&user), stage.of(&user), stage.of(&user)];
    let limit = Some(at_most(1, WhenFull::EndOldest));
    let login = Some(Login { user: &user, limit, client: None });
    let again = Create { login, ..creating(&sessions[1], &NO_FIELDS) };
    assert_eq!(stage.create(again), Created::Taken);
    for id in &sessions {
        assert_eq!(stage.peek(id).user.as_ref(), Some(&user));
    }
}

/// The user's name comes back as it was given, at its longest and in any script.
// Proves R24.
pub fn a_session_made_by_a_login_says_whose_it_is<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let fresh = stage.anonymous().hash();
    for user in [
        "1".to_owned(),
        "ada@example.org".into(),
        "a user:{with} braces\\ \"and\" 'quotes'".into(),
        "~user".into(),
        "ゆき".into(),
        "🧥".repeat(16),
    ] {
        // As much of a fresh id as still fits: at its longest, the name itself must do.
        let room = (64 - user.len()).min(fresh.len());
        let user = User::new(format!("{user}{}", &fresh[..room])).unwrap();
        let id = stage.id_of(&user);
        let login = Some(Login { user: &user, limit: None, client: None });
        let created = stage.created(Create { login, ..creating(&id, &NO_FIELDS) });
        assert_eq!(created.user.as_ref(), Some(&user));
        let only_if = OnlyIf::LoggedIn;
        let read = Change::read();
        let apply = Apply { only_if, ..super::stage::applying(&id, &read) };
        let seen = super::stage::done(stage.second().apply(apply));
        assert_eq!(seen.user.as_ref(), Some(&user));
        assert_same(&seen.fields, &NO_FIELDS);
    }
}

/// There is one truth: no instance keeps a copy that it trusts.
pub fn another_instance_sees_everything_at_once<H: Harness>(here: &H) {
    let (one, other) = (Stage::set(here), Stage::set(here).second());
    let id = one.with(&fields([("n", "0")]));
    for n in 1..=20 {
        let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let n = n.to_string();
        writer.changed(&id, &writing([("n", Some(&n))]));
        reader.holds(&id, &fields([("n", &n)]));
    }
    assert_eq!(one.end(&id), crate::store::Ended::Now);
    other.is_ended(&id);
}

/// A write to one session is in no other.
// Proves CVE-2026-24894.
pub fn sessions_share_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let ids = [
        stage.with(&fields([("own", "0")])),
        stage.with(&fields([("own", "1")])),
        stage.of_user_with(&user, &fields([("own", "2")])),
        stage.of_user_with(&user, &fields([("own", "3")])),
    ];
    for (n, id) in ids.iter().enumerate() {
        stage.changed(id, &writing([(&format!("written {n}"), Some("x"))]));
    }
    for (n, id) in ids.iter().enumerate() {
        let own = n.to_string();
        stage.holds(id, &fields([("own", &own), (&format!("written {n}"), "x")]));
    }
}
