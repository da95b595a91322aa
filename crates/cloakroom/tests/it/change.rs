//! What a change means, against a second account of it that is written as plainly as possible.

use std::collections::BTreeMap;

use cloakroom::change::{Change, Fields, Operation, Refusal, Rejection, Writes};
use cloakroom::{FieldName, Kept, Limits};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// Fields as text, for the second account.
type Plain = BTreeMap<String, Vec<u8>>;

#[derive(Debug, PartialEq)]
enum Outcome {
    Done(Plain, Option<Vec<u8>>),
    Conflict(Option<Vec<u8>>),
    TooManyFields,
    ValueTooLarge(String),
    SessionTooLarge,
    NotANumber(String),
    OutOfRange(String),
    NotAList(String),
}

/// The second account: numbers in 128 bits, digits by hand, lists split at their separator.
fn outcome(change: &Change, before: &Plain, limits: &Limits) -> Outcome {
    let mut after = before.clone();
    let mut written = Vec::new();
    for (field, value) in &change.writes {
        written.push(field.as_str().to_owned());
        match value {
            Some(value) => drop(after.insert(field.as_str().into(), value.0.clone())),
            None => drop(after.remove(field.as_str())),
        }
    }
    let mut answer = None;
    if let Some(operation) = &change.operation {
        let name = operation.field().as_str().to_owned();
        written.push(name.clone());
        let held = after.get(&name).cloned();
        match operation {
            Operation::Increment { by, never_below_zero, .. } => {
                let held = held.unwrap_or_else(|| b"0".to_vec());
                let Some(held) = number(&held) else { return Outcome::NotANumber(name) };
                let sum = held + i128::from(*by);
                let floor = if *never_below_zero { 0 } else { i128::from(i64::MIN) };
                if sum < floor || sum > i128::from(i64::MAX) {
                    return Outcome::OutOfRange(name);
                }
                answer = Some(sum.to_string().into_bytes());
                after.insert(name, sum.to_string().into_bytes());
            }
            Operation::CompareAndSet { expected, new, .. } => {
                if held != expected.as_ref().map(|expected| expected.0.clone()) {
                    return Outcome::Conflict(held);
                }
                after.insert(name, new.0.clone());
            }
            Operation::Take { .. } => answer = after.remove(&name),
            Operation::Append { item, keep, .. } => {
                let held = String::from_utf8(held.unwrap_or_else(|| b"[]".to_vec())).unwrap();
                let Some(inside) = held.strip_prefix('[').and_then(|held| held.strip_suffix(']'))
                else {
                    return Outcome::NotAList(name);
                };
                let mut items: Vec<&str> = inside.split(",\n").collect();
                if items.last().is_some_and(|last| last.trim().is_empty()) {
                    items.pop();
                }
                let item = std::str::from_utf8(item).unwrap();
                items.push(item);
                while items.len() > (*keep).max(1) as usize {
                    items.remove(0);
                }
                after.insert(name, format!("[{}]", items.join(",\n")).into_bytes());
            }
        }
    }
    for field in written {
        if after.get(&field).is_some_and(|value| value.len() > limits.value_bytes as usize) {
            return Outcome::ValueTooLarge(field);
        }
    }
    if after.len() > before.len() && after.len() > limits.fields as usize {
        return Outcome::TooManyFields;
    }
    if bytes(&after) > bytes(before) && bytes(&after) > limits.session_bytes as usize {
        return Outcome::SessionTooLarge;
    }
    Outcome::Done(after, answer)
}

fn bytes(fields: &Plain) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn number(text: &[u8]) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let in_one_form = match digits {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty() && sign == 1,
        digits => digits.len() < 20 && digits.iter().all(u8::is_ascii_digit),
    };
    let number = digits.iter().fold(0, |n: i128, digit| n * 10 + i128::from(digit & 15)) * sign;
    (in_one_form && i64::try_from(number).is_ok()).then_some(number)
}

fn plain(fields: &Fields) -> Plain {
    fields.iter().map(|(name, value)| (name.as_str().into(), value.0.clone())).collect()
}

fn found(result: Result<(Fields, Option<Kept>), Rejection>) -> Outcome {
    let text = |field: FieldName| field.as_str().to_owned();
    match result {
        Ok((fields, answer)) => Outcome::Done(plain(&fields), answer.map(|answer| answer.0)),
        Err(Rejection::Conflict(kept)) => Outcome::Conflict(kept.map(|kept| kept.0)),
        Err(Rejection::Refused(refusal)) => match refusal {
            Refusal::TooManyFields { .. } => Outcome::TooManyFields,
            Refusal::ValueTooLarge { field, .. } => Outcome::ValueTooLarge(text(field)),
            Refusal::SessionTooLarge { .. } => Outcome::SessionTooLarge,
            Refusal::NotANumber { field } => Outcome::NotANumber(text(field)),
            Refusal::OutOfRange { field } => Outcome::OutOfRange(text(field)),
            Refusal::NotAList { field } => Outcome::NotAList(text(field)),
            other => panic!("a refusal that this account doesn't know: {other:?}"),
        },
    }
}

fn a_field() -> impl Strategy<Value = FieldName> {
    select(&["a", "b", "c", "雪"][..]).prop_map(|name| FieldName::named(name).unwrap())
}

fn a_value() -> impl Strategy<Value = Kept> {
    let known = &[
        "",
        "0",
        "1",
        "-1",
        "01",
        "-0",
        "+1",
        " 1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "[]",
        "[ ]",
        "[1]",
        "[1,\n2]",
        "[1,2]",
        "[",
    ];
    prop_oneof![
        6 => select(&known[..]).prop_map(str::to_owned),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        1 => "[0-9 +-]{0,22}",
        1 => ".{0,12}",
    ]
    .prop_map(|text| Kept(text.into_bytes()))
}

fn an_operation() -> impl Strategy<Value = Operation> {
    let by = prop_oneof![select(&[0, 1, -1, i64::MAX, i64::MIN][..]), any::<i64>()];
    prop_oneof![
        (a_field(), by, any::<bool>()).prop_map(|(field, by, never_below_zero)| {
            Operation::Increment { field, by, never_below_zero }
        }),
        (a_field(), proptest::option::of(a_value()), a_value()).prop_map(
            |(field, expected, new)| { Operation::CompareAndSet { field, expected, new } }
        ),
        a_field().prop_map(|field| Operation::Take { field }),
        (a_field(), select(&["1", "[]", "\"a,\\n\""][..]), 0..4_u32).prop_map(
            |(field, item, keep)| {
                Operation::Append { field, item: Kept(item.as_bytes().to_vec()), keep }
            }
        ),
    ]
}

fn a_change() -> impl Strategy<Value = Change> {
    let writes = btree_map(a_field(), proptest::option::of(a_value()), 0..4);
    (writes, proptest::option::of(an_operation()))
        .prop_map(|(writes, operation): (Writes, _)| Change { writes, operation })
}

fn some_limits() -> impl Strategy<Value = Limits> {
    (0..6_u32, 0..24_u32, 0..60_u32).prop_map(|(fields, value_bytes, session_bytes)| Limits {
        fields,
        value_bytes,
        session_bytes,
    })
}

const ROOMY: Limits = Limits { fields: 64, value_bytes: 4_096, session_bytes: 65_536 };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_means_what_the_second_account_says(changes in vec(a_change(), 1..12)) {
        let mut fields = Fields::new();
        for change in changes {
            let result = change.apply(&fields, &ROOMY);
            let expected = outcome(&change, &plain(&fields), &ROOMY);
            if let Ok((after, _)) = &result {
                fields = after.clone();
            }
            prop_assert_eq!(found(result), expected);
        }
    }

    /// Limits that move along the way: what a change adds is refused, what was there before is not.
    #[test]
    fn a_change_is_refused_exactly_where_the_second_account_says(
        changes in vec((a_change(), some_limits()), 1..12),
    ) {
        let mut fields = Fields::new();
        for (change, limits) in changes {
            let result = change.apply(&fields, &limits);
            let expected = outcome(&change, &plain(&fields), &limits);
            if let Ok((after, _)) = &result {
                let before = std::mem::replace(&mut fields, after.clone());
                let (was, is) = (bytes(&plain(&before)), bytes(&plain(after)));
                prop_assert!(after.len() <= before.len().max(limits.fields as usize));
                prop_assert!(is <= was.max(limits.session_bytes as usize));
            }
            prop_assert_eq!(found(result), expected);
        }
    }
}
