//! What one request knows of its session, and the one gate through which it changes it.
//!
//! All clones of a [`Session`](crate::Session) share a visit. It begins with what the cookie held
//! and learns the rest at the first operation:
//!
//! ```text
//! Unopened ─┬─> Newcomer ──(first write)──> Live ──(ended, expired)──> Gone
//!           └─> Presented ─┬─> Live                                     ^
//!                          ├─> Newcomer (the store knows nothing of it) │
//!                          └─────────────────────(ended)────────────────┘
//! ```
//!
//! 1. Nothing is asked of the store before the application asks something of the session.
//! 2. Operations of one request take turns, in the order in which they are awaited.
//! 3. A visit that is Gone makes no session and touches no cookie; only a login begins anew.
//! 4. Whatever the store acknowledged is told to the browser with the next head; what the browser
//!    was not told of is ended.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_lock::Mutex as Turn;

use crate::change::{Change, Fields, Operation, Refusal, Rejection, Writes};
use crate::cookie::Presented;
use crate::expiry::{Lifetime, Timestamp, Touch};
use crate::field::{FieldName, Kept, NotDecodable, NotEncodable};
use crate::settings::Settings;
use crate::store::{
    Answer, Applied, Apply, Create, Created, Ended, Happened, InvalidUser, Login, OnlyIf, Patience,
    Rotate, Rotated, Snapshot, Store, StoreError, User, Why,
};
use crate::token::{Issued, NoRandomness, SessionId, Tag, Token, TokenMint};

/// What all visits of one manager share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mint: TokenMint,
    pub(crate) settings: Settings,
}

/// One request's session.
pub(crate) struct Visit {
    desk: Arc<Desk>,
    /// Held over each operation, so that those of one request take turns.
    turn: Turn<()>,
    /// Never held over an await.
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// Whether the store knew the session already, though it refused what was asked: who is lost
    /// after that is no newcomer.
    met: bool,
    /// Writes that no awaited operation has taken along yet.
    waiting: Writes,
    cookie: CookieChange,
    head: Head,
    touch: Touch,
    /// How long this request has waited for the store.
    waited: Duration,
    /// Whether the application asked anything of the session.
    used: bool,
}

enum Standing {
    /// What the cookie held; nobody has looked at it yet.
    Unopened(Vec<u8>),
    /// A token that we issued; the store has not been asked.
    Presented(SessionId),
    /// No session, and none that was lost: the first write makes one.
    Newcomer,
    Live(Box<Live>),
    /// It was ended, or lost half way.
    Gone,
}

struct Live {
    id: SessionId,
    snapshot: Snapshot,
    /// When the snapshot arrived, by our own clock: how old it is, not what time it is.
    arrived: Instant,
}

/// What the next head has to tell the browser.
enum CookieChange {
    Nothing,
    HandOut { token: Token, id: SessionId, keep_for: Option<Duration> },
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    ToCome,
    Left,
}

/// What an operation came to, if nothing went wrong.
pub(crate) enum Performed {
    Done(Option<Kept>),
    /// There is no session, or none with somebody logged in, and that was asked for.
    Nobody,
    Conflict(Option<Kept>),
}

/// What a login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a login can be refused"]
pub enum LogIn {
    /// The user is logged in, under a new token.
    Done,
    /// The user has as many sessions as allowed; nothing was changed.
    Full,
}

/// Why an operation on a session failed. Each kind has the status that answers it best.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not do it, or could not say in time whether it did. 503.
    #[error("the session store is unavailable: {0}")]
    Unavailable(#[source] StoreError),
    /// The store has already kept this request waiting for as long as it may. Not asked again. 503.
    #[error("the session store kept this request waiting too long, so it was not asked again")]
    OutOfPatience,
    /// Others changed the field each time before we could. 503.
    #[error("{field} was changed by others {tries} times in a row")]
    Contended {
        /// The field.
        field: FieldName,
        /// How often it was tried.
        tries: u32,
    },
    /// No token could be made. 503.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The session was logged out, revoked, rotated away, or expired during the request: nothing
    /// was written. 409.
    #[error("the session was ended while the request was on its way, so nothing was written")]
    Ended,
    /// It would break a limit, or can't be done to what is kept. Nothing was written. 422.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The user's name can't be one. 422.
    #[error(transparent)]
    InvalidUser(#[from] InvalidUser),
    /// What is kept is not of the type of the field. It stays as it is. 422.
    #[error("{field}: {reason}")]
    NotDecodable {
        /// The field.
        field: FieldName,
        /// What was expected.
        reason: NotDecodable,
    },
    /// The value has no text form. A mistake of the application. 500.
    #[error("{field}: {reason}")]
    NotEncodable {
        /// The field.
        field: FieldName,
        /// What is wrong with the value.
        reason: NotEncodable,
    },
    /// The response head has left: no cookie can be set any more, and no write can wait for it. A
    /// mistake of the application. 500.
    #[error("the response head has left: {0}")]
    HeadHasLeft(&'static str),
}

impl SessionError {
    /// The status code that answers it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unavailable(_)
            | Self::OutOfPatience
            | Self::Contended { .. }
            | Self::NoRandomness(_) => 503,
            Self::Ended => 409,
            Self::Refused(_) | Self::InvalidUser(_) | Self::NotDecodable { .. } => 422,
            Self::NotEncodable { .. } | Self::HeadHasLeft(_) => 500,
        }
    }

    /// The seconds for `Retry-After`, where trying again may help.
    pub fn retry_after(&self) -> Option<u32> {
        (self.status() == 503).then_some(1)
    }
}

/// How a login differs from the settings.
pub(crate) struct LoginTerms {
    pub(crate) remembered: Option<Lifetime>,
    pub(crate) fields: Fields,
}

impl Visit {
    pub(crate) fn begin(desk: Arc<Desk>, presented: Presented) -> Self {
        let standing = match presented {
            Presented::Nothing => Standing::Newcomer,
            Presented::Once(value) => Standing::Unopened(value),
            Presented::Twice => {
                tracing::warn!(
                    cookie = desk.settings.cookie.full_name(),
                    "a browser sent the session cookie twice, so neither is trusted: does another \
                     host or path set a cookie of the same name?"
                );
                Standing::Gone
            }
        };
        let state = State {
            standing,
            met: false,
            waiting: Writes::new(),
            cookie: CookieChange::Nothing,
            head: Head::ToCome,
            touch: desk.settings.touch,
            waited: Duration::ZERO,
            used: false,
        };
        Self { desk, turn: Turn::new(()), state: Mutex::new(state) }
    }

    /// The one gate for every write that waits.
    pub(crate) fn write(&self, field: FieldName, value: Option<Kept>) -> Result<(), SessionError> {
        let limit = self.desk.settings.limits.value_bytes;
        let mut state = self.used();
        if matches!(state.standing, Standing::Gone) {
            return Err(SessionError::Ended);
        }
        if state.head == Head::Left {
            return Err(SessionError::HeadHasLeft(
                "nothing takes a waiting write along; use an awaited operation",
            ));
        }
        if value.as_ref().is_some_and(|value| value.len() > limit as usize) {
            return Err(Refusal::ValueTooLarge { field, limit }.into());
        }
        state.waiting.insert(field, value);
        Ok(())
    }

    /// What the field holds, as this request sees it.
    pub(crate) async fn read(
        &self,
        field: &FieldName,
        only_if: OnlyIf,
    ) -> Result<Performed, SessionError> {
        if only_if == OnlyIf::Alive
            && let Some(waiting) = self.used().waiting.get(field)
        {
            return Ok(Performed::Done(waiting.clone()));
        }
        self.learn().await?;
        let state = self.used();
        let live = match &state.standing {
            Standing::Live(live) => live,
            _ => return Ok(nobody_or_nothing(only_if, state.waiting.get(field))),
        };
        if only_if == OnlyIf::LoggedIn && live.snapshot.user.is_none() {
            return Ok(Performed::Nobody);
        }
        let kept = match state.waiting.get(field) {
            Some(waiting) => waiting.clone(),
            None => live.snapshot.fields.get(field).cloned(),
        };
        Ok(Performed::Done(kept))
    }

    /// The one gate for every write that is awaited: takes the waiting writes along.
    pub(crate) async fn perform(
        &self,
        operation: Operation,
        only_if: OnlyIf,
    ) -> Result<Performed, SessionError> {
        let _turn = self.turn.lock().await;
        self.travel(&Errand::Perform(operation), only_if).await
    }

    /// Brings the session here, if it is not here yet.
    async fn learn(&self) -> Result<(), SessionError> {
        if self.used().needs_learning() {
            let _turn = self.turn.lock().await;
            // Another clone may have learned it while this one waited for its turn.
            if self.used().needs_learning() {
                self.travel(&Errand::Learn, OnlyIf::Alive).await?;
            }
        }
        Ok(())
    }

    /// What is known of the session, brought here if need be; `None` without one.
    pub(crate) async fn look<T>(
        &self,
        at: impl FnOnce(&SessionId, &Snapshot, Duration) -> T,
    ) -> Result<Option<T>, SessionError> {
        self.learn().await?;
        Ok(match &self.used().standing {
            Standing::Live(live) => Some(at(&live.id, &live.snapshot, live.arrived.elapsed())),
            _ => None,
        })
    }

    pub(crate) fn touch(&self, touch: Touch) {
        self.used().touch = touch;
    }

    pub(crate) async fn log_in(
        &self,
        user: &User,
        terms: LoginTerms,
    ) -> Result<LogIn, SessionError> {
        let _turn = self.turn.lock().await;
        let old = {
            let mut state = self.used();
            state.before_a_new_token()?;
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(id) => Some(*id),
                Standing::Live(live) => Some(live.id),
                Standing::Unopened(_) | Standing::Newcomer => None,
                Standing::Gone => {
                    // What waited was meant for the session that is gone.
                    state.waiting.clear();
                    None
                }
            }
        };
        let settings = &self.desk.settings;
        let login = Login { user, limit: settings.sessions_per_user };
        let lifetime = terms.remembered.unwrap_or(settings.lifetime);
        let remembered = terms.remembered.is_some();
        let issued = self.desk.mint.issue_for(user.as_str())?;
        let writes = self.used().waiting.clone();
        let done = match old {
            None => {
                let fields = self.fields_of_a_fresh_login(&writes, &terms.fields)?;
                let new = Create {
                    id: &issued.id,
                    lifetime,
                    remembered,
                    fields: &fields,
                    login: Some(login),
                };
                self.create(new).await?
            }
            Some(old) => {
                let why = Why::Login {
                    login,
                    lifetime,
                    remembered,
                    carried: &settings.carried_into_login,
                    fields: &terms.fields,
                };
                let limits = &settings.limits;
                let rotate = Rotate { old: &old, new: &issued.id, writes: &writes, limits, why };
                match self.rotate_to(rotate).await? {
                    Rotated::Done(snapshot) => Some(snapshot),
                    Rotated::Full => None,
                    Rotated::Refused(refusal) => return Err(refusal.into()),
                    Rotated::Unknown | Rotated::Ended | Rotated::Taken => {
                        return Err(SessionError::Ended);
                    }
                }
            }
        };
        let Some(snapshot) = done else {
            tracing::info!(event = "limit_reached", "a login found the user's sessions full");
            return Ok(LogIn::Full);
        };
        tracing::info!(event = "logged_in", session = %issued.id, "logged in");
        self.moved_in(issued, snapshot, &writes)?;
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
        fields_of(&change, settings).map(|(fields, _)| fields)
    }

    pub(crate) async fn rotate(&self) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let (old, first) = {
            let mut state = self.used();
            state.before_a_new_token()?;
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(id) => (*id, !state.met),
                Standing::Live(live) => (live.id, false),
                Standing::Unopened(_) | Standing::Newcomer => return Ok(()),
                Standing::Gone => return Err(SessionError::Ended),
            }
        };
        let issued = self.desk.mint.issue(old.tag())?;
        let writes = self.used().waiting.clone();
        let limits = &self.desk.settings.limits;
        let rotate =
            Rotate { old: &old, new: &issued.id, writes: &writes, limits, why: Why::Renewal };
        match self.rotate_to(rotate).await? {
            Rotated::Done(snapshot) => {
                tracing::info!(event = "rotated", session = %issued.id, was = %old, "rotated");
                self.moved_in(issued, snapshot, &writes)
            }
            Rotated::Refused(refusal) => {
                self.used().met = true;
                Err(refusal.into())
            }
            Rotated::Unknown if first => {
                self.used().standing = Standing::Newcomer;
                Ok(())
            }
            Rotated::Unknown | Rotated::Ended | Rotated::Full | Rotated::Taken => {
                self.used().standing = Standing::Gone;
                Err(SessionError::Ended)
            }
        }
    }

    pub(crate) async fn log_out(&self) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let id = {
            let mut state = self.used();
            self.open(&mut state);
            match &state.standing {
                Standing::Presented(id) => *id,
                Standing::Live(live) => live.id,
                // Logging out nobody makes nothing and clears nothing.
                Standing::Unopened(_) | Standing::Newcomer | Standing::Gone => {
                    state.waiting.clear();
                    return Ok(());
                }
            }
        };
        let ended = self.ask(|store, patience| store.end(&id, patience)).await?;
        let mut state = self.used();
        state.waiting.clear();
        match ended {
            Ended::Now => {
                tracing::info!(event = "logged_out", session = %id, "logged out");
                state.cookie = CookieChange::Remove;
                state.standing = Standing::Newcomer;
            }
            // Somebody else ended it, and may have handed this browser another token since: its
            // cookie is not ours to remove.
            Ended::Before => state.standing = Standing::Gone,
            Ended::Unknown => state.standing = Standing::Newcomer,
        }
        Ok(())
    }

    /// Sends what waits, unless the handler failed, and says what the head has to tell the browser.
    /// From now on the head counts as left.
    pub(crate) async fn close(
        &self,
        handler_failed: bool,
    ) -> (Option<String>, Result<(), SessionError>) {
        let _turn = self.turn.lock().await;
        let waiting = {
            let mut state = self.state();
            if handler_failed {
                state.waiting.clear();
            }
            !state.waiting.is_empty()
        };
        let result = if waiting {
            self.travel(&Errand::Flush, OnlyIf::Alive).await.map(drop)
        } else {
            Ok(())
        };
        let mut state = self.state();
        state.waiting.clear();
        state.head = Head::Left;
        let cookie = &self.desk.settings.cookie;
        let line = match std::mem::replace(&mut state.cookie, CookieChange::Nothing) {
            CookieChange::Nothing => None,
            CookieChange::HandOut { token, keep_for, .. } => {
                Some(cookie.hand_out(&token, keep_for))
            }
            CookieChange::Remove => Some(cookie.remove()),
        };
        (line, result)
    }

    /// No head will leave: what the browser was not told of is ended.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.head = Head::Left;
        state.waiting.clear();
        if let CookieChange::HandOut { id, .. } =
            std::mem::replace(&mut state.cookie, CookieChange::Nothing)
        {
            tracing::info!(event = "abandoned", session = %id, "nobody was told of a new session");
            self.desk.store.abandon(id);
        }
    }

    pub(crate) fn was_used(&self) -> bool {
        self.state().used
    }

    /// Goes to the store and comes back with the session. The caller holds the turn.
    async fn travel(&self, errand: &Errand, only_if: OnlyIf) -> Result<Performed, SessionError> {
        loop {
            let (id, change, touch) = match self.plan(errand, only_if)? {
                Plan::Answer(performed) => return Ok(performed),
                Plan::Create(change) => return self.create_with(&change).await,
                Plan::Apply(id, change, touch) => (id, change, touch),
            };
            let apply = Apply {
                id: &id,
                change: &change,
                only_if,
                touch,
                limits: &self.desk.settings.limits,
            };
            let applied = self.ask(|store, patience| store.apply(apply, patience)).await?;
            let mut state = self.used();
            let first = matches!(state.standing, Standing::Presented(_)) && !state.met;
            match applied {
                Applied::Done(snapshot, answer) => {
                    self.arrived(&mut state, id, snapshot)?;
                    state.sent(&change.writes);
                    return Ok(Performed::Done(answer));
                }
                Applied::NotLoggedIn(snapshot) => {
                    self.arrived(&mut state, id, snapshot)?;
                    return Ok(Performed::Nobody);
                }
                Applied::Conflict(kept) => {
                    state.met = true;
                    return Ok(Performed::Conflict(kept));
                }
                Applied::Refused(refusal) => {
                    state.met = true;
                    return Err(refusal.into());
                }
                // A newcomer with an old cookie: plan again.
                Applied::Unknown if first => {
                    tracing::debug!(event = "unknown", session = %id, "no such session");
                    state.standing = Standing::Newcomer;
                }
                Applied::Unknown | Applied::Ended => {
                    tracing::info!(event = "ended_before_use", session = %id, "the session was ended");
                    state.standing = Standing::Gone;
                }
            }
        }
    }

    /// What has to happen next; decides, and asks nobody.
    fn plan(&self, errand: &Errand, only_if: OnlyIf) -> Result<Plan, SessionError> {
        let mut state = self.used();
        self.open(&mut state);
        let (writes, operation) = match errand {
            // A read never sends what waits.
            Errand::Learn => (Writes::new(), None),
            Errand::Flush => (state.waiting.clone(), None),
            Errand::Perform(operation) => (state.waiting.clone(), Some(operation.clone())),
        };
        let change = Change { writes, operation };
        // Where there is no session, none is made for one who only looks or who isn't logged in.
        let nobody = change.is_read() || only_if == OnlyIf::LoggedIn;
        match &state.standing {
            Standing::Presented(id) => Ok(Plan::Apply(*id, change, state.touch)),
            Standing::Live(live) => Ok(Plan::Apply(live.id, change, state.touch)),
            _ if nobody => Ok(Plan::Answer(Performed::Nobody)),
            Standing::Gone => Err(SessionError::Ended),
            Standing::Unopened(_) | Standing::Newcomer => {
                if let Some(Operation::Take { field }) = &change.operation {
                    // There is nothing to take but what waits, and nothing is made for it.
                    let taken = state.waiting.remove(field).flatten();
                    return Ok(Plan::Answer(Performed::Done(taken)));
                }
                if state.head == Head::Left {
                    return Err(SessionError::HeadHasLeft("no cookie can name a new session"));
                }
                Ok(Plan::Create(change))
            }
        }
    }

    async fn create_with(&self, change: &Change) -> Result<Performed, SessionError> {
        let settings = &self.desk.settings;
        let (fields, answer) = match fields_and_answer(change, settings) {
            Ok(made) => made,
            Err(Rejection::Conflict(kept)) => return Ok(Performed::Conflict(kept)),
            Err(Rejection::Refused(refusal)) => return Err(refusal.into()),
        };
        if fields.is_empty() {
            // Removing what never was makes no session.
            self.used().sent(&change.writes);
            return Ok(Performed::Done(answer));
        }
        let issued = self.desk.mint.issue_anonymous()?;
        let lifetime = settings.anonymous;
        let new =
            Create { id: &issued.id, lifetime, remembered: false, fields: &fields, login: None };
        let Some(snapshot) = self.create(new).await? else {
            // Only a login can find a limit of sessions.
            return Err(SessionError::Ended);
        };
        tracing::info!(event = "created", session = %issued.id, "an anonymous session was made");
        self.moved_in(issued, snapshot, &change.writes)?;
        Ok(Performed::Done(answer))
    }

    /// `None` if the user has as many sessions as allowed.
    async fn create(&self, new: Create<'_>) -> Result<Option<Snapshot>, SessionError> {
        let mut untold = Untold::of(&*self.desk.store, *new.id);
        let created = self.ask(|store, patience| store.create(new, patience)).await;
        untold.settle(&created);
        match created? {
            Created::Done(snapshot) => Ok(Some(snapshot)),
            Created::Full => Ok(None),
            // 256 random bits met themselves: rather than to guess why, refuse.
            Created::Taken => Err(SessionError::Ended),
        }
    }

    async fn rotate_to(&self, rotate: Rotate<'_>) -> Result<Rotated, SessionError> {
        let mut untold = Untold::of(&*self.desk.store, *rotate.new);
        let rotated = self.ask(|store, patience| store.rotate(rotate, patience)).await;
        untold.settle(&rotated);
        rotated
    }

    /// The browser's session is this one now, and its token goes out with the next head. Where the
    /// request was given up meanwhile, no head will tell of it.
    fn moved_in(
        &self,
        issued: Issued,
        snapshot: Snapshot,
        sent: &Writes,
    ) -> Result<(), SessionError> {
        let mut state = self.used();
        if state.head == Head::Left {
            state.standing = Standing::Gone;
            self.desk.store.abandon(issued.id);
        }
        state.before_a_new_token()?;
        let keep_for =
            snapshot.life.remembered.then(|| snapshot.life.deadline().since(snapshot.now));
        let Issued { token, id } = issued;
        state.cookie = CookieChange::HandOut { token, id, keep_for };
        state.standing = Standing::Live(Box::new(Live { id, snapshot, arrived: Instant::now() }));
        state.sent(sent);
        Ok(())
    }

    /// Takes a snapshot over, if the session is whom its key says it is.
    fn arrived(
        &self,
        state: &mut State,
        id: SessionId,
        snapshot: Snapshot,
    ) -> Result<(), SessionError> {
        let named = snapshot.user.as_ref();
        let tag = named.map(|user| Tag::of_user(self.desk.mint.prefix(), user.as_str()));
        let vouched = match id.tag() {
            Tag::Anonymous(_) => tag.is_none(),
            user => tag == Some(user),
        };
        if !vouched {
            tracing::error!(event = "mismatch", session = %id, "a session names a user whom its key does not");
            state.standing = Standing::Gone;
            return Err(SessionError::Ended);
        }
        state.standing = Standing::Live(Box::new(Live { id, snapshot, arrived: Instant::now() }));
        Ok(())
    }

    /// Looks at what the cookie held, once. Costs no store command.
    fn open(&self, state: &mut State) {
        if let Standing::Unopened(value) = &state.standing {
            state.standing = match self.desk.mint.open(value) {
                Some(issued) => Standing::Presented(issued.id),
                None => {
                    tracing::info!(event = "not_ours", "a cookie held no token of ours");
                    Standing::Newcomer
                }
            };
        }
    }

    /// Asks the store, within what is left of this request's patience.
    async fn ask<'a, T>(
        &'a self,
        verb: impl FnOnce(&'a dyn Store, Patience) -> Answer<'a, T>,
    ) -> Result<T, SessionError> {
        let patience = self.desk.settings.patience;
        let left = {
            let state = self.state();
            // After the head nobody waits for the request as a whole any more.
            if state.head == Head::Left { patience } else { patience.saturating_sub(state.waited) }
        };
        if left.is_zero() {
            return Err(SessionError::OutOfPatience);
        }
        let asked = Instant::now();
        let answer = verb(&*self.desk.store, Patience(left)).await;
        let mut state = self.state();
        state.waited += asked.elapsed();
        answer.map_err(|error| {
            tracing::warn!(event = "store_failed", %error, "the session store failed");
            SessionError::Unavailable(error)
        })
    }

    fn used(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.used = true;
        state
    }

    /// Nothing panics while it holds this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (standing, id) = match &self.state().standing {
            Standing::Unopened(_) => ("unopened", None),
            Standing::Presented(id) => ("presented", Some(*id)),
            Standing::Newcomer => ("newcomer", None),
            Standing::Live(live) => ("live", Some(live.id)),
            Standing::Gone => ("gone", None),
        };
        f.debug_struct("Visit").field("standing", &standing).field("id", &id).finish()
    }
}

/// What a trip to the store is for.
enum Errand {
    /// To bring the session here.
    Learn,
    /// To send what waits.
    Flush,
    /// To do something that answers, and send what waits along.
    Perform(Operation),
}

enum Plan {
    Answer(Performed),
    Create(Change),
    Apply(SessionId, Change, Touch),
}

impl State {
    fn needs_learning(&self) -> bool {
        matches!(self.standing, Standing::Unopened(_) | Standing::Presented(_))
    }

    fn before_a_new_token(&self) -> Result<(), SessionError> {
        match self.head {
            Head::ToCome => Ok(()),
            Head::Left => Err(SessionError::HeadHasLeft("no cookie can hand out a new token")),
        }
    }

    /// These writes have arrived. One that was written anew meanwhile goes on waiting.
    fn sent(&mut self, writes: &Writes) {
        self.waiting.retain(|field, value| writes.get(field) != Some(value));
    }
}

/// A new session that nobody was told of: ended when it is dropped, as it is when the request is
/// cancelled while its answer is on the way.
struct Untold<'a> {
    store: &'a dyn Store,
    id: Option<SessionId>,
}

impl<'a> Untold<'a> {
    fn of(store: &'a dyn Store, id: SessionId) -> Self {
        Self { store, id: Some(id) }
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
            self.store.abandon(id);
        }
    }
}

fn nobody_or_nothing(only_if: OnlyIf, waiting: Option<&Option<Kept>>) -> Performed {
    match only_if {
        OnlyIf::LoggedIn => Performed::Nobody,
        OnlyIf::Alive => Performed::Done(waiting.cloned().flatten()),
    }
}

fn fields_and_answer(
    change: &Change,
    settings: &Settings,
) -> Result<(Fields, Option<Kept>), Rejection> {
    change.apply(&Fields::new(), &settings.limits)
}

fn fields_of(change: &Change, settings: &Settings) -> Result<(Fields, Option<Kept>), SessionError> {
    match fields_and_answer(change, settings) {
        Ok(made) => Ok(made),
        Err(Rejection::Refused(refusal)) => Err(refusal.into()),
        // Plain writes expect nothing.
        Err(Rejection::Conflict(_)) => Err(SessionError::Ended),
    }
}

/// The snapshot's clock, moved on by its age.
pub(crate) fn now_of(snapshot: &Snapshot, age: Duration) -> Timestamp {
    snapshot.now + age
}
