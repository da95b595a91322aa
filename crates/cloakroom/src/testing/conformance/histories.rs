//! Histories that nobody thought of: many sessions of few users, over days, against a plain account
//! of who must be alive. For a clock that a test can move.

use std::time::Duration;

use super::random::Dice;
use super::stage::{
    Entry, HOUR, NO_FIELDS, Stage, applying, at_most, creating, increment, renewing, text,
};
use crate::change::Change;
use crate::expiry::{Lifetime, Timestamp, Touch};
use crate::store::{
    Applied, Apply, Create, Created, ENDED_FOR, Ended, Login, OnlyIf, Rotated, Snapshot, User,
    WhenFull,
};
use crate::testing::Harness;
use crate::token::SessionId;

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// After every step, who should be alive is, and nobody else; a hundred histories, each from a seed.
pub fn random_histories_leave_alive_who_should_be<H: Harness>(here: &H) {
    let histories = Stage::set(here).rounds(100);
    for seed in 0..histories as u64 {
        follow(here, seed, 120);
    }
}

/// One history, always the same one from the same seed; panics where the store leaves the contract.
pub fn follow<H: Harness>(here: &H, seed: u64, steps: usize) {
    let mut history = History::new(here, seed);
    for step in 0..steps {
        history.step();
        history.check(&format!("seed {seed}, step {step}"));
    }
}

/// The account. Where the contract leaves the store a choice (which of two sessions with nearly the
/// same life left makes room; how soon an index notices that one expired), it takes the store's
/// word and checks that the choice was one.
struct History<'h, H> {
    here: &'h H,
    stage: Stage<'h, H>,
    users: Vec<User>,
    sessions: Vec<Held>,
    dice: Dice,
    told: Vec<String>,
}

struct Held {
    id: SessionId,
    user: Option<usize>,
    state: State,
}

enum State {
    Alive {
        snapshot: Box<Snapshot>,
        n: u64,
    },
    /// Ended or revoked at that instant.
    Ended(Timestamp),
    /// Expired, at that instant.
    Unknown(Timestamp),
}

impl<'h, H: Harness> History<'h, H> {
    fn new(here: &'h H, seed: u64) -> Self {
        let stage = Stage::set(here);
        let users = ["ada", "bob", "eve"].map(|name| stage.user(name)).into();
        let dice = Dice::new(seed);
        Self { here, stage, users, sessions: Vec::new(), dice, told: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.roll() % 16 {
            0 => self.begin(),
            1..=3 => self.log_in(None),
            4..=5 => {
                let old = self.pick();
                self.log_in(old);
            }
            6..=7 => self.renew(),
            8..=10 => self.use_one(),
            11 => self.end_one(),
            _ => self.wait(),
        }
    }

    fn tell(&mut self, what: String) {
        self.told.push(what);
    }

    fn story(&self, whence: &str) -> String {
        format!("{whence}:\n{}", self.told.join("\n"))
    }

    /// One of the later sessions; the early ones are long dead.
    fn pick(&mut self) -> Option<usize> {
        let recent = self.sessions.len().min(12);
        let from = self.sessions.len() - recent;
        (recent > 0).then(|| from + (self.dice.roll() % recent as u64) as usize)
    }

    fn lifetime(&mut self) -> Lifetime {
        let (idle, absolute) = self.dice.one_of(&[(1, 1), (1, 60), (20, 30), (20, 600), (90, 240)]);
        Lifetime::new(idle * MINUTE, absolute * MINUTE).unwrap()
    }

    fn begin(&mut self) {
        let (id, lifetime) = (self.stage.anonymous(), self.lifetime());
        let snapshot = self.stage.created(Create { lifetime, ..creating(&id, &NO_FIELDS) });
        self.tell(format!("{id} begins with {lifetime:?}"));
        self.enter(id, None, snapshot, 0);
    }

    fn enter(&mut self, id: SessionId, user: Option<usize>, snapshot: Snapshot, n: u64) {
        let state = State::Alive { snapshot: Box::new(snapshot), n };
        self.sessions.push(Held { id, user, state });
    }

    fn log_in(&mut self, old: Option<usize>) {
        let user = (self.dice.roll() % self.users.len() as u64) as usize;
        let when_full = self.dice.one_of(&[WhenFull::EndOldest, WhenFull::Refuse]);
        let limit = match self.dice.roll() % 6 {
            0 => None,
            n => Some(at_most(n as u32, when_full)),
        };
        let lifetime = self.lifetime();
        let name = self.users[user].clone();
        let id = self.stage.id_of(&name);
        let login = Login { user: &name, limit, client: None };
        let done = match old {
            None => match self.stage.create(Create {
                lifetime,
                login: Some(login),
                ..creating(&id, &NO_FIELDS)
            }) {
                Created::Done(snapshot, _) => Some(snapshot),
                Created::Full => None,
                other => panic!("{other:?}"),
            },
            Some(old) => {
                let entry = Entry { login, lifetime, ..Entry::of(&name) };
                match self.stage.rotate(entry.from(&self.sessions[old].id, &id)) {
                    Rotated::Done(snapshot, _) => Some(snapshot),
                    Rotated::Full => None,
                    other => panic!("{other:?}"),
                }
            }
        };
        let from = old.map(|old| self.sessions[old].id);
        let outcome = if done.is_some() { "logs in" } else { "finds it full" };
        self.tell(format!(
            "{id} of user {user} {outcome} from {from:?} with {limit:?}, {lifetime:?}"
        ));

        let gives_up = |n: usize, entry: &Held| Some(n) == old && entry.user == Some(user);
        let now = done.as_ref().map(|snapshot| snapshot.now);
        let others: Vec<usize> = (0..self.sessions.len())
            .filter(|n| self.sessions[*n].user == Some(user))
            .filter(|n| !gives_up(*n, &self.sessions[*n]))
            .collect();
        let alive = |n: &&usize| matches!(self.sessions[**n].state, State::Alive { .. });
        let alive_now = others.iter().filter(alive).count();
        // An index may notice up to a minute late that a session expired.
        let lingering = others
            .iter()
            .filter(|n| match (&self.sessions[**n].state, now) {
                (State::Unknown(at), Some(now)) => now.since(*at) <= MINUTE,
                (State::Unknown(_), None) => true,
                _ => false,
            })
            .count();
        let at_most = limit.map_or(usize::MAX, |limit| limit.at_most.get() as usize);
        let refuses = limit.is_some_and(|limit| limit.when_full == WhenFull::Refuse);
        let Some(snapshot) = done else {
            assert!(refuses && alive_now + lingering >= at_most, "{}", self.story("full too soon"));
            self.stage.is_unknown(&id);
            return;
        };
        assert!(!refuses || alive_now < at_most, "{}", self.story("not full though it is"));

        let n = match old {
            Some(old) => match &self.sessions[old].state {
                State::Alive { n, .. } if self.sessions[old].user == Some(user) => *n,
                _ => 0,
            },
            None => 0,
        };
        if let Some(old) = old {
            let old = &mut self.sessions[old];
            if matches!(old.state, State::Alive { .. }) {
                old.state = State::Ended(snapshot.now);
            }
        }
        // Who made room is the store's choice among those with about the least life left.
        let now = snapshot.now;
        let (mut ended, mut kept) = (Vec::new(), Vec::new());
        for n in others {
            let State::Alive { snapshot, .. } = &self.sessions[n].state else { continue };
            let expires_at = snapshot.expires_at;
            if self.stage.is_alive(&self.sessions[n].id) {
                kept.push(expires_at);
            } else {
                ended.push(expires_at);
                self.sessions[n].state = State::Ended(now);
            }
        }
        let too_many = (alive_now + 1).saturating_sub(at_most);
        assert!(ended.len() >= too_many, "{}", self.story("more than the limit are alive"));
        assert!(
            ended.len() <= too_many + lingering,
            "{}",
            self.story("more were ended than too many")
        );
        if let (Some(last), Some(first)) = (ended.iter().max(), kept.iter().min()) {
            assert!(
                *last <= *first + MINUTE,
                "{}",
                self.story("one with more life left was ended")
            );
        }
        self.enter(id, Some(user), snapshot, n);
    }

    fn renew(&mut self) {
        let Some(old) = self.pick() else { return };
        let id = self.stage.id_like(&self.sessions[old].id);
        let rotated = self.stage.rotate(renewing(&self.sessions[old].id, &id));
        self.tell(format!("{id} is to renew {}", self.sessions[old].id));
        let whence = self.story("renewed");
        let old = &mut self.sessions[old];
        match (&old.state, rotated) {
            (State::Alive { snapshot: before, n }, Rotated::Done(snapshot, _)) => {
                assert_eq!(snapshot.life.deadline(), before.life.deadline(), "{whence}");
                let (user, n) = (old.user, *n);
                old.state = State::Ended(snapshot.now);
                self.enter(id, user, snapshot, n);
            }
            (State::Ended(_), Rotated::Ended | Rotated::Unknown) => self.stage.is_unknown(&id),
            (State::Unknown(_), Rotated::Unknown) => self.stage.is_unknown(&id),
            (_, other) => panic!("{other:?}, {whence}"),
        }
    }

    fn use_one(&mut self) {
        let Some(one) = self.pick() else { return };
        let touch = self.dice.one_of(&[Touch::Exactly, Touch::Exactly, Touch::Never]);
        let only_if = self.dice.one_of(&[OnlyIf::Alive, OnlyIf::LoggedIn]);
        let change = Change::of(increment("n", 1));
        let id = self.sessions[one].id;
        self.tell(format!("{id} is used with {touch:?}, {only_if:?}"));
        let applied = self.stage.apply(Apply { touch, only_if, ..applying(&id, &change) });
        let whence = self.story("used");
        let one = &mut self.sessions[one];
        match (&mut one.state, applied) {
            (State::Alive { snapshot: before, n }, Applied::Done(snapshot, _)) => {
                assert!(one.user.is_some() || only_if == OnlyIf::Alive, "{whence}");
                *n += 1;
                **before = snapshot;
            }
            (State::Alive { snapshot: before, .. }, Applied::NotLoggedIn(snapshot)) => {
                assert!(one.user.is_none() && only_if == OnlyIf::LoggedIn, "{whence}");
                **before = snapshot;
            }
            (State::Ended(_), Applied::Ended | Applied::Unknown) => {}
            (State::Unknown(_), Applied::Unknown) => {}
            (_, other) => panic!("{other:?}, {whence}"),
        }
    }

    fn end_one(&mut self) {
        let Some(one) = self.pick() else { return };
        let id = self.sessions[one].id;
        self.tell(format!("{id} is ended"));
        let now = self.now();
        let ended = self.stage.end(&id);
        let whence = self.story("ended");
        let one = &mut self.sessions[one];
        match (&one.state, ended) {
            (State::Alive { .. }, Ended::Now) => one.state = State::Ended(now),
            (State::Ended(_), Ended::Before | Ended::Unknown) => {}
            (State::Unknown(_), Ended::Unknown) => {}
            (_, other) => panic!("{other:?}, {whence}"),
        }
    }

    fn wait(&mut self) {
        let for_how_long = self.dice.one_of(&[
            MILLISECOND,
            Duration::from_secs(31),
            Duration::from_secs(59),
            MINUTE,
            2 * MINUTE,
            7 * MINUTE,
            19 * MINUTE,
            HOUR,
        ]);
        self.tell(format!("{for_how_long:?} pass"));
        self.here.pass(for_how_long);
        let mut now = self.now();
        // The one millisecond in which it ends is either.
        while self.sessions.iter().any(|one| one.ends_at(now)) {
            self.here.pass(MILLISECOND);
            now = self.now();
        }
        for one in &mut self.sessions {
            if let State::Alive { snapshot, .. } = &one.state
                && snapshot.expires_at < now
            {
                one.state = State::Unknown(snapshot.expires_at);
            }
        }
    }

    /// The store's clock, by a session that nothing else is about.
    fn now(&self) -> Timestamp {
        let id = self.stage.with(&NO_FIELDS);
        let now = self.stage.peek(&id).now;
        let _ = self.stage.end(&id);
        now
    }

    /// Every session is what the account says, and nobody is renewed by looking.
    fn check(&self, whence: &str) {
        let now = self.now();
        for one in self.sessions.iter().rev().take(20) {
            let id = one.id;
            match (&one.state, self.stage.look(&id)) {
                (State::Alive { snapshot, n }, Applied::Done(seen, _)) => {
                    assert_eq!(
                        seen.expires_at,
                        snapshot.expires_at,
                        "{id}, {}",
                        self.story(whence)
                    );
                    assert_eq!(seen.life.created, snapshot.life.created);
                    let user = one.user.map(|user| &self.users[user]);
                    assert_eq!(seen.user.as_ref(), user, "{id}, {}", self.story(whence));
                    let held = seen.fields.get("n").map_or("0".into(), |n| text(n));
                    assert_eq!(held, n.to_string(), "{id}, {}", self.story(whence));
                }
                (State::Ended(at), Applied::Unknown) => {
                    let since = now.since(*at);
                    assert!(
                        since >= ENDED_FOR,
                        "{id} forgotten after {since:?}, {}",
                        self.story(whence)
                    );
                }
                (State::Ended(_), Applied::Ended) | (State::Unknown(_), Applied::Unknown) => {}
                (_, other) => panic!("{id} is {other:?}, {}", self.story(whence)),
            }
        }
    }
}

impl Held {
    fn ends_at(&self, now: Timestamp) -> bool {
        matches!(&self.state, State::Alive { snapshot, .. } if snapshot.expires_at == now)
    }
}
