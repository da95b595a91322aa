//! TLS, on a server that has it, with certificates made here.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use testbed::Server;

use crate::run::*;

/// A server with TLS, and the authority that its certificate comes from.
struct Secured {
    server: Server,
    folder: TempDir,
    port: u16,
}

impl Secured {
    /// With a certificate for `localhost`, changed as the test likes.
    fn start(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", params.self_signed(&authority).unwrap().pem());
        let issuer = Issuer::new(params, authority);
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut leaf);
        write("leaf.pem", leaf.signed_by(&key, &issuer).unwrap().pem());
        write("key.pem", key.serialize_pem());

        let server = Server::start();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let files = [path("leaf.pem"), path("key.pem"), path("ca.pem")];
        let port = (0..5).find_map(|_| {
            // Free now; whether it still is when the server takes it, the answer shows.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let [leaf, key, ca] = &files;
            let said = server.command(&[
                "CONFIG",
                "SET",
                "tls-cert-file",
                leaf,
                "tls-key-file",
                key,
                "tls-ca-cert-file",
                ca,
                "tls-auth-clients",
                "no",
                "tls-port",
                &port.to_string(),
            ]);
            said.error().is_none().then_some(port)
        });
        let port = port.expect("the first server to test with has no TLS: take Debian's Redis 7.0");
        Self { server, folder, port }
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    #[track_caller]
    fn examine(&self, code: &str) -> Report {
        examine_with(&self.url(), code, &["--ca", self.ca().to_str().unwrap()], &[])
    }
}

#[test]
fn a_good_certificate_passes_and_so_does_the_store_behind_it() {
    let secured = Secured::start(|_| {});
    secured.examine("tls.good");
    secured.examine("rehearsal.done");
    let env = [("SSL_CERT_FILE", secured.ca().to_str().unwrap().to_owned())];
    examine_with(&secured.url(), "rehearsal.done", &[], &[(env[0].0, &env[0].1)]);
}

// Proves R59.
#[test]
fn an_issuer_that_nobody_trusts_is_refused() {
    let secured = Secured::start(|_| {});
    let other = Secured::start(|_| {});
    examine_with(
        &secured.url(),
        "tls.unknown_issuer",
        &["--ca", other.ca().to_str().unwrap()],
        &[],
    );
}

// Proves R59.
#[test]
fn a_certificate_for_another_name_is_refused_with_both_names() {
    let secured = Secured::start(|leaf| {
        *leaf = CertificateParams::new(["cache.example".to_owned()]).unwrap();
    });
    let report = secured.examine("tls.wrong_name");
    let reason = report.find("tls.wrong_name")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("localhost") && reason.contains("cache.example"), "{reason}");
}

// Proves R59.
#[test]
fn an_expired_certificate_is_refused_with_its_date() {
    let secured = Secured::start(|leaf| leaf.not_after = date_time_ymd(2020, 2, 3));
    let report = secured.examine("tls.expired");
    assert_eq!(report.find("tls.expired")["details"]["since"], "2020-02-03T00:00:00Z");
}

#[test]
fn a_certificate_of_the_future_hints_at_the_clock() {
    let secured = Secured::start(|leaf| leaf.not_before = date_time_ymd(2999, 1, 1));
    let report = secured.examine("tls.not_yet_valid");
    assert!(report.find("tls.not_yet_valid")["next"].as_str().unwrap().contains("clock"));
}

#[test]
fn a_server_that_wants_a_certificate_of_the_client_is_understood() {
    let secured = Secured::start(|_| {});
    secured.server.command(&["CONFIG", "SET", "tls-auth-clients", "yes"]);
    secured.examine("tls.client_certificate");
}

#[test]
fn without_a_common_cipher_it_says_so() {
    let secured = Secured::start(|_| {});
    let old =
        ["CONFIG", "SET", "tls-protocols", "TLSv1.2", "tls-ciphers", "ECDHE-ECDSA-AES128-SHA"];
    assert_eq!(secured.server.command(&old).error(), None);
    secured.examine("tls.no_common_protocol");
}

#[test]
fn a_plain_client_on_a_tls_port_and_the_reverse_are_told() {
    let secured = Secured::start(|_| {});
    examine(&format!("redis://localhost:{}", secured.port), "tls.needed");
    let url = format!("rediss://localhost:{}", secured.server.port());
    let ca = secured.ca();
    examine_with(&url, "tls.not_spoken", &["--ca", ca.to_str().unwrap()], &[]);
}

#[test]
fn certificates_that_can_not_be_read_are_named() {
    let secured = Secured::start(|_| {});
    examine_with(&secured.url(), "tls.no_roots", &["--ca", "/nowhere/ca.pem"], &[]);
}

#[test]
fn a_certificate_that_serves_another_purpose_fails_with_its_reason() {
    let secured = Secured::start(|leaf| {
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    secured.examine("tls.failed");
}
