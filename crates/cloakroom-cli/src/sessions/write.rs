//! How sessions are written: for people, and for programs.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use cloakroom::{Client, Life, SessionId, Timestamp, User};
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

/// For whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// The last second that is written as a date: the end of the year 9999.
const LAST: u64 = 253_402_300_799_000;

/// Writes a line. Whoever closed the pipe doesn't want to hear more, and no more is done.
pub(super) fn say(what: impl Display) {
    if writeln!(io::stdout(), "{what}").is_err() {
        std::process::exit(0);
    }
}

/// A table without lines, as wide as it gets, so that an id is one word to a mouse.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if !head.is_empty() {
        table.set_header(head);
    }
    table
}

pub(super) fn say_table(table: &Table) {
    for line in table.lines() {
        say(line.trim());
    }
}

/// A session without its fields, as an object for programs.
pub(super) fn object(
    id: &SessionId,
    user: Option<&User>,
    life: &Life,
    expires_at: Timestamp,
    client: Option<&Client>,
) -> Value {
    json!({
        "id": id.in_full(),
        "user": user.map(User::as_str),
        "created_at": life.created.as_millis(),
        "last_seen_at": life.last_seen.as_millis(),
        "expires_at": expires_at.as_millis(),
        "deadline_at": life.deadline().as_millis(),
        "remembered": life.remembered,
        "device": client.map(|client| client.device.to_string()),
        "address": client.and_then(|client| client.address.as_ref()).map(ToString::to_string),
        "label": client.and_then(|client| client.label.as_ref()).map(ToString::to_string),
    })
}

/// What is known of a client, `-` where nothing is.
pub(super) fn device(client: Option<&Client>) -> String {
    client.map_or_else(dash, |client| client.device.to_string())
}

pub(super) fn address(client: Option<&Client>) -> String {
    client.and_then(|client| client.address.as_ref()).map_or_else(dash, ToString::to_string)
}

pub(super) fn label(client: Option<&Client>) -> String {
    client.and_then(|client| client.label.as_ref()).map_or_else(dash, ToString::to_string)
}

fn dash() -> String {
    "-".to_owned()
}

/// `2m ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", coarse(now.since(at)))
}

/// `in 29m`.
pub(super) fn ahead(at: Timestamp, now: Timestamp) -> String {
    format!("in {}", coarse(at.since(now)))
}

/// In the greatest unit that it fills.
fn coarse(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, letter) = match seconds {
        0..60 => (1, 's'),
        60..3600 => (60, 'm'),
        3600..86_400 => (3600, 'h'),
        _ => (86_400, 'd'),
    };
    format!("{}{letter}", seconds / unit)
}

/// `2026-11-23T11:00:00Z`.
pub(super) fn date(at: Timestamp) -> impl Display {
    let at = at.min(Timestamp::from_millis(LAST));
    humantime::format_rfc3339_seconds(SystemTime::from(at))
}

/// Text that does nothing to a terminal but stand there: no control characters, and none that turn
/// the direction of what follows.
pub(super) fn harmless(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// `1 session`, `2 sessions`.
pub(super) fn number_of(sessions: u64) -> String {
    format!("{sessions} session{}", if sessions == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_however_wide_their_letters_are() {
        let mut table = table(&["FIELD", "VALUE"]);
        table.add_row(["名前", "ゆき"]);
        table.add_row(["name", "Yuki"]);
        let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(lines, ["FIELD  VALUE", "名前   ゆき", "name   Yuki"]);
    }

    // Proves R63.
    #[test]
    fn nothing_that_is_shown_moves_the_cursor() {
        assert_eq!(harmless("ゆき\u{1b}[2J\u{202e}\n"), "ゆき\\u{1b}[2J\\u{202e}\\u{a}");
    }

    #[test]
    fn a_time_is_told_in_the_greatest_unit_that_it_fills() {
        let now = Timestamp::from_millis(100 * 86_400_000);
        for (seconds, told) in [(0, "0s"), (59, "59s"), (60, "1m"), (7_199, "1h"), (86_400, "1d")] {
            let at = now + Duration::from_secs(seconds);
            assert_eq!(ahead(at, now), format!("in {told}"));
            assert_eq!(ago(now, at), format!("{told} ago"));
        }
        assert_eq!(date(Timestamp::from_millis(u64::MAX)).to_string(), "9999-12-31T23:59:59Z");
    }
}
