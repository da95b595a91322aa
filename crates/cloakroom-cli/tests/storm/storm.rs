//! The stage of a storm: two instances of the demo, 16 visitors, somebody who looks for keys without
//! a time to live, and the comparison at the end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use testbed::{Program, Server, eventually};

use crate::visitor::{Told, Visitor};

const VISITORS: usize = 16;
const KEY: &str = "8d1f6c0b57e24a93b0c5d2e7f41a6893";
/// How long anything may take that is not about time.
const LONG: Duration = Duration::from_secs(60);
/// How long whoever looks into a server waits for it: it may be the one that fails.
const GLANCE: Duration = Duration::from_millis(500);

/// What a fault may take away. Whatever it is, nobody sees another's data, and no key stays for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing that was acknowledged.
    All,
    /// Whole sessions: their visitors are logged out. A logout stays one.
    SomeSessions,
    /// What was not replicated, or not on the disk, when a server was lost: counts, sessions and
    /// logouts.
    Replicated,
}

/// What stands while the fault is caused.
pub(crate) struct Stage {
    instances: [Mutex<Instance>; 2],
    url: String,
    kept: Kept,
    answers: AtomicU64,
    over: AtomicBool,
}

struct Instance {
    program: Program,
    addr: SocketAddr,
}

fn start(url: &str, port: u16) -> Instance {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", url), ("RUST_LOG", "warn")];
    let args = ["serve", "--port", &port.to_string()];
    let program = Program::start(env!("CARGO_BIN_EXE_cloakroom"), &args, &env);
    let addr = program.addr();
    Instance { program, addr }
}

impl Stage {
    pub(crate) fn addr(&self, turn: usize) -> SocketAddr {
        self.instance(turn).addr
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }

    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the visitors were answered so often, however.
    pub(crate) fn answers(&self, number: u64) {
        let until = self.answers.load(Ordering::SeqCst) + number;
        let enough = || {
            let all = self.over.load(Ordering::SeqCst);
            (all || self.answers.load(Ordering::SeqCst) >= until).then_some(())
        };
        assert!(eventually(LONG, enough).is_some(), "nobody is answered");
    }

    /// Kills an instance (SIGKILL), and starts it again where it was.
    pub(crate) fn kill(&self, turn: usize) {
        let mut instance = self.instance(turn);
        instance.program.kill();
        *instance = start(&self.url, instance.addr.port());
    }

    /// The same, asked to end (SIGTERM).
    pub(crate) fn terminate(&self, turn: usize) {
        let mut instance = self.instance(turn);
        assert_eq!(instance.program.terminate(), Some(0), "{}", instance.program.log());
        *instance = start(&self.url, instance.addr.port());
    }

    pub(crate) fn pid(&self, turn: usize) -> u32 {
        self.instance(turn).program.pid()
    }

    fn instance(&self, turn: usize) -> std::sync::MutexGuard<'_, Instance> {
        self.instances[turn % 2].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Causes a fault under load, heals it, and compares. `servers` are those that hold sessions.
pub(crate) fn storm(
    url: &str,
    servers: &[&Server],
    kept: Kept,
    fault: impl FnOnce(&Stage),
) -> Told {
    let all = storm_of_instances(url, servers, kept, fault);
    assert_eq!(all.broken, 0, "an instance broke off");
    all
}

/// The same where instances end, and connections to them break.
pub(crate) fn storm_of_instances(
    url: &str,
    servers: &[&Server],
    kept: Kept,
    fault: impl FnOnce(&Stage),
) -> Told {
    let stage = Stage {
        instances: [(); 2].map(|()| Mutex::new(start(url, 0))),
        url: url.to_owned(),
        kept,
        answers: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let healed = AtomicBool::new(false);
    let told: Vec<Told> = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|number| {
                let (stage, healed) = (&stage, &healed);
                // Whoever waits for answers of visitors who are all gone would wait in vain.
                let visits = move || {
                    let mut visitor = Visitor::new(stage, number);
                    while !healed.load(Ordering::SeqCst) {
                        visitor.stay();
                    }
                    // It works again, for everybody, and nothing was restarted for that.
                    let works = eventually(LONG, || visitor.stay().then_some(()));
                    assert!(works.is_some(), "a visitor can't log in any more");
                    visitor
                };
                scope.spawn(visits)
            })
            .collect();
        let scanner = scope.spawn(|| {
            while !stage.over.load(Ordering::SeqCst) {
                for server in servers {
                    assert_eq!(immortal(server).unwrap_or_default(), Vec::<String>::new());
                }
                thread::park_timeout(Duration::from_millis(10));
            }
        });
        stage.answers(100);
        let caused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fault(&stage)));
        healed.store(true, Ordering::SeqCst);
        let visitors: Vec<_> = visitors.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stage.over.store(true, Ordering::SeqCst);
        scanner.join().expect("no key without a time to live");
        if let Err(panic) = caused {
            std::panic::resume_unwind(panic);
        }
        visitors.into_iter().map(|visitor| visitor.expect("see above").compare()).collect()
    });
    for server in servers {
        if let Some(immortal) = immortal(server) {
            assert_eq!(immortal, Vec::<String>::new());
        }
    }
    let mut all = Told::default();
    for visitor in told {
        all.kept.extend(visitor.kept);
        all.ended.extend(visitor.ended);
        all.acknowledged += visitor.acknowledged;
        all.unavailable += visitor.unavailable;
        all.broken += visitor.broken;
        all.lost += visitor.lost;
    }
    println!(
        "{} acknowledged, {} unavailable, {} broken off; {} sessions kept, {} ended, {} lost",
        all.acknowledged,
        all.unavailable,
        all.broken,
        all.kept.len(),
        all.ended.len(),
        all.lost
    );
    assert!(all.acknowledged > 0 && !all.ended.is_empty(), "{all:?}");
    all
}

/// The keys that would stay for ever, seen in one moment; `None` if the server can't say.
fn immortal(server: &Server) -> Option<Vec<String>> {
    const LOOK: &str = "local found = {} \
        for _, key in ipairs(redis.call('KEYS', 'cloakroom:*')) do \
        if redis.call('PTTL', key) == -1 then found[#found + 1] = key end end return found";
    let answer = server.try_command(GLANCE, &["EVAL", LOOK, "0"]).ok()?;
    if answer.error().is_some() {
        return None;
    }
    Some(answer.list().iter().map(testbed::Reply::text).collect())
}
