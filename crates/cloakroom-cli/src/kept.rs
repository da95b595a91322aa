//! What the store keeps of a session, shown to the visitor whose session it is. Costs no trip: it
//! came along with the visit. Never the token, which the store does not have.

use cloakroom::store::Snapshot;
use cloakroom::{Manager, Prefix, SessionId};

use crate::args::Serve;
use crate::texts::KeptTexts;

/// How many characters of a value are shown.
const SHOWN: usize = 200;

/// Where sessions are kept, as far as visitors may know: not on which server, not in which folder.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Server,
    Folder,
    Memory,
}

/// How they are kept there.
#[derive(Clone)]
pub(crate) struct Keeping {
    pub(crate) place: Place,
    pub(crate) prefix: Prefix,
    /// The name of the cookie that has the token.
    pub(crate) cookie: String,
}

impl Keeping {
    pub(crate) fn as_told_by(serve: &Serve, manager: &Manager) -> Self {
        let place = match serve.store.as_deref() {
            None => Place::Folder,
            Some("memory") => Place::Memory,
            Some(_) => Place::Server,
        };
        let cookie = manager.settings().cookie.full_name();
        Self { place, prefix: serve.prefix.clone(), cookie }
    }

    /// Whether browsers are to send cookies over https alone.
    pub(crate) fn over_https(&self) -> bool {
        self.cookie.starts_with("__Host-")
    }
}

/// One session as it is kept, in a language.
pub(crate) struct Kept<'a> {
    pub(crate) t: &'static KeptTexts,
    pub(crate) keeping: &'a Keeping,
    pub(crate) id: SessionId,
    pub(crate) snapshot: &'a Snapshot,
}

impl Kept<'_> {
    pub(crate) fn place(&self) -> &'static str {
        match self.keeping.place {
            Place::Server => self.t.in_server,
            Place::Folder => self.t.in_folder,
            Place::Memory => self.t.in_memory,
        }
    }

    /// The key in Redis. Elsewhere there are no keys that anybody could look up.
    pub(crate) fn key(&self) -> Option<String> {
        let Keeping { place: Place::Server, prefix, .. } = self.keeping else { return None };
        let prefix = prefix.as_str();
        Some(format!("{prefix}:{{{}}}:session:{}", self.id.tag(), self.id.hash()))
    }

    /// The field `~`.
    pub(crate) fn life(&self) -> String {
        self.snapshot.life.to_string()
    }

    /// Its parts, and what each means.
    pub(crate) fn life_explained(&self) -> Vec<(String, &'static str)> {
        let t = self.t;
        let cookie = if self.snapshot.life.remembered { t.cookie_stays } else { t.cookie_goes };
        let meanings = [t.layout, t.created, t.absolute, t.idle, t.seen, cookie];
        self.life().split(' ').map(str::to_owned).zip(meanings).collect()
    }

    /// The application's fields: name, value and what it means.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, String, &'static str)> {
        self.snapshot.fields.iter().map(|(name, value)| {
            let name = name.as_str();
            let value = String::from_utf8_lossy(value).chars().take(SHOWN).collect();
            (name, value, if name == "visits" { self.t.visits } else { self.t.other })
        })
    }
}
