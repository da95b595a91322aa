//! An operator walks over sessions, looks at one, and restores those of another store. For stores
//! that have [`Records`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::stage::{
    Entry, HOUR, NO_FIELDS, PATIENCE, Stage, applying, at_most, at_once, creating, fields,
    increment, kept, lifetime, renewing,
};
use crate::change::Change;
use crate::client::Client;
use crate::expiry::{Life, Lifetime, Timestamp};
use crate::records::{Cursor, Page, Record, Records, Restored};
use crate::store::{Applied, Create, Ended, Happened, StoreError, User, WhenFull};
use crate::testing::Harness;
use crate::token::SessionId;

/// A store under test that has [`Records`].
pub trait WithRecords: Harness {
    /// The store, as an operator sees it.
    fn records(&self) -> Arc<dyn Records>;

    /// The other instance, likewise.
    fn second_records(&self) -> Arc<dyn Records> {
        self.records()
    }
}

/// A stage, and the operator's verbs.
struct Desk<'h, H> {
    here: &'h H,
    stage: Stage<'h, H>,
    records: Arc<dyn Records>,
}

impl<'h, H: WithRecords> Desk<'h, H> {
    fn set(here: &'h H) -> Self {
        Self { here, stage: Stage::set(here), records: here.records() }
    }

    fn second(&self) -> Self {
        Self { records: self.here.second_records(), stage: self.stage.second(), here: self.here }
    }

    #[track_caller]
    fn page(&self, from: &Cursor, at_most: u32) -> Page {
        self.here.run(async { self.records.walk(from, at_most, PATIENCE).await }).unwrap()
    }

    /// Every session that a walk meets. Others may use the same store meanwhile.
    fn walked(&self, at_most: u32) -> BTreeMap<SessionId, Record> {
        let (mut met, mut from) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = self.page(&cursor, at_most);
            met.extend(page.sessions.into_iter().map(|record| (record.id, record)));
            from = page.next;
        }
        met
    }

    #[track_caller]
    fn peek(&self, id: &SessionId) -> Option<Record> {
        self.here.run(async { self.records.peek(id, PATIENCE).await }).unwrap()
    }

    fn try_to_restore(&self, record: &Record) -> Result<Restored, StoreError> {
        self.here.run(async { self.records.restore(record, PATIENCE).await })
    }

    #[track_caller]
    fn restore(&self, record: &Record) -> Restored {
        self.try_to_restore(record).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.stage.peek(&self.stage.with(&NO_FIELDS)).now
    }

    /// A session as another store may have held it: an hour old, last seen half an hour ago, and
    /// with half an hour left unless it is used.
    fn of_elsewhere(&self, user: Option<&User>) -> Record {
        let now = self.now();
        let created = Timestamp::from_millis(now.as_millis() - millis(HOUR));
        let lifetime = Lifetime::new(HOUR, 8 * HOUR).unwrap();
        let life =
            Life { last_seen: created + HOUR / 2, ..Life::beginning(created, lifetime, true) };
        Record {
            id: user.map_or_else(|| self.stage.anonymous(), |user| self.stage.id_of(user)),
            user: user.cloned(),
            life,
            expires_at: now + HOUR / 2,
            client: user.map(|_| Client::from_text("ffx lnx 203.0.113.0/24 shop")),
            fields: fields([("visits", "7"), ("\u{96ea}", "a\0b"), ("nothing", "")]),
        }
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// A walk meets every live session, with all that is kept of it, however small its pages.
pub fn a_walk_meets_every_live_session_whole<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    let held = fields([("a", "1"), ("b", "\0\u{96ea}")]);
    let mut alive: Vec<SessionId> = (0..60).map(|_| desk.stage.with(&held)).collect();
    alive.extend((0..60).map(|_| desk.stage.of_user_with(&user, &held)));
    for at_most in [1, 7, 1_000] {
        let met = desk.walked(at_most);
        for id in &alive {
            let record = met.get(id).unwrap_or_else(|| panic!("{id} was not met"));
            let seen = desk.stage.peek(id);
            assert_eq!(record.user, seen.user);
            assert_eq!((record.life, record.expires_at), (seen.life, seen.expires_at));
            assert_eq!(record.fields, held);
            assert_eq!(desk.peek(id).as_ref(), Some(record));
        }
    }
}

/// A page is bounded, and its cursor is text with which another instance goes on.
pub fn a_walk_is_resumed_from_what_was_written_down<H: WithRecords>(here: &H) {
    let desks = [Desk::set(here), Desk::set(here).second()];
    let alive: Vec<SessionId> = (0..300).map(|_| desks[0].stage.with(&NO_FIELDS)).collect();
    let (mut met, mut pages, mut from) = (Vec::new(), 0, Cursor::default());
    loop {
        let page = desks[pages % 2].page(&from, 20);
        // A server may show a few more than it was asked for.
        assert!(page.sessions.len() < 200, "{} sessions on a page", page.sessions.len());
        met.extend(page.sessions.into_iter().map(|record| record.id));
        pages += 1;
        let Some(next) = page.next else { break };
        from = Cursor::new(next.to_string());
    }
    assert!(alive.iter().all(|id| met.contains(id)));
    assert!(pages > 2, "{pages} pages");
}

/// What is no place in this store leads to the beginning, and never past a session.
pub fn a_cursor_of_elsewhere_begins_the_walk_anew<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let id = desk.stage.with(&NO_FIELDS);
    let other = "0123456789abcdef0123456789abcdef01234567 5";
    for text in ["", "nonsense", "nonsense 7", "7", "a.b", other, "-1", "\u{96ea}"] {
        let (mut met, mut from) = (false, Some(Cursor::new(text)));
        while let Some(cursor) = from {
            let page = desk.page(&cursor, 1_000);
            met |= page.sessions.iter().any(|record| record.id == id);
            from = page.next;
        }
        assert!(met, "from {text:?}");
    }
}

/// Looking is no use: nothing is renewed.
pub fn looking_renews_nothing<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for id in [desk.stage.with(&NO_FIELDS), desk.stage.of(&user)] {
        let before = desk.stage.peek(&id);
        desk.stage.pass(20);
        let record = desk.peek(&id).unwrap();
        let _ = desk.walked(1_000);
        let after = desk.stage.peek(&id);
        assert!(after.now > before.now);
        assert_eq!((after.expires_at, after.life), (before.expires_at, before.life));
        assert_eq!(record.expires_at, before.expires_at);
    }
}

/// What is over is not met, and looking doesn't change what it is.
pub fn what_is_over_is_not_met<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let Desk { stage, .. } = &desk;
    let user = stage.user("ada");
    let (ended, moved, never) = (stage.of(&user), stage.with(&NO_FIELDS), stage.id_of(&user));
    assert_eq!(stage.end(&ended), Ended::Now);
    stage.rotated(renewing(&moved, &stage.id_like(&moved)));
    let (revoked, nobody, login) = (stage.of(&user), stage.anonymous(), stage.id_of(&user));
    let limit = at_most(1, WhenFull::EndOldest);
    stage.rotated(Entry::with_limit(&user, limit).from(&nobody, &login));
    let expired = stage.anonymous();
    stage.created(Create { lifetime: lifetime(30, 30), ..creating(&expired, &NO_FIELDS) });
    stage.pass(60);
    for _ in 0..2 {
        let met = desk.walked(1_000);
        for id in [&ended, &moved, &never, &revoked, &expired] {
            assert_eq!(desk.peek(id), None);
            assert!(!met.contains_key(id));
        }
        assert!(met.contains_key(&login));
    }
    for id in [&ended, &moved, &revoked] {
        stage.is_ended(id);
    }
    for id in [&never, &expired] {
        stage.is_unknown(id);
    }
}

/// A restored session is the one that was: same id, user, life, end and fields, and it is used, ended
/// and counted among its user's sessions as if it had been made here.
pub fn a_restored_session_is_the_one_that_was<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let Desk { stage, .. } = &desk;
    let user = stage.user("ada");
    for record in [desk.of_elsewhere(None), desk.of_elsewhere(Some(&user))] {
        assert_eq!(desk.restore(&record), Restored::Done);
        assert_eq!(desk.peek(&record.id).as_ref(), Some(&record));
        assert_eq!(desk.second().walked(100).get(&record.id), Some(&record));
        let snapshot = stage.changed(&record.id, &Change::of(increment("visits", 1)));
        assert_eq!(snapshot.fields.get("visits"), Some(&kept("8")));
        assert_eq!((snapshot.user, snapshot.life.created), (record.user, record.life.created));
        assert_eq!(snapshot.expires_at, snapshot.life.expires_at(snapshot.now, Duration::ZERO));
        assert!(snapshot.life.remembered);
        assert_eq!(stage.end(&record.id), Ended::Now);
        stage.is_ended(&record.id);
    }
    let record = desk.of_elsewhere(Some(&user));
    assert_eq!(desk.restore(&record), Restored::Done);
    let (nobody, login) = (stage.anonymous(), stage.id_of(&user));
    let limit = at_most(1, WhenFull::EndOldest);
    stage.rotated(Entry::with_limit(&user, limit).from(&nobody, &login));
    stage.is_ended(&record.id);
}

/// Whatever lives under the id stays as it is.
pub fn a_restore_never_overwrites<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for record in [desk.of_elsewhere(None), desk.of_elsewhere(Some(&user))] {
        assert_eq!(desk.restore(&record), Restored::Done);
        desk.stage.changed(&record.id, &Change::of(increment("visits", 1)));
        let now = desk.peek(&record.id);
        assert_eq!(desk.second().restore(&record), Restored::There);
        assert_eq!(desk.peek(&record.id), now);
    }
    let id = desk.stage.of(&user);
    let now = desk.peek(&id).unwrap();
    let other = Record { fields: fields([("other", "1")]), ..now.clone() };
    assert_eq!(desk.restore(&other), Restored::There);
    assert_eq!(desk.peek(&id), Some(now));
}

/// A session that was ended, rotated away or revoked here is not restored.
pub fn what_ended_here_is_not_restored<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let Desk { stage, .. } = &desk;
    let user = stage.user("ada");
    let ids = [stage.with(&NO_FIELDS), stage.of(&user), stage.with(&NO_FIELDS), stage.of(&user)];
    let records = ids.map(|id| desk.peek(&id).unwrap());
    assert_eq!(stage.end(&ids[0]), Ended::Now);
    assert_eq!(stage.end(&ids[1]), Ended::Now);
    stage.rotated(renewing(&ids[2], &stage.id_like(&ids[2])));
    let (nobody, login) = (stage.anonymous(), stage.id_of(&user));
    let limit = at_most(1, WhenFull::EndOldest);
    stage.rotated(Entry::with_limit(&user, limit).from(&nobody, &login));
    for record in records {
        assert_eq!(desk.restore(&record), Restored::Ended);
        stage.is_ended(&record.id);
        assert_eq!(stage.apply(applying(&record.id, &Change::read())), Applied::Ended);
    }
}

/// A session whose end has come is not made, by whichever of its two timeouts.
pub fn what_has_expired_is_not_restored<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for whole in [desk.of_elsewhere(None), desk.of_elsewhere(Some(&user))] {
        let now = desk.now();
        let idle = Record { expires_at: now, ..whole.clone() };
        let long_ago = Timestamp::from_millis(now.as_millis() - 9 * millis(HOUR));
        let over = Record { life: Life { created: long_ago, ..whole.life }, ..whole.clone() };
        for record in [idle, over] {
            assert_eq!(desk.restore(&record), Restored::Expired);
            desk.stage.is_unknown(&record.id);
        }
        assert_eq!(desk.restore(&whole), Restored::Done, "what expired left something behind");
    }
}

/// A record whose id and user don't belong together is no session.
pub fn a_record_that_is_no_session_is_refused<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    let whole = desk.of_elsewhere(Some(&user));
    let nobody = Record { id: desk.stage.anonymous(), ..whole.clone() };
    let somebody = Record { user: None, ..whole };
    for record in [nobody, somebody] {
        let error = desk.try_to_restore(&record).unwrap_err();
        assert_eq!(error.happened, Happened::No, "{error}");
        desk.stage.is_unknown(&record.id);
    }
}

/// However many restore a session, it is made once.
pub fn of_many_who_restore_a_session_one_makes_it<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for round in 0..desk.stage.rounds(100) {
        let record = desk.of_elsewhere((round % 2 == 0).then_some(&user));
        let restored = at_once(4, |number| {
            let desk = Desk::set(here);
            if number % 2 == 0 { desk.restore(&record) } else { desk.second().restore(&record) }
        });
        let done = restored.iter().filter(|restored| **restored == Restored::Done).count();
        let there = restored.iter().filter(|restored| **restored == Restored::There).count();
        assert_eq!((done, there), (1, 3), "{restored:?}");
        let _ = desk.stage.end(&record.id);
    }
}

/// A restored session that ended here doesn't come back by a restore, however late, though a marker
/// stands for two minutes only.
pub fn a_restored_session_that_ended_is_not_restored_again<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for user in [None, Some(&user)] {
        let record = desk.of_elsewhere(user);
        assert_eq!(desk.restore(&record), Restored::Done);
        assert_eq!(desk.stage.end(&record.id), Ended::Now);
        here.pass(Duration::from_secs(180));
        desk.stage.is_unknown(&record.id);
        assert_eq!(desk.restore(&record), Restored::Ended);
        desk.stage.is_unknown(&record.id);
        here.pass(HOUR / 2);
        assert_eq!(desk.restore(&record), Restored::Expired);
    }
}

/// The same of one that moved to another id.
pub fn a_restored_session_that_rotated_is_not_restored_again<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let user = desk.stage.user("ada");
    for user in [None, Some(&user)] {
        let record = desk.of_elsewhere(user);
        assert_eq!(desk.restore(&record), Restored::Done);
        let new = desk.stage.id_like(&record.id);
        desk.stage.rotated(renewing(&record.id, &new));
        here.pass(Duration::from_secs(180));
        assert_eq!(desk.restore(&record), Restored::Ended);
        assert!(desk.stage.is_alive(&new) && !desk.stage.is_alive(&record.id));
    }
}

/// A restored session lives as long as was left to it, and use prolongs it up to its old deadline.
pub fn a_restored_session_lives_as_long_as_was_left_to_it<H: WithRecords>(here: &H) {
    let desk = Desk::set(here);
    let second = Duration::from_secs(1);
    let user = desk.stage.user("ada");
    for user in [None, Some(&user)] {
        let records = [desk.of_elsewhere(user), desk.of_elsewhere(user)];
        for record in &records {
            assert_eq!(desk.restore(record), Restored::Done);
        }
        here.pass(HOUR / 2 - second);
        assert!(desk.stage.is_alive(&records[0].id));
        let deadline = records[1].life.deadline();
        while desk.now() + HOUR / 2 < deadline {
            desk.stage.changed(&records[1].id, &Change::read());
            here.pass(HOUR / 2);
        }
        desk.stage.is_unknown(&records[0].id);
        here.pass(deadline.since(desk.now()));
        here.pass(second);
        desk.stage.is_unknown(&records[1].id);
    }
}

/// Makes a test of every check of [`Records`] that needs no more than moments, for a harness that is
/// [`WithRecords`].
#[macro_export]
macro_rules! conformance_suite_of_records {
    ($($start:tt)+) => {
        $crate::__conformance_tests! { [$($start)+];
            records::a_walk_meets_every_live_session_whole
            records::a_walk_is_resumed_from_what_was_written_down
            records::a_cursor_of_elsewhere_begins_the_walk_anew
            records::looking_renews_nothing
            records::what_is_over_is_not_met
            records::a_restored_session_is_the_one_that_was
            records::a_restore_never_overwrites
            records::what_ended_here_is_not_restored
            records::what_has_expired_is_not_restored
            records::a_record_that_is_no_session_is_refused
            records::of_many_who_restore_a_session_one_makes_it
        }
    };
}

/// Those that let hours pass, for a store whose clock the harness moves by hand.
#[macro_export]
macro_rules! conformance_suite_of_records_and_hours {
    ($($start:tt)+) => {
        $crate::__conformance_tests! { [$($start)+];
            records::a_restored_session_that_ended_is_not_restored_again
            records::a_restored_session_that_rotated_is_not_restored_again
            records::a_restored_session_lives_as_long_as_was_left_to_it
        }
    };
}
