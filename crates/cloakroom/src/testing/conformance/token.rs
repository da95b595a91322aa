//! Tokens that are replaced periodically: which of a session's tokens is current, and what becomes of
//! who comes with another. How long a token is current is said at each use, so no check is about time
//! but for one millisecond.

use std::time::Duration;

use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, applying, at_once, creating, done, fields, name, renewing,
    writing,
};
use crate::change::{Change, Limits, Operation};
use crate::expiry::Touch;
use crate::rotation::{Generation, Shown};
use crate::store::{Applied, Apply, Create, Ended, Login, Rotate, Rotated, User};
use crate::testing::Harness;
use crate::token::SessionId;

const MS: Duration = Duration::from_millis(1);

/// A token that is good for long, and not due.
fn shown(generation: u32) -> Shown {
    let generation = Generation(generation);
    Shown { generation, ago: Duration::ZERO, every: Some(24 * HOUR), grace: HOUR }
}

/// One that is due after a millisecond.
fn due(generation: u32) -> Shown {
    Shown { every: Some(MS), ..shown(generation) }
}

/// One whose successor, if it has one, was issued longer ago than a grace allows.
fn late(generation: u32) -> Shown {
    Shown { grace: MS, ..shown(generation) }
}

impl<H: Harness> Stage<'_, H> {
    fn shows(&self, id: &SessionId, token: Shown) -> Applied {
        self.apply(Apply { token: Some(token), ..applying(id, &Change::read()) })
    }

    /// A use that doesn't count.
    fn polls(&self, id: &SessionId, token: Shown) -> Applied {
        let (touch, token) = (Touch::Never, Some(token));
        self.apply(Apply { touch, token, ..applying(id, &Change::read()) })
    }

    /// The token that the use hands out.
    #[track_caller]
    fn next(&self, id: &SessionId, token: Shown) -> Option<Generation> {
        done(self.shows(id, token)).next_token
    }

    /// A session whose second token has just been issued, and a millisecond more.
    fn replaced(&self, user: Option<&User>) -> SessionId {
        let id = user.map_or_else(|| self.anonymous(), |user| self.id_of(user));
        let login = user.map(|user| Login { user, limit: None, client: None });
        self.created(Create { login, ..creating(&id, &fields([("a", "1")])) });
        self.pass(5);
        assert_eq!(self.next(&id, due(0)), Some(Generation(1)));
        self.pass(5);
        id
    }

    fn anonymous_and_a_users(&self) -> [SessionId; 2] {
        [self.replaced(None), self.replaced(Some(&self.user("ada")))]
    }
}

/// A token is replaced when it is due, by a use that counts and can hand another out; the session
/// stays what it is.
// Proves R29.
pub fn a_token_is_replaced_when_it_is_due_and_not_before<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let id = stage.of(&user);
    assert_eq!(stage.next(&id, shown(0)), None);
    stage.pass(5);
    assert_eq!(done(stage.polls(&id, due(0))).next_token, None);
    assert_eq!(stage.next(&id, Shown { every: None, ..due(0) }), None);
    assert_eq!(stage.next(&id, due(0)), Some(Generation(1)));
    // It is on its way; the one that is held is good.
    assert_eq!(stage.second().next(&id, shown(0)), None);
    assert_eq!(stage.second().next(&id, shown(1)), None);
    for generation in 1..5 {
        stage.pass(5);
        assert_eq!(stage.next(&id, due(generation)), Some(Generation(generation + 1)));
    }
    let page = stage.page(&user, None, 10);
    assert_eq!(page.sessions.iter().map(|listed| listed.id).collect::<Vec<_>>(), [id]);
}

/// What a session holds, how long it lives and what is answered does not depend on its tokens.
// Proves R29.
pub fn a_change_that_replaces_a_token_is_done_as_any_other<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for touch in [Touch::Exactly, Touch::AtMostEvery(HOUR)] {
        let id = stage.with(&fields([("a", "1")]));
        stage.pass(5);
        let change = writing([("b", Some("2"))]);
        let apply = Apply { touch, token: Some(due(0)), ..applying(&id, &change) };
        let used = done(stage.apply(apply));
        assert_eq!(used.next_token, Some(Generation(1)));
        stage.holds(&id, &fields([("a", "1"), ("b", "2")]));
        assert_eq!(stage.peek(&id).expires_at, used.expires_at);
        assert_eq!(stage.end(&id), Ended::Now);
    }
}

/// A change that is refused or finds a conflict replaces no token: nobody would be told.
// Proves R29.
pub fn a_change_that_comes_to_nothing_replaces_no_token<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let id = stage.with(&fields([("a", "1")]));
    stage.pass(5);
    let token = Some(due(0));
    let (field, new) = (name("a"), b"2".to_vec().into());
    let change = Change::of(Operation::CompareAndSet { field, expected: None, new });
    let conflict = stage.apply(Apply { token, ..applying(&id, &change) });
    assert!(matches!(conflict, Applied::Conflict(_)), "{conflict:?}");
    let change = writing([("b", Some("too much"))]);
    let limits = &Limits { fields: 0, value_bytes: 0, session_bytes: 0 };
    let refused = stage.apply(Apply { token, limits, ..applying(&id, &change) });
    assert!(matches!(refused, Applied::Refused(_)), "{refused:?}");
    assert_eq!(stage.next(&id, due(0)), Some(Generation(1)));
}

/// Of many at once exactly one is handed the next token, and nobody is refused.
// Proves R29.
pub fn of_many_at_once_one_is_handed_the_next_token<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for user in [None, Some(stage.user("ada"))] {
        let id = user.as_ref().map_or_else(|| stage.with(&NO_FIELDS), |user| stage.of(user));
        stage.pass(5);
        let handed = at_once(50, |number| stage.of_thread(number).next(&id, due(0)));
        let handed: Vec<_> = handed.into_iter().flatten().collect();
        assert_eq!(handed, [Generation(1)]);
    }
}

/// An old token that comes late, when its successor has been presented, was copied: the session ends.
// Proves R29, CVE-2026-56750.
pub fn an_old_token_after_its_successor_ends_the_session<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for id in stage.anonymous_and_a_users() {
        assert_eq!(stage.next(&id, shown(1)), None);
        assert_eq!(stage.next(&id, shown(0)), None, "within the grace");
        // It came in time, and asked late.
        assert_eq!(stage.next(&id, Shown { ago: HOUR, ..late(0) }), None);
        assert_eq!(stage.shows(&id, late(0)), Applied::Stolen);
        assert_eq!(stage.second().shows(&id, shown(1)), Applied::Ended);
        stage.is_dead_to_every_verb(&id, &Applied::Ended);
    }
    let user = stage.user("ada");
    let (stolen, other) = (stage.replaced(Some(&user)), stage.of(&user));
    assert_eq!(stage.next(&stolen, shown(1)), None);
    assert_eq!(stage.polls(&stolen, late(0)), Applied::Stolen);
    let page = stage.page(&user, None, 10);
    assert_eq!(page.sessions.iter().map(|listed| listed.id).collect::<Vec<_>>(), [other]);
}

/// A token two behind has a successor that was presented, whatever became of the last one.
// Proves R29.
pub fn a_token_two_behind_ends_the_session<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for id in stage.anonymous_and_a_users() {
        assert_eq!(stage.next(&id, due(1)), Some(Generation(2)));
        // It came before the last was issued: refused, and nothing ends.
        let waited = Shown { ago: HOUR, ..shown(0) };
        assert_eq!(stage.shows(&id, waited), Applied::Ended);
        assert_eq!(stage.next(&id, shown(1)), None);
        stage.pass(5);
        assert_eq!(stage.shows(&id, shown(0)), Applied::Stolen);
        stage.is_ended(&id);
    }
}

/// A token that was never presented was lost on the way: it is issued again, once in each grace.
// Proves R29.
pub fn a_token_that_was_lost_on_the_way_is_issued_again<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for id in stage.anonymous_and_a_users() {
        assert_eq!(stage.next(&id, Shown { every: None, ..late(0) }), None, "no head hands it out");
        let again = Shown { grace: Duration::from_millis(4), ..shown(0) };
        assert_eq!(stage.next(&id, again), Some(Generation(1)));
        // The grace has begun anew.
        assert_eq!(stage.next(&id, shown(0)), None);
        stage.pass(5);
        let handed = at_once(20, |number| {
            let grace = if number == 0 { MS } else { HOUR };
            stage.of_thread(number).next(&id, Shown { grace, ..shown(0) })
        });
        assert_eq!(handed.into_iter().flatten().collect::<Vec<_>>(), [Generation(1)]);
        assert_eq!(stage.next(&id, shown(1)), None);
        stage.pass(5);
        assert_eq!(stage.shows(&id, late(0)), Applied::Stolen);
    }
}

/// A token of a later generation than the store knows of is ours: a restored store logs nobody out.
// Proves R29.
pub fn a_token_that_the_store_forgot_is_current_again<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for id in stage.anonymous_and_a_users() {
        assert_eq!(stage.next(&id, due(7)), None);
        stage.pass(5);
        assert_eq!(stage.next(&id, late(7)), None);
        assert_eq!(stage.next(&id, due(7)), Some(Generation(8)));
        assert_eq!(stage.next(&id, shown(u32::MAX)), None);
        stage.pass(5);
        assert_eq!(stage.next(&id, due(u32::MAX)), None, "there is none after the last");
        assert_eq!(stage.shows(&id, shown(7)), Applied::Stolen);
    }
}

/// A token that is not good any more is renewed by nobody and carries nothing into a login; a good
/// one is, and the new session begins with its first.
// Proves R22, R29.
pub fn an_old_token_is_not_renewed_into_a_fresh_one<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (ada, bob) = (stage.user("ada"), stage.user("bob"));
    for user in [None, Some(&ada)] {
        for entering in [None, Some(&ada), Some(&bob)] {
            let old = stage.replaced(user);
            let new = entering.map_or_else(|| stage.id_like(&old), |user| stage.id_of(user));
            let rotate = match entering {
                None => renewing(&old, &new),
                Some(user) => Entry::of(user).from(&old, &new),
            };
            assert_eq!(stage.next(&old, shown(1)), None);
            let stolen = stage.rotate(Rotate { token: Some(late(0)), ..rotate });
            assert_eq!(stolen, Rotated::Stolen);
            stage.is_ended(&old);
            stage.is_unknown(&new);

            let old = stage.replaced(user);
            let new = entering.map_or_else(|| stage.id_like(&old), |user| stage.id_of(user));
            let rotate = match entering {
                None => renewing(&old, &new),
                Some(user) => Entry::of(user).from(&old, &new),
            };
            // Its successor was never presented, so nothing is said against it.
            let rotated = stage.rotated(Rotate { token: Some(late(0)), ..rotate });
            assert_eq!(rotated.next_token, None);
            stage.is_ended(&old);
            assert_eq!(stage.next(&new, shown(0)), None);
            stage.pass(5);
            assert_eq!(stage.next(&new, due(0)), Some(Generation(1)));
        }
    }
}

/// A logout works with any token, and who asks without one is asked for none.
// Proves R29, R30.
pub fn a_session_ends_with_any_of_its_tokens<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for id in stage.anonymous_and_a_users() {
        assert_eq!(stage.next(&id, shown(1)), None);
        assert_eq!(stage.used(&id, Touch::Exactly).next_token, None);
        assert_eq!(stage.end(&id), Ended::Now);
    }
}
