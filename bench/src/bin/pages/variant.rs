//! What is compared, and the servers of it that run.

use std::net::SocketAddr;
use std::path::Path;

use bench::load::{self, Plan, Visitors};
use std::time::Duration;
use tempfile::TempDir;
use testbed::{Program, Server};

use crate::settings::Settings;

/// One way to write the page.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Variant {
    pub(crate) name: String,
    /// Of all that matters, in words.
    pub(crate) version: String,
    /// Program and arguments.
    #[serde(default)]
    command: Vec<String>,
    /// Why it is not here.
    #[serde(default)]
    pub(crate) skipped: Option<String>,
    /// Where the public can read what becomes of a logout during another request; of a peer without
    /// such a page that is not measured.
    #[serde(default)]
    pub(crate) race: Option<String>,
}

pub(crate) const STATIC: &str = "static";
pub(crate) const PIPELINE: &str = "pipeline";
pub(crate) const SCRIPT: &str = "script";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const EMBEDDED: &str = "embedded";
pub(crate) const REDIS: &str = "redis";
const OWN: [&str; 6] = [STATIC, PIPELINE, SCRIPT, MEMORY, EMBEDDED, REDIS];

impl Variant {
    /// Ours, and whatever peers were built.
    pub(crate) fn all(settings: &Settings) -> Vec<Self> {
        let own = OWN.map(|name| Self::own(&settings.own, name));
        let peers = settings.peers.as_ref().map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            serde_json::from_str::<Vec<Self>>(&text).unwrap()
        });
        let mut all: Vec<Self> = own.into_iter().chain(peers.into_iter().flatten()).collect();
        all.retain(|one| {
            settings.only.is_empty() || settings.only.iter().any(|word| one.name.contains(word))
        });
        all
    }

    fn own(program: &Path, name: &str) -> Self {
        let ours = format!("cloakroom {}", env!("CARGO_PKG_VERSION"));
        let version = match name {
            STATIC => "axum 0.8".to_owned(),
            PIPELINE | SCRIPT => "axum 0.8, redis 1.8".to_owned(),
            _ => ours,
        };
        let command = vec![program.display().to_string(), name.to_owned()];
        Self { name: name.to_owned(), version, command, skipped: None, race: None }
    }

    /// In words.
    pub(crate) fn title(&self) -> String {
        match self.name.as_str() {
            STATIC => "axum, static text".into(),
            PIPELINE => "by hand, a pipeline".into(),
            SCRIPT => "by hand, a script".into(),
            MEMORY => "**Cloakroom**, memory".into(),
            EMBEDDED => "**Cloakroom**, embedded".into(),
            REDIS => "**Cloakroom**, Redis".into(),
            peer => peer.into(),
        }
    }

    /// Whether it keeps its sessions in Redis.
    pub(crate) fn uses_redis(&self) -> bool {
        ![STATIC, MEMORY, EMBEDDED].contains(&self.name.as_str())
    }

    pub(crate) fn is_ours(&self) -> bool {
        OWN.contains(&self.name.as_str())
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Starts a server of it on this core.
    pub(crate) fn start(&self, redis: &Server, core: Option<usize>) -> Running {
        let folder = TempDir::with_prefix("bench-").unwrap();
        let core = core.map(|core| core.to_string());
        let mut words: Vec<&str> = Vec::new();
        if let Some(core) = &core {
            words.extend(["taskset", "-c", core.as_str()]);
        }
        words.extend(self.command.iter().map(String::as_str));
        let (url, path) = (redis.url(), folder.path().display().to_string());
        let environment =
            [("REDIS_URL", url.as_str()), ("SECRET_KEY", bench::SECRET), ("FOLDER", path.as_str())];
        let program = Program::start(words[0], &words[1..], &environment);
        let addr = program.addr();
        Running { variant: self.clone(), program, addr, _folder: folder }
    }
}

/// How often a login is tried.
const LOGIN_TRIES: usize = 5;

/// A server of a variant.
pub(crate) struct Running {
    pub(crate) variant: Variant,
    pub(crate) program: Program,
    pub(crate) addr: SocketAddr,
    _folder: TempDir,
}

impl Running {
    /// Logs in users of these names, each with so many more fields, and returns their cookies.
    pub(crate) fn log_in(&self, users: impl Iterator<Item = String>, fields: u32) -> Vec<String> {
        let form = |user| format!("username={user}&fields={fields}");
        let logins: Vec<_> = users.map(|user| load::post("/login", None, &form(user))).collect();
        let mut cookies: Vec<Option<String>> = vec![None; logins.len()];
        // A store that runs out of patience on a busy machine is asked again.
        for _ in 0..LOGIN_TRIES {
            let missing: Vec<usize> =
                (0..logins.len()).filter(|at| cookies[*at].is_none()).collect();
            if missing.is_empty() {
                break;
            }
            let wanted: Vec<_> = missing.iter().map(|at| logins[*at].clone()).collect();
            let mut visitors = Visitors::at(self.addr, 8).unwrap_or_else(|error| self.fail(error));
            let answers = visitors.send(&wanted, Plan::Once(Duration::from_secs(600)));
            let answers = answers.unwrap_or_else(|error| self.fail(error));
            for (at, cookie) in missing.into_iter().zip(answers.cookies) {
                cookies[at] = cookie;
            }
        }
        let cookies: Option<Vec<String>> = cookies.into_iter().collect();
        cookies.unwrap_or_else(|| self.fail("a login without a cookie"))
    }

    pub(crate) fn fail(&self, why: impl std::fmt::Display) -> ! {
        panic!("{}: {why}; it said:\n{}", self.variant.name, self.program.log())
    }
}
