//! TLS: whom the store trusts, and how it shows itself.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom::testing::Visitor;
use cloakroom_redis::{ClientCertificate, RedisSettings, Tls};
use testbed::tls::{Authority, Secured, Shown, date_time_ymd};

use crate::house::{LONG, VISITS, manager_with};
use crate::warnings::Warnings;

fn trusting(ca: Option<Vec<u8>>, client: Option<ClientCertificate>) -> RedisSettings {
    // A busy machine takes its time for a handshake, and these tests are not about that.
    RedisSettings { tls: Tls { ca, client }, connect_within: LONG, ..RedisSettings::default() }
}

async fn refused(url: &str, settings: &RedisSettings) -> String {
    let manager = manager_with(url, LONG, settings);
    manager.check().await.unwrap_err().to_string()
}

/// A server with TLS, and what a service needs to trust it.
pub(crate) struct Secure(Secured, Authority);

impl Secure {
    pub(crate) fn start() -> Self {
        let ours = Authority::new();
        Self(Secured::by(&ours), ours)
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        trusting(Some(self.1.pem()), None)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }
}

// Proves F27, R59.
#[tokio::test]
async fn a_server_is_trusted_by_its_own_authority_and_name_alone() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let secured = Secured::by(&ours);
    let (url, port) = (secured.url(), secured.port);
    let manager = manager_with(&url, LONG, &trusting(Some(ours.pem()), None));
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    assert!(visitor.open().session().user().await.unwrap().is_some());

    let trusting_ours = trusting(Some(ours.pem()), None);
    let said = refused(&url, &trusting(Some(theirs.pem()), None)).await;
    assert!(said.contains("BadSignature"), "{said}");
    let said = refused(&url, &trusting(None, None)).await;
    assert!(said.contains("UnknownIssuer"), "{said}");
    // The certificate is for another name.
    let said = refused(&format!("rediss://127.0.0.1:{port}"), &trusting_ours).await;
    assert!(said.contains("not valid for name"), "{said}");
    secured
        .shows(&ours.signs_changed(&["localhost"], |it| it.not_after = date_time_ymd(2020, 2, 3)));
    let said = refused(&url, &trusting_ours).await;
    assert!(said.contains("certificate expired"), "{said}");
}

/// Whatever is spoken at the other end.
// Proves F27, R59.
#[tokio::test]
async fn with_tls_nothing_is_sent_in_the_clear() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain_server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // As a server does that speaks plainly and is shown a handshake.
        let mut read = [0; 4096];
        let length = stream.read(&mut read).unwrap();
        stream.write_all(b"-ERR unknown command\r\n").unwrap();
        let mut sent = read[..length].to_vec();
        // Reset or ended: nothing more comes.
        let _ = stream.read_to_end(&mut sent);
        sent
    });
    let url = format!("rediss://app:hunter2@localhost:{port}");
    let manager = manager_with(&url, Duration::from_secs(5), &trusting(None, None));
    let error = manager.check().await.unwrap_err();
    assert_eq!(error.happened, cloakroom::store::Happened::No, "{error}");
    drop(manager);
    let sent = plain_server.join().unwrap();
    // A record of a handshake, TLS 1.0 and later (RFC 8446 5.1).
    assert_eq!(sent[..2], [0x16, 0x03]);
    let said = String::from_utf8_lossy(&sent);
    assert!(!["HELLO", "AUTH", "hunter2"].iter().any(|word| said.contains(word)), "{said}");
}

/// Where a node of the cluster or a sentinel sends us, we go with TLS: the server has a second port without.
// Proves F27, R59.
#[tokio::test]
async fn a_server_that_others_name_is_connected_to_with_tls_as_well() {
    let ours = Authority::new();
    let node = Secured::cluster(&ours);
    let by_node = format!("rediss+cluster://localhost:{}", node.port);
    let primary = Secured::showing(&ours, &ours.signs(&["localhost", "127.0.0.1"]));
    let sentinel = primary.sentinel(&ours);
    let by_sentinel = format!("rediss+sentinel://localhost:{}/cloak", sentinel.port);
    for (url, server) in [(by_node, &node), (by_sentinel, &primary)] {
        let manager = manager_with(&url, LONG, &trusting(Some(ours.pem()), None));
        let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
        assert_eq!(visitor.open().session().increment(VISITS, 1).await.unwrap(), 1);
        let clients = server.server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
        let named = format!(" laddr=127.0.0.1:{} ", server.port);
        let plain = format!(" laddr=127.0.0.1:{} ", server.server.port());
        assert!(clients.contains(&named), "{url}: {clients}");
        // Our own looks on.
        assert_eq!(clients.matches(&plain).count(), 1, "{url}: {clients}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    let ours = Authority::new();
    let secured = Secured::by(&ours);
    secured.asks_clients();
    let url = secured.url();
    let Shown { chain, key } = ours.signs(&["shop"]);
    let client = Some(ClientCertificate { chain, key });
    let manager = manager_with(&url, LONG, &trusting(Some(ours.pem()), client));
    manager.check().await.unwrap();
    refused(&url, &trusting(Some(ours.pem()), None)).await;
}

// Proves F27, R59.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_renewed_while_the_server_runs_fails_nobody() {
    let ours = Authority::new();
    let secured = Secured::by(&ours);
    let settings = trusting(Some(ours.pem()), None);
    let manager = manager_with(&secured.url(), LONG, &settings);
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let counting = tokio::spawn({
        let (visitor, over) = (visitor.clone(), over.clone());
        async move {
            while !over.load(Ordering::SeqCst) {
                visitor.open().session().increment(VISITS, 1).await.unwrap();
            }
        }
    });
    for round in 0..10 {
        // It is the new one that a new connection is shown: only every other is good for this URL.
        let by_number = format!("rediss://127.0.0.1:{}", secured.port);
        let names: &[&str] =
            if round % 2 == 0 { &["localhost"] } else { &["localhost", "127.0.0.1"] };
        secured.shows(&ours.signs(names));
        let fresh = manager_with(&by_number, LONG, &settings).check().await;
        assert_eq!(fresh.is_ok(), round % 2 == 1, "{fresh:?}");
        manager_with(&secured.url(), LONG, &settings).check().await.unwrap();
    }
    over.store(true, Ordering::SeqCst);
    counting.await.unwrap();
    secured.cuts();
    while manager.check().await.is_err() {}
    assert!(visitor.open().session().user().await.unwrap().is_some());
}

/// A thread alone, which is the one whose log is read.
// Proves F27, R59.
#[tokio::test]
async fn a_certificate_that_is_replaced_by_one_that_nobody_trusts_stops_new_connections_alone() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let secured = Secured::by(&ours);
    let manager = manager_with(&secured.url(), LONG, &trusting(Some(ours.pem()), None));
    let visitor = Visitor::logged_in(&manager, "alice").await.unwrap();
    let warnings = Warnings::default();
    let _listens = warnings.listen();
    for (authority, name, reason) in [
        (&theirs, "localhost", "invalid peer certificate"),
        (&ours, "cloak.test", "not valid for name"),
    ] {
        secured.shows(&authority.signs(&[name]));
        // The connection there is has been verified.
        assert!(visitor.open().session().user().await.unwrap().is_some());
        assert_eq!(warnings.said(), [""; 0]);

        secured.cuts();
        let begun = Instant::now();
        while !warnings.said().iter().any(|said| said.contains(reason)) {
            let error = visitor.open().session().user().await.unwrap_err();
            assert_eq!(error.status(), 503);
            assert!(begun.elapsed() < LONG, "{error:?}");
        }
        secured.shows(&ours.signs(&["localhost"]));
        while manager.check().await.is_err() {}
        // In place.
        assert!(visitor.open().session().user().await.unwrap().is_some());
        warnings.forget();
    }
}
