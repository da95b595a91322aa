//! A session is changed: operations, applied whole or not at all, the writes first.
//!
//! What is expected stands here in full and is not computed: it is the meaning of a change, written
//! down a second time.

use super::stage::{
    NO_FIELDS, NO_WRITES, ROOMY, Stage, append, applying, assert_same, compare_and_set, fields,
    increment, kept, name, said, take, writes,
};
use crate::change::{Change, Fields, Limits, Operation, Refusal, Writes};
use crate::expiry::Touch;
use crate::store::{Applied, Apply, OnlyIf};
use crate::testing::Harness;

/// A field that is set is there, one that is removed is not, and no other is touched.
pub fn writes_do_what_they_name_and_nothing_else<H: Harness>(here: &H) {
    let table = Table::of(here);
    let held = || fields([("a", "1"), ("b", "2"), ("c", "3")]);
    for (written, after) in [
        (writes([("a", Some("x"))]), fields([("a", "x"), ("b", "2"), ("c", "3")])),
        (writes([("a", Some(""))]), fields([("a", ""), ("b", "2"), ("c", "3")])),
        (writes([("a", None)]), fields([("b", "2"), ("c", "3")])),
        (writes([("d", Some("4"))]), fields([("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")])),
        (writes([("d", None)]), held()),
        (
            writes([("a", None), ("b", Some("x")), ("d", Some("4")), ("e", None)]),
            fields([("b", "x"), ("c", "3"), ("d", "4")]),
        ),
        // A session may hold nothing and is one all the same.
        (writes([("a", None), ("b", None), ("c", None)]), Fields::new()),
    ] {
        table.done(held(), written, None, after, None);
    }
}

/// Every number of 64 bits, also those that a double can't hold: a store that counts in floating
/// point is found here.
pub fn a_counter_is_exact_over_all_64_bits<H: Harness>(here: &H) {
    const MAX: i64 = i64::MAX;
    const MIN: i64 = i64::MIN;
    const EXACT: i64 = 1 << 53;
    let table = Table::of(here);
    for (before, by, after) in [
        (None, 0, "0"),
        (None, 1, "1"),
        (None, -1, "-1"),
        (None, MAX, "9223372036854775807"),
        (None, MIN, "-9223372036854775808"),
        (Some("0"), 0, "0"),
        (Some("9"), 1, "10"),
        (Some("-1"), 1, "0"),
        (Some("-1"), MIN + 1, "-9223372036854775808"),
        (Some("-1"), MAX, "9223372036854775806"),
        (Some("9223372036854775806"), 1, "9223372036854775807"),
        (Some("9223372036854775807"), 0, "9223372036854775807"),
        (Some("9223372036854775807"), -1, "9223372036854775806"),
        (Some("9223372036854775807"), MIN, "-1"),
        (Some("9223372036854775807"), MIN + 1, "0"),
        (Some("-9223372036854775808"), 0, "-9223372036854775808"),
        (Some("-9223372036854775808"), 1, "-9223372036854775807"),
        (Some("-9223372036854775808"), MAX, "-1"),
        (Some("9007199254740991"), 1, "9007199254740992"),
        (Some("9007199254740992"), 1, "9007199254740993"),
        (Some("9007199254740993"), -2, "9007199254740991"),
        (Some("-9007199254740992"), -1, "-9007199254740993"),
        (Some("9007199254740993"), EXACT, "18014398509481985"),
        (Some("1"), EXACT, "9007199254740993"),
        (Some("1234567890123456789"), 1, "1234567890123456790"),
        (Some("99999999999999999"), 1, "100000000000000000"),
    ] {
        let held: Fields = before.map(|n| (name("n"), kept(n))).into_iter().collect();
        for never_below_zero in [false, true] {
            if never_below_zero && after.starts_with('-') {
                continue;
            }
            let operation = Operation::Increment { field: name("n"), by, never_below_zero };
            let after_all = fields([("n", after)]);
            table.done(held.clone(), Writes::new(), Some(operation), after_all, Some(after));
        }
    }
}

/// A counter neither wraps nor sticks at its end, and an unsigned one doesn't fall below zero: the
/// increment is refused, and the number stays.
pub fn a_counter_that_would_leave_its_range_is_refused<H: Harness>(here: &H) {
    let table = Table::of(here);
    for (before, by, never_below_zero) in [
        (Some("9223372036854775807"), 1, false),
        (Some("9223372036854775807"), i64::MAX, false),
        (Some("1"), i64::MAX, false),
        (Some("4611686018427387904"), 4_611_686_018_427_387_904, false),
        (Some("-9223372036854775808"), -1, false),
        (Some("-9223372036854775808"), i64::MIN, false),
        (Some("-1"), i64::MIN, false),
        (None, -1, true),
        (None, i64::MIN, true),
        (Some("0"), -1, true),
        (Some("1"), -2, true),
        (Some("9223372036854775807"), i64::MIN, true),
        (Some("9223372036854775807"), 1, true),
        (Some("-5"), 1, true),
        (Some("-5"), 0, true),
    ] {
        let held: Fields = before.map(|n| (name("n"), kept(n))).into_iter().collect();
        let operation = Operation::Increment { field: name("n"), by, never_below_zero };
        let refusal = Refusal::OutOfRange { field: name("n") };
        table.not_done(held, Writes::new(), operation, &Applied::Refused(refusal));
    }
}

/// Only a decimal number in its one form can be counted: what another program would read
/// differently is no number.
pub fn what_is_no_decimal_number_can_not_be_counted<H: Harness>(here: &H) {
    let table = Table::of(here);
    for no_number in [
        "",
        " ",
        "-",
        "+",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "\t1",
        "01",
        "00",
        "-0",
        "-01",
        "--1",
        "1.0",
        "1.",
        ".5",
        "1e3",
        "0x10",
        "1_000",
        "1,000",
        "nan",
        "inf",
        "true",
        "nil",
        "x",
        "1\0",
        "\0",
        "٣",
        "９",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "18446744073709551615",
        "1000000000000000000000000000000000000000",
    ] {
        for (by, never_below_zero) in [(1, false), (0, true), (-1, false)] {
            let operation = Operation::Increment { field: name("n"), by, never_below_zero };
            let refusal = Refusal::NotANumber { field: name("n") };
            let held = fields([("n", no_number)]);
            table.not_done(held, Writes::new(), operation, &Applied::Refused(refusal));
        }
    }
}

/// Bytes are compared, all of them; what is absent is not what is empty.
pub fn compare_and_set_sets_only_what_is_as_expected<H: Harness>(here: &H) {
    let table = Table::of(here);
    let long = "x".repeat(5_000);
    for (held, expected, new) in [
        (None, None, "new"),
        (None, None, ""),
        (Some(""), Some(""), "new"),
        (Some("1"), Some("1"), "2"),
        (Some("1"), Some("1"), "1"),
        (Some("a\0b"), Some("a\0b"), "\0"),
        (Some(&*long), Some(&*long), ""),
    ] {
        let held: Fields = held.map(|v| (name("f"), kept(v))).into_iter().collect();
        let operation = compare_and_set("f", expected, new);
        table.done(held, Writes::new(), Some(operation), fields([("f", new)]), None);
    }
    for (held, expected) in [
        (None, Some("")),
        (None, Some("1")),
        (Some(""), None),
        (Some("1"), None),
        (Some("1"), Some("")),
        (Some("1"), Some("01")),
        (Some("1"), Some("1 ")),
        (Some("1"), Some("1.0")),
        (Some("a"), Some("A")),
        (Some("a\0b"), Some("a\0c")),
        (Some("a\0b"), Some("a")),
        (Some("nil"), None),
        (Some("false"), None),
        (Some("é"), Some("e\u{301}")),
    ] {
        let found = held.map(kept);
        let held: Fields = held.map(|v| (name("f"), kept(v))).into_iter().collect();
        let operation = compare_and_set("f", expected, "new");
        table.not_done(held, Writes::new(), operation, &Applied::Conflict(found));
    }
}

/// What was taken is gone, and what was not there is no error: that is a flash message.
// Proves CVE-2026-45720.
pub fn take_answers_what_was_there_and_removes_it<H: Harness>(here: &H) {
    let table = Table::of(here);
    for value in ["hello", "", "nil", "0"] {
        let held = fields([("flash", value), ("other", "1")]);
        let after = fields([("other", "1")]);
        table.done(held, Writes::new(), Some(take("flash")), after, Some(value));
    }
    let held = fields([("other", "1")]);
    table.done(held.clone(), Writes::new(), Some(take("flash")), held, None);
    table.done(Fields::new(), Writes::new(), Some(take("flash")), Fields::new(), None);
}

/// The list stays a JSON array with an item a line, whoever began it, and keeps the newest items.
pub fn append_keeps_the_newest_items_and_stays_json<H: Harness>(here: &H) {
    let table = Table::of(here);
    for (held, item, keep, after) in [
        (None, "1", 1, "[1]"),
        (None, "{\"a\":[]}", u32::MAX, "[{\"a\":[]}]"),
        (Some("[]"), "1", 3, "[1]"),
        (Some("[ ]"), "1", 3, "[1]"),
        (Some("[1]"), "2", 3, "[1,\n2]"),
        (Some("[1]"), "2", 1, "[2]"),
        (Some("[1,\n2,\n3]"), "4", 4, "[1,\n2,\n3,\n4]"),
        (Some("[1,\n2,\n3]"), "4", 3, "[2,\n3,\n4]"),
        (Some("[1,\n2,\n3]"), "4", 1, "[4]"),
        (Some("[1,\n2,\n3]"), "4", u32::MAX, "[1,\n2,\n3,\n4]"),
        (Some("[1,\n2,\n3]"), "4", 65_537, "[1,\n2,\n3,\n4]"),
        // A line break inside a string is escaped, so it parts no items; nor does a lone comma.
        (Some("[\"a,\\n\",\n2]"), "3", 2, "[2,\n3]"),
        (Some("[1,2]"), "3", 2, "[1,2,\n3]"),
        (Some("[[],\n{}]"), "[]", 2, "[{},\n[]]"),
        (Some("[\"%1 %s\"]"), "\"%0\"", 2, "[\"%1 %s\",\n\"%0\"]"),
    ] {
        let held: Fields = held.map(|v| (name("list"), kept(v))).into_iter().collect();
        let operation = append("list", item, keep);
        table.done(held, Writes::new(), Some(operation), fields([("list", after)]), None);
    }
    for no_list in ["", "[", "]", "][", "{}", "null", "1", " []", "[] ", "[]\n", "\"[]\""] {
        let refusal = Refusal::NotAList { field: name("list") };
        let held = fields([("list", no_list)]);
        let operation = append("list", "1", 9);
        table.not_done(held, Writes::new(), operation, &Applied::Refused(refusal));
    }
}

/// The operation finds what the writes of the same change left: they were written first.
pub fn the_operation_of_a_change_sees_its_writes<H: Harness>(here: &H) {
    let table = Table::of(here);
    let held = || fields([("n", "10"), ("list", "[1]"), ("other", "x")]);
    for (written, operation, after, answer) in [
        (
            writes([("n", Some("100"))]),
            increment("n", 1),
            fields([("n", "101"), ("list", "[1]"), ("other", "x")]),
            Some("101"),
        ),
        (
            writes([("n", None)]),
            increment("n", 1),
            fields([("n", "1"), ("list", "[1]"), ("other", "x")]),
            Some("1"),
        ),
        (
            writes([("n", None), ("other", Some("y"))]),
            compare_and_set("n", None, "new"),
            fields([("n", "new"), ("list", "[1]"), ("other", "y")]),
            None,
        ),
        (
            writes([("n", Some("x"))]),
            compare_and_set("n", Some("x"), "new"),
            fields([("n", "new"), ("list", "[1]"), ("other", "x")]),
            None,
        ),
        (
            writes([("n", Some("flash"))]),
            take("n"),
            fields([("list", "[1]"), ("other", "x")]),
            Some("flash"),
        ),
        (writes([("n", None)]), take("n"), fields([("list", "[1]"), ("other", "x")]), None),
        (
            writes([("list", Some("[7,\n8]"))]),
            append("list", "9", 2),
            fields([("n", "10"), ("list", "[8,\n9]"), ("other", "x")]),
            None,
        ),
        (
            writes([("list", None), ("a", Some("1")), ("b", None)]),
            append("list", "9", 2),
            fields([("a", "1"), ("n", "10"), ("list", "[9]"), ("other", "x")]),
            None,
        ),
        (
            writes([("a", Some("1"))]),
            increment("n", -20),
            fields([("a", "1"), ("n", "-10"), ("list", "[1]"), ("other", "x")]),
            Some("-10"),
        ),
    ] {
        table.done(held(), written, Some(operation), after, answer);
    }
    // What the writes left may also be what the operation can't work on.
    let refused = |refusal| Applied::Refused(refusal);
    let field = || name("n");
    for (written, operation, answer) in [
        (
            writes([("n", Some(""))]),
            increment("n", 1),
            refused(Refusal::NotANumber { field: field() }),
        ),
        (
            writes([("n", Some("x"))]),
            append("n", "1", 1),
            refused(Refusal::NotAList { field: field() }),
        ),
        (
            writes([("n", Some("9223372036854775807"))]),
            increment("n", 1),
            refused(Refusal::OutOfRange { field: field() }),
        ),
        (
            writes([("n", Some("11"))]),
            compare_and_set("n", Some("10"), "12"),
            Applied::Conflict(Some(kept("11"))),
        ),
        (writes([("n", None)]), compare_and_set("n", Some("10"), "12"), Applied::Conflict(None)),
    ] {
        table.not_done(held(), written, operation, &answer);
    }
}

/// When any part of a change fails, no part of it happens: no write, no removal, no field made on
/// the way.
// Proves R67.
pub fn a_change_that_fails_leaves_everything_as_it_was<H: Harness>(here: &H) {
    let table = Table::of(here);
    let field = || name("x");
    let fails = [
        (increment("x", 1), Applied::Refused(Refusal::NotANumber { field: field() })),
        (append("x", "1", 1), Applied::Refused(Refusal::NotAList { field: field() })),
        (compare_and_set("x", None, "new"), Applied::Conflict(Some(kept("text")))),
        (compare_and_set("x", Some(""), "new"), Applied::Conflict(Some(kept("text")))),
        (compare_and_set("absent", Some("x"), "new"), Applied::Conflict(None)),
        (increment("max", 1), Applied::Refused(Refusal::OutOfRange { field: name("max") })),
    ];
    for (operation, answer) in fails {
        for written in [
            Writes::new(),
            writes([("a", Some("changed"))]),
            writes([("a", None)]),
            writes([("a", None), ("b", Some("changed")), ("new", Some("made")), ("z", None)]),
        ] {
            let held = fields([
                ("a", "1"),
                ("b", "2"),
                ("max", "9223372036854775807"),
                ("x", "text"),
                ("z", "26"),
            ]);
            table.not_done(held, written, operation.clone(), &answer);
        }
    }
    for limits in [
        Limits { fields: 2, ..ROOMY },
        Limits { value_bytes: 3, ..ROOMY },
        Limits { session_bytes: 8, ..ROOMY },
    ] {
        let held = fields([("a", "1"), ("b", "2")]);
        for operation in
            [increment("n", 1_000), append("n", "100", 1), compare_and_set("n", None, "long")]
        {
            let id = table.stage.with(&held);
            let written = writes([("a", Some("x")), ("b", None), ("c", Some("3"))]);
            let change = Change { writes: written, operation: Some(operation) };
            let applied = table.stage.apply(Apply { limits: &limits, ..applying(&id, &change) });
            assert!(matches!(applied, Applied::Refused(_)), "{}: {applied:?}", said(&change));
            table.stage.second().holds(&id, &held);
        }
    }
}

/// A condition on who is logged in is decided in the same step: where nobody is, nothing is
/// changed, whatever the change would have come to. The use counts all the same.
pub fn nothing_is_done_for_nobody_where_somebody_was_asked_for<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let held =
        fields([("count", "no number"), ("compared", "other"), ("list", "{}"), ("taken", "1")]);
    let id = stage.with(&held);
    for touch in [Touch::Exactly, Touch::Never] {
        for change in super::stage::every_kind_of_change() {
            stage.pass(2);
            let before = stage.peek(&id);
            let limits = &Limits { fields: 0, value_bytes: 0, session_bytes: 0 };
            let only_if = OnlyIf::LoggedIn;
            let apply = Apply { only_if, touch, limits, ..applying(&id, &change) };
            let Applied::NotLoggedIn(snapshot) = stage.apply(apply) else {
                panic!("applied though nobody is logged in: {}", said(&change));
            };
            assert_eq!(snapshot.user, None);
            assert_same(&snapshot.fields, &held);
            let renewed = snapshot.life.expires_at(snapshot.now, std::time::Duration::ZERO);
            let expected = if touch == Touch::Never { before.expires_at } else { renewed };
            assert_eq!(snapshot.expires_at, expected);
            let after = stage.second().peek(&id);
            assert_same(&after.fields, &held);
            assert_eq!(after.expires_at, expected);
        }
    }
}

/// Where somebody is logged in, the condition is no obstacle to any kind of change.
pub fn everything_is_done_for_somebody_who_is_logged_in<H: Harness>(here: &H) {
    let stage = Stage::set(here);
    let user = stage.user("ada");
    for change in super::stage::every_kind_of_change() {
        let id = stage.of(&user);
        let apply = Apply { only_if: OnlyIf::LoggedIn, ..applying(&id, &change) };
        let snapshot = super::stage::done(stage.apply(apply));
        assert_eq!(snapshot.user.as_ref(), Some(&user));
        let (expected, _) = change.apply(&NO_FIELDS, &ROOMY).unwrap();
        assert_same(&snapshot.fields, &expected);
    }
}

/// One row of a table at a time: a session that holds something, a change, and what must come of it.
struct Table<'h, H> {
    stage: Stage<'h, H>,
}

impl<'h, H: Harness> Table<'h, H> {
    fn of(here: &'h H) -> Self {
        Self { stage: Stage::set(here) }
    }

    #[track_caller]
    fn done(
        &self,
        held: Fields,
        writes: Writes,
        operation: Option<Operation>,
        after: Fields,
        answer: Option<&str>,
    ) {
        let id = self.stage.with(&held);
        let change = Change { writes, operation };
        match self.stage.apply(applying(&id, &change)) {
            Applied::Done(snapshot, answered) => {
                assert_same(&snapshot.fields, &after);
                let words = |kept: &[u8]| super::stage::text(kept);
                let answered = answered.as_deref().map(words);
                assert_eq!(answered, answer.map(|a| words(a.as_bytes())), "{}", said(&change));
            }
            other => panic!("not applied: {}: {other:?}", said(&change)),
        }
        self.stage.second().holds(&id, &after);
        let _ = self.stage.end(&id);
    }

    #[track_caller]
    fn not_done(&self, held: Fields, writes: Writes, operation: Operation, answer: &Applied) {
        let id = self.stage.with(&held);
        let change = Change { writes, operation: Some(operation) };
        let applied = self.stage.apply(applying(&id, &change));
        // `Debug` hides values, so equality is what is asserted, and shown by its kind.
        assert!(&applied == answer, "{}: {applied:?}, and not {answer:?}", said(&change));
        self.stage.second().holds(&id, &held);
        // A failed change locks nothing: the next one goes through.
        let next = Change { writes: NO_WRITES.clone(), operation: Some(increment("next", 1)) };
        self.stage.changed(&id, &next);
        let _ = self.stage.end(&id);
    }
}
