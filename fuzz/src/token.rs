//! The value of a cookie as a token, with keys and without; and ids, cursors and keys as text.

use std::sync::OnceLock;

use cloakroom::store::Cursor;
use cloakroom::{Generation, Prefix, SecretKey, SessionId, Tag, TokenMint};
use sha2::{Digest, Sha256};

use crate::house::{GENUINE, mint};

pub(crate) fn run(input: &[u8]) {
    sealed(input);
    open(input);
    ids(input);
    let weak = SecretKey::new(input).is_err();
    let mut seen = [false; 256];
    input.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    assert_eq!(weak, input.len() < 32 || different < 8);
}

/// Nothing opens with keys but what was sealed with them, whole and unchanged.
fn sealed(input: &[u8]) {
    let opened = mint().open(input);
    let genuine = GENUINE.iter().position(|token| token.as_bytes() == input);
    assert_eq!(opened.is_some(), genuine.is_some(), "forged, or not taken back");
    let Some(issued) = opened else { return };
    assert_eq!(issued.token.reveal().as_bytes(), input);
    let generation = Generation(if genuine == Some(2) { 3 } else { 0 });
    assert_eq!(issued.generation, generation);
    let again = mint().reissue(&issued, generation).unwrap();
    assert_eq!(again.token.reveal().as_bytes(), input);
    let next = mint().reissue(&issued, Generation(u32::MAX)).unwrap();
    let opened = mint().open(next.token.reveal().as_bytes()).unwrap();
    assert_eq!((opened.id, opened.generation), (issued.id, Generation(u32::MAX)));
}

/// Without keys everything in the form of a token is one, and names what its bytes say.
fn open(input: &[u8]) {
    static MINT: OnceLock<TokenMint> = OnceLock::new();
    let mint = MINT.get_or_init(|| TokenMint::new(Prefix::default(), "__Host-session", None));
    let bytes = base64url(input).filter(|bytes| bytes.len() == 49);
    let tag = bytes.as_ref().and_then(|bytes| match bytes[32] {
        b'a' => Some(Tag::Anonymous(bytes[33..].try_into().unwrap())),
        b'u' => Some(Tag::User(bytes[33..].try_into().unwrap())),
        _ => None,
    });
    let opened = mint.open(input);
    assert_eq!(opened.as_ref().map(|issued| issued.id.tag()), tag);
    let (Some(issued), Some(bytes)) = (opened, bytes) else { return };
    assert_eq!(issued.token.reveal().as_bytes(), input);
    assert_eq!(issued.generation, Generation(0));
    let mut hash = Sha256::new();
    let domain: &[u8] = match bytes[32] {
        b'u' => b"cloakroom/1 user session",
        _ => b"cloakroom/1 session",
    };
    for part in [domain, b"cloakroom", b"__Host-session", &bytes[..32]] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    assert_eq!(issued.id.to_bytes()[17..], hash.finalize()[..], "another session's id");
    assert!(mint.reissue(&issued, Generation(1)).is_none(), "nobody vouches for a generation");
    ids(issued.id.in_full().as_bytes());
    ids(&issued.id.to_bytes());
}

/// What is read as an id is written as it was read.
fn ids(input: &[u8]) {
    if let Some(id) = SessionId::from_bytes(input) {
        assert_eq!(id.to_bytes(), input);
        assert_eq!(SessionId::from_full(&id.in_full()), Some(id));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(id) = SessionId::from_full(text) {
        assert_eq!(id.in_full(), text);
        assert_eq!(SessionId::from_bytes(&id.to_bytes()), Some(id));
    }
    let tag = Tag::of_user(&Prefix::default(), "ada");
    if let Some(id) = SessionId::parse(tag, text) {
        assert_eq!(id.hash(), text);
        assert_eq!(id.tag(), tag, "a page names somebody else's session");
    }
    if let Some(cursor) = Cursor::parse(tag, text) {
        assert_eq!(Cursor::parse(tag, &cursor.to_string()), Some(cursor));
        assert_eq!(cursor.id.tag(), tag);
    }
}

/// RFC 4648 5 without padding, and with zeros in what the last letter has too many of.
fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text {
        held = held << 6 | letter(*byte)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(bytes)
}
