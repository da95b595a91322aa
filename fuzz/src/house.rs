//! What the targets share: a house with a key that never changes, so that tokens in the corpus go on
//! opening, and a store that answers what a target wants.

use std::sync::{Mutex, OnceLock, PoisonError};

use cloakroom::store::{
    Answer, Applied, Apply, Create, Created, EndOf, Ended, EndedOf, Happened, ListOf, Page,
    Patience, Rotate, Rotated, Verb,
};
use cloakroom::{
    Keys, Manager, Prefix, Rotation, SecretKey, SessionId, Settings, Store, StoreError, TokenMint,
    User,
};

/// Tokens of this house: of nobody, of ada, and the fourth of ada's.
pub(crate) const GENUINE: [&str; 3] = [
    "MhDfq4mgWh25fXlN0RyshU92TdVxDKohmO6ClDxPuNaVYxmlT71PrvCl8V-1xbL6m0fGpmaju-G_FSFLutpMZSOwovvu",
    "RS5MFF1AVoJG8rEYoa8ybHUIyZVutD1nrXRxPrrKbJagbbqdlZYvDLYK6RTcCAyP2kKCKSZzKc6j-AKdCoDcb6pXZ3dO",
    "RS5MFF1AVoJG8rEYoa8ybHUIyZVutD1nrXRxPrrKbJarJfF0CHavuvDOBhauwmcYC3jrI9Eo-KWHACD87qu_cxtI8Cgp",
];

pub(crate) fn keys() -> Keys {
    let key = SecretKey::new("correct horse battery staple, 32 bytes and more").unwrap();
    Keys::new(key).rotating(Rotation::default())
}

/// With a key, and made once: to derive it takes long.
pub(crate) fn mint() -> &'static TokenMint {
    static MINT: OnceLock<TokenMint> = OnceLock::new();
    MINT.get_or_init(|| TokenMint::new(Prefix::default(), "__Host-session", Some(keys())))
}

/// A store that answers to every use what it was told to, and remembers who was asked for.
#[derive(Debug)]
pub(crate) struct Hostile {
    prefix: Prefix,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Applied>,
    asked: Vec<SessionId>,
    written: usize,
}

/// A manager over a hostile store, for this thread: no two targets run at once in one.
pub(crate) fn hostile() -> (&'static Hostile, &'static Manager) {
    thread_local! {
        static HOUSE: (&'static Hostile, &'static Manager) = {
            let store: &'static Hostile = Box::leak(Box::new(Hostile {
                prefix: Prefix::default(),
                state: Mutex::default(),
            }));
            let settings = Settings { keys: Some(keys()), newcomers: None, ..Settings::default() };
            (store, Box::leak(Box::new(Manager::new(Borrowed(store), settings))))
        };
    }
    HOUSE.with(|house| *house)
}

impl Hostile {
    /// Answers this from now on, and forgets who was asked for.
    pub(crate) fn answer(&self, answer: Applied) {
        *self.state() = State { answer: Some(answer), ..State::default() };
    }

    /// Which sessions it was asked for.
    pub(crate) fn asked(&self) -> Vec<SessionId> {
        self.state().asked.clone()
    }

    /// How often something was to be made or ended.
    pub(crate) fn written(&self) -> usize {
        self.state().written
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse<T: Send + 'static>(&self, verb: Verb) -> Answer<'static, T> {
        self.state().written += 1;
        let (store, reason) = ("hostile".into(), "it does not want to".into());
        let error = StoreError { verb, session: None, store, happened: Happened::No, reason };
        Box::pin(std::future::ready(Err(error)))
    }
}

#[derive(Debug)]
struct Borrowed(&'static Hostile);

impl Store for Borrowed {
    fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }
    fn create<'a>(&'a self, _: Create<'a>, _: Patience) -> Answer<'a, Created> {
        self.0.refuse(Verb::Create)
    }
    fn apply<'a>(&'a self, apply: Apply<'a>, _: Patience) -> Answer<'a, Applied> {
        let mut state = self.0.state();
        state.asked.push(*apply.id);
        let answer = state.answer.clone().unwrap_or(Applied::Unknown);
        Box::pin(std::future::ready(Ok(answer)))
    }
    fn rotate<'a>(&'a self, _: Rotate<'a>, _: Patience) -> Answer<'a, Rotated> {
        self.0.refuse(Verb::Rotate)
    }
    fn end<'a>(&'a self, _: &'a SessionId, _: Patience) -> Answer<'a, Ended> {
        self.0.refuse(Verb::End)
    }
    fn sessions_of<'a>(&'a self, _: ListOf<'a>, _: Patience) -> Answer<'a, Page> {
        self.0.refuse(Verb::SessionsOf)
    }
    fn count_of<'a>(&'a self, _: &'a User, _: Patience) -> Answer<'a, u64> {
        self.0.refuse(Verb::CountOf)
    }
    fn end_of<'a>(&'a self, _: EndOf<'a>, _: Patience) -> Answer<'a, EndedOf> {
        self.0.refuse(Verb::EndOf)
    }
    fn erase<'a>(&'a self, _: &'a User, _: Patience) -> Answer<'a, u64> {
        self.0.refuse(Verb::Erase)
    }
    fn check(&self, _: Patience) -> Answer<'_, ()> {
        self.0.refuse(Verb::Check)
    }
    fn abandon(&self, _: SessionId) {
        self.0.state().written += 1;
    }
}
