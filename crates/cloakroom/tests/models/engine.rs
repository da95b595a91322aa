//! The engine of the stores without a server: the locks of its shards, the index of a user, the count of
//! anonymous sessions, and the sweeper.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::change::{Change, Fields, Operation, Writes};
use cloakroom::engine::Engine;
use cloakroom::store::{
    Applied, Apply, Create, Created, EndOf, Ended, EndedOf, ListOf, Login, OnlyIf, Rotate, Rotated,
    Which, Why,
};
use cloakroom::{
    Clock, FieldName, Hands, Lifetime, Limits, Prefix, SessionId, SessionLimit, Tag, Timestamp,
    TokenMint, Touch, User, WhenFull,
};
use shuttle::thread;
use testbed::schedules::in_many_schedules;

const COUNT: FieldName = FieldName::new("count");
const LIMITS: Limits = Limits { fields: 9, value_bytes: 99, session_bytes: 999 };
const IDLE: Duration = Duration::from_secs(60);

/// An engine, and short words for its verbs.
#[derive(Clone)]
struct Stage {
    engine: Arc<Engine>,
    mint: TokenMint,
    hands: Hands,
}

impl Stage {
    fn with_cap(anonymous_at_most: usize) -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let engine = Arc::new(Engine::new(clock, anonymous_at_most));
        Self { engine, mint: TokenMint::new(Prefix::default(), "session", None), hands }
    }

    fn stranger(&self) -> SessionId {
        self.mint.issue_anonymous().unwrap().id
    }

    fn id_of(&self, user: &User) -> SessionId {
        self.mint.issue_for(user.as_str()).unwrap().id
    }

    fn tag_of(&self, user: &User) -> Tag {
        Tag::of_user(self.mint.prefix(), user.as_str())
    }

    fn create(&self, id: &SessionId, login: Option<&Login<'_>>) -> Option<Created> {
        let fields = &Fields::new();
        let new =
            Create { id, lifetime: lifetime(), remembered: false, fields, login: login.copied() };
        self.engine.create(&new, |_| ()).0.ok()
    }

    fn apply(&self, id: &SessionId, change: &Change) -> Applied {
        let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
        let apply = Apply { id, change, only_if, touch, limits: &LIMITS, token: None };
        self.engine.apply(&apply, |_| ()).0
    }

    /// What it counts to, if it is alive.
    fn one_more(&self, id: &SessionId) -> Option<u64> {
        let one = Operation::Increment { field: COUNT, by: 1, never_below_zero: true };
        match self.apply(id, &Change::of(one)) {
            Applied::Done(snapshot, _) => {
                let kept = snapshot.fields.get(&COUNT).unwrap();
                Some(std::str::from_utf8(kept).unwrap().parse().unwrap())
            }
            _ => None,
        }
    }

    fn rotate(&self, old: &SessionId, new: &SessionId, why: Why<'_>) -> Rotated {
        let writes = &Writes::new();
        let rotate = Rotate { old, new, why, writes, limits: &LIMITS, token: None };
        self.engine.rotate(&rotate, |_| ()).0
    }

    fn end_all(&self, user: &User) -> u64 {
        let end = EndOf { user, which: Which::All, asked_by: None };
        match self.engine.end_of(self.tag_of(user), &end, |_| ()).0 {
            EndedOf::Done(ended) => ended,
            other => panic!("{other:?}"),
        }
    }

    fn is_alive(&self, id: &SessionId) -> bool {
        matches!(self.apply(id, &Change::read()), Applied::Done(..))
    }

    /// The count and the list of a user's sessions say what a look at each of them says.
    fn index_is_exact(&self, user: &User, all: &[SessionId]) {
        let list = ListOf { user, after: None, at_most: NonZeroU32::MAX };
        let page = self.engine.sessions_of(self.tag_of(user), &list);
        let mut listed: Vec<_> = page.sessions.iter().map(|session| session.id).collect();
        let mut alive: Vec<_> = all.iter().copied().filter(|id| self.is_alive(id)).collect();
        listed.sort_unstable();
        alive.sort_unstable();
        assert_eq!(listed, alive);
        assert_eq!(self.engine.count_of(self.tag_of(user)), alive.len() as u64);
    }

    /// As many strangers as the cap allows find room, beside those who are there, and no more.
    fn has_room_for(&self, strangers: usize) {
        for _ in 0..strangers {
            assert!(self.create(&self.stranger(), None).is_some(), "a place was lost");
        }
        assert!(self.create(&self.stranger(), None).is_none(), "a place was counted twice");
    }
}

fn lifetime() -> Lifetime {
    Lifetime::new(IDLE, 10 * IDLE).unwrap()
}

fn alice() -> User {
    User::new("alice").unwrap()
}

fn login_of(user: &User) -> Login<'_> {
    Login { user, client: None, limit: None }
}

fn all<T: Send + 'static>(threads: Vec<thread::JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// The cap is asked and taken in one step: never more than it allows, and nobody is refused for whom
/// there is room.
// Proves R67, R68, CVE-2015-5143.
#[test]
fn as_many_strangers_as_allowed_find_room_at_once_and_no_more() {
    for (cap, strangers) in [(3, 3), (2, 3)] {
        in_many_schedules(move || {
            let stage = Stage::with_cap(cap);
            let arrive = |_| {
                let stage = stage.clone();
                thread::spawn(move || stage.create(&stage.stranger(), None).is_some())
            };
            let made = all((0..strangers).map(arrive).collect());
            assert_eq!(made.into_iter().filter(|made| *made).count(), cap.min(strangers));
            assert_eq!(stage.engine.len(), cap.min(strangers));
        });
    }
}

/// However a stranger's session ends, its place is free again, once.
// Proves R67, R68.
#[test]
fn a_place_is_given_back_once_whoever_ends_the_session() {
    in_many_schedules(|| {
        let stage = Stage::with_cap(3);
        let (left, dead, newcomer) = (stage.stranger(), stage.stranger(), stage.stranger());
        assert!(stage.create(&dead, None).is_some());
        stage.hands.advance(IDLE);
        assert!(stage.create(&left, None).is_some());
        let by_logout = {
            let stage = stage.clone();
            thread::spawn(move || stage.engine.end(&left, |_| ()).0 == Ended::Now)
        };
        let by_login = {
            let stage = stage.clone();
            thread::spawn(move || {
                let (user, fields) = (alice(), Fields::new());
                let login = login_of(&user);
                let (carried, fields) = (&[][..], &fields);
                let why =
                    Why::Login { login, lifetime: lifetime(), remembered: false, carried, fields };
                matches!(stage.rotate(&left, &stage.id_of(&user), why), Rotated::Done(..))
            })
        };
        let by_the_sweeper = {
            let stage = stage.clone();
            thread::spawn(move || stage.engine.sweep(|_| ()) > 0)
        };
        let by_a_visit = {
            let stage = stage.clone();
            thread::spawn(move || matches!(stage.apply(&dead, &Change::read()), Applied::Unknown))
        };
        let made = stage.create(&newcomer, None).is_some();
        assert!(by_logout.join().unwrap() || by_login.join().unwrap());
        by_the_sweeper.join().unwrap();
        assert!(by_a_visit.join().unwrap());
        stage.has_room_for(3 - usize::from(made));
    });
}

/// A renewed session keeps the place of the old one: nobody else is let in between.
// Proves R67, R68.
#[test]
fn a_strangers_renewal_leaves_its_place_to_nobody() {
    in_many_schedules(|| {
        let stage = Stage::with_cap(1);
        let old = stage.stranger();
        assert!(stage.create(&old, None).is_some());
        let renews = {
            let stage = stage.clone();
            thread::spawn(move || {
                let new = stage.mint.issue(old.tag()).unwrap().id;
                assert!(matches!(stage.rotate(&old, &new, Why::Renewal), Rotated::Done(..)));
                new
            })
        };
        assert!(stage.create(&stage.stranger(), None).is_none(), "one more than allowed");
        let new = renews.join().unwrap();
        stage.has_room_for(0);
        assert_eq!(stage.engine.end(&new, |_| ()).0, Ended::Now);
        stage.has_room_for(1);
    });
}

/// A login over somebody else's session takes the locks of two shards; in whatever order, nobody waits for
/// ever, and the old sessions are gone.
// Proves R67.
#[test]
fn logins_there_and_back_never_wait_for_each_other() {
    in_many_schedules(|| {
        let stage = Stage::with_cap(9);
        let users = ["alice", "bob"].map(|name| User::new(name).unwrap());
        let olds = users.each_ref().map(|user| {
            let id = stage.id_of(user);
            assert!(stage.create(&id, Some(&login_of(user))).is_some());
            id
        });
        // Each logs in over the other's session: the shards are taken there and back.
        let over = |at: usize| {
            let (stage, user) = (stage.clone(), users[1 - at].clone());
            thread::spawn(move || {
                let (new, fields) = (stage.id_of(&user), Fields::new());
                let login = login_of(&user);
                let (carried, fields) = (&[][..], &fields);
                let why =
                    Why::Login { login, lifetime: lifetime(), remembered: false, carried, fields };
                assert!(matches!(stage.rotate(&olds[at], &new, why), Rotated::Done(..)));
                new
            })
        };
        let threads = vec![over(0), over(1)];
        let looks = {
            let stage = stage.clone();
            thread::spawn(move || {
                stage.engine.sweep(|_| ());
                stage.engine.len()
            })
        };
        let news = all(threads);
        assert!((2..=4).contains(&looks.join().unwrap()));
        assert!(olds.iter().all(|old| !stage.is_alive(old)), "an old session goes on");
        stage.index_is_exact(&users[1], &[olds[1], news[0]]);
        stage.index_is_exact(&users[0], &[olds[0], news[1]]);
        assert!(news.iter().all(|new| stage.is_alive(new)));
    });
}

/// Of several renewals of one session one happens; a count that runs beside them is in the session
/// that is left, or was refused.
// Proves R67.
#[test]
fn a_renewal_beside_others_and_beside_a_write_loses_nothing() {
    in_many_schedules(|| {
        let stage = Stage::with_cap(9);
        let old = stage.stranger();
        assert!(stage.create(&old, None).is_some());
        let renew = |_| {
            let stage = stage.clone();
            thread::spawn(move || {
                let new = stage.mint.issue(old.tag()).unwrap().id;
                match stage.rotate(&old, &new, Why::Renewal) {
                    Rotated::Done(..) => Some(new),
                    _ => None,
                }
            })
        };
        let renewals = (0..2).map(renew).collect();
        let counted = {
            let stage = stage.clone();
            thread::spawn(move || stage.one_more(&old))
        };
        let renewed: Vec<_> = all(renewals).into_iter().flatten().collect();
        let [new] = renewed[..] else { panic!("{} renewals happened", renewed.len()) };
        let counted = counted.join().unwrap();
        assert_eq!(stage.one_more(&new), Some(1 + counted.unwrap_or_default()));
        stage.has_room_for(8);
    });
}

/// Once all sessions of a user were ended, none from before is alive, whatever was under way; the index
/// says what is.
// Proves R67.
#[test]
fn nobody_slips_through_when_all_sessions_of_a_user_end() {
    in_many_schedules(|| {
        let (stage, user) = (Stage::with_cap(9), alice());
        let ids: Arc<[SessionId]> = (0..4).map(|_| stage.id_of(&user)).collect();
        let begin = |stage: &Stage, at: usize| {
            assert!(stage.create(&ids[at], Some(&login_of(&user))).is_some());
        };
        begin(&stage, 0);
        begin(&stage, 1);
        let renews = {
            let (stage, ids) = (stage.clone(), ids.clone());
            thread::spawn(move || {
                matches!(stage.rotate(&ids[0], &ids[2], Why::Renewal), Rotated::Done(..))
            })
        };
        let counts = {
            let (stage, ids) = (stage.clone(), ids.clone());
            thread::spawn(move || stage.one_more(&ids[1]))
        };
        let ended = {
            let (stage, user) = (stage.clone(), user.clone());
            thread::spawn(move || stage.end_all(&user))
        };
        assert_eq!(ended.join().unwrap(), 2);
        // What was renewed before the end has ended with the rest; after it nothing is renewed.
        renews.join().unwrap();
        counts.join().unwrap();
        assert!(ids.iter().all(|id| !stage.is_alive(id)), "somebody is still logged in");
        stage.index_is_exact(&user, &ids);
        begin(&stage, 3);
        stage.index_is_exact(&user, &ids);
    });
}

/// However many log in at once, a user has no more sessions than allowed, and the index agrees.
// Proves R67.
#[test]
fn logins_at_once_keep_to_the_limit_of_a_user() {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        in_many_schedules(move || {
            let (stage, user) = (Stage::with_cap(9), alice());
            let at_most = NonZeroU32::new(2).unwrap();
            let enter = |_| {
                let (stage, user) = (stage.clone(), user.clone());
                thread::spawn(move || {
                    let limit = Some(SessionLimit { at_most, when_full });
                    let id = stage.id_of(&user);
                    let login = Login { limit, ..login_of(&user) };
                    match stage.create(&id, Some(&login)).unwrap() {
                        Created::Done(..) => Some(id),
                        _ => None,
                    }
                })
            };
            let ids: Vec<_> = all((0..3).map(enter).collect()).into_iter().flatten().collect();
            assert_eq!(ids.iter().filter(|id| stage.is_alive(id)).count(), 2);
            stage.index_is_exact(&user, &ids);
        });
    }
}

/// A use and the sweeper: who was let in stays, and who was swept is not there.
// Proves R67.
#[test]
fn the_sweeper_takes_nobody_who_was_let_in() {
    in_many_schedules(|| {
        let (stage, user) = (Stage::with_cap(2), alice());
        let (stranger, theirs) = (stage.stranger(), stage.id_of(&user));
        assert!(stage.create(&stranger, None).is_some());
        assert!(stage.create(&theirs, Some(&login_of(&user))).is_some());
        stage.hands.advance(IDLE - Duration::from_millis(1));
        let uses = [stranger, theirs].map(|id| {
            let stage = stage.clone();
            thread::spawn(move || stage.one_more(&id).is_some())
        });
        let sweeps = {
            let stage = stage.clone();
            thread::spawn(move || {
                stage.hands.advance(Duration::from_millis(1));
                stage.engine.sweep(|_| ())
            })
        };
        let stay = uses.map(|it| it.join().unwrap());
        sweeps.join().unwrap();
        assert_eq!([stranger, theirs].map(|id| stage.is_alive(&id)), stay);
        stage.index_is_exact(&user, &[theirs]);
        stage.has_room_for(2 - usize::from(stay[0]));
    });
}
