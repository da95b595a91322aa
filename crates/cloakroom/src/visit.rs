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

mod moves;
mod others;
mod sealed;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_lock::Mutex as Turn;

use crate::change::{Change, Operation, Refusal, Writes};
use crate::client::{Client, Difference};
use crate::clock::Clock;
use crate::cookie::Presented;
use crate::events::Event;
use crate::expiry::{Timestamp, Touch};
use crate::field::{FieldName, Kept};
use crate::meters::{Answered, Kind, Meters};
use crate::outcome::{Performed, SessionError};
use crate::rate::{Bucket, Permission};
use crate::rotation::Shown;
use crate::settings::Settings;
use crate::store::{Answer, Applied, Apply, OnlyIf, Patience, Snapshot, Store, StoreError, User};
use crate::sync::{Mutex, MutexGuard};
use crate::token::{Issued, SessionId, Tag, Token, TokenMint};

use sealed::Seals;

pub(crate) use moves::LoginTerms;
pub(crate) use others::Ends;

/// What all visits of one manager share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mint: TokenMint,
    pub(crate) settings: Settings,
    pub(crate) meters: Meters,
    /// What strangers may still make.
    newcomers: Option<Bucket>,
}

impl Desk {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        mint: TokenMint,
        settings: Settings,
        clock: Clock,
    ) -> Self {
        let newcomers = settings.newcomers.map(|rate| Bucket::full(rate, clock));
        Self { store, mint, settings, meters: Meters::new(), newcomers }
    }

    /// Before an anonymous session is made.
    fn may_create(&self) -> Result<(), SessionError> {
        match self.newcomers.as_ref().map_or(Permission::Given, Bucket::take) {
            Permission::Given => return Ok(()),
            Permission::Refused => {}
            Permission::RefusedFirst => {
                tracing::warn!(
                    event = "too_many_newcomers",
                    "more new sessions are asked for than this instance makes: they are refused \
                     with 503; see Settings::newcomers"
                );
                self.tell(|| Event::TooManyNewcomers);
            }
        }
        self.meters.newcomers_refused.increment(1);
        Err(SessionError::TooManyNewcomers)
    }

    /// Waits for an answer that no visit waits for.
    pub(crate) async fn measured<T: Answered>(
        &self,
        kind: Kind,
        session: Option<&SessionId>,
        answer: Answer<'_, T>,
    ) -> Result<T, StoreError> {
        self.meters.begin(kind, session, Instant::now()).wait_for(answer).await
    }

    /// Ends a session that nobody was told of, at best effort.
    fn abandon(&self, id: SessionId) {
        self.meters.abandoned.increment(1);
        self.store.abandon(id);
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(events) = &self.settings.events {
            events.happened(event());
        }
    }
}

/// One request's session.
pub(crate) struct Visit {
    desk: Arc<Desk>,
    /// When the cookie came; not looked at where tokens are not replaced periodically.
    begun: Option<Instant>,
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
    /// For sealed fields; nothing where there are none.
    seals: Option<Box<Seals>>,
    /// The client of this request, until the session is here to be compared with.
    client: Option<Box<Client>>,
    /// How that differs from the client that logged in.
    differences: Vec<Difference>,
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
    Presented(Issued),
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

/// What a head tells the browser.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) set_cookie: Option<String>,
    pub(crate) clear_site_data: Option<&'static str>,
    /// Whether the application asked anything of the session.
    pub(crate) was_used: bool,
}

/// What the next head has to tell the browser.
enum CookieChange {
    Nothing,
    HandOut {
        token: Token,
        id: SessionId,
        keep_for: Option<Duration>,
    },
    /// The next token of the same session. Nothing is lost if no head leaves: it is issued again.
    Replace {
        token: Token,
        at: Instant,
        keep_for: Option<Duration>,
    },
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    ToCome,
    Left,
}

impl Visit {
    pub(crate) fn begin(desk: Arc<Desk>, presented: Presented) -> Arc<Self> {
        let standing = match presented {
            Presented::Nothing => Standing::Newcomer,
            Presented::Once(value) => Standing::Unopened(value),
            Presented::Twice => {
                tracing::warn!(
                    event = "sent_twice",
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
            seals: None,
            client: None,
            differences: Vec::new(),
            cookie: CookieChange::Nothing,
            head: Head::ToCome,
            touch: desk.settings.touch,
            waited: Duration::ZERO,
            used: false,
        };
        let begun = desk.mint.rotation().map(|_| Instant::now());
        Arc::new(Self { desk, begun, turn: Turn::new(()), state: Mutex::new(state) })
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

    /// Who was logged in when the session was last seen, without a trip.
    pub(crate) fn user_last_seen(&self) -> Option<User> {
        match &self.used().standing {
            Standing::Live(live) => live.snapshot.user.clone(),
            _ => None,
        }
    }

    pub(crate) fn touch(&self, touch: Touch) {
        self.used().touch = touch;
    }

    /// Closes, if there is nothing to wait for: no write waits, and no operation is under way.
    pub(crate) fn close_at_once(&self) -> Option<Told> {
        let mut state = self.state();
        if !state.used {
            state.head = Head::Left;
            return Some(Told::default());
        }
        let _turn = self.turn.try_lock()?;
        state.waiting.is_empty().then(|| self.last_word(&mut state))
    }

    /// Sends what waits, unless the handler failed, and says what the head has to tell the browser.
    pub(crate) async fn close(&self, handler_failed: bool) -> (Told, Result<(), SessionError>) {
        let _turn = self.turn.lock().await;
        let waiting = {
            let mut state = self.state();
            if handler_failed {
                // The session has moved all the same.
                state.waiting = state.take_moved();
            }
            !state.waiting.is_empty()
        };
        let result = if waiting {
            Box::pin(self.travel(&Errand::Flush, OnlyIf::Alive)).await.map(drop)
        } else {
            Ok(())
        };
        (self.last_word(&mut self.state()), result)
    }

    /// What the head has to tell the browser. From now on it counts as left. The caller holds the turn.
    fn last_word(&self, state: &mut State) -> Told {
        state.drop_what_waits();
        state.head = Head::Left;
        let cookie = &self.desk.settings.cookie;
        let mut told = Told { was_used: state.used, ..Told::default() };
        match std::mem::replace(&mut state.cookie, CookieChange::Nothing) {
            CookieChange::Nothing => {}
            CookieChange::HandOut { token, keep_for, .. } => {
                told.set_cookie = Some(cookie.hand_out(&token, keep_for));
            }
            CookieChange::Replace { token, at, keep_for } => {
                // Later, the browser may have logged in again meanwhile, and the next request is
                // handed this one all the same.
                let live = matches!(state.standing, Standing::Live(_));
                let grace = self.desk.mint.rotation().map(|rotation| rotation.grace());
                let in_time = grace.is_some_and(|grace| at.elapsed() <= grace);
                told.set_cookie = (live && in_time).then(|| cookie.hand_out(&token, keep_for));
            }
            CookieChange::Remove => {
                told.clear_site_data = self.desk.settings.clear_at_logout.header();
                told.set_cookie = Some(cookie.remove());
            }
        }
        told
    }

    /// No head will leave: what the browser was not told of is ended.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.head = Head::Left;
        state.drop_what_waits();
        if let CookieChange::HandOut { id, .. } =
            std::mem::replace(&mut state.cookie, CookieChange::Nothing)
        {
            tracing::info!(event = "abandoned", session = %id, "nobody was told of a new session");
            self.desk.abandon(id);
        }
    }

    /// Goes to the store and comes back with the session. The caller holds the turn.
    ///
    /// What is seldom waited for is boxed, here and in `close`: the futures of every handler and of every
    /// layer have room for all that they could wait for.
    async fn travel(&self, errand: &Errand, only_if: OnlyIf) -> Result<Performed, SessionError> {
        loop {
            let (id, token, change, touch) = match self.plan(errand, only_if)? {
                Plan::Answer(performed) => return Ok(performed),
                Plan::Create(change) => return Box::pin(self.create_with(&change)).await,
                Plan::Apply { id, token, change, touch } => (id, token, change, touch),
            };
            let sealed = self.sealed(&id, &change)?;
            let apply = Apply {
                id: &id,
                change: &sealed,
                only_if,
                touch,
                limits: &self.desk.settings.limits,
                token,
            };
            let kind = if change.is_read() { Kind::Read } else { Kind::Write };
            let applied = self.ask(kind, Some(&id), |store, p| store.apply(apply, p)).await?;
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
                Applied::Unknown if first => self.unknown(&mut state, id),
                Applied::Stolen => self.stolen(&mut state, id),
                Applied::Unknown | Applied::Ended => self.met_ended(&mut state, id),
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
            Standing::Presented(issued) => {
                let (id, token, touch) = (issued.id, self.shown(&state, issued), state.touch);
                Ok(Plan::Apply { id, token, change, touch })
            }
            // What this request came with was good.
            Standing::Live(live) => {
                Ok(Plan::Apply { id: live.id, token: None, change, touch: state.touch })
            }
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

    /// Takes a snapshot over, if the session is whose its key says it is.
    fn arrived(
        &self,
        state: &mut State,
        id: SessionId,
        snapshot: Snapshot,
    ) -> Result<(), SessionError> {
        self.vouched(state, &id, &snapshot)?;
        self.compare_clients(state, id, &snapshot);
        if let (Standing::Presented(shown), Some(next)) = (&state.standing, snapshot.next_token)
            && let Some(Issued { token, .. }) = self.desk.mint.reissue(shown, next)
        {
            tracing::debug!(event = "token_replaced", session = %id, "handing out the next token");
            let keep_for = keep_for(&snapshot);
            state.cookie = CookieChange::Replace { token, at: Instant::now(), keep_for };
        }
        state.standing = Standing::Live(Box::new(Live { id, snapshot, arrived: Instant::now() }));
        Ok(())
    }

    /// The token that was presented names no session: an old cookie's, or a guess.
    fn unknown(&self, state: &mut State, session: SessionId) {
        self.desk.meters.expired.increment(1);
        self.desk.tell(|| Event::Expired { session });
        tracing::info!(event = "unknown", %session, "no such session");
        state.standing = Standing::Newcomer;
    }

    fn met_ended(&self, state: &mut State, session: SessionId) {
        self.desk.tell(|| Event::MetEnded { session });
        tracing::info!(event = "ended_before_use", %session, "the session was ended");
        state.standing = Standing::Gone;
    }

    /// Refuses a session that is another's than its key says.
    fn vouched(
        &self,
        state: &mut State,
        id: &SessionId,
        snapshot: &Snapshot,
    ) -> Result<(), SessionError> {
        let named = snapshot.user.as_ref();
        let tag = named.map(|user| Tag::of_user(self.desk.mint.prefix(), user.as_str()));
        let vouched = match id.tag() {
            Tag::Anonymous(_) => tag.is_none(),
            user => tag == Some(user),
        };
        if vouched {
            return Ok(());
        }
        tracing::error!(event = "mismatch", session = %id, "a session names a user whom its key does not");
        state.standing = Standing::Gone;
        Err(SessionError::Ended)
    }

    /// Says who asks, if there is a cookie to compare with.
    pub(crate) fn note_client(&self, client: impl FnOnce() -> Client) {
        if matches!(self.state().standing, Standing::Unopened(_)) {
            let client = client();
            self.state().client = Some(Box::new(client));
        }
    }

    /// How the client of this request differs from the one that logged in.
    pub(crate) async fn differences(&self) -> Result<Vec<Difference>, SessionError> {
        self.learn().await?;
        Ok(self.used().differences.clone())
    }

    /// Once a request, and nothing is done about it.
    fn compare_clients(&self, state: &mut State, session: SessionId, snapshot: &Snapshot) {
        let (Some(then), Some(user)) = (&snapshot.client, &snapshot.user) else { return };
        let Some(now) = state.client.take() else { return };
        state.differences = then.differences(&now);
        if state.differences.is_empty() {
            return;
        }
        tracing::warn!(
            event = "client_changed",
            %session,
            differences = ?state.differences,
            "a session is used by another client than the one that logged in"
        );
        let (then, user, differences) = (then.clone(), user.clone(), state.differences.clone());
        self.desk.tell(|| Event::ClientChanged { session, user, then, now: *now, differences });
    }

    /// Looks at what the cookie held, once. Costs no store command.
    fn open(&self, state: &mut State) {
        if let Standing::Unopened(value) = &state.standing {
            state.standing = match self.desk.mint.open(value) {
                Some(issued) => Standing::Presented(issued),
                None => {
                    tracing::info!(event = "not_ours", "a cookie held no token of ours");
                    self.desk.meters.not_ours.increment(1);
                    self.desk.tell(|| Event::NotOurs);
                    Standing::Newcomer
                }
            };
        }
    }

    /// What the store has to judge of the token that this request came with; nothing if tokens are
    /// not replaced.
    fn shown(&self, state: &State, issued: &Issued) -> Option<Shown> {
        let rotation = self.desk.mint.rotation()?;
        Some(Shown {
            generation: issued.generation,
            ago: self.begun?.elapsed(),
            every: (state.head == Head::ToCome).then(|| rotation.every()),
            grace: rotation.grace(),
        })
    }

    /// Two hold the cookie, and the session ended for both.
    fn stolen(&self, state: &mut State, id: SessionId) {
        tracing::warn!(
            event = "token_stolen",
            session = %id,
            "an old token came whose successor somebody else has: its cookie was copied, and the \
             session was ended"
        );
        self.desk.meters.stolen.increment(1);
        self.desk.tell(|| Event::Stolen { session: id });
        state.standing = Standing::Gone;
    }

    /// Asks the store, within what is left of this request's patience.
    async fn ask<'a, T: Answered>(
        &'a self,
        kind: Kind,
        session: Option<&SessionId>,
        verb: impl FnOnce(&'a dyn Store, Patience) -> Answer<'a, T>,
    ) -> Result<T, SessionError> {
        let patience = self.desk.settings.patience;
        let left = {
            let state = self.state();
            // After the head nobody waits for the request as a whole any more.
            if state.head == Head::Left { patience } else { patience.saturating_sub(state.waited) }
        };
        if left.is_zero() {
            return Err(self.desk.meters.not_asked(kind));
        }
        let asked = Asked { visit: self, at: Instant::now() };
        let asking = self.desk.meters.begin(kind, session, asked.at);
        let answer = asking.wait_for(verb(&*self.desk.store, Patience(left))).await;
        drop(asked);
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
            Standing::Presented(issued) => ("presented", Some(issued.id)),
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

/// Counts the time that a request waits for the store, also when it stops waiting by itself.
struct Asked<'a> {
    visit: &'a Visit,
    at: Instant,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.visit.state().waited += self.at.elapsed();
    }
}

enum Plan {
    Answer(Performed),
    Create(Change),
    Apply { id: SessionId, token: Option<Shown>, change: Change, touch: Touch },
}

impl State {
    /// Before the head, what was learned once is good enough; what outlives it, such as a stream of
    /// events, asks the store each time, or it would go on serving who has logged out.
    fn needs_learning(&self) -> bool {
        match self.standing {
            Standing::Unopened(_) | Standing::Presented(_) => true,
            Standing::Live(_) => self.head == Head::Left,
            Standing::Newcomer | Standing::Gone => false,
        }
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
        self.have_moved(writes);
    }

    /// They were meant for a session that is gone.
    fn drop_what_waits(&mut self) {
        self.waiting.clear();
        self.take_moved();
    }
}

fn nobody_or_nothing(only_if: OnlyIf, waiting: Option<&Option<Kept>>) -> Performed {
    match only_if {
        OnlyIf::LoggedIn => Performed::Nobody,
        OnlyIf::Alive => Performed::Done(waiting.cloned().flatten()),
    }
}

/// How long a browser keeps the cookie when it closes; `None` if it is to forget it then.
fn keep_for(snapshot: &Snapshot) -> Option<Duration> {
    snapshot.life.remembered.then(|| snapshot.life.deadline().since(snapshot.now))
}

/// The snapshot's clock, moved on by its age.
pub(crate) fn now_of(snapshot: &Snapshot, age: Duration) -> Timestamp {
    snapshot.now + age
}
