//! A server that speaks TLS, and authorities that sign certificates, made on the spot.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertifiedIssuer, DnType, IsCa, KeyPair};
pub use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use tempfile::TempDir;

use crate::server::Server;

/// How many ports are tried before it is given up.
const ATTEMPTS: usize = 5;

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
    folder: TempDir,
}

impl Secured {
    /// With a certificate for `localhost` of this authority.
    pub fn by(authority: &Authority) -> Self {
        Self::showing(authority, &authority.signs(&["localhost"]))
    }

    /// Shows this, and trusts the certificates of clients that are of this authority.
    pub fn showing(authority: &Authority, shown: &Shown) -> Self {
        let server = Server::start_with(Server::executable_with_tls(), &[]);
        let mut secured = Self { server, port: 0, folder: tempfile::tempdir().unwrap() };
        secured.keep(shown);
        fs::write(secured.ca(), authority.pem()).unwrap();
        let [certificate, key, ca] = ["cert", "key", "ca"].map(|name| secured.path(name));
        let port = (0..ATTEMPTS).find_map(|_| {
            // Free now; whether it still is when the server takes it, the answer shows.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let files =
                ["tls-cert-file", &certificate, "tls-key-file", &key, "tls-ca-cert-file", &ca];
            let port_too = ["tls-auth-clients", "no", "tls-port", &port.to_string()];
            let said =
                secured.server.command(&[&["CONFIG", "SET"], &files[..], &port_too].concat());
            said.error().is_none().then_some(port)
        });
        secured.port = port.unwrap_or_else(|| panic!("no TLS:\n{}", secured.server.log()));
        secured
    }

    /// The address with TLS, by the name that its first certificate is for.
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// The file with the authority that it was made with.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// From now on clients have to show a certificate of that authority.
    pub fn asks_clients(&self) {
        self.set(&["tls-auth-clients", "yes"]);
    }

    /// New connections are shown another certificate from now on.
    pub fn shows(&self, shown: &Shown) {
        self.keep(shown);
        // The same names of files: it reads them again.
        self.set(&["tls-cert-file", &self.path("cert")]);
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

    fn keep(&self, shown: &Shown) {
        fs::write(self.folder.path().join("cert"), &shown.chain).unwrap();
        fs::write(self.folder.path().join("key"), &shown.key).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}
