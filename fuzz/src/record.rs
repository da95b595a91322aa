//! What the file of an embedded store holds under an id, and what is made of it in memory.

use std::time::Duration;

use cloakroom::change::Change;
use cloakroom::engine::{Engine, Packed};
use cloakroom::rotation::Current;
use cloakroom::store::{Applied, Apply, ListOf, OnlyIf};
use cloakroom::{Client, Clock, Life, Limits, Timestamp, Touch};

use crate::house::{GENUINE, mint};

pub(crate) fn run(input: &[u8]) {
    texts(input);
    let Some(packed) = Packed::from_bytes(input) else { return };
    let record = packed.record();
    let again = Packed::from_bytes(Packed::of(&record).bytes());
    assert_eq!(again.map(|it| it.record()), Some(record.clone()), "written anew it is another");

    // Under an id of nobody, and under one of ada: a file may say anything.
    for token in &GENUINE[..2] {
        let id = mint().open(token.as_bytes()).unwrap().id;
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let engine = Engine::new(clock.clone(), 9);
        engine.replace([(id, packed.clone())], || ());
        let change = Change::read();
        let limits = Limits { fields: 9, value_bytes: 99, session_bytes: 999 };
        let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
        let read = Apply { id: &id, change: &change, only_if, touch, limits: &limits, token: None };
        let (applied, ()) = engine.apply(&read, |_| ());
        let now = clock.now();
        match (&applied, &record.content) {
            (Applied::Done(snapshot, _), Some(content)) => {
                assert!(record.expires_at > now, "an expired one is alive");
                assert!(content.user.is_none() || record.indexed_until.is_some(), "a revoked one");
                assert_eq!((&snapshot.user, &snapshot.fields), (&content.user, &content.fields));
            }
            (Applied::Unknown, _) => assert!(record.expires_at <= now, "a live one is unknown"),
            (Applied::Ended, Some(content)) => {
                assert!(content.user.is_some() && record.indexed_until.is_none());
            }
            (Applied::Ended, None) => {}
            (other, _) => panic!("{other:?}"),
        }
        let user = cloakroom::User::new("ada").unwrap();
        let list = ListOf { user: &user, after: None, at_most: 9.try_into().unwrap() };
        let _ = engine.sessions_of(id.tag(), &list);
        let _ = engine.end(&id, |_| ());
        // To the end of time: a manual clock wraps.
        hands.advance(Duration::from_millis(u64::MAX - now.as_millis()));
        engine.sweep(|_| ());
        assert!(engine.is_empty(), "something stays for ever");
    }
}

/// Read, written and read again, the texts inside a record stay what they are.
fn texts(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(life) = text.parse::<Life>() {
        let again = life.to_string();
        assert!(life.lifetime.idle() <= life.lifetime.absolute());
        assert_eq!(again.parse::<Life>().unwrap(), life, "{again}");
    }
    if let Ok(current) = text.parse::<Current>() {
        assert_eq!(current.to_string().parse::<Current>().unwrap(), current);
    }
    let client = Client::from_text(text);
    assert!(client.to_text().len() <= Client::LONGEST_TEXT);
    assert_eq!(Client::from_text(&client.to_text()), client);
}
