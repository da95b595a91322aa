//! What is kept under a session's id, and its bytes: how a record lies in memory, and what a durable
//! store writes down. Numbers are little-endian.
//!
//! ```text
//! marker  = 0 ‖ expires_at u64
//! session = 1 ‖ expires_at u64 ‖ indexed_until u64 (0: none) ‖ life ‖ token ‖ user ‖ client ‖ field*
//! life    = created u64 ‖ absolute u64 ‖ idle u64 ‖ last_seen u64 ‖ remembered u8
//! token   = generation u32 ‖ since u64 ‖ presented u8
//! user    = length u8 (0: nobody) ‖ text;  client = length u8 (0: not told) ‖ text
//! field   = length u8 ‖ name ‖ length u32 ‖ value
//! ```
//!
//! In one piece, a session of a few fields takes 150 bytes and lies in two or three lines of the
//! processor's cache. As maps and texts of their own it took 1,500 in seven places, and with millions
//! of sessions every place is a wait for memory.

use std::time::Duration;

use crate::change::Fields;
use crate::client::Client;
use crate::expiry::{Life, Lifetime, Timestamp};
use crate::field::{FieldName, Kept};
use crate::rotation::{Current, Generation};
use crate::store::User;

const MARKER: u8 = 0;
const SESSION: u8 = 1;
/// Where in the bytes stands what is asked of them as they are.
const EXPIRES_AT: usize = 1;
const INDEXED_UNTIL: usize = EXPIRES_AT + 8;
const USER: usize = INDEXED_UNTIL + 8 + (4 * 8 + 1) + (4 + 8 + 1);

/// What is kept under a session's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `None` is a marker: the session was ended a short while ago.
    pub content: Option<Content>,
    /// From then on it is not there.
    pub expires_at: Timestamp,
    /// Its entry in its user's index: the last instant at which it can still be alive. A user's
    /// session without one was revoked.
    pub indexed_until: Option<Timestamp>,
}

/// What a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Who is logged in.
    pub user: Option<User>,
    /// When it began and how long it may live.
    pub life: Life,
    /// The client that logged in, if that was told.
    pub client: Option<Client>,
    /// Which of its tokens is the current one.
    pub token: Current,
    /// The application's fields.
    pub fields: Fields,
}

/// The bytes of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// All texts are short by their types: names, users and clients have at most 64 bytes.
    pub fn of(record: &Record) -> Self {
        let mut bytes = Vec::new();
        let number = |bytes: &mut Vec<u8>, number: u64| bytes.extend(number.to_le_bytes());
        let Some(content) = &record.content else {
            bytes.push(MARKER);
            number(&mut bytes, record.expires_at.as_millis());
            return Self(bytes.into());
        };
        let Content { user, life, client, token, fields } = content;
        let values: usize = fields.values().map(|value| value.len()).sum();
        let names: usize = fields.keys().map(|name| name.as_str().len()).sum();
        bytes.reserve(96 + names + values + 5 * fields.len());
        bytes.push(SESSION);
        number(&mut bytes, record.expires_at.as_millis());
        number(&mut bytes, record.indexed_until.map_or(0, Timestamp::as_millis));
        number(&mut bytes, life.created.as_millis());
        number(&mut bytes, life.lifetime.absolute().as_millis() as u64);
        number(&mut bytes, life.lifetime.idle().as_millis() as u64);
        number(&mut bytes, life.last_seen.as_millis());
        bytes.push(life.remembered.into());
        bytes.extend(token.generation.0.to_le_bytes());
        number(&mut bytes, token.since.as_millis() as u64);
        bytes.push(token.presented.into());
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        };
        text(&mut bytes, user.as_ref().map_or("", User::as_str));
        text(&mut bytes, &client.as_ref().map(Client::to_text).unwrap_or_default());
        for (name, value) in fields {
            text(&mut bytes, name.as_str());
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        Self(bytes.into())
    }

    /// The record whose bytes these are; `None` if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        read(bytes).map(|_| Self(bytes.into()))
    }

    /// As they are written down.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From then on it is not there.
    pub fn expires_at(&self) -> Timestamp {
        self.instant(EXPIRES_AT)
    }

    /// The record itself.
    pub fn record(&self) -> Record {
        // Every way to a `Packed` has written these bytes, or read them once.
        read(&self.0).unwrap_or_else(|| unreachable!("the bytes of a record are one"))
    }

    pub(super) fn is_marker(&self) -> bool {
        self.0[0] == MARKER
    }

    /// Whether it is a session of nobody.
    pub(super) fn is_anonymous(&self) -> bool {
        self.0.get(USER) == Some(&0)
    }

    pub(super) fn indexed_until(&self) -> Option<Timestamp> {
        let until = (!self.is_marker()).then(|| self.instant(INDEXED_UNTIL))?;
        (until.as_millis() > 0).then_some(until)
    }

    fn instant(&self, at: usize) -> Timestamp {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        Timestamp::from_millis(u64::from_le_bytes(bytes))
    }
}

impl std::fmt::Debug for Packed {
    // Shows nothing of what a session holds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} bytes)", self.0.len())
    }
}

fn read(bytes: &[u8]) -> Option<Record> {
    let mut rest = bytes;
    let rest = &mut rest;
    let kind = byte(rest)?;
    let expires_at = Timestamp::from_millis(number(rest)?);
    if kind == MARKER {
        let marker = Record { content: None, expires_at, indexed_until: None };
        return rest.is_empty().then_some(marker);
    }
    if kind != SESSION {
        return None;
    }
    let indexed_until = Some(number(rest)?).filter(|until| *until > 0);
    let created = Timestamp::from_millis(number(rest)?);
    let (absolute, idle) = (millis(rest)?, millis(rest)?);
    let last_seen = Timestamp::from_millis(number(rest)?);
    let lifetime = Lifetime::new(idle, absolute).ok()?;
    let life = Life { created, lifetime, last_seen, remembered: yes_or_no(rest)? };
    let generation = Generation(u32::from_le_bytes(take(rest)?));
    let token = Current { generation, since: millis(rest)?, presented: yes_or_no(rest)? };
    let user = match text(rest)? {
        "" => None,
        name => Some(User::new(name).ok()?),
    };
    let client = Some(text(rest)?).filter(|client| !client.is_empty()).map(Client::from_text);
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let name = FieldName::named(text(rest)?).ok()?;
        let length = u32::from_le_bytes(take(rest)?);
        fields.insert(name, Kept(some(rest, length as usize)?.to_vec()));
    }
    let indexed_until = indexed_until.map(Timestamp::from_millis);
    let content = Some(Content { user, life, client, token, fields });
    Some(Record { content, expires_at, indexed_until })
}

fn some<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    some(rest, N)?.try_into().ok()
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest).map(|[byte]| byte)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn millis(rest: &mut &[u8]) -> Option<Duration> {
    number(rest).map(Duration::from_millis)
}

fn yes_or_no(rest: &mut &[u8]) -> Option<bool> {
    byte(rest).filter(|byte| *byte < 2).map(|byte| byte == 1)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = byte(rest)?;
    std::str::from_utf8(some(rest, length.into())?).ok()
}

#[cfg(test)]
mod tests {
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
                client: Some(Client::from_text("ffx lnx 203.0.113.0/24 shop")),
                token: Current::default(),
                fields: fields.into_iter().collect(),
            }),
            expires_at: now + Duration::from_secs(1800),
            indexed_until: Some(now + Duration::from_secs(1860)),
        }
    }

    /// What was written down once must be readable for ever: another form is another layout of the
    /// files in which it stands.
    #[test]
    fn the_bytes_never_change() {
        let written = b"\x01\x40\x51\x8c\xaf\x9a\x01\0\0\xa0\x3b\x8d\xaf\x9a\x01\0\0\
            \0\xda\x70\xaf\x9a\x01\0\0\0\x74\xb7\x01\0\0\0\0\x40\x77\x1b\0\0\0\0\0\
            \0\xda\x70\xaf\x9a\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
            \x05alice\x1bffx lnx 203.0.113.0/24 shop\x06visits\x01\0\0\x007\x01x\0\0\0\0\
            \x03\xe3\x82\x86\x03\0\0\0\0\xff\0";
        let packed = Packed::of(&record());
        assert_eq!(packed.bytes().escape_ascii().to_string(), written.escape_ascii().to_string());
        assert_eq!(Packed::from_bytes(written), Some(packed));
    }

    #[test]
    fn what_was_packed_comes_back() {
        let nobody = Record { indexed_until: None, ..record() };
        let marker = Record { content: None, indexed_until: None, ..record() };
        let mut replaced = record();
        let (generation, since) = (Generation(4_294_967_295), Lifetime::LONGEST);
        let token = Current { generation, since, presented: false };
        let content = replaced.content.as_mut().unwrap();
        (content.token, content.client, content.user) = (token, None, None);
        for record in [record(), replaced, nobody, marker] {
            let packed = Packed::of(&record);
            assert_eq!(packed.record(), record);
            assert_eq!(packed.expires_at(), record.expires_at);
            assert_eq!(packed.indexed_until(), record.indexed_until);
            assert_eq!(packed.is_marker(), record.content.is_none());
            let nobodys = record.content.is_some_and(|content| content.user.is_none());
            assert_eq!(packed.is_anonymous(), nobodys);
        }
    }

    #[test]
    fn what_is_cut_off_inside_a_part_is_no_record() {
        let bytes = Packed::of(&record()).0;
        // A cut between two fields leaves a record; a file's own checksums find that one.
        let whole = (0..bytes.len()).filter(|at| Packed::from_bytes(&bytes[..*at]).is_some());
        assert_eq!(whole.count(), 3);
        assert_eq!(Packed::from_bytes(b"\x02\0\0\0\0\0\0\0\0"), None);
        assert_eq!(Packed::from_bytes(b""), None);
    }
}
