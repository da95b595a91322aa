//! Where the sessions are, and how they behave: settings of the library from those of the command
//! line. Without a server sessions are kept in a folder, and with them the key of the cookies, so
//! that a visitor stays logged in over a restart.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cloakroom::{
    Keys, Lifetime, Manager, MemoryStore, Prefix, Rotation, SecretKey, SessionLimit, Settings,
    TokenMint, WhenFull,
};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};
use cloakroom_redis::RedisStore;

use crate::args::{Cookie, Full, SECRET_KEY, SECRET_KEY_FALLBACKS, Serve};

/// The key of the cookies, in the folder of the sessions.
pub(crate) const KEPT_KEY: &str = "secret-key";

/// Why there are no sessions.
pub(crate) enum Problem {
    /// Something on the command line is wrong.
    Wrong(String),
    /// What it names can't be used at the moment.
    Failed(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

/// The manager that the command line asks for, and where it keeps sessions, in words. Says in the log
/// what a missing setting means.
pub(crate) fn manager(serve: &Serve) -> Result<(Manager, String), Problem> {
    if serve.store.is_some() && serve.data.is_some() {
        tracing::warn!(
            event = "data_not_used",
            "--data or CLOAKROOM_DATA is not used: --store or REDIS_URL names another store"
        );
    }
    let defaults = Settings::default();
    let lifetime = lifetime(serve, defaults.lifetime)?;
    let given = keys()?;
    let rotation = rotation(serve)?;
    let rotating = |keys: Keys| {
        Some(match rotation {
            Some(rotation) => keys.rotating(rotation),
            None => keys,
        })
    };
    let settings = Settings {
        cookie: match serve.cookie {
            Cookie::Secure => defaults.cookie,
            Cookie::InsecurePlainHttp => defaults.cookie.insecure_plain_http(),
        },
        lifetime,
        anonymous: no_longer_than(defaults.anonymous, lifetime)?,
        sessions_per_user: limit(serve),
        patience: serve.patience,
        ..defaults
    };
    match serve.store.as_deref() {
        None => {
            let folder = folder(serve.data.as_deref())?;
            let prefix = serve.prefix.clone();
            let embedded = EmbeddedSettings { prefix, ..EmbeddedSettings::default() };
            let failed = |error| {
                format!("{error} (the folder is named by --data; `--store memory` keeps nothing)")
            };
            let store = EmbeddedStore::open(&folder, embedded)
                .map_err(|error| Problem::Failed(failed(error.to_string())))?;
            // The folder is ours from here on: nobody else makes a key in it.
            let keys = match given {
                Some(keys) => keys,
                None => kept_key(&folder).map(Keys::new).map_err(Problem::Failed)?,
            };
            let settings = Settings { keys: rotating(keys), ..settings };
            Ok((Manager::new(store, settings), format!("in {}", folder.display())))
        }
        Some("memory") => {
            let keys = rotating(given.map_or_else(random_key, Ok)?);
            let settings = Settings { keys, ..settings };
            tracing::warn!(
                event = "memory_store",
                "sessions are kept in the memory of this process and end with it: leave out \
                 `--store memory` to keep them"
            );
            let place = "in the memory of this process, and end with it";
            Ok((Manager::new(MemoryStore::new(), settings), place.into()))
        }
        // The error holds nothing of the URL.
        Some(url) => {
            let keys = rotating(given.map_or_else(random_key, Ok)?);
            let settings = Settings { keys, ..settings };
            let store = RedisStore::open(url, serve.prefix.clone())
                .map_err(|error| format!("--store or REDIS_URL: {error}; or `memory`"))?;
            let place = format!("at {}", store.server());
            Ok((Manager::new(store, settings), place))
        }
    }
}

/// Where files are kept: as told, or where the platform keeps the state of programs.
pub(crate) fn folder(data: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(folder) = data {
        return if folder.as_os_str().is_empty() {
            Err("--data or CLOAKROOM_DATA is empty: it takes the name of a folder".into())
        } else {
            Ok(folder.to_owned())
        };
    }
    // The specification of the variable has relative paths ignored.
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else {
        let below_home = || variable("HOME").map(|home| home.join(".local").join("state"));
        variable("XDG_STATE_HOME").or_else(below_home)
    };
    state.map(|state| state.join("cloakroom")).ok_or_else(|| {
        "there is no home to keep sessions in: name a folder with --data DIR, or take `--store \
         memory`"
            .into()
    })
}

/// The key that is kept beside the sessions; makes it at the first start. Readable by its owner
/// alone, for it can seal a cookie for anybody.
fn kept_key(folder: &Path) -> Result<SecretKey, String> {
    let path = folder.join(KEPT_KEY);
    let shown = path.display();
    let failed = |error: io::Error| {
        format!("the key {shown} can't be used: {error}; set {SECRET_KEY} to do without it")
    };
    if !path.try_exists().map_err(failed)? {
        // A token is the one secret that the library makes, and has 32 bytes of randomness.
        let mint = TokenMint::new(Prefix::default(), "secret key", None);
        let secret = mint.issue_anonymous().map_err(|error| error.to_string())?.token;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Under another name first: a key that was cut short by a crash is never taken for one.
        let unfinished = folder.join("secret-key.new");
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(secret.reveal().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &path)
        });
        written.map_err(failed)?;
        tracing::info!(event = "key_made", path = %shown, "a key for the cookies was made");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(format!("the key {shown} can be read by others: `chmod 600 {shown}`"));
        }
    }
    let secret = std::fs::read(&path).map_err(failed)?;
    key(secret.trim_ascii()).map_err(|problem| {
        format!("the key {shown} is damaged ({problem}): put a copy back, or move it away, which logs everybody out")
    })
}

fn random_key() -> Result<Keys, String> {
    tracing::warn!(
        event = "random_key",
        "SECRET_KEY is not set, so a random one is used: whoever is logged in will have to log in \
         again after a restart, and instances can't share sessions; `openssl rand -hex 32` makes \
         one"
    );
    SecretKey::random().map(Keys::new).map_err(|error| error.to_string())
}

fn lifetime(serve: &Serve, default: Lifetime) -> Result<Lifetime, String> {
    let absolute = serve.absolute.unwrap_or(default.absolute());
    let idle = serve.idle.unwrap_or(default.idle().min(absolute));
    Lifetime::new(idle, absolute).map_err(|error| format!("--idle and --absolute: {error}"))
}

fn rotation(serve: &Serve) -> Result<Option<Rotation>, String> {
    let Some(every) = serve.rotate_every else { return Ok(None) };
    let grace = serve.rotate_grace.unwrap_or(Rotation::default().grace().min(every));
    let rotation = Rotation::new(every, grace);
    rotation.map(Some).map_err(|error| format!("--rotate-every and --rotate-grace: {error}"))
}

fn limit(serve: &Serve) -> Option<SessionLimit> {
    let when_full = match serve.logins.when_full {
        Full::EndOldest => WhenFull::EndOldest,
        Full::Refuse => WhenFull::Refuse,
    };
    serve.logins.sessions_per_user.map(|at_most| SessionLimit { at_most, when_full })
}

/// Nobody is worth more than somebody.
fn no_longer_than(anonymous: Lifetime, lifetime: Lifetime) -> Result<Lifetime, String> {
    let idle = anonymous.idle().min(lifetime.idle());
    let absolute = anonymous.absolute().min(lifetime.absolute());
    Lifetime::new(idle, absolute).map_err(|error| error.to_string())
}

/// The keys of the environment, if there are any.
fn keys() -> Result<Option<Keys>, String> {
    let variable = |name| env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
    let former = variable(SECRET_KEY_FALLBACKS).unwrap_or_default();
    let mut former: Vec<&[u8]> = former.split(|byte| *byte == b',').collect();
    if former == [b""] {
        former.clear();
    }
    let Some(current) = variable(SECRET_KEY) else {
        if !former.is_empty() {
            return Err(format!("{SECRET_KEY_FALLBACKS} is set, but {SECRET_KEY} is not"));
        }
        return Ok(None);
    };
    let mut keys = Keys::new(key(&current).map_err(|problem| format!("{SECRET_KEY}: {problem}"))?);
    for (number, former) in (1..).zip(former) {
        let former = key(former)
            .map_err(|problem| format!("{SECRET_KEY_FALLBACKS}, key {number}: {problem}"))?;
        keys = keys.with_fallback(former);
    }
    Ok(Some(keys))
}

/// A key that can be moved to the fall-backs one day: their list is separated by commas, and people
/// put spaces around them.
fn key(secret: &[u8]) -> Result<SecretKey, String> {
    if secret.iter().any(|byte| *byte == b',' || byte.is_ascii_whitespace()) {
        return Err("a secret key takes no comma and no space".into());
    }
    SecretKey::new(secret).map_err(|error| error.to_string())
}
