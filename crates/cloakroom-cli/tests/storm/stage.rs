//! What stands while a fault is caused: two instances of the demo.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testbed::{Program, eventually};

const KEY: &str = "8d1f6c0b57e24a93b0c5d2e7f41a6893";
/// Answers enough to see a fault from every side.
pub(crate) const SOME: u64 = 60;
/// How long anything may take that is not about time.
pub(crate) const LONG: Duration = Duration::from_secs(60);

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
    store: Store,
    kept: Kept,
    answers: AtomicU64,
    over: AtomicBool,
}

struct Instance {
    program: Program,
    addr: SocketAddr,
}

/// What a service keeps its sessions in, and the variables that say so.
#[derive(Clone, Debug)]
pub(crate) struct Store(Vec<(&'static str, String)>);

impl From<String> for Store {
    fn from(url: String) -> Self {
        Self(vec![("REDIS_URL", url)])
    }
}

impl Store {
    /// One that speaks TLS, and whose authority is in this file.
    pub(crate) fn with_tls(url: String, authority: &Path) -> Self {
        Self(vec![("REDIS_URL", url), ("SSL_CERT_FILE", authority.display().to_string())])
    }

    fn serve(&self, port: u16) -> Program {
        let mut env = vec![("SECRET_KEY", KEY), ("RUST_LOG", "warn")];
        env.extend(self.0.iter().map(|(name, value)| (*name, value.as_str())));
        let args = ["serve", "--port", &port.to_string()];
        Program::start(env!("CARGO_BIN_EXE_cloakroom"), &args, &env)
    }
}

impl Instance {
    fn start(store: &Store, port: u16) -> Self {
        let program = store.serve(port);
        let addr = program.addr();
        Self { program, addr }
    }
}

impl Stage {
    pub(crate) fn at(store: Store, kept: Kept) -> Self {
        Self {
            instances: [(); 2].map(|()| Mutex::new(Instance::start(&store, 0))),
            store,
            kept,
            answers: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Nobody is answered any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

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
        *instance = Instance::start(&self.store, instance.addr.port());
    }

    /// The same, asked to end (SIGTERM).
    pub(crate) fn terminate(&self, turn: usize) {
        let mut instance = self.instance(turn);
        assert_eq!(instance.program.terminate(), Some(0), "{}", instance.program.log());
        *instance = Instance::start(&self.store, instance.addr.port());
    }

    pub(crate) fn pid(&self, turn: usize) -> u32 {
        self.instance(turn).program.pid()
    }

    /// Starts one more instance, whom no visitor knows.
    pub(crate) fn one_more(&self) -> Program {
        self.store.serve(0)
    }

    fn instance(&self, turn: usize) -> MutexGuard<'_, Instance> {
        self.instances[turn % 2].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
