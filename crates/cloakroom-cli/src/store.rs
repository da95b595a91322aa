//! Where the sessions are, and how they behave: settings of the library from those of the command
//! line. Whatever is wrong here was wrong on the command line.

use std::env;

use cloakroom::{Keys, Lifetime, Manager, MemoryStore, SecretKey, Settings};
use cloakroom_redis::RedisStore;

use crate::args::{Cookie, SECRET_KEY, SECRET_KEY_FALLBACKS, Serve};

/// The manager that the command line asks for, or what is wrong with it. Says in the log what a
/// missing setting means.
pub(crate) fn manager(serve: &Serve) -> Result<Manager, String> {
    let defaults = Settings::default();
    let lifetime = lifetime(serve, defaults.lifetime)?;
    let settings = Settings {
        cookie: match serve.cookie {
            Cookie::Secure => defaults.cookie,
            Cookie::InsecurePlainHttp => defaults.cookie.insecure_plain_http(),
        },
        keys: Some(keys()?),
        lifetime,
        anonymous: no_longer_than(defaults.anonymous, lifetime)?,
        ..defaults
    };
    match serve.store.as_deref() {
        None | Some("memory") => {
            tracing::warn!(
                event = "memory_store",
                "sessions are kept in the memory of this process and end with it: name a server \
                 with --store redis://HOST:PORT or REDIS_URL to keep them"
            );
            Ok(Manager::new(MemoryStore::new(), settings))
        }
        // The error holds nothing of the URL.
        Some(url) => RedisStore::open(url, serve.prefix.clone())
            .map(|store| Manager::new(store, settings))
            .map_err(|error| format!("--store or REDIS_URL: {error}; or `memory`")),
    }
}

fn lifetime(serve: &Serve, default: Lifetime) -> Result<Lifetime, String> {
    let absolute = serve.absolute.unwrap_or(default.absolute());
    let idle = serve.idle.unwrap_or(default.idle().min(absolute));
    Lifetime::new(idle, absolute).map_err(|error| format!("--idle and --absolute: {error}"))
}

/// Nobody is worth more than somebody.
fn no_longer_than(anonymous: Lifetime, lifetime: Lifetime) -> Result<Lifetime, String> {
    let idle = anonymous.idle().min(lifetime.idle());
    let absolute = anonymous.absolute().min(lifetime.absolute());
    Lifetime::new(idle, absolute).map_err(|error| error.to_string())
}

fn keys() -> Result<Keys, String> {
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
        tracing::warn!(
            event = "random_key",
            "SECRET_KEY is not set, so a random one is used: whoever is logged in will have to \
             log in again after a restart, and instances can't share sessions; `openssl rand -hex \
             32` makes one"
        );
        return SecretKey::random().map(Keys::new).map_err(|error| error.to_string());
    };
    let mut keys = Keys::new(key(&current).map_err(|problem| format!("{SECRET_KEY}: {problem}"))?);
    for (number, former) in (1..).zip(former) {
        let former = key(former)
            .map_err(|problem| format!("{SECRET_KEY_FALLBACKS}, key {number}: {problem}"))?;
        keys = keys.with_fallback(former);
    }
    Ok(keys)
}

/// A key that can be moved to the fall-backs one day: their list is separated by commas, and people
/// put spaces around them.
fn key(secret: &[u8]) -> Result<SecretKey, String> {
    if secret.iter().any(|byte| *byte == b',' || byte.is_ascii_whitespace()) {
        return Err("a secret key takes no comma and no space".into());
    }
    SecretKey::new(secret).map_err(|error| error.to_string())
}
