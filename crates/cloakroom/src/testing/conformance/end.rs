//! A session ends, and nothing brings it back.

use std::thread;
use std::time::{Duration, Instant};

use super::stage::{
    Entry, NO_FIELDS, Stage, applying, creating, every_kind_of_change, fields, renewing, writing,
};
use crate::store::{Applied, Create, Created, Ended, Login, Rotated};
use crate::testing::Harness;

/// Ending is idempotent, and says which time it was.
// Proves R30.
pub fn ending_answers_now_then_before<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for id in [stage.with(&NO_FIELDS), stage.of(&user)] {
        assert_eq!(stage.end(&id), Ended::Now);
        assert_eq!(stage.end(&id), Ended::Before);
        assert_eq!(stage.second().end(&id), Ended::Before);
    }
}

/// Ending what never was leaves nothing, not even a marker.
// Proves R68, CVE-2015-5143.
pub fn ending_what_never_was_makes_nothing<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for id in [stage.anonymous(), stage.id_of(&user)] {
        assert_eq!(stage.end(&id), Ended::Unknown);
        assert_eq!(stage.end(&id), Ended::Unknown);
        stage.is_unknown(&id);
    }
    let id = stage.anonymous();
    assert_eq!(stage.end(&id), Ended::Unknown);
    assert!(matches!(stage.create(creating(&id, &NO_FIELDS)), Created::Done(..)), "id was used up");
}

/// A logout is final: no verb in any form revives the session, nor does trying leave a trace.
// Proves R30, CVE-2025-32441, scs.
pub fn nothing_brings_an_ended_session_back<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    for id in [stage.with(&held), stage.of_user_with(&user, &held)] {
        assert_eq!(stage.end(&id), Ended::Now);
        stage.is_dead_to_every_verb(&id, &Applied::Ended);
        stage.second().is_dead_to_every_verb(&id, &Applied::Ended);
        stage.pass(50);
        stage.is_dead_to_every_verb(&id, &Applied::Ended);
    }
}

/// While the marker stands, the id can't be had again.
pub fn the_id_of_an_ended_session_is_taken<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let anonymous = stage.with(&NO_FIELDS);
    let of_user = stage.of(&user);
    for id in [&anonymous, &of_user] {
        assert_eq!(stage.end(id), Ended::Now);
    }
    assert_eq!(stage.create(creating(&anonymous, &NO_FIELDS)), Created::Taken);
    let login = Some(Login { user: &user, limit: None, client: None });
    assert_eq!(stage.create(Create { login, ..creating(&of_user, &NO_FIELDS) }), Created::Taken);
    for id in [&anonymous, &of_user] {
        stage.is_ended(id);
    }

    let moved = stage.with(&NO_FIELDS);
    stage.rotated(renewing(&moved, &stage.id_like(&moved)));
    assert_eq!(stage.create(creating(&moved, &NO_FIELDS)), Created::Taken);
    stage.is_ended(&moved);
}

/// Ending one of a user's sessions ends no other.
pub fn ending_one_session_ends_no_other<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let sessions = [stage.of(&user), stage.of(&user), stage.of(&user)];
    assert_eq!(stage.end(&sessions[1]), Ended::Now);
    assert!(stage.is_alive(&sessions[0]) && stage.is_alive(&sessions[2]));
    assert_eq!(stage.end(&sessions[0]), Ended::Now);
    assert!(stage.is_alive(&sessions[2]));
}

/// Logging out of a session does not log the one out that took its place.
pub fn ending_the_old_id_does_not_end_the_new_session<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let old = stage.of_user_with(&user, &held);
    let new = stage.id_like(&old);
    stage.rotated(renewing(&old, &new));
    assert_eq!(stage.end(&old), Ended::Before);
    stage.holds(&new, &held);

    let old = stage.with(&held);
    let new = stage.id_of(&user);
    stage.rotated(Entry::of(&user).from(&old, &new));
    assert_eq!(stage.end(&old), Ended::Before);
    assert!(stage.is_alive(&new));
}

/// A session can be ended right after anything was done to it.
pub fn a_session_can_be_ended_after_any_change<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for change in every_kind_of_change() {
        for id in [stage.with(&NO_FIELDS), stage.of(&user)] {
            stage.changed(&id, &change);
            assert_eq!(stage.end(&id), Ended::Now);
            stage.is_ended(&id);
        }
    }
    let empty = stage.with(&fields([("a", "1")]));
    stage.changed(&empty, &writing([("a", None)]));
    assert_eq!(stage.end(&empty), Ended::Now, "a session that holds nothing is one all the same");
}

/// A store that is there says so.
pub fn a_store_that_is_there_says_so<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    stage.check();
    stage.second().check();
}

/// What nobody was told of ends; what never was is no trouble.
pub fn an_abandoned_session_ends<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let others = [stage.with(&NO_FIELDS), stage.of(&user)];
    for id in [stage.with(&NO_FIELDS), stage.of(&user)] {
        stage.abandon(id);
        // The call waits for nothing, so the end is seen a moment later. Ten seconds are far more
        // than that moment, and far less than the life of the session: it didn't just expire.
        let given_up = Instant::now() + Duration::from_secs(10);
        while stage.is_alive(&id) {
            assert!(Instant::now() < given_up, "an abandoned session is still alive");
            thread::yield_now();
        }
        stage.is_ended(&id);
        assert_eq!(stage.apply(applying(&id, &writing([("a", Some("1"))]))), Applied::Ended);
    }
    let never = stage.anonymous();
    stage.abandon(never);
    stage.is_unknown(&never);
    for id in &others {
        assert!(stage.is_alive(id));
    }
    let new = stage.id_like(&never);
    assert_eq!(stage.rotate(renewing(&never, &new)), Rotated::Unknown);
}
