//! How a visit comes to a token: a first write, a login, a rotation; and how it gives one up.

use std::borrow::Cow;
use std::time::Instant;

use super::{CookieChange, Desk, Head, Live, Standing, Visit, keep_for};
use crate::change::{Change, Fields, Rejection, Writes};
use crate::client::Client;
use crate::events::Event;
use crate::expiry::Lifetime;
use crate::meters::Kind;
use crate::outcome::{LogIn, Performed, SessionError};
use crate::store::{
    Create, Created, Ended, Happened, Login, Rotate, Rotated, SessionLimit, Snapshot, StoreError,
    User, Why,
};
use crate::token::{Issued, SessionId};

/// How a login differs from the settings.
pub(crate) struct LoginTerms {
    pub(crate) remembered: Option<Lifetime>,
    pub(crate) limit: Option<SessionLimit>,
    pub(crate) client: Option<Client>,
    pub(crate) fields: Fields,
}

impl Visit {
    pub(crate) async fn log_in(
        &self,
        user: &User,
        terms: LoginTerms,
    ) -> Result<LogIn, SessionError> {
        let _turn = self.turn.lock().await;
        let mut anothers = false;
        let (old, token) = {
            let mut state = self.used();
            state.before_a_new_token()?;
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(issued) => (Some(issued.id), self.shown(&state, issued)),
                Standing::Live(live) => {
                    anothers = live.snapshot.user.as_ref().is_some_and(|before| before != user);
                    (Some(live.id), None)
                }
                Standing::Unopened(_) | Standing::Newcomer => (None, None),
                Standing::Gone => {
                    // What waited was meant for the session that is gone.
                    state.drop_what_waits();
                    (None, None)
                }
            }
        };
        let settings = &self.desk.settings;
        let limit = terms.limit.or(settings.sessions_per_user);
        let login = Login { user, limit, client: terms.client.as_ref() };
        let lifetime = terms.remembered.unwrap_or(settings.lifetime);
        let remembered = terms.remembered.is_some();
        let issued = self.desk.mint.issue_for(user.as_str())?;
        let waiting = self.used().waiting.clone();
        let (writes, fields) = self.sealed_login(&issued.id, waiting.clone(), terms.fields)?;
        let done = match old {
            None => {
                let fields = self.fields_of_a_fresh_login(&writes, &fields)?;
                let new = Create {
                    id: &issued.id,
                    lifetime,
                    remembered,
                    fields: &fields,
                    login: Some(login),
                };
                self.create(Kind::LogIn, new).await?
            }
            Some(old) => {
                let why = Why::Login {
                    login,
                    lifetime,
                    remembered,
                    carried: &settings.carried_into_login,
                    fields: &fields,
                };
                let limits = &settings.limits;
                // What waited for another user's session stays here: should that have expired
                // meanwhile, the store would take it for a newcomer's.
                let nothing = Writes::new();
                let (new, writes) = (&issued.id, if anothers { &nothing } else { &writes });
                let rotate = Rotate { old: &old, new, writes, limits, why, token };
                let mut rotated = self.rotate_to(rotate).await?;
                if rotated == Rotated::Stolen {
                    self.stolen(&mut self.used(), old);
                    rotated = self.rotate_to(Rotate { token: None, ..rotate }).await?;
                }
                match rotated {
                    Rotated::Done(snapshot, pushed_out) => Some((snapshot, pushed_out)),
                    Rotated::Full => None,
                    Rotated::Refused(refusal) => return Err(refusal.into()),
                    Rotated::Unknown | Rotated::Ended | Rotated::Stolen | Rotated::Taken => {
                        return Err(SessionError::Ended);
                    }
                }
            }
        };
        let Some((snapshot, pushed_out)) = done else {
            tracing::info!(event = "limit_reached", "a login found the user's sessions full");
            self.desk.tell(|| Event::LimitReached { user: user.clone() });
            return Ok(LogIn::Full);
        };
        self.desk.meters.created_by_login.increment(1);
        self.desk.meters.pushed_out.increment(pushed_out.len() as u64);
        tracing::info!(event = "logged_in", session = %issued.id, "logged in");
        let (user, session) = (user.clone(), issued.id);
        self.desk.tell(|| Event::LoggedIn { user, session, instead_of: old, pushed_out });
        self.moved_in(issued, old.as_ref(), snapshot, &waiting)?;
        Ok(LogIn::Done)
    }

    /// What a login keeps that comes without a session: as if the waiting writes had made an
    /// anonymous one first.
    fn fields_of_a_fresh_login(
        &self,
        writes: &Writes,
        fields: &Fields,
    ) -> Result<Fields, SessionError> {
        let settings = &self.desk.settings;
        let carried = writes
            .iter()
            .filter(|(field, _)| settings.carried_into_login.contains(field))
            .map(|(field, value)| (field.clone(), value.clone()));
        let set = fields.iter().map(|(field, value)| (field.clone(), Some(value.clone())));
        let change = Change { writes: carried.chain(set).collect(), operation: None };
        match change.apply(&Fields::new(), &settings.limits) {
            Ok((fields, _)) => Ok(fields),
            Err(Rejection::Refused(refusal)) => Err(refusal.into()),
            // Plain writes expect nothing.
            Err(Rejection::Conflict(_)) => Err(SessionError::Ended),
        }
    }

    pub(crate) async fn rotate(&self) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let (old, token, first) = {
            let mut state = self.used();
            state.before_a_new_token()?;
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(issued) => (issued.id, self.shown(&state, issued), !state.met),
                Standing::Live(live) => (live.id, None, false),
                Standing::Unopened(_) | Standing::Newcomer => return Ok(()),
                Standing::Gone => return Err(SessionError::Ended),
            }
        };
        let issued = self.desk.mint.issue(old.tag())?;
        let waiting = self.used().waiting.clone();
        let (writes, _) = self.sealed_login(&issued.id, waiting.clone(), Fields::new())?;
        let limits = &self.desk.settings.limits;
        let (new, why) = (&issued.id, Why::Renewal);
        let rotate = Rotate { old: &old, new, writes: &writes, limits, why, token };
        match self.rotate_to(rotate).await? {
            Rotated::Done(snapshot, _) => {
                tracing::info!(event = "rotated", session = %issued.id, was = %old, "rotated");
                self.desk.tell(|| Event::Rotated { old, new: issued.id });
                self.moved_in(issued, Some(&old), snapshot, &waiting)
            }
            Rotated::Refused(refusal) => {
                self.used().met = true;
                Err(refusal.into())
            }
            Rotated::Unknown if first => {
                self.unknown(&mut self.used(), old);
                Ok(())
            }
            Rotated::Stolen => {
                self.stolen(&mut self.used(), old);
                Err(SessionError::Ended)
            }
            Rotated::Unknown | Rotated::Ended => {
                self.met_ended(&mut self.used(), old);
                Err(SessionError::Ended)
            }
            // Of a login, and of 256 random bits that met themselves.
            Rotated::Full | Rotated::Taken => {
                self.used().standing = Standing::Gone;
                Err(SessionError::Ended)
            }
        }
    }

    pub(crate) async fn log_out(&self) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let (id, first) = {
            let mut state = self.used();
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(issued) => (issued.id, !state.met),
                Standing::Live(live) => (live.id, false),
                // Logging out nobody makes nothing and clears nothing.
                Standing::Unopened(_) | Standing::Newcomer | Standing::Gone => {
                    state.drop_what_waits();
                    return Ok(());
                }
            }
        };
        let ended = self.ask(Kind::LogOut, Some(&id), |store, p| store.end(&id, p)).await?;
        let mut state = self.used();
        state.drop_what_waits();
        match ended {
            Ended::Now => {
                tracing::info!(event = "logged_out", session = %id, "logged out");
                self.desk.meters.logged_out.increment(1);
                self.desk.tell(|| Event::LoggedOut { session: id });
                state.cookie = CookieChange::Remove;
                state.standing = Standing::Newcomer;
            }
            Ended::Unknown if first => self.unknown(&mut state, id),
            // Somebody else ended it, and may have handed this browser another token since: its
            // cookie is not ours to remove.
            Ended::Before | Ended::Unknown => self.met_ended(&mut state, id),
        }
        Ok(())
    }

    pub(super) async fn create_with(&self, change: &Change) -> Result<Performed, SessionError> {
        let settings = &self.desk.settings;
        let (fields, answer) = match change.apply(&Fields::new(), &settings.limits) {
            Ok(made) => made,
            Err(Rejection::Conflict(kept)) => return Ok(Performed::Conflict(kept)),
            Err(Rejection::Refused(refusal)) => return Err(refusal.into()),
        };
        if fields.is_empty() {
            // Removing what never was makes no session.
            self.used().sent(&change.writes);
            return Ok(Performed::Done(answer));
        }
        self.desk.may_create()?;
        let issued = self.desk.mint.issue_anonymous()?;
        let fields = match self.sealed(&issued.id, change)? {
            Cow::Borrowed(_) => fields,
            // What is sealed is as long as what stood in for it, so this is allowed as well.
            Cow::Owned(sealed) => match sealed.apply(&Fields::new(), &settings.limits) {
                Ok((fields, _)) => fields,
                Err(_) => return Err(SessionError::Ended),
            },
        };
        let lifetime = settings.anonymous;
        let new =
            Create { id: &issued.id, lifetime, remembered: false, fields: &fields, login: None };
        let Some((snapshot, _)) = self.create(Kind::Write, new).await? else {
            // Only a login can find a limit of sessions.
            return Err(SessionError::Ended);
        };
        tracing::info!(event = "created", session = %issued.id, "an anonymous session was made");
        self.desk.meters.created_anonymous.increment(1);
        self.desk.tell(|| Event::Created { session: issued.id });
        self.moved_in(issued, None, snapshot, &change.writes)?;
        Ok(Performed::Done(answer))
    }

    /// `None` if the user has as many sessions as allowed.
    async fn create(
        &self,
        kind: Kind,
        new: Create<'_>,
    ) -> Result<Option<(Snapshot, Vec<SessionId>)>, SessionError> {
        let mut untold = Untold::of(&self.desk, *new.id);
        let created = self.ask(kind, Some(new.id), |store, p| store.create(new, p)).await;
        untold.settle(&created);
        match created? {
            Created::Done(snapshot, pushed_out) => Ok(Some((snapshot, pushed_out))),
            Created::Full => Ok(None),
            // 256 random bits met themselves: rather than to guess why, refuse.
            Created::Taken => Err(SessionError::Ended),
        }
    }

    async fn rotate_to(&self, rotate: Rotate<'_>) -> Result<Rotated, SessionError> {
        let mut untold = Untold::of(&self.desk, *rotate.new);
        let kind = match rotate.why {
            Why::Renewal => Kind::Rotate,
            Why::Login { .. } => Kind::LogIn,
        };
        let rotated = self.ask(kind, Some(rotate.old), |store, p| store.rotate(rotate, p)).await;
        untold.settle(&rotated);
        rotated
    }

    /// The browser's session is this one now, and its token goes out with the next head. Where the
    /// request was given up meanwhile, no head will tell of it.
    fn moved_in(
        &self,
        issued: Issued,
        instead_of: Option<&SessionId>,
        snapshot: Snapshot,
        sent: &Writes,
    ) -> Result<(), SessionError> {
        let mut state = self.used();
        if state.head == Head::Left {
            state.standing = Standing::Gone;
            self.desk.abandon(issued.id);
        }
        state.before_a_new_token()?;
        if let Err(another) = self.vouched(&mut state, &issued.id, &snapshot) {
            self.desk.abandon(issued.id);
            return Err(another);
        }
        let keep_for = keep_for(&snapshot);
        let Issued { token, id, .. } = issued;
        state.cookie = CookieChange::HandOut { token, id, keep_for };
        state.sent(sent);
        if let Some(old) = instead_of {
            self.seal_anew(&mut state, old, &snapshot);
        }
        state.standing = Standing::Live(Box::new(Live { id, snapshot, arrived: Instant::now() }));
        Ok(())
    }
}

/// A new session that nobody was told of: ended when it is dropped, as it is when the request is
/// cancelled while its answer is on the way.
struct Untold<'a> {
    desk: &'a Desk,
    id: Option<SessionId>,
}

impl<'a> Untold<'a> {
    fn of(desk: &'a Desk, id: SessionId) -> Self {
        Self { desk, id: Some(id) }
    }

    /// The answer is here; only when it leaves open whether the session was made, it is ended.
    fn settle<T>(&mut self, answer: &Result<T, SessionError>) {
        let open = matches!(
            answer,
            Err(SessionError::Unavailable(StoreError { happened: Happened::Perhaps, .. }))
        );
        if !open {
            self.id = None;
        }
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.desk.abandon(id);
        }
    }
}
