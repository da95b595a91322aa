//! TLS, on a server that has it, with certificates made here.

use testbed::tls::{Authority, CertificateParams, ExtendedKeyUsagePurpose, Secured, date_time_ymd};

use crate::run::*;

/// A server with a certificate for `localhost`, changed as the test likes.
fn start(change: impl FnOnce(&mut CertificateParams)) -> Secured {
    let authority = Authority::new();
    Secured::showing(&authority, &authority.signs_changed(&["localhost"], change))
}

#[track_caller]
fn finds(secured: &Secured, code: &str) -> Report {
    examine_with(&secured.url(), code, &["--ca", secured.ca().to_str().unwrap()], &[])
}

#[test]
fn a_good_certificate_passes_and_so_does_the_store_behind_it() {
    let secured = start(|_| {});
    finds(&secured, "tls.good");
    finds(&secured, "rehearsal.done");
    let env = [("SSL_CERT_FILE", secured.ca().to_str().unwrap().to_owned())];
    examine_with(&secured.url(), "rehearsal.done", &[], &[(env[0].0, &env[0].1)]);
}

// Proves R59.
#[test]
fn an_issuer_that_nobody_trusts_is_refused() {
    let secured = start(|_| {});
    let other = start(|_| {});
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
    let secured = start(|leaf| {
        *leaf = CertificateParams::new(["cache.example".to_owned()]).unwrap();
    });
    let report = finds(&secured, "tls.wrong_name");
    let reason = report.find("tls.wrong_name")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("localhost") && reason.contains("cache.example"), "{reason}");
}

// Proves R59.
#[test]
fn an_expired_certificate_is_refused_with_its_date() {
    let secured = start(|leaf| leaf.not_after = date_time_ymd(2020, 2, 3));
    let report = finds(&secured, "tls.expired");
    assert_eq!(report.find("tls.expired")["details"]["since"], "2020-02-03T00:00:00Z");
}

#[test]
fn a_certificate_of_the_future_hints_at_the_clock() {
    let secured = start(|leaf| leaf.not_before = date_time_ymd(2999, 1, 1));
    let report = finds(&secured, "tls.not_yet_valid");
    assert!(report.find("tls.not_yet_valid")["next"].as_str().unwrap().contains("clock"));
}

#[test]
fn a_server_that_wants_a_certificate_of_the_client_is_understood() {
    let secured = start(|_| {});
    secured.asks_clients();
    finds(&secured, "tls.client_certificate");
}

#[test]
fn without_a_common_cipher_it_says_so() {
    let secured = start(|_| {});
    secured.set(&["tls-protocols", "TLSv1.2", "tls-ciphers", "ECDHE-ECDSA-AES128-SHA"]);
    finds(&secured, "tls.no_common_protocol");
}

#[test]
fn a_plain_client_on_a_tls_port_and_the_reverse_are_told() {
    let secured = start(|_| {});
    examine(&format!("redis://localhost:{}", secured.port), "tls.needed");
    let url = format!("rediss://localhost:{}", secured.server.port());
    let ca = secured.ca();
    examine_with(&url, "tls.not_spoken", &["--ca", ca.to_str().unwrap()], &[]);
}

#[test]
fn certificates_that_can_not_be_read_are_named() {
    let secured = start(|_| {});
    examine_with(&secured.url(), "tls.no_roots", &["--ca", "/nowhere/ca.pem"], &[]);
}

#[test]
fn a_certificate_that_serves_another_purpose_fails_with_its_reason() {
    let secured = start(|leaf| {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    finds(&secured, "tls.failed");
}
