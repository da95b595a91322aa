//! `cloakroom sessions count`: a user's index says it at once; for all of them, the store is walked
//! over.

use std::collections::HashSet;

use cloakroom::records::Records;
use cloakroom::{Tag, User};
use serde_json::json;

use super::Found;
use super::place::{PATIENCE, failed};
use super::walk::Walk;
use super::write::{self, Form, number_of, say};
use crate::store::Problem;

pub(super) async fn of_user(
    store: &dyn Records,
    user: &User,
    form: Form,
) -> Result<Found, Problem> {
    let count = store.count_of(user, PATIENCE).await.map_err(failed)?;
    match form {
        Form::Json => say(json!({ "user": user.as_str(), "sessions": count })),
        Form::Text => {
            say(format_args!("{}: {}", write::harmless(user.as_str()), number_of(count)));
        }
    }
    Ok(if count > 0 { Found::Something } else { Found::Nothing })
}

/// How many there are of each kind.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) logged_in: u64,
    pub(super) users: u64,
    pub(super) anonymous: u64,
}

impl Counted {
    pub(super) fn all(&self) -> u64 {
        self.logged_in + self.anonymous
    }

    pub(super) fn in_words(&self) -> String {
        let Self { logged_in, users, anonymous } = self;
        let s = if *users == 1 { "" } else { "s" };
        format!("{}: {logged_in} of {users} user{s}, {anonymous} anonymous", number_of(self.all()))
    }

    pub(super) fn of<'a>(tags: impl Iterator<Item = &'a Tag>) -> Self {
        let mut counted = Self::default();
        let mut users = HashSet::new();
        for tag in tags {
            match tag {
                Tag::Anonymous(_) => counted.anonymous += 1,
                Tag::User(_) => {
                    counted.logged_in += 1;
                    users.insert(*tag);
                }
            }
        }
        counted.users = users.len() as u64;
        counted
    }
}

/// Holds every id, some 60 bytes each, because a walk may meet a session twice.
pub(super) async fn all(store: &dyn Records) -> Result<Counted, Problem> {
    let mut met = HashSet::new();
    let mut walk = Walk::over(store);
    while let Some(sessions) = walk.page().await? {
        met.extend(sessions.iter().map(|session| session.id));
    }
    let tags: Vec<Tag> = met.iter().map(cloakroom::SessionId::tag).collect();
    Ok(Counted::of(tags.iter()))
}

pub(super) async fn of_all(store: &dyn Records, form: Form) -> Result<Found, Problem> {
    let counted = all(store).await?;
    match form {
        Form::Json => say(json!({
            "sessions": counted.all(),
            "logged_in": counted.logged_in,
            "users": counted.users,
            "anonymous": counted.anonymous,
        })),
        Form::Text => say(counted.in_words()),
    }
    Ok(if counted.all() > 0 { Found::Something } else { Found::Nothing })
}
