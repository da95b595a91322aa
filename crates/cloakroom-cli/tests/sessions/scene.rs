//! A store with sessions in it, and the program that looks at them.

use std::time::Duration;

use cloakroom::change::Fields;
use cloakroom::records::{Record, Records, Restored};
use cloakroom::store::Patience;
use cloakroom::{
    Browser, Client, Clock, Device, FieldName, Kept, Life, Lifetime, Prefix, SessionId, System,
    Tag, Timestamp, User,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;
use testbed::{Cluster, Program, Server};

const PATIENCE: Patience = Patience(Duration::from_secs(30));
const MINUTE: u64 = 60_000;

pub(crate) enum Scene {
    Redis(Server),
    Cluster(Cluster),
    Embedded(tempfile::TempDir),
}

pub(crate) fn on_every_store(test: impl Fn(&Scene)) {
    test(&Scene::Redis(Server::start()));
    test(&Scene::in_folder());
}

fn prefix() -> Prefix {
    Prefix::new("shop").unwrap()
}

impl Scene {
    /// With the file of the sessions in it, for a folder without is refused.
    pub(crate) fn in_folder() -> Self {
        let scene = Self::Embedded(tempfile::tempdir().unwrap());
        scene.keep(&[]);
        scene
    }

    /// What `--store` takes.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
            Self::Embedded(folder) => folder.path().to_str().unwrap().to_owned(),
        }
    }

    /// Runs `cloakroom` with these arguments, and answers its exit code and what it said.
    pub(crate) fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let env = [("REDIS_URL", &*self.name()), ("CLOAKROOM_PREFIX", "shop")];
        let program = Program::start(env!("CARGO_BIN_EXE_cloakroom"), args, &env);
        (program.wait(), program.log())
    }

    /// Puts these into the store.
    pub(crate) fn keep(&self, records: &[Record]) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store: Box<dyn Records> = match self {
                Self::Redis(_) | Self::Cluster(_) => {
                    Box::new(RedisStore::open(&self.name(), prefix()).unwrap())
                }
                Self::Embedded(folder) => {
                    let settings =
                        EmbeddedSettings { prefix: prefix(), ..EmbeddedSettings::default() };
                    Box::new(EmbeddedStore::open(folder.path(), settings).unwrap())
                }
            };
            for record in records {
                let restored = store.restore(record, PATIENCE).await.unwrap();
                assert_eq!(restored, Restored::Done);
            }
        });
    }

    /// Whether the session is still alive, as `show` says it.
    pub(crate) fn alive(&self, record: &Record) -> bool {
        let (code, log) = self.run(&["sessions", "show", &record.id.in_full()]);
        assert!(matches!(code, Some(0 | 3)), "{log}");
        code == Some(0)
    }
}

/// A session of a user, or of nobody, that always has the same id for the same number.
pub(crate) fn session(user: Option<&str>, number: u8) -> Record {
    let tag = match user {
        Some(user) => Tag::of_user(&prefix(), user),
        None => Tag::Anonymous([number; 16]),
    };
    let hash = SessionId::from_bytes(&[&b"a"[..], &[number; 48]].concat()).unwrap().hash();
    let now = Clock::system().now();
    let lifetime = Lifetime::new(Duration::from_secs(1800), Duration::from_secs(8 * 3600)).unwrap();
    let life = Life {
        last_seen: back(now, u64::from(number) * MINUTE),
        ..Life::beginning(back(now, 125 * MINUTE), lifetime, false)
    };
    let device = Device { browser: Browser::Firefox, system: System::Linux };
    let address = "203.0.113.0/24".parse().ok();
    Record {
        id: SessionId::parse(tag, &hash).unwrap(),
        user: user.map(|user| User::new(user).unwrap()),
        life,
        // Well inside of a minute, so that a slow machine tells the same.
        expires_at: now + Duration::from_secs(60 * (30 - u64::from(number)) + 50),
        client: user.map(|_| Client { device, address, label: None }),
        fields: Fields::new(),
    }
}

/// The same session, begun an hour from now: a login that comes after the start.
pub(crate) fn later(mut record: Record) -> Record {
    record.life.created = Clock::system().now() + Duration::from_secs(3600);
    record.life.last_seen = record.life.created;
    record
}

pub(crate) fn with(mut record: Record, field: &str, value: &str) -> Record {
    let value = Kept(value.as_bytes().to_vec());
    record.fields.insert(FieldName::named(field.to_owned()).unwrap(), value);
    record
}

fn back(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - millis)
}
