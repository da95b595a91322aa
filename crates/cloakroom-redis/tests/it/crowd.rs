//! One user with a hundred thousand sessions: they are put there as the layout says, for to log in so
//! often takes minutes.

use cloakroom::testing::Visitor;
use cloakroom::{LogIn, User};
use testbed::Server;

use crate::house::*;

const CROWD: usize = 100_000;

/// More sessions of the user of this one, each like it, under ids of their own.
async fn crowd_around(server: &Server, visitor: &Visitor) {
    const AS_MANY: &str = "
        local time = redis.call('TIME')
        local at = time[1] * 1000 + math.floor(time[2] / 1000) + redis.call('PTTL', KEYS[1])
        local held = redis.call('HGETALL', KEYS[1])
        for number = ARGV[1], ARGV[2] do
          local id = string.format('%043d', number)
          local key = string.sub(KEYS[1], 1, -44) .. id
          redis.call('HSET', key, unpack(held))
          redis.call('PEXPIREAT', key, at)
          redis.call('ZADD', KEYS[2], at, id)
        end
        redis.call('PEXPIREAT', KEYS[2], at)";
    let (key, index) = keys_of(visitor).await;
    for first in (1..=CROWD).step_by(10_000) {
        let [first, last] = [first, first + 9_999].map(|number| number.to_string());
        let answer = server.command(&["EVAL", AS_MANY, "2", &key, &index, &first, &last]);
        assert!(answer.error().is_none(), "{answer:?}");
    }
}

/// At once, and none of them is there after it but who was to be kept.
// Proves F34, R32, R33, R35.
#[tokio::test]
async fn a_hundred_thousand_sessions_of_a_user_end_at_once_and_nobody_elses() {
    for keeps_one in [false, true] {
        let server = Server::start();
        let manager = manager(&server);
        let bob = Visitor::logged_in(&manager, "bob").await.unwrap();
        let (mut visitor, other) = (alice(&manager).await, alice(&manager).await);
        crowd_around(&server, &visitor).await;
        let user = User::new("alice").unwrap();
        let sessions = manager.sessions_of(&user);
        let everybody = CROWD as u64 + 2;
        assert_eq!(sessions.count().await.unwrap(), everybody);

        let kept = u64::from(keeps_one);
        let ended = if keeps_one {
            sessions.revoke_all_but(&id_of(&visitor).await).await
        } else {
            sessions.revoke_all().await
        };
        assert_eq!(ended.unwrap(), everybody - kept);
        assert_eq!(sessions.count().await.unwrap(), kept);
        assert_eq!(other.open().session().user().await.unwrap(), None);
        assert_eq!(visitor.open().session().user().await.unwrap().is_some(), keeps_one);
        assert!(bob.open().session().user().await.unwrap().is_some());
        // While what they held is removed, somebody logs in.
        let login = visitor.visit(async |session| session.log_in(user.clone()).await).await;
        assert_eq!(login.unwrap(), LogIn::Done);
        assert_eq!(sessions.count().await.unwrap(), 1);
        assert_eq!(server.keys_without_ttl(), [""; 0]);
    }
}
