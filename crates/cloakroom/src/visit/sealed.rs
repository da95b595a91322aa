//! What a request seals and opens. A value is sealed when it leaves, for only then it is known for
//! which session; until then something else stands in for it among the writes, which is as long and
//! opens nowhere.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Standing, State, Visit};
use crate::change::{Change, Fields, Operation, Writes};
use crate::events::Event;
use crate::field::{FieldName, Kept};
use crate::outcome::SessionError;
use crate::sealed::{FieldKeys, sealed_length};
use crate::store::Snapshot;
use crate::token::SessionId;

/// What a stand-in begins with; then comes which one it is, filled up with dots.
const STANDS_IN: &[u8] = b"sealed:0:";

/// What a request remembers of sealed fields. Few have any, so it is made when it is needed.
#[derive(Default)]
pub(super) struct Seals {
    /// What the stand-ins stand for, by their numbers.
    hidden: Vec<(FieldName, Kept)>,
    /// The writes that wait to seal anew what a session kept whose id changed.
    moved: Writes,
    /// The fields that were told not to open.
    told_broken: BTreeSet<FieldName>,
}

impl State {
    fn seals(&mut self) -> &mut Seals {
        self.seals.get_or_insert_default()
    }

    fn hide(&mut self, field: &FieldName, plain: Kept) -> Kept {
        let hidden = &mut self.seals().hidden;
        let mut stand_in = [STANDS_IN, hidden.len().to_string().as_bytes()].concat();
        stand_in.resize(sealed_length(plain.len()), b'.');
        hidden.push((field.clone(), plain));
        Kept(stand_in)
    }

    /// What waited to be sealed anew, and does not any more.
    pub(super) fn take_moved(&mut self) -> Writes {
        self.seals.as_mut().map(|seals| std::mem::take(&mut seals.moved)).unwrap_or_default()
    }

    /// These have been sealed anew, or overwritten.
    pub(super) fn have_moved(&mut self, writes: &Writes) {
        if let Some(seals) = &mut self.seals {
            seals.moved.retain(|field, _| !writes.contains_key(field));
        }
    }

    /// What this stands in for.
    fn hidden(&self, field: &FieldName, kept: &Kept) -> Option<&Kept> {
        let number = kept.strip_prefix(STANDS_IN)?.split(|byte| *byte == b'.').next()?;
        let number: usize = std::str::from_utf8(number).ok()?.parse().ok()?;
        let (of, plain) = self.seals.as_ref()?.hidden.get(number)?;
        (of == field).then_some(plain)
    }
}

impl Visit {
    /// What stands in for a value until it leaves.
    pub(crate) fn hide(&self, field: &FieldName, plain: Kept) -> Result<Kept, SessionError> {
        self.field_keys(field)?;
        Ok(self.state().hide(field, plain))
    }

    /// The value in a sealed field; what doesn't open is nothing, and told.
    pub(crate) fn reveal(
        &self,
        field: &FieldName,
        kept: Option<Kept>,
    ) -> Result<Option<Kept>, SessionError> {
        let keys = self.field_keys(field)?;
        let Some(kept) = kept else { return Ok(None) };
        let mut state = self.state();
        if let Some(plain) = state.hidden(field, &kept) {
            return Ok(Some(plain.clone()));
        }
        let id = match &state.standing {
            Standing::Presented(issued) => issued.id,
            Standing::Live(live) => live.id,
            Standing::Unopened(_) | Standing::Newcomer | Standing::Gone => return Ok(None),
        };
        let plain = keys.open(&id, field, &kept);
        if plain.is_none() && state.seals().told_broken.insert(field.clone()) {
            tracing::warn!(
                event = "seal_broken",
                session = %id,
                field = field.as_str(),
                "a sealed field did not open and counts as absent: was it changed or moved in the \
                 store, or is its key gone?"
            );
            self.desk.tell(|| Event::SealBroken { session: id, field: field.clone() });
        }
        Ok(plain)
    }

    /// The change as it leaves for that session.
    pub(super) fn sealed<'c>(
        &self,
        id: &SessionId,
        change: &'c Change,
    ) -> Result<Cow<'c, Change>, SessionError> {
        let state = self.state();
        if state.seals.as_ref().is_none_or(|seals| seals.hidden.is_empty()) {
            return Ok(Cow::Borrowed(change));
        }
        let mut sealing = self.sealing(&state, id);
        let mut change = change.clone();
        for (field, value) in &mut change.writes {
            if let Some(value) = value {
                sealing.seal(field, value)?;
            }
        }
        if let Some(Operation::CompareAndSet { field, expected, new }) = &mut change.operation {
            if let Some(expected) = expected {
                sealing.seal(field, expected)?;
            }
            sealing.seal(field, new)?;
        }
        Ok(Cow::Owned(change))
    }

    /// The same for writes, and for fields that a login sets.
    pub(super) fn sealed_login(
        &self,
        id: &SessionId,
        mut writes: Writes,
        mut fields: Fields,
    ) -> Result<(Writes, Fields), SessionError> {
        let state = self.state();
        let mut sealing = self.sealing(&state, id);
        for (field, value) in &mut writes {
            if let Some(value) = value {
                sealing.seal(field, value)?;
            }
        }
        for (field, value) in &mut fields {
            sealing.seal(field, value)?;
        }
        Ok((writes, fields))
    }

    /// What a session kept that has a new id now is to be sealed for that, before the head leaves.
    pub(super) fn seal_anew(&self, state: &mut State, old: &SessionId, snapshot: &Snapshot) {
        let Some(keys) = &self.desk.settings.field_keys else { return };
        for (field, kept) in &snapshot.fields {
            let Some(plain) = keys.open(old, field, kept) else { continue };
            let stand_in = state.hide(field, plain);
            state.seals().moved.insert(field.clone(), Some(stand_in.clone()));
            state.waiting.entry(field.clone()).or_insert(Some(stand_in));
        }
    }

    fn sealing<'s>(&'s self, state: &'s State, id: &'s SessionId) -> Sealing<'s> {
        Sealing { visit: self, state, id, done: Vec::new() }
    }

    fn field_keys(&self, field: &FieldName) -> Result<&FieldKeys, SessionError> {
        let keys = self.desk.settings.field_keys.as_ref();
        keys.ok_or_else(|| SessionError::NoFieldKeys { field: field.clone() })
    }
}

/// Seals what leaves together. What stands there twice is sealed once, so that it is still the same.
struct Sealing<'s> {
    visit: &'s Visit,
    state: &'s State,
    id: &'s SessionId,
    done: Vec<(Kept, Kept)>,
}

impl Sealing<'_> {
    fn seal(&mut self, field: &FieldName, value: &mut Kept) -> Result<(), SessionError> {
        let Some(plain) = self.state.hidden(field, value) else { return Ok(()) };
        if let Some((_, sealed)) = self.done.iter().find(|(stand_in, _)| stand_in == value) {
            *value = sealed.clone();
            return Ok(());
        }
        let keys = self.visit.field_keys(field)?;
        let sealed = keys.seal(&self.visit.desk.mint, (self.id, field), plain)?;
        let stand_in = std::mem::replace(value, sealed.clone());
        self.done.push((stand_in, sealed));
        Ok(())
    }
}
