//! What is kept under a field, read as every type that a field can have.

use cloakroom::change::{Change, Fields, Operation, Rejection};
use cloakroom::{FieldName, Json, Kept, Limits, List, Refusal, Value};
use serde_json::Value as Any;

const NAME: FieldName = FieldName::new("field");
const ROOMY: Limits = Limits { fields: 9, value_bytes: u32::MAX, session_bytes: u32::MAX };

pub(crate) fn run(input: &[u8]) {
    assert_eq!(String::decode(input).ok().map(String::into_bytes).as_deref(), text(input));
    assert_eq!(Vec::<u8>::decode(input).unwrap(), input);
    let expected = [(&b"true"[..], true), (b"false", false)];
    let expected = expected.into_iter().find(|(word, _)| *word == input);
    assert_eq!(bool::decode(input).ok(), expected.map(|(_, is)| is));

    let number = integer(input);
    macro_rules! agree {
        ($($int:ty)*) => {$(
            let expected = number.and_then(|number| <$int>::try_from(number).ok());
            let expected = expected.filter(|number| i64::try_from(*number).is_ok());
            assert_eq!(<$int>::decode(input).ok(), expected, stringify!($int));
            if let Some(number) = expected {
                assert_eq!(number.encode().unwrap(), input);
            }
        )*};
    }
    agree!(i8 i16 i32 i64 u8 u16 u32 u64);
    if let Ok(Json(value)) = Json::<Any>::decode(input) {
        let again = Json(value.clone()).encode().unwrap();
        assert_eq!(Json::<Any>::decode(&again).unwrap().0, value);
    }
    counted(input, number);
    appended(input);
}

fn text(input: &[u8]) -> Option<&[u8]> {
    std::str::from_utf8(input).ok().map(str::as_bytes)
}

/// A decimal in its one form, digit by digit, in more bits than any counter has.
fn integer(input: &[u8]) -> Option<i128> {
    let (negative, digits) = match input.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, input),
    };
    if digits.is_empty()
        || digits.len() > 30
        || (digits[0] == b'0' && (digits.len() > 1 || negative))
    {
        return None;
    }
    let mut number = 0_i128;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        number = number * 10 + digit;
    }
    Some(if negative { -number } else { number })
}

/// Counting on from it is exact, or refused.
fn counted(input: &[u8], number: Option<i128>) {
    let fields = Fields::from([(NAME, Kept(input.to_vec()))]);
    let number = number.filter(|number| i64::try_from(*number).is_ok());
    for by in [0, 1, -1, i64::MAX, i64::MIN] {
        for never_below_zero in [true, false] {
            let change = Change::of(Operation::Increment { field: NAME, by, never_below_zero });
            let sum = number.map(|number| number + i128::from(by));
            let fits = |sum: &i128| i64::try_from(*sum).is_ok() && (!never_below_zero || *sum >= 0);
            match (change.apply(&fields, &ROOMY), sum) {
                (Ok((after, answer)), Some(sum)) if fits(&sum) => {
                    assert_eq!(*after[&NAME], *sum.to_string().as_bytes());
                    assert_eq!(answer.as_ref(), Some(&after[&NAME]));
                }
                (Err(Rejection::Refused(Refusal::OutOfRange { .. })), Some(sum)) if !fits(&sum) => {
                }
                (Err(Rejection::Refused(Refusal::NotANumber { .. })), None) => {}
                (other, sum) => panic!("{other:?}, and the sum is {sum:?}"),
            }
        }
    }
}

/// What was a list is one with an item more; and where each item has a line of its own, only the newest
/// stay.
fn appended(input: &[u8]) {
    let before = List::<Any>::decode(input);
    for keep in [1, 2, u32::MAX] {
        let (item, fields) =
            (Kept(b"\"new\"".to_vec()), Fields::from([(NAME, Kept(input.to_vec()))]));
        let change = Change::of(Operation::Append { field: NAME, item, keep });
        let after = change.apply(&fields, &ROOMY).map(|(after, _)| after[&NAME].to_vec());
        let Ok(List(items)) = &before else { continue };
        // Space around a list is JSON, and none that we write.
        if input.first() != Some(&b'[') || input.last() != Some(&b']') {
            assert!(after.is_err());
            continue;
        }
        let after = after.unwrap();
        let one_a_line = List(items.clone()).encode().unwrap() == input;
        let Ok(List(after)) = List::<Any>::decode(&after) else {
            assert!(!one_a_line && keep < u32::MAX, "no list any more");
            continue;
        };
        assert_eq!(after.last(), Some(&Any::from("new")));
        if one_a_line {
            let all: Vec<Any> = items.iter().cloned().chain([Any::from("new")]).collect();
            assert_eq!(after, all[all.len().saturating_sub(keep as usize)..]);
        } else if keep == u32::MAX {
            assert_eq!(after[..after.len() - 1], items[..]);
        }
    }
}
