//! The store that the command line names, and its clock.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::store::{ListOf, Patience};
use cloakroom::{StoreError, Timestamp, User};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore, OpenError};
use cloakroom_redis::RedisStore;

use crate::args::{Place, refuse};
use crate::store::{Problem, folder};

/// No answer takes so long; it is there so that a store that hangs is noticed.
pub(super) const PATIENCE: Patience = Patience(Duration::from_secs(10));

/// An open store.
pub(super) enum Stores {
    Redis(RedisStore),
    Embedded(EmbeddedStore),
}

impl Stores {
    pub(super) fn open(place: &Place) -> Result<Self, Problem> {
        match place.store.as_deref() {
            None => embedded(&folder(place.data.as_deref())?, place),
            Some("") => refuse(
                "--store or REDIS_URL is empty: it takes redis://HOST:PORT or the name of a folder",
            ),
            Some("memory") => refuse(
                "--store memory names sessions in the memory of another process, which nobody can \
                 look into: name a server or a folder",
            ),
            Some(url) if url.contains("://") => RedisStore::open(url, place.prefix.clone())
                .map(Self::Redis)
                // The error holds nothing of the URL.
                .map_err(|error| Problem::Wrong(format!("--store or REDIS_URL: {error}"))),
            Some(path) => embedded(&PathBuf::from(path), place),
        }
    }

    pub(super) fn records(&self) -> &dyn Records {
        match self {
            Self::Redis(store) => store,
            Self::Embedded(store) => store,
        }
    }

    /// Removes what is left of a user's ended sessions: a service does that in the background, and
    /// this process ends.
    pub(super) async fn remove_ended(&self, user: &User) -> Result<(), Problem> {
        match self {
            Self::Redis(store) => store.remove_ended(user, PATIENCE).await.map_err(failed),
            Self::Embedded(_) => Ok(()),
        }
    }
}

fn embedded(folder: &Path, place: &Place) -> Result<Stores, Problem> {
    // Opening would make it.
    if !folder.join("sessions.redb").exists() {
        return Err(Problem::Failed(format!(
            "no sessions are kept in {}: name the store with --store redis://HOST:PORT or --store DIR",
            folder.display()
        )));
    }
    let settings = EmbeddedSettings { prefix: place.prefix.clone(), ..EmbeddedSettings::default() };
    let store = EmbeddedStore::open(folder, settings).map_err(|error| {
        Problem::Failed(match error {
            OpenError::InUse { .. } => format!(
                "{error}. Its sessions can be looked at and ended from here while nobody serves from it"
            ),
            _ => error.to_string(),
        })
    })?;
    Ok(Stores::Embedded(store))
}

/// What its clock says, which decides about every session. Every store tells it with a list, however
/// short that is.
pub(super) async fn now(store: &dyn Records) -> Result<Timestamp, Problem> {
    let user = User::new("clock").map_err(|error| Problem::Failed(error.to_string()))?;
    let list = ListOf { user: &user, after: None, at_most: NonZeroU32::MIN };
    Ok(store.sessions_of(list, PATIENCE).await.map_err(failed)?.now)
}

pub(super) fn failed(error: StoreError) -> Problem {
    Problem::Failed(error.to_string())
}
