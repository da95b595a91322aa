//! Lives of sessions that nobody thought of: a few browsers, two users, requests that overlap, fail and
//! are cancelled, and old cookies; against a plain account of what must be kept (P2), who must be dead
//! (P3), and how many sessions a login leaves (P8).
//!
//! The account knows nothing of scripts or snapshots: it holds what was acknowledged, and what a store
//! did whose answer was lost. After every step each session in the store is what it says.

mod request;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use request::Request;

use super::scene::{HOUR, NOTE, Scene, carrying, lifetime};
use crate::change::Change;
use crate::expiry::{Lifetime, Touch};
use crate::settings::Settings;
use crate::store::{Applied, Apply, ENDED_FOR, OnlyIf, Patience, SessionLimit, User, WhenFull};
use crate::testing::conformance::random::Dice;
use crate::testing::{Harness, Visitor};
use crate::token::{SessionId, TokenMint};

/// A hundred lives, each from a seed, in which no time passes.
// Proves R22, R30, R67.
pub fn random_lives_are_as_promised<H: Harness>(here: &H) {
    for seed in 0..Scene::set(here).rounds(100) as u64 {
        live(here, seed, 60, Time::Stands);
    }
}

/// A hundred lives over days, for a clock that a test can move.
// Proves R22, R26, R27, R30, R67.
pub fn random_lives_over_days_are_as_promised<H: Harness>(here: &H) {
    for seed in 0..Scene::set(here).rounds(100) as u64 {
        live(here, seed, 60, Time::Passes);
    }
}

/// Whether the store's clock is ours to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// It is another's.
    Stands,
    /// It is ours.
    Passes,
}

/// One life, always the same one from the same seed; panics where a promise is broken, and tells what
/// led there.
pub fn live<H: Harness>(here: &H, seed: u64, steps: usize, time: Time) {
    let mut life = Life::begin(here, seed, time);
    for step in 0..steps {
        life.told.push(format!("-- seed {seed}, step {step}"));
        here.run(async {
            life.step().await;
            life.check().await;
        });
    }
}

struct Life<'h, H> {
    scene: Scene<'h, H>,
    mint: TokenMint,
    dice: Dice,
    users: Vec<User>,
    browsers: Vec<Visitor>,
    /// Every cookie that ever went out.
    cookies: Vec<String>,
    /// Under way, and whose they are.
    requests: Vec<(usize, Request)>,
    account: BTreeMap<SessionId, Held>,
    /// In the order in which they came.
    ids: Vec<SessionId>,
    time: Time,
    now: Duration,
    told: Vec<String>,
}

/// What the account holds of a session.
#[derive(Clone, Debug)]
struct Held {
    user: Option<User>,
    /// By name, as they are kept.
    fields: Fields,
    created: Duration,
    used: Duration,
    lifetime: Lifetime,
    /// When it was ended; its expiry is not kept, but told.
    ended: Option<Duration>,
}

type Fields = BTreeMap<&'static str, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Alive,
    /// And the store has to remember it.
    Ended,
    /// It may have forgotten it.
    Forgotten,
    /// It knows nothing of it.
    Unknown,
}

impl<'h, H: Harness> Life<'h, H> {
    fn begin(here: &'h H, seed: u64, time: Time) -> Self {
        let mut dice = Dice::new(seed);
        let limit =
            SessionLimit { at_most: NonZeroU32::new(2).unwrap(), when_full: WhenFull::EndOldest };
        let settings = Settings {
            sessions_per_user: dice.one_in(2).then_some(limit),
            lifetime: lifetime(HOUR / 2, 8 * HOUR),
            anonymous: lifetime(HOUR / 6, HOUR),
            ..carrying(&[NOTE.name().clone()])
        };
        let scene = Scene::with(here, settings);
        Self {
            mint: scene.mint(),
            users: ["ada", "eve"].map(|name| scene.user(name)).into(),
            browsers: vec![Visitor::new(&scene.manager); 3],
            scene,
            dice,
            cookies: Vec::new(),
            requests: Vec::new(),
            account: BTreeMap::new(),
            ids: Vec::new(),
            time,
            now: Duration::ZERO,
            told: Vec::new(),
        }
    }

    async fn step(&mut self) {
        match self.dice.roll() % 10 {
            0 if self.time == Time::Passes => self.pass(),
            0..=2 if self.requests.len() < 3 => self.open(),
            _ if self.requests.is_empty() => self.open(),
            roll => {
                let which = (self.dice.roll() % self.requests.len() as u64) as usize;
                let (browser, mut request) = self.requests.swap_remove(which);
                if roll <= 4 {
                    self.end(browser, request).await;
                } else {
                    self.act(&mut request).await;
                    self.requests.push((browser, request));
                }
            }
        }
    }

    fn pass(&mut self) {
        // Odd, so that nothing is looked at in the instant in which it ends.
        let minutes = self.dice.one_of(&[1, 1, 3, 7, 7, 11, 31, 61, 500]);
        let time = Duration::from_millis(60_000 * minutes + 17);
        self.tell(format!("{minutes} minutes pass"));
        self.let_pass(time);
    }

    fn let_pass(&mut self, time: Duration) {
        self.scene.here.pass(time);
        if self.time == Time::Passes {
            self.now += time;
        }
    }

    /// A request with a browser's cookie, or with an old one.
    fn open(&mut self) {
        let browser = (self.dice.roll() % self.browsers.len() as u64) as usize;
        let mut cookie = self.browsers[browser].cookie().map(str::to_owned);
        if self.dice.one_in(4) && !self.cookies.is_empty() {
            let old = (self.dice.roll() % self.cookies.len() as u64) as usize;
            cookie = Some(self.cookies[old].clone());
        }
        let id = cookie.as_ref().and_then(|cookie| self.named(cookie));
        self.tell(format!("browser {browser} asks with {id:?}"));
        let visit = self.scene.manager.open(cookie.iter().map(|cookie| cookie.as_bytes()));
        self.requests.push((browser, Request::new(visit, id)));
    }

    /// The session that a cookie names.
    fn named(&self, cookie: &str) -> Option<SessionId> {
        let (_, token) = cookie.split_once('=')?;
        self.mint.open(token.as_bytes()).map(|issued| issued.id)
    }

    fn tell(&mut self, what: String) {
        self.told.push(what);
    }

    fn story(&self) -> String {
        self.told.join("\n")
    }

    fn standing(&self, id: &SessionId) -> Standing {
        let Some(held) = self.account.get(id) else { return Standing::Unknown };
        let Held { created, used, lifetime, ended, .. } = held;
        match ended {
            Some(at) if self.now - *at < ENDED_FOR => Standing::Ended,
            Some(_) => Standing::Forgotten,
            None => {
                let end = (*used + lifetime.idle()).min(*created + lifetime.absolute());
                if self.now < end { Standing::Alive } else { Standing::Unknown }
            }
        }
    }

    fn is_alive(&self, id: &SessionId) -> bool {
        self.standing(id) == Standing::Alive
    }

    /// A session that is new in the store.
    fn enter(&mut self, id: SessionId, user: Option<User>, fields: Fields) {
        let settings = self.scene.manager.settings();
        let lifetime = if user.is_some() { settings.lifetime } else { settings.anonymous };
        let (created, used) = (self.now, self.now);
        let held = Held { user, fields, created, used, lifetime, ended: None };
        let before = self.account.insert(id, held);
        assert!(before.is_none(), "{id} was there before\n{}", self.story());
        self.ids.push(id);
    }

    /// A session that ends, if it is alive.
    fn ends(&mut self, id: &SessionId) {
        if self.is_alive(id) {
            let now = self.now;
            self.account.entry(*id).and_modify(|held| held.ended = Some(now));
        }
    }

    /// A use of a session that is alive.
    fn uses(&mut self, id: &SessionId) -> &mut Held {
        let now = self.now;
        let held = self.account.get_mut(id).expect("only what is alive is used");
        held.used = now;
        held
    }

    /// Whoever a login pushed out is the store's choice among those with about the least life left; how
    /// many is not.
    async fn pushes_out(&mut self, user: &User, new: &SessionId) {
        let Some(limit) = self.scene.manager.settings().sessions_per_user else { return };
        let of_user = |id: &&SessionId| self.account[*id].user.as_ref() == Some(user);
        let others: Vec<SessionId> = self.ids.iter().filter(of_user).copied().collect();
        let mut alive = 0;
        for id in others {
            if self.is_alive(&id) {
                if matches!(self.look(&id).await, Applied::Done(..)) {
                    alive += 1;
                } else {
                    assert_ne!(&id, new, "the new one is dead\n{}", self.story());
                    self.ends(&id);
                }
            }
        }
        let at_most = limit.at_most.get() as usize;
        assert!(alive <= at_most, "{alive} sessions are alive\n{}", self.story());
    }

    /// The session as the other instance sees it, without using it.
    async fn look(&self, id: &SessionId) -> Applied {
        let limits = &self.scene.manager.settings().limits;
        let change = &Change::read();
        let (only_if, touch) = (OnlyIf::Alive, Touch::Never);
        let apply = Apply { id, change, only_if, touch, limits, token: None };
        self.scene.here.second().apply(apply, Patience(HOUR)).await.unwrap()
    }

    /// Every session is what the account says.
    async fn check(&mut self) {
        for id in self.ids.clone().iter().rev().take(12) {
            // A store may end what was abandoned in the background.
            for _ in 0..1_000 {
                if self.is_alive(id) || !matches!(self.look(id).await, Applied::Done(..)) {
                    break;
                }
                self.let_pass(Duration::from_millis(1));
            }
            match (self.standing(id), self.look(id).await) {
                (Standing::Alive, Applied::Done(snapshot, _)) => {
                    let held = &self.account[id];
                    assert_eq!(snapshot.user, held.user, "{id}\n{}", self.story());
                    let text = |kept: &[u8]| String::from_utf8(kept.to_vec()).unwrap();
                    let fields: BTreeMap<String, String> = snapshot
                        .fields
                        .iter()
                        .map(|(name, kept)| (name.to_string(), text(kept)))
                        .collect();
                    let expected = held.fields.iter();
                    let expected = expected.map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
                    assert_eq!(fields, expected, "{id}\n{}", self.story());
                }
                (Standing::Ended, Applied::Ended)
                | (Standing::Forgotten, Applied::Ended | Applied::Unknown)
                | (Standing::Unknown, Applied::Unknown) => {}
                (expected, found) => {
                    panic!("{id} is {found:?} and should be {expected:?}\n{}", self.story())
                }
            }
        }
    }
}
