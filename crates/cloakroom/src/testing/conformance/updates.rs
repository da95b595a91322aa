//! Many write to one session at once, on several threads and two instances: nothing is lost (P2).

use std::collections::BTreeSet;

use super::stage::{
    NO_FIELDS, Stage, append, applying, at_once, compare_and_set, done_and_answered, fields,
    increment, kept, name, number_of, take, text, writes, writing,
};
use crate::change::Change;
use crate::store::Applied;
use crate::testing::Harness;

/// Every increment counts, once, and each answers a number of its own.
// Proves R67.
pub fn parallel_increments_are_all_counted<H: Harness>(here: &H) {
    const THREADS: usize = 16;
    let stage = Stage::set(here);
    let each = stage.rounds(THREADS as u32);
    let id = stage.with(&NO_FIELDS);
    let answered = at_once(THREADS, |number| {
        let stage = stage.of_thread(number);
        let change = Change::of(increment("n", 1));
        let answers = (0..each).map(|_| {
            let (_, answer) = done_and_answered(stage.apply(applying(&id, &change)));
            number_of(answer.as_deref())
        });
        answers.collect::<Vec<_>>()
    });
    let answered: Vec<i64> = answered.into_iter().flatten().collect();
    let all = (THREADS * each) as i64;
    assert_eq!(answered.len() as i64, all);
    assert!(answered.into_iter().collect::<BTreeSet<_>>().into_iter().eq(1..=all));
    stage.holds(&id, &fields([("n", &all.to_string())]));
}

/// Two requests that write different fields both survive: nobody saves a copy of the whole session.
// Proves R67, scs.
pub fn writers_of_different_fields_both_survive<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let each = stage.rounds(4);
    let id = stage.with(&fields([("untouched", "1")]));
    at_once(4, |number| {
        let stage = stage.of_thread(number);
        let (own, other) = (format!("field {number}"), format!("n {number}"));
        for n in 1..=each {
            let value = n.to_string();
            // The last thread removes what it wrote, so that removals race as well.
            let value = (number < 3 || n % 2 == 1).then_some(&*value);
            let snapshot = match number {
                0 => stage.changed(&id, &writing([(&own, value)])),
                _ => {
                    let operation = Some(increment(&other, 1));
                    let change = Change { writes: writes([(&own, value)]), operation };
                    stage.changed(&id, &change)
                }
            };
            let found = snapshot.fields.get(&*own).map(|value| text(value));
            assert_eq!(found.as_deref(), value, "a writer finds what it wrote itself");
        }
    });
    let each = each.to_string();
    let mut all = fields([
        ("untouched", "1"),
        ("field 0", &each),
        ("field 1", &each),
        ("field 2", &each),
        ("n 1", &each),
        ("n 2", &each),
        ("n 3", &each),
    ]);
    if each.parse::<usize>().unwrap() % 2 == 1 {
        all.insert(name("field 3"), kept(each));
    }
    stage.holds(&id, &all);
}

/// Read, compute, write if it is still as read: every success is one that counted.
pub fn compare_and_set_loops_lose_nothing<H: Harness>(here: &H) {
    const THREADS: usize = 8;
    let stage = Stage::set(here);
    let each = stage.rounds(40);
    let id = stage.with(&NO_FIELDS);
    at_once(THREADS, |number| {
        let stage = stage.of_thread(number);
        let mut found: Option<String> = None;
        for _ in 0..each {
            loop {
                let new = found.as_deref().map_or(0, |n| n.parse::<u64>().unwrap()) + 1;
                let new = new.to_string();
                let change = Change::of(compare_and_set("n", found.as_deref(), &new));
                match stage.apply(applying(&id, &change)) {
                    Applied::Done(..) => {
                        found = Some(new);
                        break;
                    }
                    // The conflict brings what is there: no second read is needed.
                    Applied::Conflict(kept) => found = kept.map(|kept| text(&kept)),
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    stage.holds(&id, &fields([("n", &(THREADS * each).to_string())]));
}

/// Of those who would set what is absent, one does: a lock, a nonce, "only once".
pub fn only_one_sets_what_is_absent<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(20) {
        let id = stage.with(&NO_FIELDS);
        let answers = at_once(8, |number| {
            let change = Change::of(compare_and_set("first", None, &number.to_string()));
            stage.of_thread(number).apply(applying(&id, &change))
        });
        let winner = kept(text(&stage.peek(&id).fields["first"]));
        let mut won = 0;
        for (number, answer) in answers.iter().enumerate() {
            match answer {
                Applied::Done(..) => {
                    assert!(winner == kept(number.to_string()));
                    won += 1;
                }
                Applied::Conflict(found) => assert!(found.as_ref() == Some(&winner)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
        let _ = stage.end(&id);
    }
}

/// Of many who take a flash message, one gets it.
// Proves R67, CVE-2026-45720.
pub fn of_many_takers_one_gets_it<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    for _ in 0..stage.rounds(20) {
        let id = stage.with(&fields([("flash", "hello"), ("other", "1")]));
        let answers = at_once(8, |number| {
            let change = Change::of(take("flash"));
            done_and_answered(stage.of_thread(number).apply(applying(&id, &change))).1
        });
        let got: Vec<_> = answers.into_iter().flatten().collect();
        assert!(got == [kept("hello")], "{} takers got it", got.len());
        stage.holds(&id, &fields([("other", "1")]));
        let _ = stage.end(&id);
    }
}

/// Every item that was acknowledged is in the list, each writer's in the order it wrote them.
pub fn parallel_appends_are_all_kept_in_each_writers_order<H: Harness>(here: &H) {
    const THREADS: usize = 4;
    let stage = Stage::set(here);
    let each = stage.rounds(100).min(200);
    let id = stage.with(&NO_FIELDS);
    at_once(THREADS, |number| {
        let stage = stage.of_thread(number);
        for n in 0..each {
            stage.changed(&id, &Change::of(append("list", &format!("[{number},{n}]"), u32::MAX)));
        }
    });
    let list = stage.peek(&id).fields["list"].0.clone();
    let list: Vec<(usize, usize)> = serde_json::from_slice(&list).unwrap();
    assert_eq!(list.len(), THREADS * each);
    for number in 0..THREADS {
        assert!(list.iter().filter(|(by, _)| *by == number).map(|(_, n)| *n).eq(0..each));
    }
}
