//! How values are kept: as bytes that never change, and that every type takes back.

use std::collections::BTreeMap;
use std::fmt::Debug;

use cloakroom::{Field, FieldName, Json, Kept, List, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    name: String,
    paid: bool,
    note: Option<String>,
    parts: Vec<i32>,
    by_name: BTreeMap<String, u32>,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum How {
    Pickup,
    Post { street: String, number: u16 },
    Both(Box<How>, u8),
}

/// What stands in a store today must be read by every later version, and by other languages: these
/// bytes are never to be changed, only added to.
#[test]
fn the_bytes_of_a_value_never_change() {
    fn frozen<T: Value + PartialEq + Debug>(value: T, kept: &[u8]) {
        let encoded = value.encode().unwrap();
        assert_eq!(encoded.escape_ascii().to_string(), kept.escape_ascii().to_string());
        assert_eq!(T::decode(kept).unwrap(), value);
    }

    frozen(String::new(), b"");
    frozen("plain text".to_owned(), b"plain text");
    frozen("\"quoted\"\0\n雪".to_owned(), b"\"quoted\"\0\n\xe9\x9b\xaa");
    frozen("true".to_owned(), b"true");

    frozen(Vec::<u8>::new(), b"");
    frozen(vec![0_u8, 255, 10, 13, 128], b"\x00\xff\n\r\x80");

    frozen(true, b"true");
    frozen(false, b"false");

    frozen(0_u8, b"0");
    frozen(u8::MAX, b"255");
    frozen(i8::MIN, b"-128");
    frozen(u16::MAX, b"65535");
    frozen(i16::MIN, b"-32768");
    frozen(u32::MAX, b"4294967295");
    frozen(i32::MIN, b"-2147483648");
    frozen(9_007_199_254_740_993_u64, b"9007199254740993");
    frozen(9_223_372_036_854_775_807_u64, b"9223372036854775807");
    frozen(i64::MAX, b"9223372036854775807");
    frozen(i64::MIN, b"-9223372036854775808");

    frozen(Json(Option::<u8>::None), b"null");
    frozen(Json(u64::MAX), b"18446744073709551615");
    frozen(Json("a \"b\"\n雪/\u{7f}".to_owned()), b"\"a \\\"b\\\"\\n\xe9\x9b\xaa/\x7f\"");
    frozen(Json(Vec::<u8>::new()), b"[]");
    frozen(Json(BTreeMap::<String, u8>::new()), b"{}");
    frozen(Json((1_u8, "x".to_owned(), 1.5_f64)), b"[1,\"x\",1.5]");
    frozen(Json(How::Pickup), b"\"Pickup\"");
    frozen(
        Json(Order {
            id: 7,
            name: "coat".into(),
            paid: false,
            note: None,
            parts: vec![1, -2],
            by_name: [("a".into(), 1)].into(),
            how: How::Both(Box::new(How::Post { street: "Way".into(), number: 3 }), 1),
        }),
        br#"{"id":7,"name":"coat","paid":false,"note":null,"parts":[1,-2],"by_name":{"a":1},"how":{"Both":[{"Post":{"street":"Way","number":3}},1]}}"#,
    );

    frozen(List::<u8>::default(), b"[]");
    frozen(List(vec![1_u8]), b"[1]");
    frozen(List(vec![1_u8, 2, 3]), b"[1,\n2,\n3]");
    frozen(List(vec!["a,\n".to_owned(), String::new()]), b"[\"a,\\n\",\n\"\"]");
    frozen(List(vec![List(vec![1_u8, 2]), List(vec![])]).0[0].clone(), b"[1,\n2]");
    frozen(List(vec![vec![1_u8, 2], vec![]]), b"[[1,2],\n[]]");
}

#[test]
fn what_another_program_wrote_is_read_if_it_means_the_same() {
    assert_eq!(Json::<Vec<u8>>::decode(b" [1, 2] ").unwrap(), Json(vec![1, 2]));
    assert_eq!(List::<u8>::decode(b"[1, 2]").unwrap(), List(vec![1, 2]));
    assert_eq!(List::<u8>::decode(b"[\n  1,\n  2\n]\n").unwrap(), List(vec![1, 2]));
    // An integer is JSON, too.
    assert_eq!(Json::<i64>::decode(&42_i64.encode().unwrap()).unwrap(), Json(42));
}

// Proves R61, R69, CVE-2015-8566.
#[test]
fn what_is_no_value_of_the_type_is_refused_without_a_word_of_it() {
    fn refused<T: Value + Debug>(kept: &[u8]) {
        let error = T::decode(kept).unwrap_err();
        // A number or a word of the message may be the value by chance; this one can't.
        for said in [error.to_string(), format!("{error:?}")] {
            assert!(!said.contains("SECRET"), "{said}");
        }
    }

    refused::<String>(b"SECRET\xff");
    refused::<String>(b"\xc0\x80");
    for no_bool in [&b""[..], b"1", b"0", b"TRUE", b"True", b"true ", b" true", b"SECRET", b"null"]
    {
        refused::<bool>(no_bool);
    }
    for no_number in [
        &b""[..],
        b"-",
        b"+1",
        b" 1",
        b"1 ",
        b"1\n",
        b"01",
        b"-0",
        b"1.0",
        b"1e3",
        b"0x10",
        b"1_0",
        b"SECRET",
        b"1SECRET",
        b"null",
        b"true",
        b"\xd9\xa3",
        b"1\0",
    ] {
        refused::<i64>(no_number);
        refused::<u64>(no_number);
        refused::<i8>(no_number);
    }
    refused::<u8>(b"256");
    refused::<u8>(b"-1");
    refused::<i8>(b"128");
    refused::<u16>(b"65536");
    refused::<i32>(b"2147483648");
    refused::<u32>(b"4294967296");
    refused::<u64>(b"-1");
    refused::<u64>(b"9223372036854775808");
    refused::<i64>(b"9223372036854775808");
    refused::<i64>(b"-9223372036854775809");
    for no_order in
        [&b""[..], b"{}", b"null", b"\"SECRET\"", b"{\"id\":\"SECRET\"}", b"[1", b"\xff"]
    {
        refused::<Json<Order>>(no_order);
    }
    for no_list in [&b""[..], b"{}", b"null", b"1", b"[1,]", b"[1", b"[\"SECRET\"]", b"[1][2]"] {
        refused::<List<u8>>(no_list);
    }
}

/// A store counts in signed 64 bits. What it can't count, and what has no text form, is refused
/// when it is written and not when it is read.
#[test]
fn what_has_no_text_form_is_refused_when_it_is_written() {
    for too_large in [u64::MAX, (1 << 63), (1 << 63) + 1] {
        assert!(too_large.encode().is_err());
    }
    assert!(((1_u64 << 63) - 1).encode().is_ok());
    let keys_are_no_strings: BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    assert!(Json(keys_are_no_strings.clone()).encode().is_err());
    assert!(List(vec![keys_are_no_strings]).encode().is_err());
}

// Proves R24, R57, CVE-2011-4136.
#[test]
fn a_name_takes_1_to_64_bytes_without_control_characters_and_no_tilde_in_front() {
    let longest = "x".repeat(64);
    for name in
        ["a", "a b", " ", "a~", "a.b:c{d}", "ゆき", "🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥🧥", &longest]
    {
        assert_eq!(FieldName::named(name).unwrap().as_str(), name);
        assert_eq!(Field::<u8>::named(name).unwrap().name().as_str(), name);
    }
    let too_long = ["x".repeat(65), "é".repeat(33)];
    let refused = ["", "~", "~user", "~ ", "a\0", "\n", "a\r\nb", "\t", "\u{7f}", "a\u{1f}"];
    for name in refused.into_iter().chain(too_long.iter().map(String::as_str)) {
        let error = FieldName::named(name).unwrap_err();
        assert!(error.to_string().contains("1 to 64 bytes"), "{error}");
        assert!(Field::<u8>::named(name).is_err());
        assert!(std::panic::catch_unwind(|| FieldName::new(name.to_owned().leak())).is_err());
    }
}

// Proves R61.
#[test]
fn what_is_kept_is_not_shown() {
    let shown = format!("{:?}", Kept(b"SECRET".to_vec()));
    assert_eq!(shown, "Kept(6 bytes)");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_comes_back(value in any::<String>()) {
        prop_assert_eq!(value.encode().unwrap(), value.as_bytes());
        comes_back(&value)?;
    }

    #[test]
    fn bytes_come_back(value in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(&value.encode().unwrap(), &value);
        comes_back(&value)?;
    }

    #[test]
    fn integers_come_back(wide in any::<i64>(), narrow in any::<i8>()) {
        prop_assert_eq!(wide.encode().unwrap(), wide.to_string().into_bytes());
        comes_back(&wide)?;
        comes_back(&(wide as i32))?;
        comes_back(&(wide as i16))?;
        comes_back(&narrow)?;
        comes_back(&(wide as u64 >> 1))?;
        comes_back(&(wide as u32))?;
        comes_back(&(wide as u16))?;
        comes_back(&(wide as u8))?;
        comes_back(&(wide % 2 == 0))?;
    }

    /// A reader of another width finds the number or an error, never another number.
    #[test]
    fn no_integer_is_cut_when_it_is_read_in_another_width(value in any::<i64>()) {
        let kept = value.encode().unwrap();
        prop_assert_eq!(i8::decode(&kept).ok(), i8::try_from(value).ok());
        prop_assert_eq!(u8::decode(&kept).ok(), u8::try_from(value).ok());
        prop_assert_eq!(i16::decode(&kept).ok(), i16::try_from(value).ok());
        prop_assert_eq!(u16::decode(&kept).ok(), u16::try_from(value).ok());
        prop_assert_eq!(i32::decode(&kept).ok(), i32::try_from(value).ok());
        prop_assert_eq!(u32::decode(&kept).ok(), u32::try_from(value).ok());
        prop_assert_eq!(u64::decode(&kept).ok(), u64::try_from(value).ok());
    }

    /// There is one text for a number, so that compare-and-set compares numbers.
    #[test]
    fn whatever_reads_as_a_number_is_written_the_same(kept in "[-+]?[0-9 ]{0,20}") {
        if let Ok(number) = i64::decode(kept.as_bytes()) {
            prop_assert_eq!(number.encode().unwrap(), kept.as_bytes());
        }
    }

    #[test]
    fn json_comes_back(value in an_order()) {
        comes_back(&Json(value))?;
    }

    #[test]
    fn floating_point_in_json_comes_back_to_the_bit(value in proptest::num::f64::NORMAL) {
        comes_back(&Json(value))?;
    }

    /// An item a line: that is how a store counts items without reading JSON.
    #[test]
    fn lists_come_back_and_have_an_item_a_line(value in vec(any::<String>(), 0..8)) {
        let lines = value.len().max(1);
        let kept = List(value.clone()).encode().unwrap();
        prop_assert_eq!(kept.split(|byte| *byte == b'\n').count(), lines);
        prop_assert_eq!(&Json::<Vec<String>>::decode(&kept).unwrap().0, &value);
        comes_back(&List(value))?;
    }

    #[test]
    fn lists_of_anything_come_back(value in vec(an_order(), 0..4)) {
        comes_back(&List(value))?;
    }

    // Proves R69, CVE-2015-8566.
    #[test]
    fn no_bytes_make_a_reader_panic(kept in vec(any::<u8>(), 0..40)) {
        let _ = String::decode(&kept);
        let _ = bool::decode(&kept);
        let _ = i64::decode(&kept);
        let _ = u8::decode(&kept);
        let _ = Json::<Order>::decode(&kept);
        let _ = List::<String>::decode(&kept);
    }

    #[test]
    fn a_name_is_taken_exactly_if_it_keeps_the_rule(name in any::<String>()) {
        let rule = (1..=64).contains(&name.len())
            && !name.starts_with('~')
            && !name.chars().any(|c| c.is_ascii_control());
        prop_assert_eq!(FieldName::named(name).is_ok(), rule);
    }
}

fn comes_back<T: Value + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let kept = value.encode().map_err(|error| TestCaseError::fail(error.to_string()))?;
    let back = T::decode(&kept).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&back, value);
    Ok(())
}

fn an_order() -> impl Strategy<Value = Order> {
    let how = prop_oneof![
        Just(How::Pickup),
        (any::<String>(), any::<u16>()).prop_map(|(street, number)| How::Post { street, number }),
    ];
    let both = (how, any::<bool>(), any::<u8>())
        .prop_map(|(how, both, n)| if both { How::Both(Box::new(how), n) } else { how });
    let parts = vec(any::<i32>(), 0..4);
    let by_name = btree_map(any::<String>(), any::<u32>(), 0..4);
    (any::<u64>(), any::<String>(), any::<bool>(), any::<Option<String>>(), parts, by_name, both)
        .prop_map(|(id, name, paid, note, parts, by_name, how)| Order {
            id,
            name,
            paid,
            note,
            parts,
            by_name,
            how,
        })
}
