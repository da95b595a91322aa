//! From the URL to a server that speaks: name, TCP, TLS, and the first word.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cloakroom_redis::{Host, Named};
use redis::Value;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error as Tls,
    RootCertStore, StreamOwned,
};

use crate::doctor::finding::{Finding, Ms};
use crate::doctor::wire::{Broken, Line, Stream};

/// After so long a server that has said nothing is asked in another way.
const SOON: Duration = Duration::from_secs(1);

/// What the URL says of one server.
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
}

pub(crate) enum Place {
    Network { host: String, port: u16, tls: bool },
    Socket(PathBuf),
}

impl Target {
    pub(crate) fn of(host: &Host, named: &Named) -> Self {
        let place = match host {
            Host::Network(host, port) => {
                Place::Network { host: host.clone(), port: *port, tls: named.tls }
            }
            Host::Socket(path) => Place::Socket(path.clone()),
        };
        let (user, password) = (named.user.clone(), named.password.clone());
        Self { place, user, password, database: named.database }
    }

    /// Without credentials.
    pub(crate) fn server(&self) -> String {
        match &self.place {
            Place::Network { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Network { host, port, .. } => format!("{host}:{port}"),
            Place::Socket(path) => path.display().to_string(),
        }
    }

    /// The name or the address.
    pub(crate) fn host(&self) -> String {
        match &self.place {
            Place::Network { host, .. } => host.clone(),
            Place::Socket(_) => String::new(),
        }
    }

    /// The name under which one logs in.
    pub(crate) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("default")
    }
}

/// Looks the name up. `resolve` may block as long as it likes.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    timeout: Duration,
    resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, Finding> {
    let (sender, answer) = mpsc::channel();
    let asked = host.to_owned();
    // The resolver of the system knows no deadline; the thread ends with the process.
    std::thread::spawn(move || sender.send(resolve(&asked, port)));
    let unknown = |error: String| Finding::NameUnknown { host: host.to_owned(), error };
    match answer.recv_timeout(timeout) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(unknown("no address".into())),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => {
            let error = error.to_string();
            let short = error.strip_prefix("failed to lookup address information: ");
            Err(unknown(short.unwrap_or(&error).to_owned()))
        }
        Err(_) => Err(Finding::NameSilent { host: host.to_owned(), within_ms: Ms(timeout) }),
    }
}

/// Asks the system.
pub(crate) fn by_the_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// Connects to the first address that takes it, within the time for all of them.
pub(crate) fn connect(addresses: &[SocketAddr], timeout: Duration) -> Result<TcpStream, Finding> {
    let until = Instant::now() + timeout;
    let mut failed = None;
    for (place, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        // One that is silent leaves time for the others.
        let share = left / (addresses.len() - place) as u32;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                // What is measured is each round trip.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failed = failed.or(Some(not_connected(*address, &error, timeout))),
        }
    }
    Err(failed.unwrap_or(Finding::ConnectFailed { address: String::new(), error: "".into() }))
}

fn not_connected(address: SocketAddr, error: &io::Error, timeout: Duration) -> Finding {
    let (port, address) = (address.port(), address.to_string());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Finding::Refused { address },
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Finding::NoAnswer { address, port, within_ms: Ms(timeout) }
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Finding::Unreachable { address, error: error.to_string() }
        }
        _ => Finding::ConnectFailed { address, error: error.to_string() },
    }
}

/// Connects to a socket of this machine.
pub(crate) fn connect_socket(path: &std::path::Path) -> Result<Stream, Finding> {
    #[cfg(unix)]
    return std::os::unix::net::UnixStream::connect(path).map(Stream::Unix).map_err(|error| {
        let address = path.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound => Finding::NoSocket { path: path.to_owned() },
            io::ErrorKind::ConnectionRefused => Finding::Refused { address },
            _ => Finding::ConnectFailed { address, error: error.to_string() },
        }
    });
    #[cfg(not(unix))]
    Err(Finding::NoSocket { path: path.to_owned() })
}

/// A server that has answered its first `PING`.
pub(crate) struct Greeted {
    pub(crate) line: Line,
    pub(crate) said: Value,
    pub(crate) peer: Option<IpAddr>,
}

/// The first word without TLS. `again` makes a second connection, to see what is there if it is not
/// understood.
pub(crate) fn greet_plainly(
    stream: Stream,
    timeout: Duration,
    again: impl FnOnce() -> Option<TcpStream>,
) -> Result<Greeted, Finding> {
    let mut line = Line::new(stream, timeout);
    match line.ask(&["PING"]) {
        Ok(said) => Ok(Greeted { line, said, peer: None }),
        Err(broken @ (Broken::Closed | Broken::Garbled)) => match again() {
            Some(tcp) if speaks_tls(&tcp, timeout) => Err(Finding::TlsNeeded),
            _ => Err(lost(&broken, timeout)),
        },
        Err(broken) => Err(lost(&broken, timeout)),
    }
}

/// The first word under TLS.
pub(crate) fn greet_under_tls(
    tcp: TcpStream,
    host: &str,
    timeout: Duration,
    roots: &Roots,
    again: impl Fn() -> Option<TcpStream>,
) -> Result<(Greeted, Finding), Finding> {
    let config = Arc::new(config(roots.trusted()?)?);
    let failed = |error: Tls| Finding::TlsFailed { error: error.to_string() };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Finding::TlsFailed { error: error.to_string() })?;
    let mut connection = ClientConnection::new(config, name).map_err(failed)?;
    let mut shaken = shake_hands(&mut connection, &tcp, timeout.min(SOON));
    if let Err(Broken::Silent) = shaken {
        // A plain server takes the first bytes of TLS for a command that is not at its end.
        if again().is_some_and(|tcp| speaks_plainly(tcp, timeout.min(SOON))) {
            return Err(Finding::TlsNotSpoken);
        }
        shaken = shake_hands(&mut connection, &tcp, timeout);
    }
    match shaken {
        Ok(()) => {}
        Err(Broken::Tls(error @ Tls::InvalidCertificate(_))) => return Err(refused(error, host)),
        Err(broken) => {
            let plain = again().is_some_and(|tcp| speaks_plainly(tcp, timeout));
            return Err(match broken {
                _ if plain => Finding::TlsNotSpoken,
                Broken::Tls(error) => refused(error, host),
                broken => lost(&broken, timeout),
            });
        }
    }
    let protocol = connection.protocol_version().and_then(|it| it.as_str()).unwrap_or("TLS");
    let suite = connection.negotiated_cipher_suite().and_then(|it| it.suite().as_str());
    let good = Finding::Encrypted {
        protocol: protocol.replace('_', "."),
        cipher: suite.unwrap_or("?").to_owned(),
    };
    let stream = Stream::Tls(Box::new(StreamOwned::new(connection, tcp)));
    let mut line = Line::new(stream, timeout);
    // In TLS 1.3 a server asks for the client's certificate after our side has finished.
    match line.ask(&["PING"]) {
        Ok(said) => Ok((Greeted { line, said, peer: None }, good)),
        Err(Broken::Tls(error)) => Err(refused(error, host)),
        Err(broken) => Err(lost(&broken, timeout)),
    }
}

/// Whom TLS trusts: the system's authorities, or those in a file.
pub(crate) struct Roots(Option<Result<Vec<u8>, String>>);

impl Roots {
    pub(crate) fn of(file: Option<&Path>) -> Self {
        let read = |file: &Path| {
            std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
        };
        Self(file.map(read))
    }

    /// What the store is to trust in place of the system's.
    pub(crate) fn pem(&self) -> Option<Vec<u8>> {
        self.0.as_ref().and_then(|read| read.as_ref().ok()).cloned()
    }

    fn trusted(&self) -> Result<RootCertStore, Finding> {
        let nothing = |error: String| Err(Finding::NoRoots { error });
        let certificates: Vec<_> = match &self.0 {
            Some(Err(error)) => return nothing(error.clone()),
            Some(Ok(pem)) => match CertificateDer::pem_slice_iter(pem).collect() {
                Ok(certificates) => certificates,
                Err(error) => return nothing(error.to_string()),
            },
            None => {
                let found = rustls_native_certs::load_native_certs();
                // As in the store: one that can't be read is reason enough.
                if let Some(error) = found.errors.first() {
                    return nothing(error.to_string());
                }
                found.certs
            }
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() { nothing("none found".into()) } else { Ok(roots) }
    }
}

fn config(roots: RootCertStore) -> Result<ClientConfig, Finding> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Finding::TlsFailed { error: error.to_string() })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn shake_hands(
    connection: &mut ClientConnection,
    mut tcp: &TcpStream,
    timeout: Duration,
) -> Result<(), Broken> {
    let until = Instant::now() + timeout;
    while connection.is_handshaking() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Broken::Silent);
        }
        tcp.set_read_timeout(Some(left)).map_err(|error| Broken::of(&error))?;
        connection.complete_io(&mut tcp).map_err(|error| Broken::of(&error))?;
    }
    Ok(())
}

/// Whether a server there answers to TLS, whoever it is.
fn speaks_tls(tcp: &TcpStream, timeout: Duration) -> bool {
    let Ok(config) = config(RootCertStore::empty()) else { return false };
    let Ok(mut connection) = tcp
        .peer_addr()
        .map_err(|_| ())
        .and_then(|peer| ClientConnection::new(Arc::new(config), peer.ip().into()).map_err(|_| ()))
    else {
        return false;
    };
    // Nobody is trusted here, so the best that can come is a certificate that isn't.
    matches!(
        shake_hands(&mut connection, tcp, timeout),
        Ok(()) | Err(Broken::Tls(Tls::InvalidCertificate(_) | Tls::AlertReceived(_)))
    )
}

fn speaks_plainly(tcp: TcpStream, timeout: Duration) -> bool {
    Line::new(Stream::Tcp(tcp), timeout).ask(&["PING"]).is_ok()
}

/// What a failed handshake means.
fn refused(error: Tls, host: &str) -> Finding {
    let at = |time: UnixTime| {
        let since = Duration::from_secs(time.as_secs());
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
    };
    match error {
        Tls::InvalidCertificate(wrong) => match wrong {
            // The second: an authority of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Finding::UnknownIssuer
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Finding::WrongName { host: host.to_owned(), presented }
            }
            CertificateError::ExpiredContext { time, not_after } => {
                Finding::Expired { since: at(not_after), now: at(time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Finding::NotYetValid { from: at(not_before), now: at(time) }
            }
            other => Finding::TlsFailed { error: Tls::InvalidCertificate(other).to_string() },
        },
        Tls::AlertReceived(AlertDescription::CertificateRequired) => Finding::ClientCertificate,
        Tls::PeerIncompatible(_)
        | Tls::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => Finding::NoCommonProtocol { error: error.to_string() },
        other => Finding::TlsFailed { error: other.to_string() },
    }
}

/// What it means that there was no reply.
pub(crate) fn lost(broken: &Broken, timeout: Duration) -> Finding {
    match broken {
        Broken::Silent => Finding::Silent { within_ms: Ms(timeout) },
        Broken::Closed => Finding::Closed,
        Broken::Garbled => Finding::NotRedis,
        Broken::Tls(error) => Finding::TlsFailed { error: error.to_string() },
    }
}

/// What it means that nothing is encrypted on the way to this address.
pub(crate) fn plain(address: IpAddr) -> Finding {
    if address.is_loopback() { Finding::StaysHere } else { Finding::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_does_not_answer_is_not_waited_for_beyond_the_time() {
        let (_held, never) = mpsc::channel::<()>();
        let asked = resolve("cache.example", 6379, Duration::from_millis(20), move |_, _| {
            let _ = never.recv();
            Ok(Vec::new())
        });
        assert_eq!(asked.unwrap_err().code().0, "name.silent");
    }
}
