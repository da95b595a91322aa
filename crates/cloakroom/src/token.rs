//! The token: the secret in the cookie, and the session id that is derived from it.
//!
//! ```text
//! token      = base64url( secret ‖ seal )
//! secret     = 32 bytes from the operating system
//! seal       = AES-256-GCM-SIV( key, nonce = secret[..12], text = kind ‖ tag ‖ generation,
//!                               associated data = version, prefix, cookie name, secret )
//! session id = tag and SHA-256( "cloakroom/1 session" or, of a user, "cloakroom/1 user session",
//!                               prefix, cookie name, secret )
//! ```
//!
//! 1. A token is checked for its exact length and alphabet before anything else.
//! 2. With keys, it must have been sealed by us for this prefix and this cookie name; a forged one
//!    ends here, without a store command. Without keys kind and tag stand open: tokens stay
//!    unguessable, but whoever holds one can test which user it belongs to.
//! 3. The generation says which of a session's tokens this is ([`rotation`](crate::rotation)): all
//!    have the same secret. Without keys anybody could make one, so there is none.
//! 4. Only the hash of the secret reaches the store: a dump of it logs nobody in.
//!
//! In production, every instance of one application needs the same keys; a key that is being
//! retired goes to the fall-backs for as long as sessions last.
//!
//! ```
//! use cloakroom::{Keys, Prefix, SecretKey, TokenMint};
//!
//! let key = SecretKey::new("correct horse battery staple, 32 bytes and more")?;
//! let mint = TokenMint::new(Prefix::new("shop")?, "__Host-session", Some(Keys::new(key)));
//! let issued = mint.issue_anonymous()?;
//!
//! // What we issued opens, and names the same session.
//! assert_eq!(mint.open(issued.token.reveal().as_bytes()).unwrap().id, issued.id);
//! // The same token under another cookie name does not.
//! let key = SecretKey::new("correct horse battery staple, 32 bytes and more")?;
//! let other = TokenMint::new(Prefix::new("shop")?, "__Host-admin", Some(Keys::new(key)));
//! assert!(other.open(issued.token.reveal().as_bytes()).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use aes_gcm_siv::aead::{Aead, AeadInOut, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::rotation::{Generation, Rotation};

const SECRET: usize = 32;
const TAG: usize = 16;
const OPEN_SEAL: usize = 1 + TAG;
/// What is sealed: the same and a generation.
const SEALED: usize = OPEN_SEAL + 4;
const CLOSED_SEAL: usize = SEALED + 16;
const SEAL_DOMAIN: &[u8] = b"cloakroom/1 seal";

/// The secret that a browser keeps in its cookie, as text. It is no session id, can't be made from
/// one, and is never logged: `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The text that goes into the cookie, and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    // The derived one would print the secret into whatever log holds the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The public handle of a session: may be shown and logged, and can't be used as a token.
///
/// It names the session in the store. Its text form is the hash alone; the tag, which says where
/// the session's keys live, is shown by [`SessionId::tag`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    tag: Tag,
    hash: [u8; 32],
}

impl SessionId {
    /// The id that is filed under this hash and tag; `None` if the text is no hash.
    pub fn parse(tag: Tag, hash: &str) -> Option<Self> {
        let hash = BASE64URL_NOPAD.decode(hash.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { tag, hash })
    }

    /// The id as bytes, for a store that keeps them so: `a` or `u` (whether it belongs to a user),
    /// tag, hash.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let (kind, tag) = self.tag.parts();
        let mut bytes = [kind; Self::BYTES];
        bytes[1..=TAG].copy_from_slice(tag);
        bytes[1 + TAG..].copy_from_slice(&self.hash);
        bytes
    }

    /// The id whose [`to_bytes`](Self::to_bytes) these are; `None` if they are no id's.
    ///
    /// ```
    /// use cloakroom::{Prefix, SessionId, TokenMint};
    /// let id = TokenMint::new(Prefix::default(), "session", None).issue_for("alice")?.id;
    /// assert_eq!(SessionId::from_bytes(&id.to_bytes()), Some(id));
    /// assert_eq!(SessionId::from_bytes(b"alice"), None);
    /// # Ok::<(), cloakroom::NoRandomness>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (tag, hash) = rest.split_first_chunk()?;
        let tag = match kind {
            b'a' => Tag::Anonymous(*tag),
            b'u' => Tag::User(*tag),
            _ => return None,
        };
        Some(Self { tag, hash: hash.try_into().ok()? })
    }

    /// How many bytes an id has.
    pub const BYTES: usize = 1 + TAG + 32;

    /// Tag and hash, as operators write them: `TAG.HASH`, the tag behind the `a` or `u` of
    /// [`to_bytes`](Self::to_bytes). What [`from_full`](Self::from_full) takes.
    pub fn in_full(&self) -> String {
        format!("{}{}.{self}", char::from(self.tag.parts().0), self.tag)
    }

    /// The id that is written so; `None` if the text is none.
    ///
    /// ```
    /// use cloakroom::{Prefix, SessionId, TokenMint};
    /// let id = TokenMint::new(Prefix::default(), "session", None).issue_for("alice")?.id;
    /// assert!(id.in_full().starts_with('u'));
    /// assert_eq!(SessionId::from_full(&id.in_full()), Some(id));
    /// assert_eq!(SessionId::from_full("alice"), None);
    /// # Ok::<(), cloakroom::NoRandomness>(())
    /// ```
    pub fn from_full(text: &str) -> Option<Self> {
        let (tag, hash) = text.split_once('.')?;
        let (kind, tag) = tag.split_at_checked(1)?;
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).ok()?.try_into().ok()?;
        let tag = match kind {
            "a" => Tag::Anonymous(tag),
            "u" => Tag::User(tag),
            _ => return None,
        };
        Self::parse(tag, hash)
    }

    /// Beside the session, in the same shard: where the note stands that it was restored.
    pub(crate) fn note(&self) -> Self {
        Self { tag: self.tag, hash: digest(b"cloakroom/1 restored", &[&self.hash]) }
    }

    /// Where the session's keys live, and whether it belongs to a user.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The 43 characters (base64url) under which the session is filed.
    pub fn hash(&self) -> String {
        BASE64URL_NOPAD.encode(&self.hash)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base64::<43>(&self.hash, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The hash tag of a session's keys. All sessions of one user share a tag, so that they and their
/// index lie in one slot of a cluster; an anonymous session has a random one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Nobody is logged in: random bytes, no index.
    Anonymous([u8; TAG]),
    /// Somebody is: derived from the prefix and the user's name, with an index of sessions.
    User([u8; TAG]),
}

impl Tag {
    /// The tag that all sessions of `user` share under `prefix`. There is no key in it, so that
    /// changing keys moves nobody's index.
    pub fn of_user(prefix: &Prefix, user: &str) -> Self {
        let digest = digest(b"cloakroom/1 user", &[prefix.as_str().as_bytes(), user.as_bytes()]);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&digest[..TAG]);
        Self::User(tag)
    }

    fn parts(&self) -> (u8, &[u8; TAG]) {
        match self {
            Self::Anonymous(tag) => (b'a', tag),
            Self::User(tag) => (b'u', tag),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base64::<22>(self.parts().1, f)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous(_) => write!(f, "Anonymous({self})"),
            Self::User(_) => write!(f, "User({self})"),
        }
    }
}

/// What keeps the applications of one store apart: the first part of every key. 1 to 32 characters
/// of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Takes a prefix, or says what is wrong with it.
    ///
    /// ```
    /// use cloakroom::Prefix;
    /// assert_eq!(Prefix::new("shop")?.as_str(), "shop");
    /// assert!(Prefix::new("{shop}").unwrap_err().to_string().contains("a-z 0-9 . _ -"));
    /// # Ok::<(), cloakroom::InvalidPrefix>(())
    /// ```
    pub fn new(prefix: impl Into<String>) -> Result<Self, InvalidPrefix> {
        let prefix = prefix.into();
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if (1..=32).contains(&prefix.len()) && prefix.bytes().all(allowed) {
            Ok(Self(prefix))
        } else {
            Err(InvalidPrefix(prefix.chars().take(40).collect()))
        }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("cloakroom".into())
    }
}

/// The text is no [`Prefix`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is no prefix: it takes 1 to 32 characters of a-z 0-9 . _ -, for example \"shop\"")]
pub struct InvalidPrefix(String);

/// A secret from which the key of the seal is derived. At least 32 bytes; `openssl rand -hex 32`
/// makes a good one.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Takes a secret of at least 32 bytes, at least 8 of them different.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, WeakKey> {
        let secret = secret.as_ref();
        let different = secret.iter().collect::<std::collections::BTreeSet<_>>().len();
        if secret.len() < 32 || different < 8 {
            return Err(WeakKey { bytes: secret.len(), different });
        }
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, secret)
            .expand(SEAL_DOMAIN, key.as_mut_slice())
            .map_err(|_| WeakKey { bytes: secret.len(), different })?;
        Ok(Self(key))
    }

    /// A random key, for a process whose cookies need not outlive it.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; 32]);
        from_operating_system(secret.as_mut_slice())?;
        Ok(Self(secret))
    }

    /// A key for something else than the seal of tokens.
    pub(crate) fn derived(&self, domain: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(digest(domain, &[&*self.0]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The secret is too short, or too uniform, to be one.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "a secret key takes at least 32 bytes, 8 of them different; this one has {bytes} bytes, \
     {different} different: make one with `openssl rand -hex 32`"
)]
pub struct WeakKey {
    bytes: usize,
    different: usize,
}

/// The keys of the seal: one that seals and opens, and any number that only open.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The first one seals.
    keys: Vec<SecretKey>,
    rotation: Option<Rotation>,
}

impl Keys {
    /// New tokens are sealed with `key`.
    pub fn new(key: SecretKey) -> Self {
        Self { keys: vec![key], rotation: None }
    }

    /// Tokens that were sealed with `key` still open. They are replaced by rotation and login, and
    /// never re-sealed in passing.
    pub fn with_fallback(mut self, key: SecretKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Tokens are replaced periodically, and a copied cookie is found out
    /// ([`rotation`](crate::rotation)). Off by default. Costs no trip; when a token is replaced, and
    /// when it is first presented, one more write in the same step. It stands here, for without a key
    /// anybody could make the next token. Set it on every instance: one without it accepts every token
    /// of a session that is alive.
    ///
    /// ```
    /// use cloakroom::{Keys, Rotation, SecretKey, Settings};
    /// # let secret = "correct horse battery staple, 32 bytes and more";
    /// let keys = Keys::new(SecretKey::new(secret)?).rotating(Rotation::default());
    /// let settings = Settings { keys: Some(keys), ..Settings::default() };
    /// # Ok::<(), cloakroom::WeakKey>(())
    /// ```
    pub fn rotating(self, rotation: Rotation) -> Self {
        Self { rotation: Some(rotation), ..self }
    }

    fn sealing(&self) -> &SecretKey {
        &self.keys[0]
    }
}

/// The operating system gave no randomness. No token is made then, least of all a weaker one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the operating system gave no randomness, so no token was made: {0}")]
pub struct NoRandomness(String);

impl NoRandomness {
    /// A text was too long to be sealed, which none of ours is.
    pub(crate) fn no_seal() -> Self {
        Self("the seal could not be made".into())
    }
}

/// Issues and opens the tokens of one cookie of one application.
#[derive(Clone, Debug)]
pub struct TokenMint {
    prefix: Prefix,
    cookie_name: String,
    keys: Option<Keys>,
    /// A plain function, so that a test can make it fail.
    randomness: fn(&mut [u8]) -> Result<(), NoRandomness>,
}

/// A token and the session that it names.
#[derive(Clone, Debug)]
pub struct Issued {
    /// For the browser.
    pub token: Token,
    /// For the store, and for people.
    pub id: SessionId,
    /// Which of the session's tokens it is.
    pub generation: Generation,
}

impl TokenMint {
    /// `cookie_name` as it is sent, prefix and all (`__Host-session`).
    pub fn new(prefix: Prefix, cookie_name: impl Into<String>, keys: Option<Keys>) -> Self {
        Self { prefix, cookie_name: cookie_name.into(), keys, randomness: from_operating_system }
    }

    /// The prefix of the application.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(crate) fn random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        (self.randomness)(bytes)
    }

    /// A fresh token under a fresh, random tag.
    pub fn issue_anonymous(&self) -> Result<Issued, NoRandomness> {
        let mut tag = [0; TAG];
        (self.randomness)(&mut tag)?;
        self.issue(Tag::Anonymous(tag))
    }

    /// A fresh token for a session of `user`.
    pub fn issue_for(&self, user: &str) -> Result<Issued, NoRandomness> {
        self.issue(Tag::of_user(&self.prefix, user))
    }

    /// A fresh token under a given tag, which must come from a session known to be alive.
    pub fn issue(&self, tag: Tag) -> Result<Issued, NoRandomness> {
        let mut secret = Zeroizing::new([0; SECRET]);
        (self.randomness)(secret.as_mut_slice())?;
        self.seal(tag, &secret, Generation::default())
    }

    /// The token of another generation of the same session; `None` without keys, where nothing
    /// vouches for a generation. The same again if it is asked for again.
    pub fn reissue(&self, issued: &Issued, generation: Generation) -> Option<Issued> {
        self.keys.as_ref()?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(issued.token.reveal().as_bytes()).ok()?);
        let secret = Zeroizing::new(*bytes.first_chunk::<SECRET>()?);
        self.seal(issued.id.tag, &secret, generation).ok()
    }

    /// How tokens are replaced periodically, if they are.
    pub(crate) fn rotation(&self) -> Option<Rotation> {
        self.keys.as_ref()?.rotation
    }

    fn seal(
        &self,
        tag: Tag,
        secret: &[u8; SECRET],
        generation: Generation,
    ) -> Result<Issued, NoRandomness> {
        let (kind, bytes) = tag.parts();
        let mut plain = [0; SEALED];
        plain[0] = kind;
        plain[1..OPEN_SEAL].copy_from_slice(bytes);
        plain[OPEN_SEAL..].copy_from_slice(&generation.0.to_be_bytes());
        let mut token = Zeroizing::new(Vec::with_capacity(SECRET + CLOSED_SEAL));
        token.extend_from_slice(secret);
        match &self.keys {
            None => token.extend_from_slice(&plain[..OPEN_SEAL]),
            Some(keys) => {
                // The generations of a session are sealed under one nonce. That is what SIV is for: it
                // shows no more than whether two texts are the same, and the seal stays unforgeable.
                let sealed = cipher(keys.sealing())
                    .encrypt(&nonce(secret), Payload { msg: &plain, aad: &self.bound_to(secret) })
                    // Only a text of 2^36 bytes is too long to be sealed; this one has 21.
                    .map_err(|_| NoRandomness::no_seal())?;
                token.extend_from_slice(&sealed);
            }
        }
        let token = Token(Zeroizing::new(BASE64URL_NOPAD.encode(&token)));
        Ok(Issued { id: self.id(tag, secret), token, generation })
    }

    /// What the value of a cookie names: `None` unless it is a token in exactly our form that, with
    /// keys, we sealed ourselves. Costs no store command.
    pub fn open(&self, presented: &[u8]) -> Option<Issued> {
        let seal = if self.keys.is_some() { CLOSED_SEAL } else { OPEN_SEAL };
        if presented.len() != BASE64URL_NOPAD.encode_len(SECRET + seal) {
            return None;
        }
        // Nothing here is on the heap but what the token is bound to: every request comes this way.
        let mut bytes = Zeroizing::new([0; SECRET + CLOSED_SEAL]);
        let bytes = bytes.get_mut(..SECRET + seal)?;
        BASE64URL_NOPAD.decode_mut(presented, bytes).ok()?;
        let (secret, seal) = bytes.split_first_chunk::<SECRET>()?;
        let mut plain = [0; SEALED];
        let plain = match &self.keys {
            None => seal,
            Some(keys) => {
                let (sealed, mac) = seal.split_first_chunk::<SEALED>()?;
                let mac: [u8; CLOSED_SEAL - SEALED] = mac.try_into().ok()?;
                let bound_to = self.bound_to(secret);
                keys.keys.iter().find(|key| {
                    plain = *sealed;
                    let text = plain.as_mut_slice().into();
                    let (nonce, mac) = (nonce(secret), mac.into());
                    cipher(key).decrypt_inout_detached(&nonce, &bound_to, text, &mac).is_ok()
                })?;
                plain.as_slice()
            }
        };
        let (kind, rest) = plain.split_first()?;
        let (tag, rest) = rest.split_first_chunk::<TAG>()?;
        let generation = match rest {
            [] => Generation::default(),
            bytes => Generation(u32::from_be_bytes(bytes.try_into().ok()?)),
        };
        let tag = match kind {
            b'a' => Tag::Anonymous(*tag),
            b'u' => Tag::User(*tag),
            _ => return None,
        };
        // ASCII by the alphabet that was just decoded.
        let text = String::from_utf8(presented.to_vec()).ok()?;
        let token = Token(Zeroizing::new(text));
        Some(Issued { token, id: self.id(tag, secret), generation })
    }

    /// A mint whose operating system has no randomness left, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn without_randomness(self) -> Self {
        Self { randomness: |_| Err(NoRandomness("withheld by a test".into())), ..self }
    }

    fn id(&self, tag: Tag, secret: &[u8; SECRET]) -> SessionId {
        let parts: [&[u8]; 3] =
            [self.prefix.as_str().as_bytes(), self.cookie_name.as_bytes(), secret];
        // Without keys anybody can say what kind their token is of: of the other, it names nothing.
        let domain: &[u8] = match tag {
            Tag::Anonymous(_) => b"cloakroom/1 session",
            Tag::User(_) => b"cloakroom/1 user session",
        };
        SessionId { tag, hash: digest(domain, &parts) }
    }

    fn bound_to(&self, secret: &[u8; SECRET]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        for part in
            [SEAL_DOMAIN, self.prefix.as_str().as_bytes(), self.cookie_name.as_bytes(), secret]
        {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn cipher(key: &SecretKey) -> Aes256GcmSiv {
    Aes256GcmSiv::new((&*key.0).into())
}

/// The first 12 bytes of the secret: random, and every session has its own.
fn nonce(secret: &[u8; SECRET]) -> Nonce {
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&secret[..12]);
    nonce.into()
}

/// Bytes whose text has `N` characters, without the heap: every key of every call has two.
fn write_base64<const N: usize>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; N];
    BASE64URL_NOPAD.encode_mut(bytes, &mut text);
    // ASCII by the alphabet.
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// SHA-256 over parts that are each preceded by their length, so that no two lists of parts give
/// the same bytes.
fn digest(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&domain).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A schedule of the models is seen again only with the same ids.
#[cfg(shuttle)]
fn from_operating_system(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    use shuttle::rand::RngCore;
    shuttle::rand::thread_rng().fill_bytes(bytes);
    Ok(())
}

#[cfg(not(shuttle))]
#[expect(clippy::disallowed_methods, reason = "the one place where randomness enters")]
fn from_operating_system(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|error| NoRandomness(error.to_string()))
}
