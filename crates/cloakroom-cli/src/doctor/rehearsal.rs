//! The whole life of a session, with the library and the store that a service uses.

use std::time::{Duration, Instant};

use cloakroom::{
    Field, Lifetime, Manager, Prefix, SessionError, SessionId, Settings, Tag, Touch, User,
};
use cloakroom_redis::{RedisSettings, RedisStore};
use redis::Value;

use crate::doctor::finding::{Act, Finding};
use crate::doctor::nodes::{Duty, Node};
use crate::doctor::wire::error_in;

const COUNT: Field<u64> = Field::new("count");
/// What it leaves if it is cut off is gone after so long.
const AT_MOST: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(50);

/// Rehearses, and removes what it made, whatever came of it. `name` is nobody else's.
pub(crate) fn rehearse(
    url: &str,
    settings: &RedisSettings,
    prefix: &Prefix,
    name: &str,
    nodes: &mut [Node],
    timeout: Duration,
) -> Result<Finding, Finding> {
    let mut made = Vec::new();
    let failed = |error: &dyn std::fmt::Display| Finding::RehearsalFailed {
        action: Act::Create,
        error: error.to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let rehearsed = runtime.map_err(|error| failed(&error)).and_then(|runtime| {
        runtime.block_on(async {
            let store = RedisStore::open_with(url, prefix.clone(), settings);
            act(store.map_err(|error| failed(&error))?, name, timeout, &mut made).await
        })
    });
    let left = tidy_up(prefix, &made, nodes, timeout);
    rehearsed?;
    match left? {
        keys if keys.is_empty() => Ok(Finding::Rehearsed { prefix: prefix.as_str().to_owned() }),
        keys => Ok(Finding::LeftBehind { keys }),
    }
}

async fn act(
    store: RedisStore,
    name: &str,
    patience: Duration,
    made: &mut Vec<SessionId>,
) -> Result<(), Finding> {
    let lasting = |time| {
        let lifetime = Lifetime::new(time, time).map_err(|error| Finding::RehearsalFailed {
            action: Act::Create,
            error: error.to_string(),
        })?;
        Ok::<_, Finding>(Settings {
            lifetime,
            anonymous: lifetime,
            patience,
            ..Settings::default()
        })
    };
    let manager = Manager::new(store.clone(), lasting(AT_MOST)?);

    let at = |action| move |error| failed_at(action, &error);
    let visit = manager.open([]);
    let session = visit.session();
    expect(Act::Create, 1, session.increment(COUNT, 1).await.map_err(at(Act::Create))?)?;
    made.extend(session.id().await.map_err(at(Act::Create))?);
    let anonymous = visit.close(200).await.set_cookie.unwrap_or_default();

    let visit = manager.open([cookie(&anonymous)]);
    let session = visit.session();
    for count in 2..=4 {
        expect(Act::Count, count, session.increment(COUNT, 1).await.map_err(at(Act::Count))?)?;
    }
    let user = User::new(name).map_err(|error| failed_at(Act::LogIn, &error.into()))?;
    let _ = session.log_in(user).await.map_err(at(Act::LogIn))?;
    made.extend(session.id().await.map_err(at(Act::LogIn))?);
    let logged_in = visit.close(200).await.set_cookie.unwrap_or_default();

    let visit = manager.open([cookie(&logged_in)]);
    let session = visit.session();
    let counted = session.if_logged_in().increment(COUNT, 1).await.map_err(at(Act::LogIn))?;
    expect(Act::LogIn, Some((name.to_owned(), 1)), counted.map(|(u, n)| (u.to_string(), n)))?;
    session.log_out().await.map_err(at(Act::LogOut))?;
    let _ = visit.close(200).await;
    let late = manager.open([cookie(&logged_in)]);
    let user = late.session().if_logged_in().increment(COUNT, 1).await;
    expect(Act::LogOut, "ended".to_owned(), outcome(&user))?;
    let _ = late.close(200).await;

    let manager = Manager::new(store, lasting(SOON)?);
    let visit = manager.open([]);
    visit.session().increment(COUNT, 1).await.map_err(at(Act::Expire))?;
    made.extend(visit.session().id().await.map_err(at(Act::Expire))?);
    let brief = visit.close(200).await.set_cookie.unwrap_or_default();
    let until = Instant::now() + SOON + patience;
    loop {
        let visit = manager.open([cookie(&brief)]);
        visit.session().touch(Touch::Never);
        let there = visit.session().id().await.map_err(at(Act::Expire))?.is_some();
        let _ = visit.close(200).await;
        match there {
            false => return Ok(()),
            true if Instant::now() > until => {
                return expect(Act::Expire, "gone".to_owned(), "alive".to_owned());
            }
            // Nothing tells when a session has expired, so it is asked again.
            true => tokio::time::sleep(SOON / 5).await,
        }
    }
}

/// The cookie that a browser sends back.
fn cookie(set_cookie: &str) -> &[u8] {
    set_cookie.split(';').next().unwrap_or_default().as_bytes()
}

fn outcome<T>(answer: &Result<Option<T>, SessionError>) -> String {
    match answer {
        Err(SessionError::Ended) | Ok(None) => "ended".into(),
        Ok(Some(_)) => "alive".into(),
        Err(error) => error.to_string(),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(
    action: Act,
    expected: T,
    found: T,
) -> Result<(), Finding> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(Finding::RehearsalWrong { action, expected, found })
}

fn failed_at(action: Act, error: &SessionError) -> Finding {
    let error = error.to_string();
    if error.contains("NOREPLICAS") || error.contains("NoReplicas") {
        Finding::NoReplicas
    } else if error.contains("MISCONF") {
        Finding::Misconfigured
    } else {
        Finding::RehearsalFailed { action, error }
    }
}

/// Removes what there was under the names of these sessions; returns what is still there.
fn tidy_up(
    prefix: &Prefix,
    made: &[SessionId],
    nodes: &mut [Node],
    timeout: Duration,
) -> Result<Vec<String>, Finding> {
    let mut left = Vec::new();
    for key in made.iter().flat_map(|id| keys(prefix, id)) {
        // In a cluster one of them has it, and the others say so.
        for node in nodes.iter_mut().filter(|node| node.duty != Duty::Replica) {
            let mut server = node.server(timeout)?.0;
            for command in ["UNLINK", "EXISTS"] {
                let said = server.ask(&[command, &key])?;
                match (error_in(&said), said) {
                    (Some(error), _) if error.starts_with("MOVED") => break,
                    (Some(error), _) => {
                        return Err(Finding::RehearsalFailed { action: Act::TidyUp, error });
                    }
                    (None, Value::Int(0)) => {}
                    (None, _) if command == "EXISTS" => left.push(key.clone()),
                    (None, _) => {}
                }
            }
        }
    }
    Ok(left)
}

/// The keys of a session, as docs/layout.md has them.
pub(crate) fn keys(prefix: &Prefix, id: &SessionId) -> Vec<String> {
    let place = format!("{}:{{{}}}", prefix.as_str(), id.tag());
    let mut keys = vec![format!("{place}:session:{id}")];
    if let Tag::User(_) = id.tag() {
        keys.push(format!("{place}:user"));
    }
    keys
}
