//! A record as bytes: layout 1 of the file. Numbers are little-endian.
//!
//! ```text
//! key     = session id, 49 bytes
//! marker  = 0 ‖ expires_at u64
//! session = 1 ‖ expires_at u64 ‖ indexed_until u64 (0: none) ‖ life ‖ user (empty: nobody) ‖ field*
//! session = 2 ‖ the same, and after the user: client; kept where a client was told
//! life                   = the life, and after a space the current token if it was ever replaced
//! life, user, client and a field's name = length u8 ‖ text;  a field's value = length u32 ‖ bytes
//! ```

use std::collections::HashMap;

use cloakroom::engine::{Content, Record};
use cloakroom::rotation::Current;
use cloakroom::{Client, FieldName, Kept, SessionId, Timestamp, User};

/// The latest bytes of records; `None` removes one.
pub(crate) type Writes = HashMap<SessionId, Option<Vec<u8>>>;

const MARKER: u8 = 0;
const SESSION: u8 = 1;
const SESSION_OF_CLIENT: u8 = 2;

/// The bytes of a record. All texts are short by their types: names and users have at most 64
/// bytes, a life has less.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let expires_at = record.expires_at.as_millis().to_le_bytes();
    let Some(content) = &record.content else {
        return [&[MARKER][..], &expires_at].concat();
    };
    let values: usize = content.fields.values().map(|value| value.len()).sum();
    let mut bytes = Vec::with_capacity(160 + values + 16 * content.fields.len());
    bytes.push(if content.client.is_some() { SESSION_OF_CLIENT } else { SESSION });
    bytes.extend_from_slice(&expires_at);
    let indexed_until = record.indexed_until.map_or(0, Timestamp::as_millis);
    bytes.extend_from_slice(&indexed_until.to_le_bytes());
    let mut text = |text: &str| {
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text.as_bytes());
    };
    if content.token == Current::default() {
        text(&content.life.to_string());
    } else {
        text(&format!("{} {}", content.life, content.token));
    }
    text(content.user.as_ref().map_or("", User::as_str));
    if let Some(client) = &content.client {
        text(&client.to_text());
    }
    for (name, value) in &content.fields {
        bytes.push(name.as_str().len() as u8);
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// The record whose bytes these are; `None` if they are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
    let mut rest = bytes;
    let kind = take(&mut rest, 1)?[0];
    let expires_at = Timestamp::from_millis(number(&mut rest)?);
    if kind == MARKER && rest.is_empty() {
        return Some(Record { content: None, expires_at, indexed_until: None });
    }
    if kind != SESSION && kind != SESSION_OF_CLIENT {
        return None;
    }
    let indexed_until = Some(number(&mut rest)?).filter(|until| *until != 0);
    let words = text(&mut rest)?;
    let life = words.parse().ok()?;
    let token = match words.splitn(7, ' ').nth(6) {
        None => Current::default(),
        Some(token) => token.parse().ok()?,
    };
    let user = match text(&mut rest)? {
        "" => None,
        name => Some(User::new(name).ok()?),
    };
    let client = match kind {
        SESSION_OF_CLIENT => Some(Client::from_text(text(&mut rest)?)),
        _ => None,
    };
    let mut fields = cloakroom::change::Fields::new();
    while !rest.is_empty() {
        let name = FieldName::named(text(&mut rest)?).ok()?;
        let length = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let value = take(&mut rest, length as usize)?;
        fields.insert(name, Kept(value.to_vec()));
    }
    Some(Record {
        content: Some(Content { user, life, client, token, fields }),
        expires_at,
        indexed_until: indexed_until.map(Timestamp::from_millis),
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = take(rest, 1)?[0];
    std::str::from_utf8(take(rest, length.into())?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom::{Generation, Life, Lifetime};

    use super::*;

    fn record() -> Record {
        let lifetime = Lifetime::new(Duration::from_secs(1800), Duration::from_secs(28_800));
        let now = Timestamp::from_millis(1_763_880_000_000);
        let value = |bytes: &[u8]| Kept(bytes.to_vec());
        let fields = [
            (FieldName::new("visits"), value(b"7")),
            (FieldName::new("x"), value(b"")),
            (FieldName::new("\u{3086}"), value(&[0, 255, 0])),
        ];
        let life = Life::beginning(now, lifetime.unwrap(), false);
        let user = Some(User::new("alice").unwrap());
        Record {
            content: Some(Content {
                user,
                life,
                client: None,
                token: Current::default(),
                fields: fields.into_iter().collect(),
            }),
            expires_at: now + Duration::from_secs(1800),
            indexed_until: Some(now + Duration::from_secs(1860)),
        }
    }

    /// A file of layout 1 must be readable for ever.
    #[test]
    fn the_bytes_of_layout_1_never_change() {
        let written = b"\x01\x40\x51\x8c\xaf\x9a\x01\x00\x00\xa0\x3b\x8d\xaf\x9a\x01\x00\x00\
            \x241 1763880000000 28800000 1800000 0 s\x05alice\x06visits\x01\x00\x00\x007\
            \x01x\x00\x00\x00\x00\x03\xe3\x82\x86\x03\x00\x00\x00\x00\xff\x00";
        assert_eq!(
            encode(&record()).escape_ascii().to_string(),
            written.escape_ascii().to_string()
        );
        assert_eq!(decode(written), Some(record()));

        let mut told = record();
        let client = Client::from_text("ffx lnx 203.0.113.0/24 shop");
        told.content.as_mut().unwrap().client = Some(client);
        let fields = written.windows(7).position(|seven| seven == b"\x06visits").unwrap();
        let (before, fields) = written[1..].split_at(fields - 1);
        let with_client = [b"\x02", before, b"\x1bffx lnx 203.0.113.0/24 shop", fields].concat();
        assert_eq!(
            encode(&told).escape_ascii().to_string(),
            with_client.escape_ascii().to_string()
        );
        assert_eq!(decode(&with_client), Some(told));
    }

    #[test]
    fn what_is_written_comes_back() {
        let nobody = Record { indexed_until: None, ..record() };
        let marker = Record { content: None, indexed_until: None, ..record() };
        let mut replaced = record();
        let (generation, since) = (Generation(4_294_967_295), Lifetime::LONGEST);
        let token = Current { generation, since, presented: false };
        replaced.content.as_mut().unwrap().token = token;
        for record in [record(), replaced, nobody, marker] {
            assert_eq!(decode(&encode(&record)), Some(record));
        }
    }

    #[test]
    fn what_is_cut_off_inside_a_part_is_no_record() {
        let bytes = encode(&record());
        // A cut between two fields leaves a record; the file's own checksums find that one.
        let whole = (0..bytes.len()).filter(|at| decode(&bytes[..*at]).is_some()).count();
        assert_eq!(whole, 3);
        assert_eq!(decode(b"\x02\0\0\0\0\0\0\0\0"), None);
    }
}
