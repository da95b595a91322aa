//! Encryption at rest: fields that whoever reads the store, a dump or a replica can't read.
//!
//! ```text
//! kept = "sealed:1:" base64url( nonce ‖ AES-256-GCM-SIV( key, nonce, text = the value,
//!                               associated data = domain, session id, name of the field ) )
//! ```
//!
//! 1. A field is sealed by its type: `Field<Sealed<String>>`. It is read, set, taken and updated as any
//!    other. It can't be counted or appended to, for the store would have to read it, and that doesn't
//!    compile. What the store has to look for, such as the user's name, is no field.
//! 2. A value belongs to its session and its field. What whoever writes to the store moves elsewhere
//!    doesn't open there.
//! 3. A login and a rotation change the session's id. What they keep is sealed anew in the same request:
//!    one more trip, and only if there is something. It waits as other writes do, before the response
//!    head, so nobody knows the new token before it is done; a handler that fails doesn't take it
//!    back. Should the store fail just then, the values are lost: they don't open, and count as
//!    absent. The periodic replacement of tokens ([`rotation`](crate::rotation)) changes no id.
//! 4. What doesn't open counts as absent, and is told: [`Event::SealBroken`](crate::Event), and a warning in
//!    the log, once a request and field. A value that stands there in the clear doesn't open either:
//!    who writes to the store could have put it there.
//! 5. The length of a value can be seen, and that it was changed.
//!
//! A sealed value takes 4/3 of its bytes and 47 more; that is what the limits count. Exports, records and
//! the command line show it as it is kept.
//!
//! ```
//! use cloakroom::{Field, FieldKeys, Manager, MemoryStore, Sealed, SecretKey, Settings, User};
//! # pollster::block_on(async {
//! const REFRESH: Field<Sealed<String>> = Field::new("refresh_token");
//!
//! # let secret = "correct horse battery staple, 32 bytes and more";
//! let field_keys = Some(FieldKeys::new(SecretKey::new(secret)?));
//! let manager = Manager::new(MemoryStore::new(), Settings { field_keys, ..Settings::default() });
//! let visit = manager.open([]);
//! let session = visit.session();
//! let _ = session.log_in(User::new("alice")?).with(REFRESH, "1//0gdV2").await?;
//! assert_eq!(session.get(REFRESH).await?.unwrap().as_str(), "1//0gdV2");
//!
//! let kept = session.snapshot().await?.unwrap().fields;
//! assert!(kept[REFRESH.name()].starts_with(b"sealed:1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Nobody counts in the dark:
//!
//! ```compile_fail,E0277
//! # use cloakroom::{Field, Sealed, Session};
//! const VISITS: Field<Sealed<u64>> = Field::new("visits");
//! # async fn handler(session: Session) {
//! let _ = session.increment(VISITS, 1).await;
//! # }
//! ```
//!
//! Nor is anything appended there:
//!
//! ```compile_fail,E0308
//! # use cloakroom::{Field, List, Sealed, Session};
//! # use std::num::NonZeroU32;
//! const SEEN: Field<Sealed<List<u32>>> = Field::new("seen");
//! # async fn handler(session: Session) {
//! let _ = session.append(SEEN, &7, NonZeroU32::MIN).await;
//! # }
//! ```

use std::fmt;
use std::ops::Deref;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::field::{AtRest, FieldName, Kept, NotDecodable, NotEncodable, Value};
use crate::token::{NoRandomness, SecretKey, SessionId, TokenMint};

const DOMAIN: &[u8] = b"cloakroom/1 field";
const MARK: &[u8] = b"sealed:1:";
const NONCE: usize = 12;
const SEAL: usize = 16;

/// A value that is encrypted at rest: see [`sealed`](crate::sealed). `Debug` shows nothing of it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sealed<T>(pub T);

impl<T> Deref for Sealed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Sealed<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Sealed<String> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<T> fmt::Debug for Sealed<T> {
    // The derived one would print what is not even to be read in the store.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl<T: Value> Value for Sealed<T> {
    const AT_REST: AtRest = AtRest::Sealed;

    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        self.0.encode()
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        T::decode(kept).map(Self)
    }
}

/// The keys of sealed fields: one that seals and opens, and any number that only open.
///
/// To change the key, first make the new one a fall-back on every instance, then the key, with the old
/// one as fall-back; take that away when the longest absolute timeout has passed. Values move to the
/// new key when they are set, at login and at rotation.
///
/// The secret may be that of [`Keys`](crate::Keys): another key is derived from it.
#[derive(Clone, Debug)]
pub struct FieldKeys {
    /// The first one seals.
    ring: Vec<FieldKey>,
}

#[derive(Clone)]
struct FieldKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldKey(..)")
    }
}

impl FieldKeys {
    /// Values are sealed with `key`.
    pub fn new(key: SecretKey) -> Self {
        Self { ring: vec![FieldKey::from(&key)] }
    }

    /// Values that were sealed with `key` still open.
    pub fn with_fallback(mut self, key: SecretKey) -> Self {
        self.ring.push(FieldKey::from(&key));
        self
    }

    /// The value as it is kept in that field of that session.
    pub(crate) fn seal(
        &self,
        mint: &TokenMint,
        (id, field): (&SessionId, &FieldName),
        plain: &Kept,
    ) -> Result<Kept, NoRandomness> {
        let mut bytes = vec![0; NONCE];
        mint.random(&mut bytes)?;
        let payload = Payload { msg: plain, aad: &bound_to(id, field) };
        let sealed = self.ring[0].cipher().encrypt(&nonce(&bytes), payload);
        // AES-GCM-SIV refuses nothing below 64 GiB, and the limits do.
        bytes.extend_from_slice(&sealed.map_err(|_| NoRandomness::no_seal())?);
        let mut kept = MARK.to_vec();
        kept.extend_from_slice(BASE64URL_NOPAD.encode(&bytes).as_bytes());
        Ok(Kept(kept))
    }

    /// What was sealed for that field of that session; `None` if this is nothing of the kind.
    pub(crate) fn open(&self, id: &SessionId, field: &FieldName, kept: &Kept) -> Option<Kept> {
        let bytes = BASE64URL_NOPAD.decode(kept.strip_prefix(MARK)?).ok()?;
        let (nonce_bytes, sealed) = bytes.split_at_checked(NONCE)?;
        let bound_to = bound_to(id, field);
        let payload = || Payload { msg: sealed, aad: &bound_to };
        let open = |key: &FieldKey| key.cipher().decrypt(&nonce(nonce_bytes), payload()).ok();
        self.ring.iter().find_map(open).map(Kept)
    }
}

impl FieldKey {
    fn from(key: &SecretKey) -> Self {
        Self(key.derived(DOMAIN))
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.0).into())
    }
}

/// How long a value of that many bytes is when it is sealed.
pub(crate) fn sealed_length(plain: usize) -> usize {
    MARK.len() + BASE64URL_NOPAD.encode_len(NONCE + plain + SEAL)
}

fn bound_to(id: &SessionId, field: &FieldName) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    for part in [DOMAIN, &id.to_bytes(), field.as_str().as_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn nonce(bytes: &[u8]) -> Nonce {
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&bytes[..NONCE]);
    nonce.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::token::Prefix;

    fn keys(secret: &str) -> FieldKeys {
        FieldKeys::new(SecretKey::new(secret).unwrap())
    }

    const ONE: &str = "one secret of thirty-two bytes, and more";
    const OTHER: &str = "quite another of thirty-two bytes, and more";

    fn mint() -> TokenMint {
        TokenMint::new(Prefix::default(), "session", None)
    }

    // Proves R55, R58.
    #[test]
    fn every_single_bit_of_a_sealed_value_matters() {
        let (mint, keys) = (mint(), keys(ONE));
        let id = mint.issue_for("alice").unwrap().id;
        let field = FieldName::new("card");
        let plain = Kept(b"4111".to_vec());
        let sealed = keys.seal(&mint, (&id, &field), &plain).unwrap();
        assert_eq!(sealed.len(), sealed_length(plain.len()));
        assert_eq!(keys.open(&id, &field, &sealed), Some(plain));
        for at in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed.0[at / 8] ^= 1 << (at % 8);
            assert_eq!(keys.open(&id, &field, &changed), None, "bit {at}");
        }
        for end in 0..sealed.len() {
            assert_eq!(keys.open(&id, &field, &Kept(sealed[..end].to_vec())), None);
        }
        for nothing in [&b""[..], b"sealed:1:", b"sealed:1:AAAA", b"4111"] {
            assert_eq!(keys.open(&id, &field, &Kept(nothing.to_vec())), None);
        }
    }

    // Proves R58.
    #[test]
    fn a_value_opens_in_its_session_and_field_and_with_its_key_alone() {
        let (mint, one) = (mint(), keys(ONE));
        let ids = ["alice", "alice", "bob"].map(|user| mint.issue_for(user).unwrap().id);
        let fields = ["card", "car", "dcard"].map(FieldName::new);
        let plain = Kept(b"4111".to_vec());
        let sealed = one.seal(&mint, (&ids[0], &fields[0]), &plain).unwrap();
        for (i, id) in ids.iter().enumerate() {
            for (f, field) in fields.iter().enumerate() {
                assert_eq!(one.open(id, field, &sealed).is_some(), (i, f) == (0, 0));
            }
        }
        let rotated = keys(OTHER).with_fallback(SecretKey::new(ONE).unwrap());
        assert_eq!(rotated.open(&ids[0], &fields[0], &sealed), Some(plain.clone()));
        assert_eq!(keys(OTHER).open(&ids[0], &fields[0], &sealed), None);
        // What is sealed now is sealed with the new key.
        let sealed = rotated.seal(&mint, (&ids[0], &fields[0]), &plain).unwrap();
        assert_eq!(one.open(&ids[0], &fields[0], &sealed), None);
        assert_eq!(keys(OTHER).open(&ids[0], &fields[0], &sealed), Some(plain));
    }

    // Proves R55.
    #[test]
    fn no_nonce_comes_twice() {
        let (mint, keys) = (mint(), keys(ONE));
        let id = mint.issue_for("alice").unwrap().id;
        let (field, plain) = (FieldName::new("card"), Kept(Vec::new()));
        let sealed =
            || keys.seal(&mint, (&id, &field), &plain).unwrap().0[MARK.len()..][..16].to_vec();
        let nonces: BTreeSet<_> = std::iter::repeat_with(sealed).take(20_000).collect();
        assert_eq!(nonces.len(), 20_000);
    }

    // Proves R3.
    #[test]
    fn without_randomness_nothing_is_sealed() {
        let mint = mint();
        let id = mint.issue_for("alice").unwrap().id;
        let field = FieldName::new("card");
        let sealed = keys(ONE).seal(&mint.without_randomness(), (&id, &field), &Kept(vec![1]));
        assert!(sealed.is_err());
    }

    // Proves R61.
    #[test]
    fn debug_shows_neither_key_nor_value() {
        let shown = format!("{:?} {:?}", keys(ONE), Sealed("4111"));
        assert_eq!(shown, "FieldKeys { ring: [FieldKey(..)] } Sealed(..)");
    }
}
