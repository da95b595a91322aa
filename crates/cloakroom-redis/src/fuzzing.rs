//! What strangers and servers send us, without a server: for the targets in `fuzz`. No part of the
//! API.

use cloakroom::records::{Record, Restored};
use cloakroom::store::{Applied, Created, Cursor, Ended, EndedOf, Listed, Rotated};
use cloakroom::{Limits, SessionId};
use redis::{ConnectionAddr, Value};

use crate::address::{Address, Deployment, InvalidUrl};
use crate::settings::Tls;
use crate::wire::{self, users};

/// What a script's reply was read as.
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "named after what they hold")]
pub enum Read {
    Created(Created),
    Applied(Applied),
    Rotated(Rotated),
    Ended(Ended),
    Peeked(Option<Record>),
    Restored(Restored),
    Listed(Vec<SessionId>, Option<Cursor>),
    Looked(Vec<Listed>),
    EndedOf(EndedOf),
    Number(u64),
    Yes(bool),
    Scanned(Vec<Vec<u8>>),
    /// A login across slots ended the old session, or didn't.
    Sealed(bool),
    Process(String),
}

/// Reads a reply in the form of the server's protocol as that of the `which`-th script; `None` if it is
/// garbled. The session it is about is `id`.
pub fn reply(which: u8, id: &SessionId, limits: &Limits, reply: &[u8]) -> Option<Read> {
    let value = redis::parse_redis_value(reply).ok()?;
    read(which, id, limits, value)
}

fn read(which: u8, id: &SessionId, limits: &Limits, value: Value) -> Option<Read> {
    Some(match which {
        b'a' => Read::Applied(wire::applied(limits, value).ok()?.outcome),
        b'c' => Read::Created(wire::created(id, value).ok()?.outcome),
        b'r' => Read::Rotated(wire::rotated(id, limits, value).ok()?.outcome),
        b'e' => Read::Ended(wire::ended(value).ok()?.outcome),
        b'p' => Read::Peeked(wire::peeked(id, value).ok()?),
        b'b' => Read::Restored(wire::restored(value).ok()?),
        b'l' => {
            let (page, ids) = users::listed(id.tag(), value).ok()?;
            Read::Listed(ids, page.next)
        }
        b'k' => Read::Looked(users::looked(&[*id, *id], value).ok()?),
        b'o' => Read::EndedOf(users::ended_of(value).ok()?.outcome),
        b'n' => Read::Number(users::counted(value).ok()?),
        b'y' => Read::Yes(wire::has_room(value).ok()?),
        b's' => Read::Scanned(wire::scanned(value).ok()?.1),
        b'd' => {
            let sealed = wire::sealed(limits, value).ok()?;
            Read::Sealed(!matches!(sealed, wire::Sealed::Refused(_)))
        }
        _ => Read::Process(wire::process(&value)),
    })
}

/// A server that a URL names.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// `one`, `cluster` or `sentinel`.
    pub deployment: &'static str,
    /// Host and port, or the path of a socket.
    pub place: String,
    /// Whether it is spoken to by TLS, which checks the certificate.
    pub tls: bool,
    /// The database, user and password.
    pub login: (i64, Option<String>, Option<String>),
}

/// The servers that a URL names; none connects.
pub fn address(url: &str) -> Result<Vec<Named>, InvalidUrl> {
    let Address { deployment, hosts } = Address::parse(url, &Tls::default())?;
    let deployment = match deployment {
        Deployment::One => "one",
        Deployment::Cluster => "cluster",
        Deployment::Sentinel { .. } => "sentinel",
    };
    let named = hosts.iter().map(|host| {
        let settings = host.redis_settings();
        let (user, password) = (settings.username(), settings.password());
        let tls = matches!(host.addr(), ConnectionAddr::TcpTls { insecure: false, .. });
        let login = (settings.db(), user.map(str::to_owned), password.map(str::to_owned));
        Named { deployment, place: host.addr().to_string(), tls, login }
    });
    Ok(named.collect())
}
