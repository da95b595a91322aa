//! The same for what concerns all sessions of a user.

use std::iter::once;

use cloakroom::store::{Cursor, EndOf, EndedOf, Listed, Page, Which};
use cloakroom::{Client, Life, Prefix, SessionId, Tag, Timestamp, User};
use redis::Value;

use super::{Call, Garbled, Reply, Words};
use crate::keys::{self, Key};
use crate::scripts;

/// A page of entries of a sorted set of sessions: the user's index, or what has left it.
pub(crate) fn list(key: Key<'_>, after: Option<Cursor>, at_most: u32) -> Call {
    let mut call = Call::of(&scripts::LIST, once(key));
    call.number(at_most);
    if let Some(Cursor { until, id }) = after {
        call.number(until.as_millis());
        call.text(&id.hash());
    }
    call
}

/// How many sessions a user has.
pub(crate) fn count(prefix: &Prefix, tag: Tag) -> Call {
    Call::of(&scripts::COUNT, once(keys::index_of(prefix, tag)))
}

/// What these sessions say of themselves.
pub(crate) fn look(prefix: &Prefix, user: &User, tag: Tag, ids: &[SessionId]) -> Call {
    let sessions = ids.iter().map(|id| keys::session(prefix, id));
    let keys = once(keys::index_of(prefix, tag)).chain(sessions);
    let mut call = Call::of(&scripts::LOOK, keys);
    call.text(user.as_str());
    call
}

pub(crate) fn end_of(prefix: &Prefix, tag: Tag, end: &EndOf<'_>) -> Call {
    let (which, meant) = match end.which {
        Which::One(id) => ("one", Some(id)),
        Which::AllBut(id) if id.tag() == tag => ("all-but", Some(id)),
        Which::All | Which::AllBut(_) => ("all", None),
    };
    let sessions = end.asked_by.into_iter().chain(meant).map(|id| keys::session(prefix, id));
    let keys = [keys::index_of(prefix, tag), keys::ended_of(prefix, tag)].into_iter();
    let mut call = Call::of(&scripts::END_OF, keys.chain(sessions));
    call.lasting = true;
    call.text(which);
    call.text(if end.asked_by.is_some() { "by-session" } else { "by-nobody" });
    call
}

pub(crate) fn tidy(prefix: &Prefix, tag: Tag, ids: &[SessionId]) -> Call {
    let sessions = ids.iter().map(|id| keys::session(prefix, id));
    let keys = [keys::index_of(prefix, tag), keys::ended_of(prefix, tag)].into_iter();
    Call::of(&scripts::TIDY, keys.chain(sessions))
}

/// A page without what its sessions say, and their ids.
pub(crate) fn listed(tag: Tag, value: Value) -> Result<(Page, Vec<SessionId>), Garbled> {
    let mut words = Words::of(value)?;
    let now = words.time()?;
    let more = words.text()? == "1";
    let (mut ids, mut last) = (Vec::new(), None);
    while let Some(hash) = words.next() {
        let hash = hash.and_then(|hash| String::from_utf8(hash).ok());
        let until = words.time()?;
        // What is no id is nothing that we wrote.
        if let Some(id) = hash.and_then(|hash| SessionId::parse(tag, &hash)) {
            last = Some(Cursor { until, id });
            ids.push(id);
        }
    }
    let next = last.filter(|_| more);
    Ok((Page { sessions: Vec::new(), next, now }, ids))
}

pub(crate) fn counted(value: Value) -> Result<u64, Garbled> {
    Words::of(Value::Array(vec![value]))?.number()
}

/// What those of `ids` say that are alive.
pub(crate) fn looked(ids: &[SessionId], value: Value) -> Result<Vec<Listed>, Garbled> {
    let mut words = Words::of(value)?;
    let now = words.time()?;
    let mut sessions = Vec::new();
    for id in ids {
        let (life, expires_at, client) = (words.text()?, words.text()?, words.text()?);
        // What has no life of ours is no session; who uses it next removes it.
        let Ok(life) = life.parse::<Life>() else { continue };
        let Ok(expires_at) = expires_at.parse() else { return Err(Garbled("no time")) };
        let expires_at = Timestamp::from_millis(expires_at);
        if now < expires_at && now < life.deadline() {
            let client = (!client.is_empty()).then(|| Client::from_text(&client));
            sessions.push(Listed { id: *id, life, expires_at, client });
        }
    }
    Ok(sessions)
}

pub(crate) fn ended_of(value: Value) -> Result<Reply<EndedOf>, Garbled> {
    let mut words = Words::of(value)?;
    let outcome = words.outcome()?;
    Ok(match &*outcome {
        b"done" => EndedOf::Done(words.number()?).into(),
        _ => words.gone(&outcome, EndedOf::Unknown, EndedOf::Ended)?,
    })
}
