//! All sessions of a user: listed, counted, and ended in one step, whatever else happens.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::stage::{
    Entry, NO_FIELDS, Stage, applying, at_most, at_once, creating, fields, increment, renewing,
};
use crate::change::Change;
use crate::expiry::Touch;
use crate::store::{
    Applied, Create, Created, Cursor, Ended, EndedOf, Login, Page, User, WhenFull, Which,
};
use crate::testing::Harness;
use crate::token::SessionId;

/// Asking about nobody makes nothing and ends nothing.
pub fn a_user_without_sessions_has_none_to_list_to_count_or_to_end<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let never = stage.id_of(&user);
    let page = stage.page(&user, None, 9);
    assert!(page.sessions.is_empty() && page.next.is_none(), "{page:?}");
    assert_eq!(stage.count_of(&user), 0);
    for which in [Which::One(&never), Which::All, Which::AllBut(&never)] {
        assert_eq!(stage.end_of(&user, which, None), EndedOf::Done(0));
    }
    assert_eq!(stage.erase(&user), 0);
    stage.is_unknown(&never);
}

/// Those that logged in and rotated, from either instance; not those that ended.
pub fn the_list_shows_every_session_that_is_alive_and_no_other<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (user, other) = (stage.user("ada"), stage.user("bob"));
    let (one, logged_out, moved) = (stage.of(&user), stage.of(&user), stage.of(&user));
    let by_rotation = stage.id_of(&user);
    let anonymous = stage.with(&NO_FIELDS);
    stage.rotated(Entry::of(&user).from(&anonymous, &by_rotation));
    let renewed = stage.id_like(&moved);
    stage.rotated(renewing(&moved, &renewed));
    let theirs = stage.of(&other);
    assert_eq!(stage.end(&logged_out), Ended::Now);

    for stage in [&stage, &stage.second()] {
        assert_eq!(ids(&stage.page(&user, None, 500)), [one, by_rotation, renewed].into());
        assert_eq!(stage.count_of(&user), 3);
        assert_eq!(ids(&stage.page(&other, None, 500)), [theirs].into());
    }
}

/// Its life is that of its snapshot, and looking is no use.
pub fn the_list_says_of_a_session_what_it_is_and_does_not_use_it<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let id = stage.of_user_with(&user, &fields([("secret", "value")]));
    let before = stage.peek(&id);
    stage.pass(5);
    let page = stage.page(&user, None, 1);
    let [listed] = &page.sessions[..] else { panic!("{page:?}") };
    assert_eq!((listed.id, listed.life), (id, before.life));
    assert_eq!(listed.expires_at, before.expires_at);
    assert!(page.now >= before.now);
    assert_eq!(stage.peek(&id).expires_at, before.expires_at);
    assert!(!format!("{page:?}").contains("value"), "a list shows no fields");
}

/// However large the pages are.
pub fn pages_show_every_session_once_the_one_with_the_most_life_first<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let mut expected: Vec<_> = [300, 200, 700, 100, 600, 500, 400]
        .into_iter()
        .map(|minutes| (minutes, stage.of_user_for(&user, minutes)))
        .collect();
    expected.sort_by_key(|(minutes, _)| std::cmp::Reverse(*minutes));
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    for at_most in [1, 2, 3, 6, 7, 8, 500, u32::MAX] {
        let pages = pages(&stage, &user, at_most);
        let most = pages.iter().map(Vec::len).max();
        assert!(most <= Some(at_most.min(Page::AT_MOST) as usize), "{at_most}: {pages:?}");
        assert_eq!(pages.concat(), expected, "{at_most} a page");
    }
}

/// Also if the session ended meanwhile, moved to the front, or many end in the same instant.
pub fn a_page_goes_on_where_the_last_one_ended_whatever_became_of_that_entry<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let all: Vec<_> = (1..=40).map(|_| stage.of_user_for(&user, 60)).collect();
    for becomes in ["logged out", "used", "as it was"] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = stage.page(&user, after, 7);
            seen.extend(page.sessions.iter().map(|listed| listed.id));
            let Some(cursor) = page.next else { break };
            match becomes {
                "logged out" if seen.len() == 7 => assert_eq!(stage.end(&cursor.id), Ended::Now),
                "used" => drop(stage.used(&cursor.id, Touch::Exactly)),
                _ => {}
            }
            after = Some(cursor);
        }
        let distinct: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "{becomes}: shown twice");
        let alive = all.iter().filter(|id| stage.is_alive(id)).count();
        let ended = usize::from(becomes == "logged out");
        assert_eq!(distinct.len(), alive + ended, "{becomes}: one was missed");
    }
}

/// It is as with a logout; again is no error.
pub fn ending_one_ends_it_and_no_other<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let (asker, other, third) = (stage.of(&user), stage.of(&user), stage.of(&user));
    let end = || stage.end_of(&user, Which::One(&other), Some(&asker));
    assert_eq!(end(), EndedOf::Done(1));
    assert_eq!(end(), EndedOf::Done(0));
    stage.is_dead_to_every_verb(&other, &Applied::Ended);
    assert!(stage.is_alive(&asker) && stage.is_alive(&third));
    assert_eq!(stage.count_of(&user), 2);
    // And oneself.
    assert_eq!(stage.end_of(&user, Which::One(&asker), Some(&asker)), EndedOf::Done(1));
    stage.is_ended(&asker);
    assert_eq!(stage.end_of(&user, Which::One(&third), None), EndedOf::Done(1));
    stage.is_ended(&third);
}

/// Log out everywhere: also by who has a session no longer than that step.
// Proves R32, R35.
pub fn ending_all_ends_every_session_of_the_user_and_of_nobody_else<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for by_session in [false, true] {
        let (user, other) = (stage.user("ada"), stage.user("bob"));
        let theirs = stage.of(&other);
        let anonymous = stage.with(&NO_FIELDS);
        let sessions: Vec<_> = (0..7).map(|_| stage.of(&user)).collect();
        let asker = by_session.then_some(&sessions[3]);
        assert_eq!(stage.end_of(&user, Which::All, asker), EndedOf::Done(7));
        for id in &sessions {
            stage.is_dead_to_every_verb(id, &Applied::Ended);
        }
        assert_eq!(stage.count_of(&user), 0);
        assert!(stage.page(&user, None, 9).sessions.is_empty());
        assert!(stage.is_alive(&theirs) && stage.is_alive(&anonymous));
        assert_eq!(stage.end_of(&user, Which::All, None), EndedOf::Done(0));
    }
}

/// Whether it asks itself or not, and if it is not there all others end all the same.
// Proves R33, CVE-2021-25970.
pub fn ending_all_but_one_keeps_that_one<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for by_session in [false, true] {
        let user = stage.user("ada");
        let kept = stage.of_user_with(&user, &fields([("kept", "as it was")]));
        let others: Vec<_> = (0..5).map(|_| stage.of(&user)).collect();
        let asker = by_session.then_some(&kept);
        let end = || stage.end_of(&user, Which::AllBut(&kept), asker);
        assert_eq!(end(), EndedOf::Done(5));
        assert_eq!(end(), EndedOf::Done(0));
        others.iter().for_each(|id| stage.is_ended(id));
        stage.holds(&kept, &fields([("kept", "as it was")]));
        assert_eq!(ids(&stage.page(&user, None, 9)), [kept].into());
        // Its place in the index is whole: the limit counts it, and a rotation takes it along.
        let renewed = stage.id_like(&kept);
        stage.rotated(renewing(&kept, &renewed));
        let new = stage.id_of(&user);
        let login =
            Some(Login { user: &user, limit: Some(at_most(1, WhenFull::Refuse)), client: None });
        assert_eq!(stage.create(Create { login, ..creating(&new, &NO_FIELDS) }), Created::Full);
    }
    let user = stage.user("ada");
    let (gone, other) = (stage.of(&user), stage.of(&user));
    assert_eq!(stage.end(&gone), Ended::Now);
    assert_eq!(stage.end_of(&user, Which::AllBut(&gone), None), EndedOf::Done(1));
    stage.is_ended(&other);
}

/// More than any list of arguments takes, several times in a row.
// Proves R33.
pub fn a_thousand_sessions_are_ended_by_one_of_them<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let asker = stage.of(&user);
    for _ in 0..2 {
        let others: Vec<_> = (0..1_000).map(|_| stage.of(&user)).collect();
        assert_eq!(stage.count_of(&user), 1_001);
        let pages = pages(&stage, &user, u32::MAX);
        assert!(pages.iter().all(|page| page.len() <= Page::AT_MOST as usize));
        assert_eq!(pages.concat().len(), 1_001);
        let ended = stage.end_of(&user, Which::AllBut(&asker), Some(&asker));
        assert_eq!(ended, EndedOf::Done(1_000));
        assert_eq!(ids(&stage.page(&user, None, 9)), [asker].into());
        for id in others.iter().step_by(97) {
            stage.is_ended(id);
        }
    }
}

/// A session that was taken away can't be used to throw its owner out.
pub fn who_has_no_session_any_more_ends_nobody<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let (owner, ended, never) = (stage.of(&user), stage.of(&user), stage.id_of(&user));
    assert_eq!(stage.end(&ended), Ended::Now);
    for which in [Which::One(&owner), Which::All, Which::AllBut(&ended), Which::AllBut(&never)] {
        assert_eq!(stage.end_of(&user, which, Some(&ended)), EndedOf::Ended, "{which:?}");
        assert_eq!(stage.end_of(&user, which, Some(&never)), EndedOf::Unknown, "{which:?}");
        assert!(stage.is_alive(&owner), "{which:?}");
    }
    stage.is_unknown(&never);
}

/// Neither as who is meant nor as who asks.
// Proves R36.
pub fn a_session_of_somebody_else_can_not_be_named<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (user, other) = (stage.user("ada"), stage.user("bob"));
    let (own, theirs, nobodys) = (stage.of(&user), stage.of(&other), stage.with(&NO_FIELDS));
    for foreign in [theirs, nobodys] {
        for asker in [None, Some(&own)] {
            assert_eq!(stage.end_of(&user, Which::One(&foreign), asker), EndedOf::Done(0));
        }
        for which in [Which::One(&own), Which::All, Which::AllBut(&foreign)] {
            assert_eq!(stage.end_of(&user, which, Some(&foreign)), EndedOf::Unknown);
        }
    }
    // Nor one that was ended: whose it was is nothing to tell.
    let gone = stage.with(&NO_FIELDS);
    assert_eq!(stage.end(&gone), Ended::Now);
    for _ in 0..64 {
        let user = stage.user("ada");
        let _ = stage.of(&user);
        assert_eq!(stage.end_of(&user, Which::All, Some(&gone)), EndedOf::Unknown);
    }
    // Nor by its hash under one's own tag, which is all that an application is shown.
    let guessed = SessionId::parse(own.tag(), &theirs.hash()).unwrap();
    assert_eq!(stage.end_of(&user, Which::One(&guessed), Some(&own)), EndedOf::Done(0));
    for id in [own, theirs, nobodys] {
        assert!(stage.is_alive(&id));
    }
}

/// And the old sessions don't come back with it.
pub fn a_login_after_the_end_of_all_lives<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let before: Vec<_> = (0..3).map(|_| stage.of(&user)).collect();
    assert_eq!(stage.end_of(&user, Which::All, None), EndedOf::Done(3));
    let (fresh, over_old) = (stage.of(&user), stage.id_of(&user));
    stage.rotated(Entry::of(&user).from(&before[0], &over_old));
    assert_eq!(ids(&stage.page(&user, None, 9)), [fresh, over_old].into());
    before.iter().for_each(|id| stage.is_ended(id));
    // A second end of all finds these two alone.
    assert_eq!(stage.end_of(&user, Which::All, Some(&fresh)), EndedOf::Done(2));
}

/// Also what was ended before in one step, and whose removal may be under way.
// Proves R32.
pub fn erasing_leaves_nothing_and_says_how_many_there_were<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let (user, other) = (stage.user("ada"), stage.user("bob"));
    let theirs = stage.of(&other);
    let ended: Vec<_> = (0..20).map(|_| stage.of(&user)).collect();
    assert_eq!(stage.end_of(&user, Which::All, None), EndedOf::Done(20));
    let alive: Vec<_> = (0..20).map(|_| stage.of(&user)).collect();
    assert_eq!(stage.erase(&user), 20);
    assert_eq!(stage.erase(&user), 0);
    ended.iter().chain(&alive).for_each(|id| stage.is_ended(id));
    assert_eq!(stage.count_of(&user), 0);
    assert!(stage.is_alive(&theirs));
}

/// Two logouts everywhere at once: together they ended as many as there were.
pub fn of_many_who_end_all_each_session_is_counted_once<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(20) {
        let user = stage.user("ada");
        let sessions: Vec<_> = (0..10).map(|_| stage.of(&user)).collect();
        let counts = at_once(6, |number| {
            let stage = stage.of_thread(number);
            match number % 3 {
                0 => stage.end_of(&user, Which::All, None),
                1 => stage.end_of(&user, Which::AllBut(&sessions[0]), None),
                _ => stage.end_of(&user, Which::One(&sessions[number]), None),
            }
        });
        let ended = counts.iter().map(|ended| match ended {
            EndedOf::Done(count) => *count,
            other => panic!("{other:?}"),
        });
        assert_eq!(ended.sum::<u64>(), 10);
        sessions.iter().for_each(|id| stage.is_ended(id));
    }
}

/// Log out everywhere against eight who log in and write: no session that was there before it
/// answers afterwards; one that logged in after it lives.
// Proves R32, R35.
pub fn after_the_end_of_all_no_session_that_was_before_gets_in<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(10) {
        let user = stage.user("ada");
        let before: Vec<_> = (0..4).map(|_| stage.of(&user)).collect();
        // Those that had been acknowledged when it was asked for.
        let logged_in = Mutex::new(before.clone());
        let outcome = at_once(9, |number| {
            let stage = stage.of_thread(number);
            if number == 0 {
                let known = logged_in.lock().unwrap().clone();
                assert!(matches!(stage.end_of(&user, Which::All, None), EndedOf::Done(_)));
                for id in &known {
                    let late = stage.apply(applying(id, &Change::of(increment("n", 1))));
                    assert_eq!(late, Applied::Ended, "a session of before got in");
                }
                let after = stage.of(&user);
                assert!(stage.is_alive(&after), "a login after it is dead");
                return vec![after];
            }
            let mut made = Vec::new();
            for old in &before {
                if number % 2 == 0 {
                    let id = stage.of(&user);
                    logged_in.lock().unwrap().push(id);
                    made.push(id);
                } else {
                    let write = Change::of(increment("n", 1));
                    match stage.apply(applying(old, &write)) {
                        Applied::Done(..) | Applied::Ended => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            made
        });
        before.iter().for_each(|id| stage.is_ended(id));
        let alive = outcome.concat().into_iter().filter(|id| stage.is_alive(id));
        assert_eq!(ids(&stage.page(&user, None, 500)), alive.collect());
    }
}

/// While sessions come, move and go: never more than the limit, and the list, the count and who is
/// alive are the same as soon as nobody moves.
pub fn the_index_agrees_with_who_is_alive_at_every_moment<H: Harness>(here: &H) {
    const LIMIT: u32 = 5;
    let stage = Stage::set(here);
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let user = stage.user("ada");
        let made = at_once(8, |number| {
            let stage = stage.of_thread(number);
            let mut made = Vec::new();
            for round in 0..stage.rounds(10) {
                if number == 0 {
                    let (page, count) = (stage.page(&user, None, 500), stage.count_of(&user));
                    assert!(page.sessions.len() as u32 <= LIMIT, "{page:?}");
                    assert!(count <= u64::from(LIMIT), "{count}");
                    continue;
                }
                let id = stage.id_of(&user);
                let login = Some(Login {
                    user: &user,
                    limit: Some(at_most(LIMIT, when_full)),
                    client: None,
                });
                match stage.create(Create { login, ..creating(&id, &NO_FIELDS) }) {
                    Created::Done(..) => made.push(id),
                    Created::Full => assert_eq!(when_full, WhenFull::Refuse),
                    Created::Taken => panic!("a fresh id is taken"),
                }
                let Some(own) = made.last().copied() else { continue };
                match (number + round) % 4 {
                    0 => drop(stage.end(&own)),
                    1 => {
                        let new = stage.id_like(&own);
                        let _ = stage.rotate(renewing(&own, &new));
                        made.push(new);
                    }
                    2 => drop(stage.end_of(&user, Which::AllBut(&own), Some(&own))),
                    _ => drop(stage.end_of(&user, Which::One(&own), None)),
                }
            }
            made
        });
        let alive: BTreeSet<_> =
            made.concat().into_iter().filter(|id| stage.is_alive(id)).collect();
        assert_eq!(ids(&stage.page(&user, None, 500)), alive);
        assert_eq!(stage.count_of(&user), alive.len() as u64);
        assert!(alive.len() as u32 <= LIMIT);
    }
}

fn ids(page: &Page) -> BTreeSet<SessionId> {
    page.sessions.iter().map(|listed| listed.id).collect()
}

fn pages<H: Harness>(stage: &Stage<'_, H>, user: &User, at_most: u32) -> Vec<Vec<SessionId>> {
    let mut pages = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = stage.page(user, after, at_most);
        pages.push(page.sessions.iter().map(|listed| listed.id).collect());
        // As it would come back in a link.
        after = page.next.map(|next| Cursor::parse(next.id.tag(), &next.to_string()).unwrap());
        if after.is_none() {
            return pages;
        }
    }
}
