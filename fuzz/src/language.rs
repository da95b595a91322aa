//! `Accept-Language`, a line of it a line of the input, and the pages that a client reads.

// The file as the program has it; what it offers the program, nobody uses here.
#[path = "../../crates/cloakroom-cli/src/language.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for another crate")]
mod of_the_program;

use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use of_the_program::Language;

pub(crate) fn run(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(ACCEPT_LANGUAGE, value);
        }
    }
    let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
    let list: Vec<&str> = lines.collect();
    let japanese = Language::asked_for_by(&headers) == Language::Japanese;
    assert_eq!(japanese, prefers_japanese(&list.join(",")), "{list:?}");

    let mut chosen = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            chosen.append(COOKIE, value.clone());
            chosen.append(ACCEPT, value);
        }
    }
    let _ = (Language::asked_for_by(&chosen), of_the_program::reads_pages(&chosen));
    headers.insert(COOKIE, HeaderValue::from_static("a=b; __Host-lang=ja"));
    assert_eq!(Language::asked_for_by(&headers), Language::Japanese);
}

/// RFC 9110 12.5.4, with weights as fractions: the best range of each language, or `*`.
fn prefers_japanese(list: &str) -> bool {
    let mut ranges = Vec::new();
    for item in list.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        if range.is_empty() {
            continue;
        }
        let quality = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().to_owned())
        });
        let Some(weight) = weight(quality.as_deref().unwrap_or("1")) else { continue };
        ranges.push((range.split('-').next().unwrap_or_default().to_ascii_lowercase(), weight));
    }
    let best = |code: &str| {
        let mut best: Option<(f64, usize)> = None;
        for (place, (range, weight)) in ranges.iter().enumerate() {
            if range == code && best.is_none_or(|(other, _)| *weight > other) {
                best = Some((*weight, place));
            }
        }
        best
    };
    let of = |code: &str| best(code).or_else(|| best("*")).filter(|(weight, _)| *weight > 0.0);
    match (of("en"), of("ja")) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some((en, en_at)), Some((ja, ja_at))) => ja > en || (ja == en && ja_at < en_at),
    }
}

/// `qvalue`: 0 to 1, with at most three digits after the point.
fn weight(text: &str) -> Option<f64> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let plain = matches!(whole, "0" | "1") && digits.len() <= 3;
    if !plain || !digits.chars().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{whole}.{digits}0").parse().ok().filter(|weight| *weight <= 1.0)
}
