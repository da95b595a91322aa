//! A session is used, and expires.

use std::time::Duration;

use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, applying, assert_same, creating, every_kind_of_change, fields,
    lifetime, renewing, writing,
};
use crate::change::{Change, Limits};
use crate::expiry::{Lifetime, Touch};
use crate::store::{Applied, Apply, Create, EndedOf, Login, Rotate, Rotated, Snapshot, Which};
use crate::testing::Harness;
use crate::token::SessionId;

/// A read is an empty change: it brings all back, changes nothing, and renews the idle timeout to
/// the millisecond.
// Proves R26.
pub fn a_read_changes_nothing_and_renews_exactly<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "")]);
    for id in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let before = stage.peek(&id);
        stage.pass(10);
        let read = stage.used(&id, Touch::Exactly);
        assert!(
            read.now.since(before.now) >= Duration::from_millis(10),
            "`Harness::pass` let no time pass on the store's clock"
        );
        assert_same(&read.fields, &held);
        assert_eq!(read.user, before.user);
        assert_same_life(&read, &before);
        assert_eq!(read.expires_at, read.life.expires_at(read.now, Duration::ZERO));

        let after = stage.peek(&id);
        assert_eq!((after.expires_at, after.fields), (read.expires_at, read.fields));
    }
}

/// Not only a read is a use.
pub fn every_kind_of_change_renews_exactly<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    for change in every_kind_of_change() {
        stage.pass(2);
        let changed = stage.changed(&id, &change);
        assert_eq!(changed.expires_at, changed.life.expires_at(changed.now, Duration::ZERO));
        assert_eq!(stage.peek(&id).expires_at, changed.expires_at);
    }
}

/// Nothing moves the absolute deadline, whatever is done to renew the idle timeout.
// Proves R27, CVE-2024-35220.
pub fn no_use_moves_the_end_past_the_deadline<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let hour = Lifetime::new(HOUR, HOUR).unwrap();
    for user in [None, Some(&user)] {
        let id = user.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
        let login = user.map(|user| Login { user, limit: None, client: None });
        let new = Create { lifetime: hour, login, ..creating(&id, &NO_FIELDS) };
        let deadline = stage.created(new).life.deadline();
        for touch in [Touch::Exactly, Touch::AtMostEvery(HOUR), Touch::Never, Touch::Exactly] {
            for change in [Change::read(), writing([("a", Some("1"))])] {
                stage.pass(2);
                let apply = Apply { touch, ..applying(&id, &change) };
                let used = super::stage::done(stage.apply(apply));
                assert_eq!((used.expires_at, used.life.deadline()), (deadline, deadline));
            }
        }
        let new = stage.id_like(&id);
        let renewed = stage.rotated(renewing(&id, &new));
        assert_eq!((renewed.expires_at, renewed.life.deadline()), (deadline, deadline));
    }
}

/// Polling keeps nobody logged in.
pub fn a_use_that_does_not_count_leaves_the_end_where_it_is<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    let before = stage.used(&id, Touch::Exactly);
    for change in every_kind_of_change() {
        stage.pass(2);
        let apply = Apply { touch: Touch::Never, ..applying(&id, &change) };
        let after = super::stage::done(stage.apply(apply));
        assert_eq!(after.expires_at, before.expires_at);
        assert_eq!(after.life, before.life, "not seen either");
    }
}

/// With `AtMostEvery(d)` a renewal gives `d` more, and then nothing is renewed for `d`: that is
/// what it saves.
pub fn at_most_every_gives_that_much_more_and_rests_for_as_long<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    stage.pass(5);
    let first = stage.used(&id, Touch::AtMostEvery(2 * HOUR));
    assert_eq!(first.expires_at, first.life.expires_at(first.now, 2 * HOUR));
    for change in every_kind_of_change() {
        stage.pass(5);
        let apply = Apply { touch: Touch::AtMostEvery(2 * HOUR), ..applying(&id, &change) };
        assert_eq!(super::stage::done(stage.apply(apply)).expires_at, first.expires_at);
    }
}

/// Whenever it was renewed last: after each use it lives its idle timeout, and at most `d` more.
pub fn at_most_every_ends_no_session_early_and_none_too_late<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    let every = Duration::from_millis(50);
    let mut ends = Vec::new();
    for _ in 0..8 {
        stage.pass(20);
        let used = stage.used(&id, Touch::AtMostEvery(every));
        assert!(used.expires_at >= used.life.expires_at(used.now, Duration::ZERO), "{used:?}");
        assert!(used.expires_at <= used.life.expires_at(used.now, every), "{used:?}");
        ends.push(used.expires_at);
    }
    ends.dedup();
    assert!(ends.len() > 1, "never renewed");
}

/// `AtMostEvery(d)` gives no life beyond the deadline.
pub fn at_most_every_gives_nothing_past_the_deadline<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.anonymous();
    let lifetime = Lifetime::new(HOUR, 2 * HOUR).unwrap();
    let created = stage.created(Create { lifetime, ..creating(&id, &NO_FIELDS) });
    stage.pass(5);
    let used = stage.used(&id, Touch::AtMostEvery(24 * HOUR));
    assert_eq!(used.expires_at, created.life.deadline());
}

/// "Exactly" means it after "at most every", too: the next use sets the end, even if to sooner.
pub fn an_exact_use_takes_back_what_at_most_every_gave<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    stage.pass(5);
    stage.used(&id, Touch::AtMostEvery(2 * HOUR));
    let used = stage.used(&id, Touch::Exactly);
    assert_eq!(used.expires_at, used.life.expires_at(used.now, Duration::ZERO));
    assert_eq!(stage.peek(&id).expires_at, used.expires_at);
}

/// The list of a user's sessions shows when each was used last, to within a minute or a tenth of a
/// short idle timeout.
pub fn last_seen_follows_the_uses<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for user in [None, Some(&user)] {
        let id = user.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
        let login = user.map(|user| Login { user, limit: None, client: None });
        let lifetime = lifetime(1_000, 10 * 3_600_000);
        stage.created(Create { lifetime, login, ..creating(&id, &NO_FIELDS) });
        stage.pass(5);
        // An hour more, so that a slow machine doesn't find it expired.
        stage.used(&id, Touch::AtMostEvery(HOUR));
        stage.pass(150);
        let used = stage.used(&id, Touch::Exactly);
        assert!(used.now.since(used.life.last_seen) <= used.life.seen_every(), "{used:?}");
        assert!(used.life.last_seen <= used.now, "{used:?}");
    }
}

/// No verb revives a session that nobody used for its idle timeout.
// Proves R26, CVE-2018-1000814.
pub fn a_session_unused_for_its_idle_timeout_is_unknown_to_every_verb<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    for user in [None, Some(&user)] {
        let id = user.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
        let login = user.map(|user| Login { user, limit: None, client: None });
        let new = Create { lifetime: lifetime(40, 3_600_000), login, ..creating(&id, &held) };
        stage.created(new);
        stage.pass(60);
        stage.is_dead_to_every_verb(&id, &Applied::Unknown);
    }
}

/// No verb revives a session after its deadline, however much it was used before.
// Proves R27, CVE-2018-1000814.
pub fn a_session_is_unknown_to_every_verb_after_its_deadline<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for (user, touch) in [(None, Touch::Exactly), (Some(&user), Touch::AtMostEvery(HOUR))] {
        let id = user.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
        let login = user.map(|user| Login { user, limit: None, client: None });
        let new = Create { lifetime: lifetime(250, 250), login, ..creating(&id, &NO_FIELDS) };
        let deadline = stage.created(new).life.deadline();
        stage.pass(150);
        match stage.apply(Apply { touch, ..applying(&id, &Change::read()) }) {
            Applied::Done(used, _) => assert_eq!(used.expires_at, deadline),
            // A slow machine: the rest of the check still holds.
            Applied::Unknown => {}
            other => panic!("{other:?}"),
        }
        // A renewal by its idle timeout would have lasted until 400 ms.
        stage.pass(150);
        stage.is_dead_to_every_verb(&id, &Applied::Unknown);
    }
}

/// Asking for what is not there makes nothing.
// Proves R21, CVE-2018-1000519.
pub fn what_never_was_is_unknown_to_every_verb<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (stranger, user) = (stage.user("nobody"), stage.user("ada"));
    stage.of(&user);
    for id in [stage.anonymous(), stage.id_of(&stranger), stage.id_of(&user)] {
        stage.is_dead_to_every_verb(&id, &Applied::Unknown);
    }
}

/// An id has a kind, anonymous or a user's, and another kind makes another id of it, though a store may
/// find both under one key. It is no way round the index, where sessions end all at once.
// Proves R57, R32, CVE-2023-48309.
pub fn an_id_of_the_other_kind_reads_and_writes_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let other = |id: &SessionId| {
        let mut bytes = id.to_bytes();
        bytes[0] ^= b'a' ^ b'u';
        SessionId::from_bytes(&bytes).unwrap()
    };
    let alike = || [stage.with(&held), stage.of_user_with(&user, &held)];
    for change in every_kind_of_change() {
        for id in alike() {
            let applied = stage.apply(applying(&other(&id), &change));
            assert!(matches!(applied, Applied::Unknown | Applied::Ended), "{applied:?}");
            // To end it is no harm: only who knows the id can ask. To change it is.
            if stage.is_alive(&id) {
                stage.holds(&id, &held);
            }
        }
    }
    for id in alike() {
        let (other, entry) = (other(&id), Entry::of(&user));
        let new = stage.id_like(&other);
        assert!(matches!(stage.rotate(renewing(&other, &new)), Rotated::Unknown | Rotated::Ended));
        stage.is_unknown(&new);
        let new = stage.id_of(&user);
        let carried = [super::stage::name("a")];
        let login = Entry { carried: &carried, ..entry };
        assert_same(&stage.rotated(login.from(&other, &new)).fields, &NO_FIELDS);
    }

    // Ended all at once, their keys may be there still.
    let user = stage.user("bob");
    let ended = [(); 2].map(|()| stage.of_user_with(&user, &held));
    assert_eq!(stage.end_of(&user, Which::All, None), EndedOf::Done(2));
    let [looked_at, renewed] = ended.map(|id| other(&id));
    let look = stage.look(&looked_at);
    assert!(matches!(look, Applied::Unknown | Applied::Ended), "{look:?}");
    let new = stage.id_like(&renewed);
    assert!(matches!(stage.rotate(renewing(&renewed, &new)), Rotated::Unknown | Rotated::Ended));
    stage.is_unknown(&new);
}

/// What expired is carried into no login either.
pub fn an_expired_session_carries_nothing_into_a_login<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let carried = [super::stage::name("a")];
    for before in [None, Some(&user)] {
        let id = before.map_or_else(|| stage.anonymous(), |user| stage.id_of(user));
        let login = before.map(|user| Login { user, limit: None, client: None });
        let new = Create { lifetime: lifetime(40, 3_600_000), login, ..creating(&id, &held) };
        stage.created(new);
        stage.pass(60);
        let new = stage.id_of(&user);
        let entry = Entry { carried: &carried, ..Entry::of(&user) };
        let snapshot = stage.rotated(entry.from(&id, &new));
        assert_same(&snapshot.fields, &NO_FIELDS);
        stage.holds(&new, &NO_FIELDS);
        assert!(!stage.is_alive(&id));
    }
}

/// A refused change is no way round the timeouts, and no way to end a session early.
pub fn a_refused_change_ends_nothing_early<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&fields([("a", "1")]));
    let before = stage.peek(&id);
    let limits = &Limits { fields: 0, value_bytes: 0, session_bytes: 0 };
    let change = writing([("b", Some("too much"))]);
    assert!(matches!(stage.apply(Apply { limits, ..applying(&id, &change) }), Applied::Refused(_)));
    let new = stage.id_like(&id);
    let writes = &change.writes;
    let rotate = Rotate { writes, limits, ..renewing(&id, &new) };
    assert!(matches!(stage.rotate(rotate), Rotated::Refused(_)));
    let after = stage.peek(&id);
    assert!(after.expires_at >= before.expires_at);
    assert!(after.expires_at <= after.life.expires_at(after.now, Duration::ZERO));
}

fn assert_same_life(one: &Snapshot, other: &Snapshot) {
    let parts = |s: &Snapshot| (s.life.created, s.life.lifetime, s.life.remembered);
    assert_eq!(parts(one), parts(other));
}
