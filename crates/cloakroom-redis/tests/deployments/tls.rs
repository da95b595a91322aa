//! TLS: whom the store trusts, and how it shows itself.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use cloakroom::testing::Visitor;
use cloakroom_redis::{ClientCertificate, RedisSettings, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use testbed::Server;

use crate::house::{LONG, manager_with};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Another name than what it signs, which would else look signed by itself.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for this name, and its key.
    fn signs(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

/// A server with this certificate, and the port on which it speaks TLS.
fn server(folder: &Path, ca: &Authority, name: &str, asks_clients: &str) -> (Server, u16) {
    let (certificate, key) = ca.signs(name);
    let write = |file: &str, bytes: &[u8]| {
        let path = folder.join(file);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let options = [
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &write("cert", &certificate),
        "--tls-key-file",
        &write("key", &key),
        "--tls-ca-cert-file",
        &write("ca", &ca.pem()),
        "--tls-auth-clients",
        asks_clients,
    ];
    (Server::start_with(Server::executable_with_tls(), &options), port)
}

fn trusting(ca: Option<Vec<u8>>, client: Option<ClientCertificate>) -> RedisSettings {
    // A busy machine takes its time for a handshake, and these tests are not about that.
    RedisSettings { tls: Tls { ca, client }, connect_within: LONG, ..RedisSettings::default() }
}

async fn refused(url: &str, settings: &RedisSettings) -> String {
    let manager = manager_with(url, LONG, settings);
    manager.check().await.unwrap_err().to_string()
}

/// A server with TLS, and what a service needs to trust it.
pub(crate) struct Secure {
    port: u16,
    ca: Vec<u8>,
    // In this order: the process is gone when the folder of its certificates goes.
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Secure {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ours = Authority::new();
        let (server, port) = server(folder.path(), &ours, "localhost", "no");
        Self { port, ca: ours.pem(), _server: server, _folder: folder }
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        trusting(Some(self.ca.clone()), None)
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }
}

// Proves F27, R59.
#[tokio::test]
async fn a_server_is_trusted_by_its_own_authority_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (_server, port) = server(folder.path(), &ours, "localhost", "no");
    let url = format!("rediss://localhost:{port}");
    let manager = manager_with(&url, LONG, &trusting(Some(ours.pem()), None));
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    assert!(visitor.open().session().user().await.unwrap().is_some());

    let said = refused(&url, &trusting(Some(theirs.pem()), None)).await;
    assert!(said.contains("certificate"), "{said}");
    let said = refused(&url, &trusting(None, None)).await;
    assert!(said.contains("UnknownIssuer"), "{said}");
    // The certificate is for another name.
    let by_number = format!("rediss://127.0.0.1:{port}");
    let said = refused(&by_number, &trusting(Some(ours.pem()), None)).await;
    assert!(said.contains("certificate"), "{said}");
    // Nothing is ever sent in the clear to a port that speaks TLS.
    let plain = format!("redis://127.0.0.1:{port}");
    let impatient = manager_with(&plain, Duration::from_secs(5), &RedisSettings::default());
    assert!(impatient.check().await.is_err());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let (_server, port) = server(folder.path(), &ours, "localhost", "yes");
    let url = format!("rediss://localhost:{port}");
    let (chain, key) = ours.signs("shop");
    let client = Some(ClientCertificate { chain, key });
    let manager = manager_with(&url, LONG, &trusting(Some(ours.pem()), client));
    manager.check().await.unwrap();
    refused(&url, &trusting(Some(ours.pem()), None)).await;
}
