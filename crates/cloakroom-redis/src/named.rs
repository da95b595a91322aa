//! What the URL of a store names, for whoever examines a deployment: read as
//! [`RedisStore::open`](crate::RedisStore::open) reads it.

use std::fmt;
use std::path::PathBuf;

use redis::ConnectionAddr;

use crate::address::{Address, Deployment, InvalidUrl};
use crate::settings::Tls;

/// What the URL of a store names.
///
/// ```
/// use cloakroom_redis::{Kind, Named};
///
/// let named = Named::read("rediss+cluster://shop:secret@a.example,b.example:7000")?;
/// assert_eq!(named.kind, Kind::Cluster);
/// assert_eq!(named.hosts[1].to_string(), "b.example:7000");
/// assert!(!format!("{named:?}").contains("secret"));
/// # Ok::<(), cloakroom_redis::InvalidUrl>(())
/// ```
#[derive(Clone)]
pub struct Named {
    /// What stands there.
    pub kind: Kind,
    /// The server, some nodes of the cluster, or the sentinels; at least one.
    pub hosts: Vec<Host>,
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// Who logs in at the servers.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<String>,
    /// The number of the database.
    pub database: i64,
}

/// A kind of deployment.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// One server, or a primary behind one name.
    One,
    /// A cluster.
    Cluster,
    /// Sentinels, who know the primary by this name, and may want credentials of their own.
    Sentinels {
        /// The primary's name.
        primary: String,
        /// Who logs in at the sentinels.
        user: Option<String>,
        /// With which password.
        password: Option<String>,
    },
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address, and a port.
    Network(String, u16),
    /// A socket of this machine.
    Socket(PathBuf),
}

impl Named {
    /// Reads a URL. The error holds nothing of it.
    pub fn read(url: &str) -> Result<Self, InvalidUrl> {
        let Address { deployment, hosts } = Address::parse(url, &Tls::default())?;
        let kind = match deployment {
            Deployment::One => Kind::One,
            Deployment::Cluster => Kind::Cluster,
            Deployment::Sentinel { primary, user, password } => {
                Kind::Sentinels { primary, user, password }
            }
        };
        let Some(first) = hosts.first() else { return Err(InvalidUrl::SeveralHosts) };
        let settings = first.redis_settings();
        let host = |addr: &ConnectionAddr| match addr {
            ConnectionAddr::Tcp(host, port) => Some(Host::Network(host.clone(), *port)),
            ConnectionAddr::TcpTls { host, port, .. } => Some(Host::Network(host.clone(), *port)),
            ConnectionAddr::Unix(path) => Some(Host::Socket(path.clone())),
            // The client crate may know more one day; no URL that we read names one.
            _ => None,
        };
        Ok(Self {
            kind,
            tls: matches!(first.addr(), ConnectionAddr::TcpTls { .. }),
            user: settings.username().map(ToOwned::to_owned),
            password: settings.password().map(ToOwned::to_owned),
            database: settings.db(),
            hosts: hosts.iter().filter_map(|info| host(info.addr())).collect(),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Network(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Named {
    // Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named")
            .field("kind", &self.kind)
            .field("hosts", &self.hosts)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Kind {
    // Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("One"),
            Self::Cluster => f.write_str("Cluster"),
            Self::Sentinels { primary, .. } => f.debug_tuple("Sentinels").field(primary).finish(),
        }
    }
}
