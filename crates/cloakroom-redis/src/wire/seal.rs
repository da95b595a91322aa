//! A login across slots: the look for room and the seal. Its second step is a `create`.

use cloakroom::change::Fields;
use cloakroom::store::{Login, Rotate};
use cloakroom::{FieldName, Kept, Limits, Prefix, Refusal, SessionId};
use redis::Value;

use super::{Call, Garbled, Words, keys_of};
use crate::scripts;

/// Whether there is room for a login, for where it can't be looked for in the same step as the end of
/// the old session.
pub(crate) fn room(prefix: &Prefix, new: &SessionId, login: &Login<'_>) -> Call {
    let mut call = Call::of(&scripts::ROOM, keys_of(prefix, new));
    call.login(login);
    call
}

/// The first of the two steps of a login across slots; the second is a [`create`].
pub(crate) fn seal(
    prefix: &Prefix,
    rotate: &Rotate<'_>,
    carried: &[FieldName],
    fields: &Fields,
) -> Call {
    let mut call = Call::of(&scripts::SEAL, keys_of(prefix, rotate.old));
    call.lasting = true;
    call.token(rotate.token);
    call.limits(rotate.limits);
    call.writes(rotate.writes);
    call.list(carried.iter().map(|field| field.as_str().as_bytes()));
    call.fields(fields);
    call
}

/// What became of the old session.
pub(crate) enum Sealed {
    /// It is ended; this goes along.
    Done(Fields),
    /// As it was.
    Refused(Refusal),
    /// It is ended, for its token was stolen. Nothing goes along.
    Stolen,
}

pub(crate) fn sealed(limits: &Limits, value: Value) -> Result<Sealed, Garbled> {
    let mut words = Words::of(value)?;
    Ok(match &*words.outcome()? {
        b"sealed" => Sealed::Done(words.fields()?),
        b"refused" => Sealed::Refused(words.refusal(limits)?),
        b"stolen" => Sealed::Stolen,
        _ => return Err(Garbled("an outcome that seal does not have")),
    })
}

pub(crate) fn has_room(value: Value) -> Result<bool, Garbled> {
    match &*Words::of(value)?.outcome()? {
        b"room" => Ok(true),
        b"full" => Ok(false),
        _ => Err(Garbled("an outcome that room does not have")),
    }
}

impl Words {
    /// Names and values, to the end.
    fn fields(&mut self) -> Result<Fields, Garbled> {
        let mut fields = Fields::new();
        while let Some(name) = self.next() {
            let name = name.ok_or(Garbled("a field without a name"))?;
            let value = self.bytes()?;
            // A name that no application of ours can have written is not handed to one.
            let name = String::from_utf8(name).ok().and_then(|n| FieldName::named(n).ok());
            if let Some(name) = name {
                fields.insert(name, Kept(value));
            }
        }
        Ok(fields)
    }
}
