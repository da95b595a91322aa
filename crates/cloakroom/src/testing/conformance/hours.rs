//! What takes minutes, hours and days, for stores whose clock a test can move.

use std::time::Duration;

use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, applying, at_most, creating, done, fields, increment, renewing,
    writing,
};
use crate::change::Change;
use crate::expiry::{Lifetime, Touch};
use crate::store::{Applied, Apply, Create, ENDED_FOR, Ended, Login, OnlyIf, Rotated, WhenFull};
use crate::testing::Harness;
use crate::token::SessionId;

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// To the last millisecond of its idle timeout it is alive, and after it, it is not.
// Proves R26.
pub fn a_session_lives_exactly_as_long_as_its_idle_timeout<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for touch in [Touch::Exactly, Touch::AtMostEvery(10 * MINUTE)] {
        for user in [None, Some(&user)] {
            let id = user.map_or_else(|| stage.with(&NO_FIELDS), |user| stage.of(user));
            here.pass(HOUR / 2);
            let used = stage.used(&id, touch);
            here.pass(used.expires_at.since(used.now) - MILLISECOND);
            assert!(stage.is_alive(&id));
            here.pass(2 * MILLISECOND);
            stage.is_dead_to_every_verb(&id, &Applied::Unknown);
        }
    }
}

/// Used all day, it still ends at its deadline, whatever the uses are.
// Proves R27.
pub fn a_session_in_use_ends_at_its_deadline<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for touch in [Touch::Exactly, Touch::AtMostEvery(10 * MINUTE)] {
        for user in [None, Some(&user)] {
            let mut id = user.map_or_else(|| stage.with(&NO_FIELDS), |user| stage.of(user));
            let created = stage.peek(&id);
            let deadline = created.life.deadline();
            let mut now = created.now;
            while deadline.since(now) > 25 * MINUTE {
                here.pass(25 * MINUTE);
                let change = Change::of(increment("n", 1));
                let used = done(stage.apply(Apply { touch, ..applying(&id, &change) }));
                let new = stage.id_like(&id);
                let renewed = stage.rotated(renewing(&id, &new));
                assert_eq!(renewed.life.deadline(), deadline);
                assert!(used.expires_at <= deadline && renewed.expires_at <= deadline);
                id = new;
                now = renewed.now;
            }
            here.pass(deadline.since(now) - MILLISECOND);
            assert!(stage.is_alive(&id));
            here.pass(2 * MILLISECOND);
            stage.is_dead_to_every_verb(&id, &Applied::Unknown);
        }
    }
}

/// "Ended" is known for two minutes, whoever asks meanwhile, and then nothing is known any more. At
/// no time does anything bring it back.
pub fn an_ended_session_is_ended_for_two_minutes_and_unknown_after<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1")]);
    let end = |id: &SessionId| assert_eq!(stage.end(id), Ended::Now);
    let renew = |id: &SessionId| drop(stage.rotated(renewing(id, &stage.id_like(id))));
    let log_in = |id: &SessionId| {
        stage.rotated(Entry::of(&user).from(id, &stage.id_of(&user)));
    };
    for over in [&end as &dyn Fn(&SessionId), &renew, &log_in] {
        for user in [None, Some(&user)] {
            let id = user.map_or_else(|| stage.with(&held), |user| stage.of_user_with(user, &held));
            here.pass(10 * MINUTE);
            over(&id);
            for _ in 0..3 {
                stage.is_dead_to_every_verb(&id, &Applied::Ended);
                here.pass(ENDED_FOR / 3 - MILLISECOND);
            }
            stage.is_dead_to_every_verb(&id, &Applied::Ended);
            here.pass(4 * MILLISECOND);
            stage.is_dead_to_every_verb(&id, &Applied::Unknown);
            here.pass(HOUR);
            stage.is_dead_to_every_verb(&id, &Applied::Unknown);
        }
    }
}

/// One that its user's login ended elsewhere is ended for at least as long, and never alive again.
pub fn a_revoked_session_is_ended_for_two_minutes_at_least<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for asked_at_once in [true, false] {
        let user = stage.user("ada");
        let id = stage.of(&user);
        let new = stage.id_of(&user);
        let limit = Some(at_most(1, WhenFull::EndOldest));
        let login = Some(Login { user: &user, limit, client: None });
        stage.created(Create { login, ..creating(&new, &NO_FIELDS) });
        if asked_at_once {
            stage.is_ended(&id);
        }
        here.pass(ENDED_FOR - MILLISECOND);
        stage.is_dead_to_every_verb(&id, &Applied::Ended);
        for _ in 0..100 {
            here.pass(5 * MINUTE);
            assert!(!stage.is_alive(&id));
            assert!(!matches!(stage.rotate(renewing(&id, &stage.id_like(&id))), Rotated::Done(..)));
        }
    }
}

/// The index may follow a use a minute late, and still forgets nobody who is alive: not the one who
/// uses a session all day, while others of the same user come and go.
pub fn the_index_keeps_a_session_in_use_all_day<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for (touch, idle, pause) in [
        (Touch::Exactly, HOUR, Duration::from_millis(59_999)),
        (Touch::Exactly, HOUR, 59 * MINUTE),
        (Touch::Exactly, MINUTE, Duration::from_millis(5_999)),
        (Touch::AtMostEvery(30 * MINUTE), HOUR, 29 * MINUTE),
        (Touch::AtMostEvery(10 * HOUR), HOUR, 50 * MINUTE),
        (Touch::AtMostEvery(HOUR), MINUTE, 59 * Duration::from_secs(1)),
    ] {
        let id = stage.id_of(&user);
        let login = Some(Login { user: &user, limit: None, client: None });
        let lifetime = Lifetime::new(idle, 24 * HOUR).unwrap();
        let created = stage.created(Create { lifetime, login, ..creating(&id, &NO_FIELDS) });
        let mut now = created.now;
        while created.life.deadline().since(now) > pause + HOUR {
            here.pass(pause);
            // A login clears out what the index holds for dead.
            let short = stage.id_of(&user);
            let limit = Some(at_most(9, WhenFull::EndOldest));
            let login = Some(Login { user: &user, limit, client: None });
            stage.created(Create { login, ..creating(&short, &NO_FIELDS) });
            assert_eq!(stage.end(&short), Ended::Now);
            let read = Change::read();
            let only_if = OnlyIf::LoggedIn;
            now = match stage.apply(Apply { touch, only_if, ..applying(&id, &read) }) {
                Applied::Done(snapshot, _) => snapshot.now,
                other => panic!("{other:?} with {touch:?}, {idle:?} and {pause:?}"),
            };
        }
        // Alive to the end of what it was given last, and it frees its place after that.
        let last = stage.used(&id, touch);
        here.pass(last.expires_at.since(last.now) - MILLISECOND);
        let short = stage.id_of(&user);
        let limit = Some(at_most(9, WhenFull::EndOldest));
        let login = Some(Login { user: &user, limit, client: None });
        stage.created(Create { login, ..creating(&short, &NO_FIELDS) });
        assert_eq!(stage.end(&short), Ended::Now);
        assert!(stage.is_alive(&id), "{touch:?}, {idle:?} and {pause:?}");
        here.pass(2 * MINUTE);
        let limit = Some(at_most(1, WhenFull::Refuse));
        let login = Some(Login { user: &user, limit, client: None });
        stage.created(Create { login, ..creating(&stage.id_of(&user), &NO_FIELDS) });
        // For the next round.
        here.pass(9 * HOUR);
    }
}

/// A session that is only polled expires as if nobody were there.
// Proves R26.
pub fn polling_keeps_no_session_alive<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&NO_FIELDS);
    for _ in 0..59 {
        here.pass(MINUTE);
        let polled = writing([("polled", Some("1"))]);
        done(stage.apply(Apply { touch: Touch::Never, ..applying(&id, &polled) }));
    }
    here.pass(MINUTE + MILLISECOND);
    stage.is_dead_to_every_verb(&id, &Applied::Unknown);
}

/// The longest life there is.
// Proves R13.
pub fn a_session_of_400_days_lives_for_400_days<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let longest = Lifetime::new(Lifetime::LONGEST, Lifetime::LONGEST).unwrap();
    let id = stage.id_of(&user);
    let login = Some(Login { user: &user, limit: None, client: None });
    let remembered = true;
    stage.created(Create { lifetime: longest, remembered, login, ..creating(&id, &NO_FIELDS) });
    for _ in 0..399 {
        here.pass(24 * HOUR);
        assert!(stage.used(&id, Touch::Exactly).life.remembered);
    }
    here.pass(24 * HOUR - MILLISECOND);
    assert!(stage.is_alive(&id));
    here.pass(2 * MILLISECOND);
    stage.is_unknown(&id);
}
