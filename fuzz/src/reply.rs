//! What a server answers a script, in the form of its protocol: the first byte says which script, the
//! rest is the reply. The store may be anybody's.

use cloakroom::store::{Applied, Created, Rotated, Snapshot};
use cloakroom::{FieldName, Limits, SessionId, Tag, Timestamp};
use cloakroom_redis::fuzzing::{self, Read};
use pollster::block_on;

use crate::house::{GENUINE, hostile, mint};

const LIMITS: Limits = Limits { fields: 64, value_bytes: 16_384, session_bytes: 65_536 };

pub(crate) fn run(input: &[u8]) {
    let Some((which, reply)) = input.split_first() else { return };
    for token in &GENUINE[..2] {
        let id = mint().open(token.as_bytes()).unwrap().id;
        let Some(read) = fuzzing::reply(*which, &id, &LIMITS, reply) else { continue };
        match &read {
            Read::Applied(applied) => {
                if let Applied::Done(snapshot, _) | Applied::NotLoggedIn(snapshot) = applied {
                    is_well_formed(snapshot);
                }
                is_met(token, id, applied);
            }
            Read::Created(Created::Done(snapshot, pushed_out))
            | Read::Rotated(Rotated::Done(snapshot, pushed_out)) => {
                is_well_formed(snapshot);
                assert!(pushed_out.iter().all(|out| out.tag() == id.tag()), "of somebody else");
            }
            Read::Peeked(Some(record)) => assert_eq!(record.check(), Ok(())),
            Read::Listed(ids, _) => assert!(ids.iter().all(|it| it.tag() == id.tag())),
            Read::Looked(listed) => {
                for session in listed {
                    assert_eq!(session.id, id);
                    assert!(session.life.lifetime.idle() <= session.life.lifetime.absolute());
                }
            }
            _ => {}
        }
    }
}

/// What a type promises holds of what a store sends, too.
fn is_well_formed(snapshot: &Snapshot) {
    let Snapshot { user, life, fields, .. } = snapshot;
    assert!(fields.keys().all(|name| FieldName::named(name.as_str()).is_ok()));
    assert!(user.as_ref().is_none_or(|user| cloakroom::User::new(user.as_str()).is_ok()));
    assert_eq!(life.to_string().parse::<cloakroom::Life>().unwrap().lifetime, life.lifetime);
    assert!(
        life.expires_at(Timestamp::from_millis(u64::MAX), life.lifetime.idle()) <= life.deadline()
    );
}

/// A request that comes with this token and finds that: whoever it takes for logged in is whom the
/// token says, and no cookie goes out but the next one of the same session.
fn is_met(token: &str, id: SessionId, answer: &Applied) {
    let (store, manager) = hostile();
    store.answer(answer.clone());
    let cookie = format!("__Host-session={token}");
    let visit = manager.open([cookie.as_bytes()]);
    let session = visit.session();
    let user = block_on(session.user());
    if let Ok(Some(user)) = &user {
        assert_eq!(Tag::of_user(store_prefix(), user.as_str()), id.tag(), "somebody else");
    }
    if let Ok(None) = &user {
        let named = block_on(session.id()).unwrap();
        assert!(
            named.is_none_or(|id| matches!(id.tag(), Tag::Anonymous(_))),
            "nobody by a user's key"
        );
    }
    assert!(store.asked().iter().all(|asked| *asked == id), "another session was asked for");
    let _ = block_on(session.expires_in());
    let _ = block_on(session.snapshot());
    let _ = block_on(session.authenticated_within(std::time::Duration::MAX));
    assert_eq!(store.written(), 0);
    let head = block_on(visit.close(200));
    if let Some(line) = head.set_cookie {
        let value = line.strip_prefix("__Host-session=").unwrap().split(';').next().unwrap();
        assert_eq!(mint().open(value.as_bytes()).unwrap().id, id, "another session's cookie");
    }
}

fn store_prefix() -> &'static cloakroom::Prefix {
    mint().prefix()
}
