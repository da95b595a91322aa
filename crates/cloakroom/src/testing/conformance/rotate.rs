//! A session moves to a new id: renewed, or by a login.

use std::time::Duration;

use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, assert_same, at_most, creating, fields, increment, kept, name,
    renewing, said, writes,
};
use crate::change::{Change, Fields, Limits};
use crate::expiry::{Life, Lifetime};
use crate::store::{Applied, Create, Ended, Login, Rotate, Rotated, WhenFull, Why};
use crate::testing::Harness;
use crate::token::{SessionId, Tag};

/// A renewal is the same session under a new id: fields, user and life, the deadline included. It is
/// a use, so the idle timeout is renewed.
// Proves R28.
pub fn a_renewal_keeps_everything_but_the_id<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "\0"), ("list", "[1,\n2]")]);
    for remembered in [false, true] {
        for user in [None, Some(&user)] {
            let old = user.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
            let login = user.map(|user| Login { user, limit: None, client: None });
            let before = stage.created(Create { remembered, login, ..creating(&old, &held) });
            stage.pass(10);
            let new = stage.id_like(&old);
            let renewed = stage.rotated(renewing(&old, &new));
            assert_same(&renewed.fields, &held);
            assert_eq!(renewed.user, before.user);
            assert!(renewed.now.since(before.now) >= Duration::from_millis(10));
            assert_eq!(Life { last_seen: before.now, ..renewed.life }, before.life);
            assert_eq!(
                renewed.expires_at,
                renewed.life.expires_at(renewed.now, Duration::ZERO),
                "a renewal is a use"
            );
            let after = stage.second().peek(&new);
            assert_eq!((after.life, after.expires_at), (renewed.life, renewed.expires_at));
            assert_same(&after.fields, &held);
            assert_eq!(after.user, before.user);
            // And it is a session like any other.
            stage.changed(&new, &Change::of(increment("n", 1)));
            assert_eq!(stage.end(&new), Ended::Now);
        }
    }
}

/// From the same step on, the old id is nobody's.
// Proves R22, CVE-2019-17563.
pub fn the_old_id_is_ended_at_once<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    for old in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let new = stage.id_like(&old);
        stage.rotated(renewing(&old, &new));
        stage.second().is_dead_to_every_verb(&old, &Applied::Ended);
        stage.holds(&new, &held);
    }
    for old in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let new = stage.id_of(&user);
        stage.rotated(Entry::of(&user).from(&old, &new));
        stage.second().is_dead_to_every_verb(&old, &Applied::Ended);
        assert!(stage.is_alive(&new));
    }
}

/// What waited is done to the old session first, and so moves with it.
pub fn the_writes_are_done_before_the_move<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "2"), ("c", "3")]);
    let written = writes([("a", Some("x")), ("b", None), ("d", Some("4")), ("e", None)]);
    let after = fields([("a", "x"), ("c", "3"), ("d", "4")]);
    for old in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let new = stage.id_like(&old);
        let renewed = stage.rotated(Rotate { writes: &written, ..renewing(&old, &new) });
        assert_same(&renewed.fields, &after);
        stage.second().holds(&new, &after);
    }
    let old = stage.of_user_with(&user, &held);
    let new = stage.id_of(&user);
    let login = Rotate { writes: &written, ..Entry::of(&user).from(&old, &new) };
    assert_same(&stage.rotated(login).fields, &after);
    stage.second().holds(&new, &after);
}

/// Whatever keeps a rotation from happening leaves the old session exactly as it was.
pub fn a_rotation_that_fails_leaves_the_old_session_as_it_was<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (user, full) = (stage.user("ada"), stage.user("full"));
    stage.of(&full);
    let held = fields([("a", "1"), ("b", "2")]);
    let written = writes([("a", Some("too long")), ("b", None), ("c", Some(""))]);
    let tight = Limits { value_bytes: 3, ..super::stage::ROOMY };
    let taken_of_user = stage.of_user_with(&user, &held);
    for old in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let before = stage.peek(&old);
        stage.pass(2);
        let carried = [name("a"), name("b"), name("c")];
        let entry = Entry { carried: &carried, ..Entry::of(&user) };
        let refused_entry = Entry::with_limit(&full, at_most(1, WhenFull::Refuse));
        let (renewal, entered, into_full) =
            (stage.id_like(&old), stage.id_of(&user), stage.id_of(&full));
        let taken = stage.id_like(&old);
        let login = before.user.as_ref().map(|user| Login { user, limit: None, client: None });
        stage.created(Create { login, ..creating(&taken, &held) });
        for (rotate, expected) in [
            (Rotate { limits: &tight, ..renewing(&old, &renewal) }, "Refused"),
            (Rotate { limits: &tight, ..entry.from(&old, &entered) }, "Refused"),
            (refused_entry.from(&old, &into_full), "Full"),
            (renewing(&old, &taken), "Taken"),
            (renewing(&old, &old), "Taken"),
            (entry.from(&old, &taken_of_user), "Taken"),
        ] {
            let across = match rotate.why {
                Why::Renewal => false,
                Why::Login { login, .. } => before.user.as_ref() != Some(login.user),
            };
            if across && expected == "Taken" && stage.logs_in_by_two_steps() {
                continue;
            }
            let rotated = stage.rotate(Rotate { writes: &written, ..rotate });
            let kind = match rotated {
                Rotated::Done(..) => "Done",
                Rotated::Full => "Full",
                Rotated::Refused(_) => "Refused",
                Rotated::Taken => "Taken",
                Rotated::Unknown => "Unknown",
                Rotated::Ended => "Ended",
                Rotated::Stolen => "Stolen",
            };
            assert_eq!(kind, expected, "{:?}", rotate.why);
            let after = stage.second().peek(&old);
            assert_same(&after.fields, &held);
            assert_eq!((after.life, after.expires_at), (before.life, before.expires_at));
            assert_eq!(after.user, before.user);
        }
        for id in [&renewal, &entered, &into_full] {
            stage.is_unknown(id);
        }
        for id in [&taken, &taken_of_user] {
            stage.holds(id, &held);
        }
    }
}

/// The new id must be fresh: neither a live session's nor one that was ended a moment ago.
pub fn a_rotation_never_overwrites<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let ended = stage.of_user_with(&user, &held);
    assert_eq!(stage.end(&ended), Ended::Now);
    let rotated = stage.of_user_with(&user, &held);
    stage.rotated(renewing(&rotated, &stage.id_like(&rotated)));
    for taken in [&ended, &rotated] {
        let old = stage.of_user_with(&user, &held);
        assert_eq!(stage.rotate(renewing(&old, taken)), Rotated::Taken);
        assert_eq!(stage.rotate(Entry::of(&user).from(&old, taken)), Rotated::Taken);
        assert_eq!(stage.rotate(Entry::of(&user).from(&stage.anonymous(), taken)), Rotated::Taken);
        stage.is_ended(taken);
        stage.holds(&old, &held);
    }
}

/// What an anonymous visitor left behind, or an attacker planted, stays behind, but for what the
/// settings name (ASVS 15.3.3); the waiting writes are no exception.
// Proves R24.
pub fn a_login_takes_from_an_anonymous_session_only_what_is_named<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = || fields([("cart", "3"), ("language", "ja"), ("role", "admin"), ("tab", "1")]);
    let written = || {
        writes([
            ("cart", Some("4")),
            ("role", Some("root")),
            ("tab", None),
            ("theme", Some("dark")),
        ])
    };
    let brought = || fields([("device", "phone")]);
    for (carried, with_writes, expected) in [
        (vec![], false, fields([("device", "phone")])),
        (vec![], true, fields([("device", "phone")])),
        (vec!["cart", "tab"], false, fields([("cart", "3"), ("tab", "1"), ("device", "phone")])),
        (vec!["cart", "tab"], true, fields([("cart", "4"), ("device", "phone")])),
        (
            vec!["cart", "theme", "absent"],
            true,
            fields([("cart", "4"), ("theme", "dark"), ("device", "phone")]),
        ),
        // What the login brings is newer than what was carried.
        (vec!["device", "language"], false, fields([("language", "ja"), ("device", "phone")])),
    ] {
        let carried: Vec<_> = carried.into_iter().map(name).collect();
        let mut held = held();
        held.insert(name("device"), kept("planted"));
        let (old, new) = (stage.with(&held), stage.id_of(&user));
        let (written, brought) = (written(), brought());
        let entry = Entry { carried: &carried, fields: &brought, ..Entry::of(&user) };
        let mut rotate = entry.from(&old, &new);
        if with_writes {
            rotate.writes = &written;
        }
        let snapshot = stage.rotated(rotate);
        assert_same(&snapshot.fields, &expected);
        assert_eq!(snapshot.user.as_ref(), Some(&user));
        stage.second().holds(&new, &expected);
    }
}

/// Who proves again who they are keeps all they had.
pub fn the_same_user_keeps_every_field<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "2")]);
    let (old, new) = (stage.of_user_with(&user, &held), stage.id_of(&user));
    let brought = fields([("b", "brought"), ("c", "3")]);
    let entry = Entry { fields: &brought, ..Entry::of(&user) };
    let expected = fields([("a", "1"), ("b", "brought"), ("c", "3")]);
    assert_same(&stage.rotated(entry.from(&old, &new)).fields, &expected);
    stage.second().holds(&new, &expected);
}

/// The browser changed hands: nothing of the one before is the next one's, by whatever name.
// Proves R24.
pub fn another_user_keeps_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (ada, bob) = (stage.user("ada"), stage.user("bob"));
    let held = fields([("a", "1"), ("b", "2")]);
    let (old, new) = (stage.of_user_with(&ada, &held), stage.id_of(&bob));
    let brought = fields([("c", "3")]);
    let carried = [name("a"), name("w")];
    let written = writes([("a", Some("x")), ("w", Some("y"))]);
    let entry = Entry { carried: &carried, fields: &brought, ..Entry::of(&bob) };
    let snapshot = stage.rotated(Rotate { writes: &written, ..entry.from(&old, &new) });
    assert_same(&snapshot.fields, &brought);
    assert_eq!(snapshot.user.as_ref(), Some(&bob));
    stage.second().holds(&new, &brought);
    stage.is_ended(&old);
}

/// After a login the session is a new one in its years, too: both clocks begin anew, as long as
/// this login says.
// Proves R28.
pub fn a_login_begins_a_new_life<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for (old, remembered) in [
        (stage.with(&NO_FIELDS), true),
        (stage.of_user_for(&user, 10), false),
        (stage.of_user_for(&stage.user("bob"), 10), true),
        (stage.anonymous(), true),
    ] {
        stage.pass(10);
        let new = stage.id_of(&user);
        let lifetime = Lifetime::new(3 * HOUR, 30 * HOUR).unwrap();
        let entry = Entry { lifetime, remembered, ..Entry::of(&user) };
        let snapshot = stage.rotated(entry.from(&old, &new));
        assert_eq!(snapshot.life, Life::beginning(snapshot.now, lifetime, remembered));
        assert_eq!(snapshot.expires_at, snapshot.now + 3 * HOUR);
        let after = stage.second().peek(&new);
        assert_eq!((after.life, after.expires_at), (snapshot.life, snapshot.expires_at));
    }
}

/// Nobody is kept from logging in by a session that is gone; what it held, and what waited for it,
/// is not brought along.
pub fn a_login_over_a_session_that_is_gone_goes_ahead_fresh<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (user, other) = (stage.user("ada"), stage.user("bob"));
    let held = fields([("a", "1")]);
    let ended = |id: SessionId| {
        assert_eq!(stage.end(&id), Ended::Now);
        id
    };
    let rotated_away = stage.of_user_with(&user, &held);
    stage.rotated(renewing(&rotated_away, &stage.id_like(&rotated_away)));
    for old in [
        stage.anonymous(),
        stage.id_of(&user),
        stage.id_of(&other),
        ended(stage.with(&held)),
        ended(stage.of_user_with(&user, &held)),
        ended(stage.of_user_with(&other, &held)),
        rotated_away,
    ] {
        let new = stage.id_of(&user);
        let carried = [name("a")];
        let brought = fields([("device", "phone")]);
        let written = writes([("a", Some("late"))]);
        let entry = Entry { carried: &carried, fields: &brought, ..Entry::of(&user) };
        let before = stage.look(&old);
        let snapshot = stage.rotated(Rotate { writes: &written, ..entry.from(&old, &new) });
        // Of one that is unknown the writes count, as a newcomer's do; of one that ended, nothing.
        let newcomer = fields([("a", "late"), ("device", "phone")]);
        let expected = if before == Applied::Unknown { &newcomer } else { &brought };
        assert_same(&snapshot.fields, expected);
        assert_eq!(snapshot.user.as_ref(), Some(&user));
        stage.second().holds(&new, expected);
        assert_eq!(stage.look(&old), before, "the old one is as dead as before");
    }
}

/// A renewal makes nothing out of nothing.
pub fn a_renewal_of_a_session_that_is_gone_makes_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let ended = stage.of(&user);
    assert_eq!(stage.end(&ended), Ended::Now);
    let moved = stage.with(&NO_FIELDS);
    stage.rotated(renewing(&moved, &stage.id_like(&moved)));
    for (old, answer) in [
        (stage.anonymous(), Rotated::Unknown),
        (stage.id_of(&user), Rotated::Unknown),
        (ended, Rotated::Ended),
        (moved, Rotated::Ended),
    ] {
        let new = stage.id_like(&old);
        let written = writes([("a", Some("late"))]);
        let rotated = stage.rotate(Rotate { writes: &written, ..renewing(&old, &new) });
        assert_eq!(rotated, answer);
        stage.is_unknown(&new);
        // Nor was it put aside: the id is still free.
        let of_user = matches!(new.tag(), Tag::User(_));
        let login = of_user.then_some(Login { user: &user, limit: None, client: None });
        stage.created(Create { login, ..creating(&new, &NO_FIELDS) });
    }
}

/// A chain of a hundred moves loses nothing and leaves one session alive.
pub fn a_session_survives_many_rotations<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for mut id in [stage.with(&NO_FIELDS), stage.of(&user)] {
        let mut before = Vec::new();
        for n in 1..=100 {
            let answer = stage.changed(&id, &Change::of(increment("n", 1)));
            assert_same(&answer.fields, &fields([("n", &n.to_string())]));
            let new = stage.id_like(&id);
            stage.rotated(renewing(&id, &new));
            before.push(std::mem::replace(&mut id, new));
        }
        let expected: Fields = fields([("n", "100")]);
        stage.holds(&id, &expected);
        for (n, id) in before.iter().enumerate() {
            assert_eq!(stage.look(id), Applied::Ended, "number {n}, {}", said(&Change::read()));
        }
    }
}
