//! The fields of a session: typed names, and the text in which their values are kept.
//!
//! Values are kept so that a person can read them in `redis-cli`, and any language can:
//!
//! | type | kept as |
//! |---|---|
//! | `String` | the text itself |
//! | integers up to 64 bits | decimal |
//! | `bool` | `true`, `false` |
//! | `Vec<u8>` | the bytes themselves |
//! | [`Json<T>`] | JSON |
//! | [`List<T>`] | a JSON array, one item a line |
//! | [`Sealed<T>`](crate::Sealed) | encrypted |
//!
//! The reader's type decides how a field is read. Application names are 1 to 64 bytes without
//! control characters and don't begin with `~`, which is reserved.
//!
//! ```
//! use cloakroom::{Field, FieldName};
//!
//! const VISITS: Field<u64> = Field::new("visits"); // a wrong name doesn't compile
//! assert_eq!(VISITS.name().as_str(), "visits");
//!
//! let tenant = Field::<String>::named(format!("tenant.{}", 7))?; // known at run time
//! assert_eq!(tenant.name().as_str(), "tenant.7");
//! assert!(Field::<String>::named("~user").is_err());
//! # Ok::<(), cloakroom::InvalidFieldName>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The name of a field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(Cow<'static, str>);

impl FieldName {
    /// A name known when the program is compiled; a wrong one doesn't compile in a constant.
    ///
    /// # Panics
    ///
    /// Outside a constant, if the name is wrong; [`FieldName::named`] returns an error instead.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            is_name(name.as_bytes()),
            "a field name takes 1 to 64 bytes without control characters, and can't begin with ~"
        );
        Self(Cow::Borrowed(name))
    }

    /// A name known when the program runs.
    pub fn named(name: impl Into<String>) -> Result<Self, InvalidFieldName> {
        let name = name.into();
        if is_name(name.as_bytes()) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(InvalidFieldName(name.chars().take(80).collect()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

// Lets a map of fields be asked with a `&str`.
impl std::borrow::Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

const fn is_name(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > 64 || name[0] == b'~' {
        return false;
    }
    let mut i = 0;
    while i < name.len() {
        if name[i] < 0x20 || name[i] == 0x7f {
            return false;
        }
        i += 1;
    }
    true
}

/// The text is no name of a field.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is no name of a field: it takes 1 to 64 bytes without control characters, and the first \
     is not ~, which is reserved"
)]
pub struct InvalidFieldName(String);

/// A field of a session: its name, and the type of its value.
pub struct Field<T> {
    name: FieldName,
    /// A field gives and takes a `T` and holds none, so it is `Send` and `Sync` whatever `T` is.
    of: PhantomData<fn(T) -> T>,
}

impl<T> Field<T> {
    /// A field named when the program is compiled: `const VISITS: Field<u64> = Field::new("visits")`.
    ///
    /// # Panics
    ///
    /// Outside a constant, if the name is wrong (see [`FieldName::new`]).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: FieldName::new(name), of: PhantomData }
    }

    /// A field named when the program runs.
    pub fn named(name: impl Into<String>) -> Result<Self, InvalidFieldName> {
        Ok(Self { name: FieldName::named(name)?, of: PhantomData })
    }

    /// Its name.
    pub fn name(&self) -> &FieldName {
        &self.name
    }
}

// Not derived, for that would ask the same of `T`.
impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?})", self.name)
    }
}

/// A value as it is kept. `Debug` shows its length alone: what visitors store is nobody's business
/// in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kept(pub Vec<u8>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Kept {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Whether a value can be read where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRest {
    /// By whoever reads the store.
    Open,
    /// By nobody without the key: see [`sealed`](crate::sealed).
    Sealed,
}

/// A type that a field can hold. Its text form is a contract with every other reader of the store:
/// what `encode` gives, `decode` takes back as an equal value.
pub trait Value: Sized {
    /// How it is kept; as it is, unless it is [`Sealed`](crate::Sealed).
    const AT_REST: AtRest = AtRest::Open;

    /// The value as it is kept.
    fn encode(&self) -> Result<Vec<u8>, NotEncodable>;

    /// The value that was kept, or that these bytes are none of this type.
    fn decode(kept: &[u8]) -> Result<Self, NotDecodable>;
}

/// The value has no text form: a JSON map whose keys are no strings, a `u64` above 2^63 − 1. The
/// message holds nothing of the value.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the value can't be kept: {why}")]
pub struct NotEncodable {
    why: &'static str,
}

impl NotEncodable {
    /// `why` completes "the value can't be kept:".
    pub const fn new(why: &'static str) -> Self {
        Self { why }
    }
}

/// What is kept is no value of the type asked for. The message holds nothing of the value.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("what is kept is not {expected}")]
pub struct NotDecodable {
    expected: &'static str,
}

impl NotDecodable {
    /// `expected` names what was expected: "a decimal number from 0 to 255".
    pub const fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

impl Value for String {
    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        Ok(self.as_bytes().to_vec())
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        let text = std::str::from_utf8(kept).map_err(|_| NotDecodable::new("text in UTF-8"))?;
        Ok(text.to_owned())
    }
}

impl Value for Vec<u8> {
    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        Ok(self.clone())
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        Ok(kept.to_vec())
    }
}

impl Value for bool {
    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        Ok(if *self { "true" } else { "false" }.into())
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        match kept {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(NotDecodable::new("true or false")),
        }
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl Value for $int {
            fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
                // A store counts in signed 64 bits; what it can't count, it doesn't get.
                let number = i64::try_from(*self);
                let number = number.map_err(|_| NotEncodable::new("it is above 2^63 - 1"))?;
                Ok(number.to_string().into_bytes())
            }

            fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
                decimal(kept)
                    .and_then(|number| number.try_into().ok())
                    .ok_or(NotDecodable::new(concat!("a decimal ", stringify!($int))))
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

/// A decimal number in its one form: `-?` and digits without leading zeros, as a store counts.
pub(crate) fn decimal(kept: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(kept).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == kept).then_some(number)
}

/// An integer that a store can count: `i64`, or `u64` from 0 to 2^63 − 1, which never falls
/// below 0.
pub trait Counter: Value + counter::Sealed {}

impl Counter for i64 {}
impl Counter for u64 {}

pub(crate) mod counter {
    pub trait Sealed {
        /// What it never falls below, if it is more than what 64 bits hold.
        const NEVER_BELOW_ZERO: bool;
    }
    impl Sealed for i64 {
        const NEVER_BELOW_ZERO: bool = false;
    }
    impl Sealed for u64 {
        const NEVER_BELOW_ZERO: bool = true;
    }
}

/// Any type that serde knows, kept as JSON.
///
/// ```
/// use cloakroom::{Field, Json, Value};
///
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Cart { items: Vec<u32> }
/// const CART: Field<Json<Cart>> = Field::new("cart");
///
/// let kept = Json(Cart { items: vec![3, 5] }).encode()?;
/// assert_eq!(kept, br#"{"items":[3,5]}"#);
/// assert!(Json::<Cart>::decode(b"{}").is_err());
/// # Ok::<(), cloakroom::NotEncodable>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        json(&self.0)
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        // The error of serde_json may quote the value, so it is not passed on.
        serde_json::from_slice(kept)
            .map(Self)
            .map_err(|_| NotDecodable::new(std::any::type_name::<T>()))
    }
}

/// A list that can be appended to in one step: a JSON array with each item on a line of its own,
/// so that a store can count and drop items without reading JSON. (An item that smuggles a line
/// break in, as serde_json's `RawValue` can, counts as two.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize + DeserializeOwned> Value for List<T> {
    fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        let mut kept = vec![b'['];
        for (i, item) in self.0.iter().enumerate() {
            if i > 0 {
                kept.extend_from_slice(b",\n");
            }
            kept.extend_from_slice(&list_item(item)?);
        }
        kept.push(b']');
        Ok(kept)
    }

    fn decode(kept: &[u8]) -> Result<Self, NotDecodable> {
        Json::decode(kept).map(|Json(items)| Self(items))
    }
}

/// One item of a [`List`]. Compact JSON has no line break in it: inside strings it is escaped.
pub(crate) fn list_item<T: Serialize>(item: &T) -> Result<Vec<u8>, NotEncodable> {
    json(item)
}

/// The error of serde_json may quote the value, so it is not passed on.
fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, NotEncodable> {
    serde_json::to_vec(value).map_err(|_| {
        NotEncodable::new("it has no JSON form, as a map has none whose keys are no strings")
    })
}
