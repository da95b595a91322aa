//! A session holds so much and no more: exact to the byte, and refused before anything is written.

use super::stage::{
    Entry, ROOMY, Stage, append, applying, at_most, compare_and_set, fields, increment, kept, name,
    renewing, said, take, writes, writing,
};
use crate::change::{Change, Fields, Limits, Operation, Refusal};
use crate::field::Kept;
use crate::store::{Applied, Apply, Rotate, Rotated, WhenFull};
use crate::testing::Harness;

/// As many fields as allowed, and not one more; one that is replaced or removed makes no more.
// Proves R69.
pub fn the_limit_of_fields_is_exact<H: Harness>(here: &H) {
    let held = || fields([("a", "1"), ("b", "2")]);
    let limits = Limits { fields: 3, ..ROOMY };
    let refused = Some(Refusal::TooManyFields { limit: 3 });
    check(
        here,
        &limits,
        held,
        [
            (writing([("c", Some("3"))]), None),
            (writing([("c", Some("3")), ("d", Some("4"))]), refused.clone()),
            (writing([("c", Some("3")), ("d", Some("4")), ("a", None)]), None),
            (writing([("a", Some("x")), ("b", Some("y")), ("c", Some("z"))]), None),
            (Change::of(increment("c", 1)), None),
            (with([("c", Some("3"))], increment("d", 1)), refused.clone()),
            (with([("c", Some("3"))], append("d", "1", 1)), refused.clone()),
            (with([("c", Some("3"))], compare_and_set("d", None, "")), refused),
            (with([("c", Some("3"))], increment("a", 1)), None),
            (with([("c", Some("3")), ("d", Some("4"))], take("a")), None),
            (with([("c", Some("3")), ("d", Some("4"))], take("d")), None),
        ],
    );
}

/// A value of as many bytes as allowed, and not one more, whatever writes it.
// Proves R69.
pub fn the_limit_of_a_value_is_exact<H: Harness>(here: &H) {
    let held = || fields([("n", "999"), ("negative", "-99"), ("list", "[1]")]);
    let limits = Limits { value_bytes: 3, ..ROOMY };
    let refused = |field| Some(Refusal::ValueTooLarge { field: name(field), limit: 3 });
    check(
        here,
        &limits,
        held,
        [
            (writing([("a", Some("123"))]), None),
            (writing([("a", Some("1234"))]), refused("a")),
            // Bytes, and not letters.
            (writing([("a", Some("雪"))]), None),
            (writing([("a", Some("雪1"))]), refused("a")),
            (writing([("a", Some("ok")), ("b", Some("long")), ("c", None)]), refused("b")),
            (Change::of(increment("n", 0)), None),
            (Change::of(increment("n", 1)), refused("n")),
            (Change::of(increment("negative", -1)), refused("negative")),
            (Change::of(compare_and_set("n", Some("999"), "abc")), None),
            (Change::of(compare_and_set("n", Some("999"), "abcd")), refused("n")),
            (Change::of(append("list", "2", 1)), None),
            (Change::of(append("list", "2", 2)), refused("list")),
            // What is gone by the end of the change was never too long.
            (with([("a", Some("long"))], take("a")), None),
            (with([("n", Some("long"))], compare_and_set("n", Some("long"), "ok")), None),
        ],
    );
}

/// Names and values together, as many bytes as allowed and not one more.
// Proves R69.
pub fn the_limit_of_a_session_is_exact<H: Harness>(here: &H) {
    // 2 + 3 and 1 + 2 bytes.
    let held = || fields([("aa", "123"), ("n", "99")]);
    let limits = Limits { session_bytes: 10, ..ROOMY };
    let refused = Some(Refusal::SessionTooLarge { limit: 10 });
    check(
        here,
        &limits,
        held,
        [
            (writing([("b", Some("1"))]), None),
            (writing([("b", Some("12"))]), refused.clone()),
            (writing([("bb", Some(""))]), None),
            (writing([("bbb", Some(""))]), refused.clone()),
            (writing([("é", Some(""))]), None),
            (writing([("雪", Some(""))]), refused.clone()),
            (writing([("aa", Some("12345"))]), None),
            (writing([("aa", Some("123456"))]), refused.clone()),
            (writing([("aa", Some("12345678")), ("n", None)]), None),
            (writing([("b", Some("1234")), ("n", None)]), None),
            (with([("b", Some("1"))], increment("n", 0)), None),
            (with([("b", Some("1"))], increment("n", 1)), refused.clone()),
            (Change::of(increment("n", 1)), None),
            (Change::of(append("l", "1", 1)), refused.clone()),
            (Change::of(compare_and_set("n", Some("99"), "1234")), None),
            (Change::of(compare_and_set("n", Some("99"), "12345")), refused),
            (with([("b", Some("much longer than that"))], take("b")), None),
        ],
    );
}

/// A limit that was lowered locks nothing up: what is there can be read, used up, made smaller and
/// taken along, and only more is refused.
pub fn a_session_above_a_lowered_limit_is_not_locked<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let held =
        fields([("a", "a long value"), ("flash", "a long message"), ("n", "7"), ("list", "[1]")]);
    for limits in [
        Limits { fields: 1, ..ROOMY },
        Limits { value_bytes: 4, ..ROOMY },
        Limits { session_bytes: 8, ..ROOMY },
    ] {
        for change in [
            Change::read(),
            writing([("a", None)]),
            Change::of(take("flash")),
            Change::of(take("absent")),
            writing([("a", None), ("flash", None)]),
            Change::of(increment("n", 1)),
            Change::of(append("list", "2", 1)),
            Change::of(compare_and_set("n", Some("7"), "8")),
            writing([("n", Some(""))]),
        ] {
            let id = stage.with(&held);
            let (after, answer) = change.apply(&held, &ROOMY).unwrap();
            match stage.apply(Apply { limits: &limits, ..applying(&id, &change) }) {
                Applied::Done(snapshot, answered) => {
                    super::stage::assert_same(&snapshot.fields, &after);
                    assert!(answered == answer, "{}", said(&change));
                }
                other => panic!("{limits:?}: {}: {other:?}", said(&change)),
            }
        }
        for grows in [
            writing([("new", Some("more than there was"))]),
            writing([("a", None), ("b", Some("a longer value")), ("c", Some("3"))]),
        ] {
            let id = stage.with(&held);
            let applied = stage.apply(Apply { limits: &limits, ..applying(&id, &grows) });
            assert!(matches!(applied, Applied::Refused(_)), "{limits:?}: {}", said(&grows));
            stage.holds(&id, &held);
        }
        let user = stage.user("ada");
        let old = stage.of_user_with(&user, &held);
        let new = stage.id_like(&old);
        let renewed = stage.rotated(Rotate { limits: &limits, ..renewing(&old, &new) });
        super::stage::assert_same(&renewed.fields, &held);
        let newer = stage.id_of(&user);
        let login = Rotate { limits: &limits, ..Entry::of(&user).from(&new, &newer) };
        super::stage::assert_same(&stage.rotated(login).fields, &held);
    }
}

/// The limits hold on the way into a new token as well.
pub fn the_limits_hold_for_the_writes_of_a_rotation<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "2")]);
    let carried = [name("a"), name("b"), name("c"), name("d")];
    for (limits, written, refused) in [
        (
            Limits { fields: 3, ..ROOMY },
            writes([("c", Some("3")), ("d", Some("4"))]),
            Some(Refusal::TooManyFields { limit: 3 }),
        ),
        (Limits { fields: 3, ..ROOMY }, writes([("c", Some("3"))]), None),
        (
            Limits { value_bytes: 3, ..ROOMY },
            writes([("c", Some("1234"))]),
            Some(Refusal::ValueTooLarge { field: name("c"), limit: 3 }),
        ),
        (Limits { value_bytes: 3, ..ROOMY }, writes([("c", Some("123"))]), None),
        (
            Limits { session_bytes: 6, ..ROOMY },
            writes([("c", Some("12"))]),
            Some(Refusal::SessionTooLarge { limit: 6 }),
        ),
        (Limits { session_bytes: 6, ..ROOMY }, writes([("c", Some("1"))]), None),
    ] {
        let by_login = Entry { carried: &carried, ..Entry::of(&user) };
        for (old, login) in [
            (stage.with(&held), None),
            (stage.with(&held), Some(by_login)),
            (stage.of_user_with(&user, &held), None),
            (stage.of_user_with(&user, &held), Some(Entry::of(&user))),
        ] {
            let new = if login.is_some() { stage.id_of(&user) } else { stage.id_like(&old) };
            let rotate = login.map_or(renewing(&old, &new), |login| login.from(&old, &new));
            let rotated = stage.rotate(Rotate { limits: &limits, writes: &written, ..rotate });
            match &refused {
                None => assert!(matches!(rotated, Rotated::Done(..)), "{rotated:?}"),
                Some(refusal) => {
                    assert_eq!(rotated, Rotated::Refused(refusal.clone()));
                    stage.holds(&old, &held);
                    stage.is_unknown(&new);
                }
            }
        }
    }
}

/// What a login brings and what it carries over are one session, and have one limit.
pub fn the_limits_hold_for_all_that_a_login_brings_together<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    let held = fields([("a", "1"), ("b", "2")]);
    let carried = [name("a"), name("b")];
    let brought = fields([("device", "d")]);
    let limits = Limits { fields: 2, ..ROOMY };
    for old in [stage.with(&held), stage.of_user_with(&user, &held)] {
        let new = stage.id_of(&user);
        // Ending somebody for a login that then fails would be half a step.
        let limit = at_most(1, WhenFull::EndOldest);
        let other = stage.of(&user);
        let entry =
            Entry { carried: &carried, fields: &brought, ..Entry::with_limit(&user, limit) };
        let rotated = stage.rotate(Rotate { limits: &limits, ..entry.from(&old, &new) });
        assert_eq!(rotated, Rotated::Refused(Refusal::TooManyFields { limit: 2 }));
        stage.holds(&old, &held);
        stage.is_unknown(&new);
        assert!(stage.is_alive(&other), "ended for a login that was refused");
    }
}

fn with<const N: usize>(written: [(&str, Option<&str>); N], operation: Operation) -> Change {
    Change { writes: writes(written), operation: Some(operation) }
}

#[track_caller]
fn check<H: Harness, const N: usize>(
    here: &H,
    limits: &Limits,
    held: impl Fn() -> Fields,
    table: [(Change, Option<Refusal>); N],
) {
    let stage = Stage::set(here);
    for (change, refused) in table {
        let held = held();
        let id = stage.with(&held);
        let applied = stage.apply(Apply { limits, ..applying(&id, &change) });
        match (&refused, applied) {
            (None, Applied::Done(snapshot, _)) => stage.holds(&id, &snapshot.fields),
            (Some(expected), Applied::Refused(refusal)) => {
                assert_eq!(&refusal, expected, "{}", said(&change));
                stage.holds(&id, &held);
            }
            (_, other) => panic!("{}: {other:?}, and not {refused:?}", said(&change)),
        }
    }
}

/// A value at a limit that no application has, in one go and to the byte: no length is cut to
/// fewer bits on the way.
pub fn a_limit_beyond_16_bits_is_exact_too<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let limits = Limits { value_bytes: 100_000, ..ROOMY };
    let id = stage.with(&Fields::new());
    for (bytes, fits) in [(100_000, true), (100_001, false), (65_536 + 100_000, false)] {
        let value = Some(Kept(vec![b'v'; bytes]));
        let change = Change { writes: [(name("v"), value)].into(), operation: None };
        match stage.apply(Apply { limits: &limits, ..applying(&id, &change) }) {
            Applied::Done(..) => assert!(fits, "{bytes} bytes"),
            Applied::Refused(_) => assert!(!fits, "{bytes} bytes"),
            other => panic!("{other:?}"),
        }
        assert!(stage.peek(&id).fields.get("v") == Some(&kept(vec![b'v'; 100_000])));
    }
}
