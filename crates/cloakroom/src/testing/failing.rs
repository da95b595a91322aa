use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Page,
    Patience, Rotate, Rotated, Store, StoreError, User, Verb,
};
use crate::token::{Prefix, SessionId};

/// A store that fails on purpose, in front of one that doesn't. Clones share their plan and their
/// count.
///
/// ```
/// use std::sync::Arc;
/// use cloakroom::testing::{FailingStore, Failure};
/// use cloakroom::store::{Happened, Patience, Store, Verb};
/// use cloakroom::MemoryStore;
/// use std::time::Duration;
///
/// let store = FailingStore::new(Arc::new(MemoryStore::new()));
/// store.fail_at(2, Failure::ReplyLost);
///
/// let patience = Patience(Duration::from_millis(250));
/// let check = || pollster::block_on(store.check(patience));
/// assert!(check().is_ok());
/// assert_eq!(check().unwrap_err().happened, Happened::Perhaps);
/// assert!(check().is_ok());
/// assert_eq!(store.calls(), [Verb::Check; 3]);
/// ```
#[derive(Clone)]
pub struct FailingStore {
    inner: Arc<dyn Store>,
    state: Arc<Mutex<State>>,
}

/// In which manner a [`FailingStore`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The store can't be reached: nothing happens, and the error says so ([`Happened::No`]).
    NotReached,
    /// The store does it, and the answer is lost on the way ([`Happened::Perhaps`]).
    ReplyLost,
    /// The store does it, and says nothing for ever: for who wants to cancel a request half way.
    Silent,
}

#[derive(Default)]
struct State {
    calls: Vec<Verb>,
    abandoned: Vec<SessionId>,
    at: Vec<(usize, Failure)>,
    from_now_on: Option<Failure>,
    silent: usize,
}

impl FailingStore {
    /// In front of `inner`; fails at nothing yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Fails at the `n`-th call from now on: 1 is the next one. Can be said for several.
    pub fn fail_at(&self, n: usize, how: Failure) {
        let mut state = self.state();
        let call = state.calls.len() + n;
        state.at.push((call, how));
    }

    /// Fails at every call from now on.
    pub fn fail(&self, how: Failure) {
        self.state().from_now_on = Some(how);
    }

    /// Fails at nothing any more.
    pub fn recover(&self) {
        let mut state = self.state();
        state.from_now_on = None;
        state.at.clear();
    }

    /// The verbs that were called, the failed ones too, in their order: what a request cost. A verb
    /// counts when it is awaited. Abandoned sessions stand in [`abandoned`](Self::abandoned).
    pub fn calls(&self) -> Vec<Verb> {
        self.state().calls.clone()
    }

    /// The sessions that were abandoned. That never fails, for nobody would hear of it.
    pub fn abandoned(&self) -> Vec<SessionId> {
        self.state().abandoned.clone()
    }

    /// How many calls were done and will never be answered.
    pub fn silent(&self) -> usize {
        self.state().silent
    }

    async fn call<T>(
        &self,
        verb: Verb,
        session: Option<SessionId>,
        answer: Answer<'_, T>,
    ) -> Result<T, StoreError> {
        let how = {
            let mut state = self.state();
            state.calls.push(verb);
            let call = state.calls.len();
            let planned = state.at.iter().find(|(at, _)| *at == call).map(|(_, how)| *how);
            planned.or(state.from_now_on)
        };
        let (happened, reason) = match how {
            None => return answer.await,
            // Not polled, so it doesn't happen.
            Some(Failure::NotReached) => (Happened::No, "the store can't be reached"),
            Some(Failure::ReplyLost) => {
                answer.await?;
                (Happened::Perhaps, "the answer was lost")
            }
            Some(Failure::Silent) => {
                answer.await?;
                self.state().silent += 1;
                return std::future::pending().await;
            }
        };
        let store = "a store that fails on purpose".into();
        Err(StoreError { verb, session, store, happened, reason: reason.into() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for FailingStore {
    fn prefix(&self) -> &Prefix {
        self.inner.prefix()
    }

    fn create<'a>(&'a self, new: Create<'a>, patience: Patience) -> Answer<'a, Created> {
        let id = *new.id;
        let answer = lazily(move || self.inner.create(new, patience));
        Box::pin(self.call(Verb::Create, Some(id), answer))
    }

    fn apply<'a>(&'a self, apply: Apply<'a>, patience: Patience) -> Answer<'a, Applied> {
        let id = *apply.id;
        let answer = lazily(move || self.inner.apply(apply, patience));
        Box::pin(self.call(Verb::Apply, Some(id), answer))
    }

    fn rotate<'a>(&'a self, rotate: Rotate<'a>, patience: Patience) -> Answer<'a, Rotated> {
        let id = *rotate.old;
        let answer = lazily(move || self.inner.rotate(rotate, patience));
        Box::pin(self.call(Verb::Rotate, Some(id), answer))
    }

    fn end<'a>(&'a self, id: &'a SessionId, patience: Patience) -> Answer<'a, Ended> {
        let answer = lazily(move || self.inner.end(id, patience));
        Box::pin(self.call(Verb::End, Some(*id), answer))
    }

    fn sessions_of<'a>(&'a self, list: ListOf<'a>, patience: Patience) -> Answer<'a, Page> {
        let answer = lazily(move || self.inner.sessions_of(list, patience));
        Box::pin(self.call(Verb::SessionsOf, None, answer))
    }

    fn count_of<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        let answer = lazily(move || self.inner.count_of(user, patience));
        Box::pin(self.call(Verb::CountOf, None, answer))
    }

    fn end_of<'a>(&'a self, end: EndOf<'a>, patience: Patience) -> Answer<'a, EndedOf> {
        let answer = lazily(move || self.inner.end_of(end, patience));
        Box::pin(self.call(Verb::EndOf, end.asked_by.copied(), answer))
    }

    fn erase<'a>(&'a self, user: &'a User, patience: Patience) -> Answer<'a, u64> {
        let answer = lazily(move || self.inner.erase(user, patience));
        Box::pin(self.call(Verb::Erase, None, answer))
    }

    fn check(&self, patience: Patience) -> Answer<'_, ()> {
        let answer = lazily(move || self.inner.check(patience));
        Box::pin(self.call(Verb::Check, None, answer))
    }

    fn abandon(&self, id: SessionId) {
        self.state().abandoned.push(id);
        self.inner.abandon(id);
    }
}

/// A verb that is not even called before it is awaited: a store may do its work when it is called,
/// as the memory store does.
fn lazily<'a, T>(call: impl FnOnce() -> Answer<'a, T> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move { call().await })
}

impl fmt::Debug for FailingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.state().calls.len();
        f.debug_struct("FailingStore").field("inner", &self.inner).field("calls", &calls).finish()
    }
}
