//! What a request does to the fields of a session: operations, not values, so that two requests
//! never overwrite each other's work.
//!
//! A [`Change`] is the writes that waited (set and remove, which can't conflict) and at most one
//! operation that answers; it is applied whole or not at all, the writes first, as they were
//! written first. [`Change::apply`] is its meaning; the scripts of the Redis store say the same in
//! Lua, and the conformance suite compares.

use std::collections::BTreeMap;

use crate::field::{FieldName, Kept, decimal};

/// The application's fields of a session, as they are kept.
pub type Fields = BTreeMap<FieldName, Kept>;

/// The plain writes of a change: `Some` sets a field, `None` removes it.
pub type Writes = BTreeMap<FieldName, Option<Kept>>;

/// What is done to a session in one step. An empty change is a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Done first.
    pub writes: Writes,
    /// Done then; its answer is that of the change.
    pub operation: Option<Operation>,
}

/// An operation on one field that depends on what is kept there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds `by` to a counter, which begins at 0. Answers the new number.
    Increment {
        /// The counter.
        field: FieldName,
        /// What is added.
        by: i64,
        /// Refuse to let it fall below 0.
        never_below_zero: bool,
    },
    /// Sets the field to `new` if it holds exactly `expected` (`None`: if it is absent).
    CompareAndSet {
        /// The field.
        field: FieldName,
        /// What it must hold.
        expected: Option<Kept>,
        /// What it holds then.
        new: Kept,
    },
    /// Reads the field and removes it: of many takers, one gets it. Answers what it held.
    Take {
        /// The field.
        field: FieldName,
    },
    /// Appends a JSON text without line breaks to a [`List`](crate::List), which begins empty, and
    /// drops the oldest items so that at most `keep` stay.
    Append {
        /// The list.
        field: FieldName,
        /// The item.
        item: Kept,
        /// How many items stay, the newest; at least 1.
        keep: u32,
    },
}

impl Operation {
    /// The field that it is about.
    pub fn field(&self) -> &FieldName {
        match self {
            Self::Increment { field, .. }
            | Self::CompareAndSet { field, .. }
            | Self::Take { field }
            | Self::Append { field, .. } => field,
        }
    }
}

/// What a session may hold. More is refused before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields per session; above [`Limits::FIELDS_AT_MOST`] it counts as that.
    pub fields: u32,
    /// Bytes per value.
    pub value_bytes: u32,
    /// Bytes of all names and values of a session.
    pub session_bytes: u32,
}

impl Limits {
    /// How many fields the layout of a session takes.
    pub const FIELDS_AT_MOST: u32 = 1_024;
}

/// Why a change was not applied, though the session is there. Nothing of it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// The field does not hold what was expected, but this.
    Conflict(Option<Kept>),
    /// It is not allowed.
    Refused(Refusal),
}

/// Which limit a change would break, or which value it can't work on. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More fields than [`Limits::fields`].
    #[error("the session would hold more than {limit} fields")]
    TooManyFields {
        /// How many are allowed.
        limit: u32,
    },
    /// A value longer than [`Limits::value_bytes`].
    #[error("the value of {field} would be longer than {limit} bytes")]
    ValueTooLarge {
        /// The field.
        field: FieldName,
        /// How many bytes are allowed.
        limit: u32,
    },
    /// More bytes than [`Limits::session_bytes`].
    #[error("the session would be larger than {limit} bytes")]
    SessionTooLarge {
        /// How many bytes are allowed.
        limit: u32,
    },
    /// What is kept under a counter is no decimal number of 64 bits.
    #[error("{field} can't be counted: it holds no decimal number of 64 bits")]
    NotANumber {
        /// The field.
        field: FieldName,
    },
    /// The counter would leave its range.
    #[error("{field} can't be counted further: it would leave its range")]
    OutOfRange {
        /// The field.
        field: FieldName,
    },
    /// What is kept is no JSON array.
    #[error("nothing can be appended to {field}: it holds no list")]
    NotAList {
        /// The field.
        field: FieldName,
    },
}

impl Change {
    /// A change that only reads.
    pub fn read() -> Self {
        Self::default()
    }

    /// A change of one operation.
    pub fn of(operation: Operation) -> Self {
        Self { writes: Writes::new(), operation: Some(operation) }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        self.writes.is_empty() && self.operation.is_none()
    }

    /// What `fields` become, and what the operation answers; or why neither happens.
    pub fn apply(
        &self,
        fields: &Fields,
        limits: &Limits,
    ) -> Result<(Fields, Option<Kept>), Rejection> {
        let before = Size::of(fields);
        let mut fields = fields.clone();
        for (field, value) in &self.writes {
            match value {
                Some(value) => fields.insert(field.clone(), value.clone()),
                None => fields.remove(field),
            };
        }
        let answer = match &self.operation {
            None => None,
            Some(operation) => operation.apply(&mut fields)?,
        };
        if !self.is_read() {
            self.check(before, &fields, limits).map_err(Rejection::Refused)?;
        }
        Ok((fields, answer))
    }

    /// Refuses what this change adds, and nothing else: a limit that was lowered later does not lock
    /// up what is already there.
    fn check(&self, before: Size, fields: &Fields, limits: &Limits) -> Result<(), Refusal> {
        let written = self.writes.keys().chain(self.operation.as_ref().map(Operation::field));
        for field in written {
            let length = fields.get(field).map_or(0, |kept| kept.len());
            if length > limits.value_bytes as usize {
                let limit = limits.value_bytes;
                return Err(Refusal::ValueTooLarge { field: field.clone(), limit });
            }
        }
        let after = Size::of(fields);
        if after.fields > before.fields.max(limits.fields as usize) {
            return Err(Refusal::TooManyFields { limit: limits.fields });
        }
        if after.bytes > before.bytes.max(limits.session_bytes as usize) {
            return Err(Refusal::SessionTooLarge { limit: limits.session_bytes });
        }
        Ok(())
    }
}

/// How much a session holds.
#[derive(Clone, Copy)]
struct Size {
    fields: usize,
    bytes: usize,
}

impl Size {
    fn of(fields: &Fields) -> Self {
        let bytes = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        Self { fields: fields.len(), bytes }
    }
}

impl Operation {
    fn apply(&self, fields: &mut Fields) -> Result<Option<Kept>, Rejection> {
        match self {
            Self::Increment { field, by, never_below_zero } => {
                let before = match fields.get(field) {
                    None => 0,
                    Some(kept) => decimal(kept)
                        .ok_or_else(|| Refusal::NotANumber { field: field.clone() })
                        .map_err(Rejection::Refused)?,
                };
                let after = before
                    .checked_add(*by)
                    .filter(|after| !never_below_zero || *after >= 0)
                    .ok_or_else(|| Refusal::OutOfRange { field: field.clone() })
                    .map_err(Rejection::Refused)?;
                let after = Kept(after.to_string().into_bytes());
                fields.insert(field.clone(), after.clone());
                Ok(Some(after))
            }
            Self::CompareAndSet { field, expected, new } => {
                let kept = fields.get(field);
                if kept != expected.as_ref() {
                    return Err(Rejection::Conflict(kept.cloned()));
                }
                fields.insert(field.clone(), new.clone());
                Ok(None)
            }
            Self::Take { field } => Ok(fields.remove(field)),
            Self::Append { field, item, keep } => {
                let kept = fields.get(field).map_or(&b"[]"[..], |kept| kept);
                let list = appended(kept, item, *keep)
                    .ok_or_else(|| Refusal::NotAList { field: field.clone() })
                    .map_err(Rejection::Refused)?;
                fields.insert(field.clone(), list.into());
                Ok(None)
            }
        }
    }
}

/// Splices bytes; no JSON is read. Items are parted by a comma and a line break, as [`List`] writes
/// them; an array that another program wrote on one line counts as one item.
///
/// [`List`]: crate::List
fn appended(list: &[u8], item: &[u8], keep: u32) -> Option<Vec<u8>> {
    let mut rest = list.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut items = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b",\n") {
        items.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    if !rest.trim_ascii().is_empty() {
        items.push(rest);
    }
    items.push(item);
    let newest = &items[items.len().saturating_sub(keep.max(1) as usize)..];
    Some([b"[".as_slice(), &newest.join(b",\n".as_slice()), b"]"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_keeps_the_newest_items_and_stays_json() {
        for (list, item, keep, spliced) in [
            ("[]", "1", 3, "[1]"),
            ("[1]", "2", 3, "[1,\n2]"),
            ("[1,\n2,\n3]", "4", 3, "[2,\n3,\n4]"),
            ("[\"a,\\n\",\n2]", "3", 2, "[2,\n3]"),
            ("[1,2]", "3", 9, "[1,2,\n3]"),
            ("[1,\n2,\n3]", "4", 1, "[4]"),
            ("[\n  1,\n  2\n]", "3", 9, "[\n  1,\n  2\n,\n3]"),
            ("[ ]", "1", 9, "[1]"),
        ] {
            let result = appended(list.as_bytes(), item.as_bytes(), keep).unwrap();
            assert_eq!(String::from_utf8_lossy(&result), spliced);
        }
        for no_list in ["", "[", "]", "{}", "null", "1"] {
            assert!(appended(no_list.as_bytes(), b"1", 9).is_none(), "{no_list}");
        }
    }
}
