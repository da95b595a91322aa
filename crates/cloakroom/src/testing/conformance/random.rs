//! Changes that nobody thought of, against the meaning of a change
//! ([`Change::apply`](crate::change::Change::apply)).

use super::stage::{
    ROOMY, Stage, append, applying, assert_same, compare_and_set, increment, kept, name, said, take,
};
use crate::change::{Change, Fields, Limits, Operation, Rejection};
use crate::store::{Applied, Apply};
use crate::testing::Harness;

/// A store and [`Change::apply`](crate::change::Change::apply) agree on every answer and every byte,
/// for thousands of changes made from a seed.
pub fn random_changes_mean_the_same_everywhere<H: Harness>(here: &H) {
    let sequences = Stage::set(here).rounds(100);
    for seed in 0..sequences as u64 {
        let limits = if seed % 2 == 0 { ROOMY } else { TIGHT };
        agree_on(here, &limits, &changes_from(seed, 40));
    }
}

/// So tight that a good part of the changes is refused.
const TIGHT: Limits = Limits { fields: 3, value_bytes: 21, session_bytes: 40 };

/// Applies the changes one after the other to a new session, and panics where the store and
/// [`Change::apply`](crate::change::Change::apply) disagree. For a property test of a store: with
/// changes of its own, or with those of [`changes_from`].
pub fn agree_on<H: Harness>(here: &H, limits: &Limits, changes: &[Change]) {
    let stages = [Stage::set(here), Stage::set(here).second()];
    let mut fields = Fields::new();
    let id = stages[0].with(&fields);
    for (n, change) in changes.iter().enumerate() {
        let story = || {
            let told: Vec<String> = changes[..=n].iter().map(said).collect();
            format!("after\n{}", told.join("\n"))
        };
        let found = stages[n % 2].apply(Apply { limits, ..applying(&id, change) });
        match (change.apply(&fields, limits), found) {
            (Ok((after, answer)), Applied::Done(snapshot, answered)) => {
                assert!(answered == answer, "another answer {}", story());
                assert!(snapshot.fields == after, "other fields {}", story());
                fields = after;
            }
            (Err(Rejection::Conflict(expected)), Applied::Conflict(found)) => {
                assert!(expected == found, "another conflict {}", story());
            }
            (Err(Rejection::Refused(expected)), Applied::Refused(found)) => {
                assert_eq!(found, expected, "{}", story());
            }
            (expected, found) => panic!("{found:?}, and not {expected:?}, {}", story()),
        }
        assert_same(&stages[(n + 1) % 2].peek(&id).fields, &fields);
    }
    let _ = stages[0].end(&id);
}

/// That many changes, always the same ones from the same seed: on few fields, so that they meet,
/// and with values that are numbers, nearly numbers, lists, nearly lists, and bytes.
pub fn changes_from(seed: u64, how_many: usize) -> Vec<Change> {
    let mut dice = Dice::new(seed);
    (0..how_many).map(|_| dice.change()).collect()
}

/// SplitMix64: a few lines instead of a dependency, and the same numbers everywhere.
pub(in crate::testing) struct Dice(u64);

impl Dice {
    pub(in crate::testing) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::testing) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in crate::testing) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.roll() % of.len() as u64) as usize]
    }

    pub(in crate::testing) fn one_in(&mut self, how_many: u64) -> bool {
        self.roll().is_multiple_of(how_many)
    }

    fn field(&mut self) -> &'static str {
        self.one_of(&["a", "b", "c", "d", "雪"])
    }

    fn value(&mut self) -> &'static str {
        self.one_of(&[
            "",
            "0",
            "1",
            "-1",
            "9",
            "99",
            "-9",
            "01",
            "+1",
            " 1",
            "1 ",
            "-0",
            "1.0",
            "1e3",
            "x",
            "nil",
            "true",
            "9007199254740991",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775806",
            "-9223372036854775808",
            "9223372036854775808",
            "[]",
            "[ ]",
            "[1]",
            "[1,\n2]",
            "[1,2]",
            "[\n1,\n2\n]",
            "[",
            "]",
            "{}",
            "[1",
            "\0",
            "a\0b",
            "雪",
            "as long as the limit!",
            "longer than the limit!",
        ])
    }

    fn change(&mut self) -> Change {
        let mut change = Change::read();
        for _ in 0..self.one_of(&[0, 0, 0, 1, 1, 2, 3]) {
            let value = (!self.one_in(4)).then(|| kept(self.value()));
            change.writes.insert(name(self.field()), value);
        }
        change.operation = match self.roll() % 10 {
            0..=2 => None,
            3..=5 => Some(self.increment()),
            6..=7 => {
                let expected = (!self.one_in(3)).then(|| self.value());
                Some(compare_and_set(self.field(), expected, self.value()))
            }
            8 => Some(take(self.field())),
            _ => {
                let item = self.one_of(&["1", "2", "[]", "{}", "\"a,\\n\"", "\"%1\"", "null"]);
                Some(append(self.field(), item, self.one_of(&[1, 2, 3, u32::MAX])))
            }
        };
        change
    }

    fn increment(&mut self) -> Operation {
        let by = self.one_of(&[0, 1, 1, 1, -1, -1, 9, 1 << 53, i64::MAX, i64::MIN, i64::MIN + 1]);
        let field = self.field();
        if self.one_in(3) {
            Operation::Increment { field: name(field), by, never_below_zero: true }
        } else {
            increment(field, by)
        }
    }
}
