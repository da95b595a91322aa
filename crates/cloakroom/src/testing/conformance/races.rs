//! Many make, end and move sessions at once, on several threads and two instances: nothing comes back
//! (P3), and nobody has more sessions than allowed (P8).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::stage::{
    Entry, NO_FIELDS, Stage, applying, assert_same, at_most, at_once, creating, fields, increment,
    name, number_of, renewing, said,
};
use crate::change::Change;
use crate::store::{
    Applied, Create, Created, Ended, Login, Rotate, Rotated, SessionLimit, Snapshot, User, WhenFull,
};
use crate::testing::Harness;
use crate::token::SessionId;

/// One id, many who would make a session under it: one makes it, and it holds what that one gave.
pub fn of_many_creators_of_one_id_one_makes_it<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(20) {
        let id = stage.anonymous();
        let answers = at_once(8, |number| {
            let own = fields([("by", &number.to_string())]);
            stage.of_thread(number).create(creating(&id, &own))
        });
        let mut made = answers.iter().enumerate().filter(|(_, a)| matches!(a, Created::Done(..)));
        let (number, _) = made.next().expect("nobody made it");
        assert!(made.next().is_none(), "made twice");
        stage.holds(&id, &fields([("by", &number.to_string())]));
        let _ = stage.end(&id);
    }
}

/// Of many who end a session, one ended it.
pub fn of_many_who_end_a_session_one_ends_it<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for round in 0..stage.rounds(20) {
        let id = if round % 2 == 0 { stage.with(&NO_FIELDS) } else { stage.of(&user) };
        let answers = at_once(8, |number| stage.of_thread(number).end(&id));
        assert_eq!(answers.iter().filter(|a| **a == Ended::Now).count(), 1);
        assert_eq!(answers.iter().filter(|a| **a == Ended::Before).count(), 7);
    }
}

/// A logout against readers and writers: once it is acknowledged, no request that begins later
/// finds the session alive, and none that was under way brings it back.
// Proves R30, CVE-2025-32441, actix-session.
pub fn after_a_logout_no_late_request_gets_in<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for round in 0..stage.rounds(1) {
        let id = if round % 2 == 0 { stage.with(&NO_FIELDS) } else { stage.of(&user) };
        no_late_request_gets_in(&stage, &id, |stage| {
            assert_eq!(stage.end(&id), Ended::Now);
            None
        });
        stage.is_ended(&id);
    }
}

/// A rotation against readers and writers: what was acknowledged on the old id, all of it and
/// nothing else, is in the new session, and no later request gets in by the old id.
// Proves R22, R67, CVE-2019-17563.
pub fn after_a_rotation_no_late_request_gets_in_and_none_is_lost<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for round in 0..stage.rounds(1) {
        let by_login = round % 4 == 3;
        let id = if round % 2 == 0 { stage.with(&NO_FIELDS) } else { stage.of(&user) };
        let new = stage.id_like(&id);
        no_late_request_gets_in(&stage, &id, |stage| {
            let rotate =
                if by_login { Entry::of(&user).from(&id, &new) } else { renewing(&id, &new) };
            Some(stage.rotated(rotate))
        });
        stage.is_ended(&id);
        assert_eq!(stage.end(&new), Ended::Now);
    }
}

/// A revocation against readers and writers. The session was ended by a login elsewhere; its own
/// requests get in no more.
pub fn after_a_revocation_no_late_request_gets_in<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(1) {
        let user = stage.user("ada");
        let (id, new) = (stage.of(&user), stage.id_of(&user));
        no_late_request_gets_in(&stage, &id, |stage| {
            let limit = Some(at_most(1, WhenFull::EndOldest));
            let login = Some(Login { user: &user, limit, client: None });
            stage.created(Create { login, ..creating(&new, &NO_FIELDS) });
            None
        });
        stage.is_ended(&id);
        assert_eq!(stage.end(&new), Ended::Now);
    }
}

/// Three threads use the session while `finish` ends it. What `finish` brings back of it must hold
/// exactly what was acknowledged.
fn no_late_request_gets_in<H: Harness>(
    stage: &Stage<'_, H>,
    id: &SessionId,
    finish: impl Fn(&Stage<'_, H>) -> Option<Snapshot> + Sync,
) {
    /// Says that the session is over, also when `finish` panics: nobody would stop otherwise.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let over = AtomicBool::new(false);
    let outcomes = at_once(4, |number| {
        let stage = &stage.of_thread(number);
        if number == 0 {
            let _over = Over(&over);
            until_in_use(stage, id);
            return (0, finish(stage));
        }
        let change = if number == 1 { Change::read() } else { Change::of(increment("n", 1)) };
        let mut acknowledged = 0;
        loop {
            // Where threads outnumber processors, one that spins would hold up the one that ends.
            thread::yield_now();
            let late = over.load(Ordering::SeqCst);
            match stage.apply(applying(id, &change)) {
                Applied::Done(..) if late => {
                    panic!("a late request got in: {}", said(&change))
                }
                Applied::Done(..) => acknowledged += u64::from(number != 1),
                Applied::Ended if late => return (acknowledged, None),
                // The end has happened and is not acknowledged yet. It must stay so.
                Applied::Ended => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let acknowledged: u64 = outcomes.iter().map(|(acknowledged, _)| acknowledged).sum();
    if let Some(moved) = outcomes.into_iter().find_map(|(_, moved)| moved) {
        let n = moved.fields.get("n").map_or(0, |n| number_of(Some(n)));
        assert_eq!(n, acknowledged as i64, "acknowledged, and in the session that moved");
    }
}

/// Looks on until somebody has written, so that there is a race. A bound, for the writers may have
/// failed.
fn until_in_use<H: Harness>(stage: &Stage<'_, H>, id: &SessionId) {
    for _ in 0..1_000 {
        if matches!(stage.look(id), Applied::Done(found, _) if found.fields.contains_key("n")) {
            return;
        }
        thread::yield_now();
    }
}

/// Two rotations of one session never make two sessions of it.
// Proves R67, CVE-2026-45720.
pub fn of_parallel_rotations_one_is_done<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for round in 0..stage.rounds(20) {
        let held = fields([("a", "1")]);
        let old = if round % 2 == 0 { stage.with(&held) } else { stage.of_user_with(&user, &held) };
        let rotations = at_once(8, |number| {
            let stage = stage.of_thread(number);
            let new = stage.id_like(&old);
            (new, stage.rotate(renewing(&old, &new)))
        });
        let mut done = Vec::new();
        for (new, rotated) in rotations {
            match rotated {
                Rotated::Done(snapshot, _) => {
                    assert_same(&snapshot.fields, &held);
                    done.push(new);
                }
                Rotated::Ended => stage.is_unknown(&new),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(done.len(), 1);
        stage.is_ended(&old);
        stage.holds(&done[0], &held);
        assert_eq!(stage.end(&done[0]), Ended::Now);
    }
}

/// Of two logins over one anonymous session, both go ahead, and one of them carries: what was
/// carried is in no two sessions.
// Proves CVE-2026-45720.
pub fn what_is_carried_goes_into_one_login_only<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let users = [stage.user("ada"), stage.user("bob")];
    let carried = [name("cart")];
    for _ in 0..stage.rounds(20) {
        let held = fields([("cart", "3")]);
        let old = stage.with(&held);
        let sessions = at_once(4, |number| {
            let (stage, user) = (stage.of_thread(number), &users[number % 2]);
            let new = stage.id_of(user);
            let entry = Entry { carried: &carried, ..Entry::of(user) };
            (new, stage.rotated(entry.from(&old, &new)))
        });
        let carrying = sessions.iter().filter(|(_, snapshot)| snapshot.fields == held).count();
        let empty = sessions.iter().filter(|(_, snapshot)| snapshot.fields == NO_FIELDS).count();
        assert_eq!((carrying, empty), (1, 3));
        for (new, snapshot) in &sessions {
            stage.holds(new, &snapshot.fields);
            assert_eq!(stage.end(new), Ended::Now);
        }
        stage.is_ended(&old);
    }
}

/// A logout and a rotation of one session: one of them came first, and both answers agree on which.
pub fn a_logout_and_a_rotation_agree_on_who_came_first<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for round in 0..stage.rounds(10) {
        let held = fields([("cart", "3")]);
        let by_login = round % 3 == 2;
        let old = if round % 2 == 0 { stage.with(&held) } else { stage.of_user_with(&user, &held) };
        let new = if by_login { stage.id_of(&user) } else { stage.id_like(&old) };
        let carried = [name("cart")];
        let entry = Entry { carried: &carried, ..Entry::of(&user) };
        let rotate: Rotate<'_> =
            if by_login { entry.from(&old, &new) } else { renewing(&old, &new) };
        enum Answer {
            Ended(Ended),
            Rotated(Rotated),
        }
        let mut answers = at_once(2, |number| {
            let stage = stage.of_thread(number);
            match number {
                0 => Answer::Ended(stage.end(&old)),
                _ => Answer::Rotated(stage.rotate(rotate)),
            }
        });
        let (Some(Answer::Rotated(rotated)), Some(Answer::Ended(ended))) =
            (answers.pop(), answers.pop())
        else {
            unreachable!("each thread gives its own kind of answer");
        };
        match (ended, rotated) {
            (Ended::Before, Rotated::Done(snapshot, _)) => {
                assert_same(&snapshot.fields, &held);
                stage.holds(&new, &held);
            }
            (Ended::Now, Rotated::Ended) if !by_login => stage.is_unknown(&new),
            (Ended::Now, Rotated::Done(snapshot, _)) if by_login => {
                assert_same(&snapshot.fields, &NO_FIELDS);
                stage.holds(&new, &NO_FIELDS);
            }
            (ended, rotated) => panic!("{ended:?} and {rotated:?}"),
        }
        stage.is_ended(&old);
        let _ = stage.end(&new);
    }
}

/// 200 parallel logins with a limit of 5 leave exactly 5, whichever way they come in; and somebody
/// who looks beside them never sees more, nor fewer than have been let in.
// Proves R38, CVE-2024-4183.
pub fn parallel_logins_leave_as_many_sessions_as_allowed<H: Harness>(here: &H) {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        for mode in ["fresh", "from an anonymous session", "mixed"] {
            parallel_logins(here, when_full, mode);
        }
    }
}

const LOGINS: usize = 200;
const LIMIT: usize = 5;

fn parallel_logins<H: Harness>(here: &H, when_full: WhenFull, mode: &str) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(2_000) {
        let user = stage.user("ada");
        let limit = at_most(LIMIT as u32, when_full);
        let (let_in, over) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let logins = at_once(LOGINS + 1, |number| {
            let stage = stage.of_thread(number);
            if number == LOGINS {
                look_beside(&stage, &user, when_full, &let_in, &over);
                return None;
            }
            // Counted also if it fails: who looks beside would go on for ever.
            let _over = Counted(&over);
            let new = stage.id_of(&user);
            let by_rotation = mode != "fresh" && (mode != "mixed" || number % 3 == 0);
            let done = log_in(&stage, &user, &new, limit, by_rotation);
            if done {
                let_in.lock().unwrap().push(new);
            }
            Some((new, done))
        });
        let logins: Vec<_> = logins.into_iter().flatten().collect();
        let alive = logins.iter().filter(|(id, _)| stage.is_alive(id)).count();
        assert_eq!(alive, LIMIT, "{when_full:?}, {mode}");
        let done = logins.iter().filter(|(_, done)| *done).count();
        let expected = if when_full == WhenFull::Refuse { LIMIT } else { LOGINS };
        assert_eq!(done, expected, "{when_full:?}, {mode}");
        for (id, done) in &logins {
            match stage.look(id) {
                Applied::Done(..) | Applied::Ended => assert!(done),
                Applied::Unknown => assert!(!done),
                other => panic!("{other:?}"),
            }
            let _ = stage.end(id);
        }
    }
}

/// Compares the index with who is alive until all have come.
fn look_beside<H: Harness>(
    stage: &Stage<'_, H>,
    user: &User,
    when_full: WhenFull,
    let_in: &Mutex<Vec<SessionId>>,
    over: &AtomicUsize,
) {
    loop {
        let all_came = over.load(Ordering::SeqCst) == LOGINS;
        // Those whose logins were acknowledged before it was asked.
        let before = let_in.lock().unwrap().clone();
        let count = stage.count_of(user) as usize;
        assert!((before.len().min(LIMIT)..=LIMIT).contains(&count), "{count} in the index");
        let page = stage.page(user, None, 500);
        assert!(page.sessions.len() <= LIMIT, "{page:?}");
        for listed in &page.sessions {
            match stage.look(&listed.id) {
                Applied::Done(..) => {}
                Applied::Ended if when_full == WhenFull::EndOldest => {}
                other => panic!("in the list, and {other:?}"),
            }
        }
        if when_full == WhenFull::Refuse {
            // Nobody is pushed out: who is alive stays, and is listed.
            for id in &before {
                assert!(stage.is_alive(id), "let in, and not alive");
                assert!(
                    page.sessions.iter().any(|listed| listed.id == *id),
                    "alive, and not listed"
                );
            }
        }
        if all_came {
            return;
        }
    }
}

/// Says that one more has come, when it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn log_in<H: Harness>(
    stage: &Stage<'_, H>,
    user: &User,
    new: &SessionId,
    limit: SessionLimit,
    by_rotation: bool,
) -> bool {
    if by_rotation {
        let old = stage.with(&NO_FIELDS);
        match stage.rotate(Entry::with_limit(user, limit).from(&old, new)) {
            Rotated::Done(..) => {
                stage.is_ended(&old);
                true
            }
            Rotated::Full => {
                // With two steps, a race for the last place may cost the old session.
                let ended = stage.end(&old);
                let lost = stage.logs_in_by_two_steps() && ended == Ended::Before;
                assert!(lost || ended == Ended::Now, "the old session is as it was: {ended:?}");
                false
            }
            other => panic!("{other:?}"),
        }
    } else {
        let login = Some(Login { user, limit: Some(limit), client: None });
        match stage.create(Create { login, ..creating(new, &NO_FIELDS) }) {
            Created::Done(..) => true,
            Created::Full => false,
            other => panic!("{other:?}"),
        }
    }
}

/// Rotations and logins of one user at once: a rotation is not taken for one session more, and
/// revives nobody whom a login ended meanwhile.
pub fn rotations_among_logins_keep_to_the_limit<H: Harness>(here: &H) {
    const LIMIT: usize = 3;
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(50) {
        let user = stage.user("ada");
        let limit = at_most(LIMIT as u32, WhenFull::EndOldest);
        let ids = at_once(6, |number| {
            let stage = stage.of_thread(number);
            let mut mine = vec![stage.id_of(&user)];
            assert!(log_in(&stage, &user, &mine[0], limit, false));
            for _ in 0..3 {
                let new = stage.id_of(&user);
                match stage.rotate(renewing(mine.last().unwrap(), &new)) {
                    Rotated::Done(..) => mine.push(new),
                    // Another thread's login ended it: then nothing was made.
                    Rotated::Ended => {
                        stage.is_ended(mine.last().unwrap());
                        stage.is_unknown(&new);
                    }
                    other => panic!("{other:?}"),
                }
            }
            mine
        });
        let alive = ids.iter().flatten().filter(|id| stage.is_alive(id)).count();
        assert_eq!(alive, LIMIT);
        for id in ids.iter().flatten() {
            let _ = stage.end(id);
        }
    }
}
