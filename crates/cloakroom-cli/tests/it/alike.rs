//! The same random operations against memory, folder and server, side by side: whatever is asked, all
//! three answer the same. It stands here because this crate alone knows all stores.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::Duration;

use cloakroom::change::{Change, Fields, Operation, Writes};
use cloakroom::records::{Record, Records};
use cloakroom::store::{
    Applied, Apply, Create, Created, EndOf, ListOf, Login, OnlyIf, Patience, Rotate, Rotated,
    Snapshot, Which, Why,
};
use cloakroom::{
    Client, FieldName, Kept, Lifetime, Limits, MemoryStore, Prefix, Refusal, SessionId,
    SessionLimit, TokenMint, Touch, User, WhenFull,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;
use proptest::prelude::*;
use testbed::Server;

const PATIENCE: Patience = Patience(Duration::from_secs(30));
const LIMITS: Limits = Limits { fields: 3, value_bytes: 12, session_bytes: 40 };
const USERS: [&str; 2] = ["ada", "雪"];

/// An operation; sessions are named by their numbers.
#[derive(Clone, Debug)]
enum Asked {
    Create { user: Option<usize>, limit: Option<SessionLimit>, remembered: bool },
    CreateAgain { session: usize },
    Apply { session: usize, change: Change, only_if: OnlyIf, exactly: bool },
    Renew { session: usize, writes: Writes },
    LogIn { session: usize, user: usize, limit: Option<SessionLimit>, writes: Writes },
    End { session: usize },
    Peek { session: usize },
    Bring { user: Option<usize> },
    BringAgain { session: usize },
    List { user: usize },
    EndOf { user: usize, which: Ends, session: usize, asks: bool },
    Erase { user: usize },
}

/// A `Which` about a session that is named by its number.
#[derive(Clone, Copy, Debug)]
enum Ends {
    One,
    All,
    AllBut,
}

fn field() -> impl Strategy<Value = FieldName> {
    prop::sample::select(vec!["a", "b", "c", "雪"]).prop_map(|name| FieldName::named(name).unwrap())
}

fn value() -> impl Strategy<Value = Kept> {
    let values =
        vec!["", "0", "1", "-1", "01", "9223372036854775807", "[]", "[1]", "[1,\n2]", "x\0y"];
    prop::sample::select(values).prop_map(|value| Kept(value.as_bytes().to_vec()))
}

fn writes() -> impl Strategy<Value = Writes> {
    prop::collection::btree_map(field(), prop::option::of(value()), 0..3)
}

fn change() -> impl Strategy<Value = Change> {
    let operation = prop_oneof![
        (field(), prop::sample::select(vec![1, -1, 0, i64::MAX, i64::MIN]), any::<bool>())
            .prop_map(|(field, by, never_below_zero)| Operation::Increment {
                field,
                by,
                never_below_zero
            }),
        (field(), prop::option::of(value()), value())
            .prop_map(|(field, expected, new)| Operation::CompareAndSet { field, expected, new }),
        field().prop_map(|field| Operation::Take { field }),
        (field(), 1..3_u32).prop_map(|(field, keep)| Operation::Append {
            field,
            item: Kept(b"7".to_vec()),
            keep
        }),
    ];
    (writes(), prop::option::of(operation))
        .prop_map(|(writes, operation)| Change { writes, operation })
}

/// Of those that make room, the one session that is left is no matter of a millisecond.
fn limit() -> impl Strategy<Value = Option<SessionLimit>> {
    let refuse = (1..4_u32).prop_map(|n| (n, WhenFull::Refuse));
    prop::option::of(prop_oneof![refuse, Just((1, WhenFull::EndOldest))].prop_map(
        |(at_most, when_full)| SessionLimit {
            at_most: NonZeroU32::new(at_most).unwrap(),
            when_full,
        },
    ))
}

fn asked() -> impl Strategy<Value = Asked> {
    let session = || 0..8_usize;
    let user = || 0..USERS.len();
    prop_oneof![
        2 => (prop::option::of(user()), limit(), any::<bool>())
            .prop_map(|(user, limit, remembered)| Asked::Create { user, limit, remembered }),
        1 => session().prop_map(|session| Asked::CreateAgain { session }),
        6 => (session(), change(), any::<bool>(), any::<bool>()).prop_map(
            |(session, change, alive, exactly)| {
                let only_if = if alive { OnlyIf::Alive } else { OnlyIf::LoggedIn };
                Asked::Apply { session, change, only_if, exactly }
            }
        ),
        2 => (session(), writes()).prop_map(|(session, writes)| Asked::Renew { session, writes }),
        2 => (session(), user(), limit(), writes())
            .prop_map(|(session, user, limit, writes)| Asked::LogIn { session, user, limit, writes }),
        1 => session().prop_map(|session| Asked::End { session }),
        1 => session().prop_map(|session| Asked::Peek { session }),
        1 => prop::option::of(user()).prop_map(|user| Asked::Bring { user }),
        1 => session().prop_map(|session| Asked::BringAgain { session }),
        2 => user().prop_map(|user| Asked::List { user }),
        2 => (user(), prop::sample::select(vec![Ends::One, Ends::All, Ends::AllBut]), session(), any::<bool>())
            .prop_map(|(user, which, session, asks)| Asked::EndOf { user, which, session, asks }),
        1 => user().prop_map(|user| Asked::Erase { user }),
    ]
}

/// What is there: the last sessions that were asked for, and what was brought from elsewhere.
struct Story {
    mint: TokenMint,
    sessions: Vec<SessionId>,
    brought: Vec<Record>,
}

impl Story {
    fn session(&self, number: usize) -> SessionId {
        let recent = self.sessions.len().min(8);
        self.sessions[self.sessions.len() - recent + number % recent]
    }

    fn fresh(&self, user: Option<usize>) -> SessionId {
        let issued = user
            .map_or_else(|| self.mint.issue_anonymous(), |user| self.mint.issue_for(USERS[user]));
        issued.unwrap().id
    }
}

fn lifetime() -> Lifetime {
    Lifetime::new(Duration::from_secs(3_600), Duration::from_secs(36_000)).unwrap()
}

/// What is the same everywhere: not the instants, for three clocks don't tick together.
fn seen(snapshot: &Snapshot, exactly: bool) -> String {
    let mut text =
        format!("{:?} {:?} {}", snapshot.user, snapshot.life.lifetime, snapshot.life.remembered);
    if exactly {
        write!(text, " {:?}", snapshot.expires_at.since(snapshot.now)).unwrap();
    }
    text + &held(&snapshot.fields)
}

fn held(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!(" {name}={}", value.escape_ascii())).collect()
}

/// Asks one store, and says what came of it in words that can be compared.
async fn answer(store: &dyn Records, story: &Story, asked: &Asked, fresh: SessionId) -> String {
    let users = USERS.map(|user| User::new(user).unwrap());
    let none = Fields::new();
    let client = Client::from_text("chr win 203.0.113.0/24");
    let bring = |id: SessionId, user: Option<usize>| {
        let record = story.brought.iter().find(|record| record.id == id);
        record.cloned().unwrap_or_else(|| panic!("{user:?}"))
    };
    match asked {
        Asked::Create { user, limit, remembered } => {
            let login = user.map(|user| Login { user: &users[user], limit: *limit, client: None });
            let new = Create {
                id: &fresh,
                lifetime: lifetime(),
                remembered: *remembered,
                fields: &none,
                login,
            };
            match store.create(new, PATIENCE).await.unwrap() {
                Created::Done(snapshot, _) => seen(&snapshot, true),
                other => format!("{other:?}"),
            }
        }
        Asked::CreateAgain { session } => {
            let id = &story.session(*session);
            let login = matches!(id.tag(), cloakroom::Tag::User(_));
            let user = users
                .iter()
                .find(|user| cloakroom::Tag::of_user(store.prefix(), user.as_str()) == id.tag());
            let login = login.then(|| Login { user: user.unwrap(), limit: None, client: None });
            let new = Create { id, lifetime: lifetime(), remembered: false, fields: &none, login };
            match store.create(new, PATIENCE).await.unwrap() {
                Created::Done(snapshot, _) => seen(&snapshot, true),
                other => format!("{other:?}"),
            }
        }
        Asked::Apply { session, change, only_if, exactly } => {
            let touch = if *exactly { Touch::Exactly } else { Touch::Never };
            let id = &story.session(*session);
            let only_if = *only_if;
            let apply = Apply { id, change, only_if, touch, limits: &LIMITS, token: None };
            match store.apply(apply, PATIENCE).await.unwrap() {
                Applied::Done(snapshot, answer) => {
                    let answer = answer.map(|kept| kept.escape_ascii().to_string());
                    format!("{answer:?} {}", seen(&snapshot, *exactly))
                }
                Applied::NotLoggedIn(snapshot) => format!("nobody {}", seen(&snapshot, *exactly)),
                Applied::Conflict(found) => {
                    format!("conflict {:?}", found.map(|kept| kept.escape_ascii().to_string()))
                }
                Applied::Refused(refusal) => refused(&refusal),
                other => format!("{other:?}"),
            }
        }
        Asked::Renew { session, writes } => {
            let old = &story.session(*session);
            let (new, limits, why) = (&fresh, &LIMITS, Why::Renewal);
            let rotate = Rotate { old, new, writes, limits, why, token: None };
            rotated(store.rotate(rotate, PATIENCE).await.unwrap())
        }
        Asked::LogIn { session, user, limit, writes } => {
            let login = Login { user: &users[*user], limit: *limit, client: Some(&client) };
            let carried = &[FieldName::new("a")];
            let why = Why::Login {
                login,
                lifetime: lifetime(),
                remembered: true,
                carried,
                fields: &none,
            };
            let old = &story.session(*session);
            let (new, limits) = (&fresh, &LIMITS);
            let rotate = Rotate { old, new, writes, limits, why, token: None };
            rotated(store.rotate(rotate, PATIENCE).await.unwrap())
        }
        Asked::End { session } => {
            format!("{:?}", store.end(&story.session(*session), PATIENCE).await.unwrap())
        }
        Asked::Peek { session } => {
            let found = store.peek(&story.session(*session), PATIENCE).await.unwrap();
            format!("{:?}", found.map(|found| (found.user.clone(), held(&found.fields))))
        }
        Asked::Bring { user } => {
            format!("{:?}", store.restore(&bring(fresh, *user), PATIENCE).await.unwrap())
        }
        Asked::List { user } => {
            let user = &users[*user];
            let list = ListOf { user, after: None, at_most: NonZeroU32::new(99).unwrap() };
            let page = store.sessions_of(list, PATIENCE).await.unwrap();
            let said = page.sessions.iter().map(|s| (s.id, s.life.remembered, s.client.clone()));
            let mut said: Vec<_> = said.collect();
            // Which of two that were made in one millisecond comes first is each store's own affair.
            said.sort_by_key(|(id, ..)| *id);
            format!("{} {said:?}", store.count_of(user, PATIENCE).await.unwrap())
        }
        Asked::EndOf { user, which, session, asks } => {
            let id = &story.session(*session);
            let which = match which {
                Ends::One => Which::One(id),
                Ends::All => Which::All,
                Ends::AllBut => Which::AllBut(id),
            };
            let asked_by = asks.then_some(id);
            let end = EndOf { user: &users[*user], which, asked_by };
            format!("{:?}", store.end_of(end, PATIENCE).await.unwrap())
        }
        Asked::Erase { user } => {
            format!("{:?}", store.erase(&users[*user], PATIENCE).await.unwrap())
        }
        Asked::BringAgain { session } => match story.brought.len() {
            0 => String::new(),
            n => {
                let record = &story.brought[session % n];
                format!("{:?}", store.restore(record, PATIENCE).await.unwrap())
            }
        },
    }
}

fn rotated(rotated: Rotated) -> String {
    match rotated {
        Rotated::Done(snapshot, _) => seen(&snapshot, true),
        Rotated::Refused(refusal) => refused(&refusal),
        other => format!("{other:?}"),
    }
}

/// Of several values that are too large, any may be named.
fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::ValueTooLarge { limit, .. } => format!("a value over {limit}"),
        other => format!("{other:?}"),
    }
}

fn alike(runtime: &tokio::runtime::Runtime, server: &Server, history: &[Asked]) {
    // The users are the same in every case.
    server.command(&["FLUSHALL"]);
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let embedded = EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap();
    let redis = {
        let _inside = runtime.enter();
        RedisStore::open(&server.url(), Prefix::default()).unwrap()
    };
    let stores: [&dyn Records; 3] = [&memory, &embedded, &redis];
    let mint = TokenMint::new(Prefix::default(), "session", None);
    let never = mint.issue_anonymous().unwrap().id;
    let mut story = Story { mint, sessions: vec![never], brought: Vec::new() };
    for (step, asked) in history.iter().enumerate() {
        let fresh = match asked {
            Asked::Create { user, .. } | Asked::Bring { user } => story.fresh(*user),
            Asked::LogIn { user, .. } => story.fresh(Some(*user)),
            Asked::Renew { session, .. } => {
                story.mint.issue(story.session(*session).tag()).unwrap().id
            }
            _ => never,
        };
        if let Asked::Bring { user } = asked {
            let id = story.mint.issue_anonymous().unwrap().id;
            let new = Create {
                id: &id,
                lifetime: lifetime(),
                remembered: true,
                fields: &Fields::new(),
                login: None,
            };
            let Created::Done(model, _) =
                runtime.block_on(cloakroom::Store::create(&memory, new, PATIENCE)).unwrap()
            else {
                panic!("the memory is full");
            };
            let fields = [(FieldName::new("a"), Kept(b"1".to_vec()))].into_iter().collect();
            let user = user.map(|user| User::new(USERS[user]).unwrap());
            story.brought.push(Record {
                id: fresh,
                user,
                life: model.life,
                expires_at: model.expires_at,
                client: None,
                fields,
            });
        }
        let [first, others @ ..] =
            stores.map(|store| runtime.block_on(answer(store, &story, asked, fresh)));
        for other in others {
            assert_eq!(first, other, "memory left, another right, after {:#?}", &history[..=step]);
        }
        if fresh != never {
            story.sessions.push(fresh);
        }
    }
}

#[test]
fn memory_folder_and_server_answer_alike() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start();
    let config =
        ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(history in prop::collection::vec(asked(), 1..60))| {
        alike(&runtime, &server, &history);
    });
}
