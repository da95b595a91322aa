//! A server that speaks TLS, and authorities that sign certificates, made on the spot.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertifiedIssuer, DnType, IsCa, KeyPair};
pub use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use tempfile::TempDir;

use crate::child::eventually;
use crate::sentinel::PRIMARY;
use crate::server::Server;

/// How many ports are tried before it is given up.
const ATTEMPTS: usize = 5;
/// How long a node may take to agree with itself.
const AGREE: Duration = Duration::from_secs(60);
const SLOTS: u16 = 16384;

/// Whoever signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server or a client shows, in PEM.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The certificate.
    pub chain: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Another name than what it signs, which would else look signed by itself.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, in PEM: who has it trusts what it signs.
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for these names.
    pub fn signs(&self, names: &[&str]) -> Shown {
        self.signs_changed(names, |_| {})
    }

    /// The same with a change, such as another end.
    pub fn signs_changed(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Shown {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Shown { chain: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }
}

/// A server that speaks TLS at a second port, and plainly at its first.
#[derive(Debug)]
pub struct Secured {
    /// The server.
    pub server: Server,
    /// With TLS.
    pub port: u16,
    files: Files,
}

/// What the server shows, and the authority whose clients it trusts.
#[derive(Debug)]
struct Files(TempDir);

/// # Starting
impl Secured {
    /// With a certificate for `localhost` of this authority.
    pub fn by(authority: &Authority) -> Self {
        Self::showing(authority, &authority.signs(&["localhost"]))
    }

    /// Shows this, and trusts the certificates of clients that are of this authority.
    pub fn showing(authority: &Authority, shown: &Shown) -> Self {
        let server = Server::start_with(Server::executable_with_tls(), &[]);
        let files = Files::of(authority, shown);
        let port = (0..ATTEMPTS).find_map(|_| {
            // Whether it still is free when the server takes it, the answer shows.
            let port = free_port();
            let mut command = vec!["CONFIG".to_owned(), "SET".to_owned()];
            command.extend(files.settings(port).into_iter().flatten());
            server.command(&command).error().is_none().then_some(port)
        });
        let port = port.unwrap_or_else(|| panic!("no TLS:\n{}", server.log()));
        Self { server, port, files }
    }

    /// The one node of a cluster, which calls itself 127.0.0.1 and its port the one with TLS.
    pub fn cluster(authority: &Authority) -> Self {
        let files = Files::of(authority, &authority.signs(&["localhost", "127.0.0.1"]));
        let (port, mut options) = files.options();
        // These can't be changed while it runs.
        for option in [
            "--cluster-enabled",
            "yes",
            "--cluster-announce-ip",
            "127.0.0.1",
            "--tls-cluster",
            "yes",
        ] {
            options.push(option.to_owned());
        }
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let server = Server::start_with(Server::executable_with_tls(), &options);
        let slots: Vec<_> = (0..SLOTS).map(|slot| slot.to_string()).collect();
        let mut add = vec!["CLUSTER", "ADDSLOTS"];
        add.extend(slots.iter().map(String::as_str));
        assert_eq!(server.command(&add).error(), None);
        let serves = || server.command(&["CLUSTER", "INFO"]).text().contains("state:ok");
        assert!(eventually(AGREE, || serves().then_some(())).is_some(), "{}", server.log());
        Self { server, port, files }
    }

    /// A sentinel, which names this server as [`PRIMARY`], at 127.0.0.1 and its port with TLS.
    pub fn sentinel(&self, authority: &Authority) -> Self {
        let files = Files::of(authority, &authority.signs(&["localhost"]));
        let (port, options) = files.options();
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let server = Server::start_sentinel(self.server.executable(), &options);
        let monitor = ["SENTINEL", "MONITOR", PRIMARY, "127.0.0.1", &self.port.to_string(), "1"];
        assert_eq!(server.command(&monitor).error(), None);
        Self { server, port, files }
    }
}

/// # What it shows, and to whom
impl Secured {
    /// The address with TLS, by the name that its first certificate is for.
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// The file with the authority that it was made with.
    pub fn ca(&self) -> PathBuf {
        self.files.path("ca")
    }

    /// From now on clients have to show a certificate of that authority.
    pub fn asks_clients(&self) {
        self.set(&["tls-auth-clients", "yes"]);
    }

    /// New connections are shown another certificate from now on.
    pub fn shows(&self, shown: &Shown) {
        self.files.keep(shown);
        // The same names of files: it reads them again.
        self.set(&["tls-cert-file", &self.files.path("cert").display().to_string()]);
    }

    /// Cuts every connection but our own.
    pub fn cuts(&self) {
        self.server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }

    /// Changes the server's settings.
    #[track_caller]
    pub fn set(&self, settings: &[&str]) {
        let said = self.server.command(&[&["CONFIG", "SET"], settings].concat());
        assert_eq!(said.error(), None, "{}", self.server.log());
    }
}

impl Files {
    fn of(authority: &Authority, shown: &Shown) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        fs::write(files.path("ca"), authority.pem()).unwrap();
        files.keep(shown);
        files
    }

    fn keep(&self, shown: &Shown) {
        fs::write(self.path("cert"), &shown.chain).unwrap();
        fs::write(self.path("key"), &shown.key).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a server with them is told.
    fn settings(&self, port: u16) -> [[String; 2]; 5] {
        let file = |name| self.path(name).display().to_string();
        [
            ["tls-cert-file".to_owned(), file("cert")],
            ["tls-key-file".to_owned(), file("key")],
            ["tls-ca-cert-file".to_owned(), file("ca")],
            ["tls-auth-clients".to_owned(), "no".to_owned()],
            ["tls-port".to_owned(), port.to_string()],
        ]
    }

    /// The same at its start, for one that can't be told later; and a port.
    fn options(&self) -> (u16, Vec<String>) {
        let port = free_port();
        let option = |[name, value]: [String; 2]| [format!("--{name}"), value];
        (port, self.settings(port).into_iter().flat_map(option).collect())
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
