//! A user's sessions: the index, which is the authority on who is alive, and the limit.

use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, applying, assert_same, at_most, creating, fields, lifetime,
    name, renewing, writing,
};
use crate::change::Change;
use crate::expiry::{Lifetime, Touch};
use crate::store::{
    Applied, Apply, Create, Created, Ended, Login, Rotated, SessionLimit, User, WhenFull,
};
use crate::testing::Harness;
use crate::token::SessionId;

/// Without a limit a user has as many sessions as they like.
pub fn without_a_limit_a_login_ends_nobody<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let sessions: Vec<_> = (0..60).map(|_| stage.of(&user)).collect();
    assert_eq!(alive(&stage, &sessions), sessions.len());
}

/// The one with the least life left makes room, whichever is older, and hears that it was ended.
// Proves R38.
pub fn the_session_with_the_least_life_left_makes_room<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for by_rotation in [false, true] {
        let user = stage.user("ada");
        let long = stage.of_user_for(&user, 300);
        let least = stage.of_user_for(&user, 100);
        let longer = stage.of_user_for(&user, 400);
        let new = log_in(&stage, &user, at_most(3, WhenFull::EndOldest), by_rotation);
        let new = new.expect("ending another makes room");
        stage.is_dead_to_every_verb(&least, &Applied::Ended);
        for id in [long, longer, new] {
            assert_eq!(stage.peek(&id).user.as_ref(), Some(&user));
        }
    }
}

/// Whoever logs in is in, even if every other session has more life left than theirs.
pub fn a_login_never_ends_itself<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for limit in [1, 2] {
        let user = stage.user("ada");
        let others = [stage.of_user_for(&user, 400), stage.of_user_for(&user, 300)];
        let id = stage.id_of(&user);
        let limit = at_most(limit, WhenFull::EndOldest);
        let short = Lifetime::new(HOUR / 4, HOUR / 4).unwrap();
        let login = Some(Login { user: &user, limit: Some(limit), client: None });
        stage.created(Create { lifetime: short, login, ..creating(&id, &NO_FIELDS) });
        assert!(stage.is_alive(&id));
        assert_eq!(alive(&stage, &others), limit.at_most.get() as usize - 1);
    }
}

/// What counts is the life that is left, and a use that gives more of it counts, too.
pub fn a_use_that_gives_more_life_moves_a_session_back_in_the_queue<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let first = stage.of(&user);
    let second = stage.of(&user);
    stage.pass(5);
    // The first to come has two hours more than the second now.
    stage.used(&first, Touch::AtMostEvery(2 * HOUR));
    let new = log_in(&stage, &user, at_most(2, WhenFull::EndOldest), false);
    assert!(new.is_some());
    stage.is_ended(&second);
    assert!(stage.is_alive(&first));
}

/// The index keeps a session for as long as the session itself was given: a login, which clears out
/// dead entries, clears out no live one.
pub fn the_index_forgets_no_session_that_is_alive<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for how in [Touch::AtMostEvery(HOUR), Touch::AtMostEvery(24 * HOUR)] {
        let user = stage.user("ada");
        let id = stage.id_of(&user);
        let login = Some(Login { user: &user, limit: None, client: None });
        let lifetime = lifetime(200, 300 * 3_600_000);
        stage.created(Create { lifetime, login, ..creating(&id, &NO_FIELDS) });
        stage.pass(2);
        let given = match stage.apply(Apply { touch: how, ..applying(&id, &Change::read()) }) {
            Applied::Done(snapshot, _) => snapshot.expires_at,
            // A slow machine needed more than 200 ms for that.
            Applied::Unknown => continue,
            other => panic!("{other:?}"),
        };
        stage.pass(250);
        // Past the idle timeout, and past the tenth of it by which an index may lag.
        let other = log_in(&stage, &user, at_most(9, WhenFull::EndOldest), false);
        assert!(other.is_some());
        match stage.look(&id) {
            Applied::Done(seen, _) => assert!(seen.now < given, "{seen:?}"),
            other => panic!("{how:?}: {other:?}, though it was given an hour more"),
        }
    }
}

/// A limit that was lowered is enforced by the next login: all that are too many end, those with
/// the least life left.
pub fn a_login_under_a_lowered_limit_ends_all_that_are_too_many<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for by_rotation in [false, true] {
        let user = stage.user("ada");
        // Made in no order of their life.
        let sessions: Vec<_> = [300, 200, 700, 100, 600, 500, 400]
            .into_iter()
            .map(|minutes| (minutes, stage.of_user_for(&user, minutes)))
            .collect();
        let new = log_in(&stage, &user, at_most(3, WhenFull::EndOldest), by_rotation);
        assert!(stage.is_alive(&new.expect("ending others makes room")));
        for (minutes, id) in sessions {
            let expected = minutes >= 600;
            assert_eq!(stage.is_alive(&id), expected, "the one with {minutes} minutes left");
            if !expected {
                stage.is_ended(&id);
                assert_eq!(stage.end(&id), Ended::Before);
            }
        }
    }
}

/// A great many at once: no step is cut into pieces in which some are still alive.
pub fn a_thousand_sessions_end_in_one_step<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let sessions: Vec<_> = (0..1_100).map(|_| stage.of(&user)).collect();
    let new = log_in(&stage, &user, at_most(1, WhenFull::EndOldest), false);
    assert!(stage.is_alive(&new.expect("ending others makes room")));
    for id in &sessions {
        stage.is_ended(id);
    }
}

/// Where the limit refuses, nothing is made, and nobody is ended.
pub fn a_refused_login_makes_and_ends_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for limit in [1, 3] {
        for by_rotation in [false, true] {
            let user = stage.user("ada");
            let sessions = [stage.of(&user), stage.of(&user), stage.of(&user)];
            let limit = at_most(limit, WhenFull::Refuse);
            for _ in 0..2 {
                assert_eq!(log_in(&stage, &user, limit, by_rotation), None);
            }
            assert_eq!(alive(&stage, &sessions), 3);
        }
    }
}

/// The limit is a limit and not one less.
// Proves R38.
pub fn as_many_sessions_as_allowed_are_allowed<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        for by_rotation in [false, true] {
            let user = stage.user("ada");
            let limit = at_most(3, when_full);
            let sessions: Vec<_> = (0..3)
                .map(|_| log_in(&stage, &user, limit, by_rotation).expect("there is room"))
                .collect();
            assert_eq!(alive(&stage, &sessions), 3);
        }
    }
}

/// Ended, rotated into another user's, revoked or expired: in each case there is room again.
pub fn a_session_that_is_over_frees_its_place<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let limit = at_most(1, WhenFull::Refuse);
    for by_rotation in [false, true] {
        let full = |user: &User| log_in(&stage, user, limit, by_rotation).is_none();

        let user = stage.user("ended");
        let id = stage.of(&user);
        assert!(full(&user));
        assert_eq!(stage.end(&id), Ended::Now);
        assert!(!full(&user));

        let (user, other) = (stage.user("moved"), stage.user("other"));
        let id = stage.of(&user);
        assert!(full(&user));
        stage.rotated(Entry::of(&other).from(&id, &stage.id_of(&other)));
        assert!(!full(&user));

        let user = stage.user("revoked");
        stage.of(&user);
        let revoking = log_in(&stage, &user, at_most(1, WhenFull::EndOldest), by_rotation);
        assert!(full(&user));
        assert_eq!(stage.end(&revoking.expect("it ends the other")), Ended::Now);
        assert!(!full(&user));

        // An index may lag behind by a tenth of the idle timeout, here 4 ms.
        for lifetime in [lifetime(40, 3_600_000), lifetime(40, 40)] {
            let user = stage.user("expired");
            let id = stage.id_of(&user);
            let login = Some(Login { user: &user, limit: None, client: None });
            stage.created(Create { lifetime, login, ..creating(&id, &NO_FIELDS) });
            stage.pass(60);
            assert!(!full(&user));
        }
    }
}

/// Who logs in over their own session, or renews it, has not become two.
pub fn rotating_a_session_takes_no_second_place<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let other = stage.of(&user);
    let mut id = stage.of(&user);
    let limit = at_most(2, WhenFull::Refuse);
    for round in 0..6 {
        let new = stage.id_of(&user);
        let rotate = if round % 2 == 0 {
            Entry::with_limit(&user, limit).from(&id, &new)
        } else {
            renewing(&id, &new)
        };
        stage.rotated(rotate);
        stage.is_ended(&id);
        id = new;
    }
    assert_eq!(log_in(&stage, &user, limit, false), None, "each of the two still has its place");
    // Nor does it end the other where the limit would rather end than refuse.
    let new = stage.id_of(&user);
    let entry = Entry::with_limit(&user, at_most(2, WhenFull::EndOldest));
    stage.rotated(entry.from(&id, &new));
    assert!(stage.is_alive(&other));
}

/// Who logs in over their own session gives that one up, so it is no room for the new one: where the
/// user is above the limit all the same, another must go.
pub fn a_session_that_moves_makes_no_room_for_itself<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let others = [stage.of_user_for(&user, 300), stage.of_user_for(&user, 200)];
    // The one with the least life left.
    let old = stage.of_user_for(&user, 100);
    let new = stage.id_of(&user);
    let entry = Entry::with_limit(&user, at_most(2, WhenFull::EndOldest));
    stage.rotated(entry.from(&old, &new));
    assert!(stage.is_alive(&others[0]) && stage.is_alive(&new));
    for id in [&others[1], &old] {
        stage.is_ended(id);
    }
}

/// A renewed session stays where its user's other sessions are found: it can be revoked.
// Proves R32, R33.
pub fn a_renewed_session_can_still_be_revoked<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let old = stage.of(&user);
    let id = stage.id_like(&old);
    stage.rotated(renewing(&old, &id));
    let revoking = log_in(&stage, &user, at_most(1, WhenFull::EndOldest), false);
    assert!(revoking.is_some());
    stage.is_dead_to_every_verb(&id, &Applied::Ended);
}

/// Revoked means that nothing of it is carried on, even by its own user.
pub fn a_revoked_session_carries_nothing_into_a_login<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let revoked = stage.of_user_with(&user, &held);
    assert!(log_in(&stage, &user, at_most(1, WhenFull::EndOldest), false).is_some());
    let new = stage.id_of(&user);
    let carried = [name("a")];
    let entry = Entry { carried: &carried, ..Entry::of(&user) };
    assert_same(&stage.rotated(entry.from(&revoked, &new)).fields, &NO_FIELDS);
    stage.holds(&new, &NO_FIELDS);
    stage.is_ended(&revoked);
}

/// Each user has an index and a limit of their own.
pub fn users_do_not_disturb_each_other<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (ada, bob) = (stage.user("ada"), stage.user("bob"));
    let of_ada = [stage.of(&ada), stage.of(&ada)];
    let of_bob = [stage.of(&bob), stage.of(&bob)];
    let anonymous = stage.with(&NO_FIELDS);
    let new = log_in(&stage, &ada, at_most(1, WhenFull::EndOldest), false);
    assert!(new.is_some());
    assert_eq!((alive(&stage, &of_ada), alive(&stage, &of_bob)), (0, 2));
    assert_eq!(log_in(&stage, &bob, at_most(2, WhenFull::Refuse), false), None);
    assert!(log_in(&stage, &ada, at_most(2, WhenFull::Refuse), false).is_some());
    assert!(stage.is_alive(&anonymous));
}

/// Names that a careless key would confuse.
// Proves CVE-2021-41268.
pub fn users_with_names_alike_are_different_users<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let fresh = &stage.anonymous().hash()[..16];
    let user = |name: String| User::new(name).unwrap();
    let users = [
        user(fresh.into()),
        user(format!("{fresh} ")),
        user(format!(" {fresh}")),
        user(fresh.to_lowercase() + "L"),
        user(fresh.to_lowercase() + "l"),
        user(format!("{fresh}*")),
        user(format!("{fresh}:user")),
        user(format!("{fresh}e\u{301}")),
        user(format!("{fresh}é")),
    ];
    let sessions: Vec<_> = users
        .iter()
        .map(|user| log_in(&stage, user, at_most(1, WhenFull::EndOldest), false).unwrap())
        .collect();
    for (user, id) in users.iter().zip(&sessions) {
        assert_eq!(stage.peek(id).user.as_ref(), Some(user));
    }
}

/// An ended session stays ended when its user logs in again: the index takes in the new one, and
/// not the old one with it.
pub fn a_later_login_brings_no_ended_session_back<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let ended = stage.of(&user);
    assert_eq!(stage.end(&ended), Ended::Now);
    let revoked = stage.of(&user);
    let limit = at_most(1, WhenFull::EndOldest);
    assert!(log_in(&stage, &user, limit, false).is_some());
    let rotated = stage.of(&user);
    let new = stage.id_like(&rotated);
    stage.rotated(renewing(&rotated, &new));
    stage.of(&user);
    for id in [&ended, &revoked, &rotated] {
        assert_eq!(stage.apply(applying(id, &writing([("a", Some("1"))]))), Applied::Ended);
        stage.is_dead_to_every_verb(id, &Applied::Ended);
    }
}

/// Logs in, fresh or from an anonymous session, which a refusal leaves as it was and a success ends.
fn log_in<H: Harness>(
    stage: &Stage<'_, H>,
    user: &User,
    limit: SessionLimit,
    by_rotation: bool,
) -> Option<SessionId> {
    let id = stage.id_of(user);
    let done = if by_rotation {
        let held = fields([("cart", "full")]);
        let old = stage.with(&held);
        let before = stage.peek(&old);
        match stage.rotate(Entry::with_limit(user, limit).from(&old, &id)) {
            Rotated::Done(..) => {
                stage.is_ended(&old);
                true
            }
            Rotated::Full => {
                let after = stage.peek(&old);
                assert_same(&after.fields, &held);
                assert_eq!((after.life, after.expires_at), (before.life, before.expires_at));
                false
            }
            other => panic!("{other:?}"),
        }
    } else {
        let login = Some(Login { user, limit: Some(limit), client: None });
        match stage.create(Create { login, ..creating(&id, &NO_FIELDS) }) {
            Created::Done(..) => true,
            Created::Full => false,
            other => panic!("{other:?}"),
        }
    };
    if done {
        assert!(stage.is_alive(&id), "a login never ends itself");
        Some(id)
    } else {
        stage.is_unknown(&id);
        None
    }
}

fn alive<H: Harness>(stage: &Stage<'_, H>, sessions: &[SessionId]) -> usize {
    sessions.iter().filter(|id| stage.is_alive(id)).count()
}
