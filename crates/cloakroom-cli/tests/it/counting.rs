//! What counts as a visit, and that none is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use testbed::{Request, Server};

use crate::demo::*;

// Proves R43, CVE-2026-45075.
#[test]
fn neither_a_head_nor_a_fetch_in_advance_counts() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        assert_eq!(visit(&mut browser), somebody("alice", 1));
        let head = browser.send(Request::head(demo.addr(), "/"));
        assert_eq!((head.status, head.header("Vary")), (200, Some("Accept-Language, Cookie")));
        for (name, value) in [("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch")] {
            let page = browser.send(Request::get(demo.addr(), "/").header(name, value));
            assert_eq!(seen(&page), somebody("alice", 1));
        }
        assert_eq!(visit(&mut browser), somebody("alice", 2));
    });
}

/// 64 clients, half of them at one process and half at another, all with one session. A machine
/// that is too busy may answer some of them 503; then nobody knows of those visits, and they are
/// tried again.
// Proves R67.
#[test]
fn not_one_of_20_000_visits_is_lost_between_two_processes() {
    const CLIENTS: u64 = 64;
    const VISITS: u64 = 20_000;
    let server = Server::start();
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url()), ("RUST_LOG", "warn")];
    let demos = [serve(&[], &env), serve(&[], &env)];
    let mut browser = logged_in_at(demos[0].addr(), "alice");
    let token = token(&browser);

    let each = |client: u64| VISITS / CLIENTS + u64::from(client < VISITS % CLIENTS);
    let clients: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (addr, token) = (demos[client as usize % 2].addr(), &token);
                scope.spawn(move || {
                    let mut client_at = Client::at(addr, token);
                    let shown: Vec<_> = (0..each(client)).map(|_| client_at.visit()).collect();
                    (shown, client_at.refused)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });

    // Each was told a number of its own; without a 503 they are all the numbers there are.
    let refused: u64 = clients.iter().map(|(_, refused)| refused).sum();
    let shown: BTreeSet<_> = clients.into_iter().flat_map(|(shown, _)| shown).collect();
    assert_eq!(shown.len() as u64, VISITS);
    let (_, stored) = visit(&mut browser).expect("alice");
    assert!(shown.iter().all(|visits| (1..stored).contains(visits)));
    assert!((VISITS..=VISITS + refused).contains(&(stored - 1)), "{stored} with {refused} refused");
    assert!(refused < VISITS / 10, "{refused} refused:\n{}{}", demos[0].log(), demos[1].log());
}

/// A client that keeps its connection.
struct Client {
    stream: BufReader<TcpStream>,
    request: String,
    refused: u64,
}

impl Client {
    fn at(addr: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {addr}\r\nCookie: {COOKIE}={token}\r\n\r\n");
        Self { stream: BufReader::new(stream), request, refused: 0 }
    }

    fn visit(&mut self) -> u64 {
        loop {
            let (status, body) = self.ask();
            if status == "HTTP/1.1 200 OK\r\n" {
                let (_, visits) = body.split_once("Visits: <strong>").expect("a visit that counts");
                return visits.split_once('<').unwrap().0.parse().unwrap();
            }
            assert!(status.starts_with("HTTP/1.1 503 "), "{status}");
            self.refused += 1;
        }
    }

    fn ask(&mut self) -> (String, String) {
        self.stream.get_mut().write_all(self.request.as_bytes()).unwrap();
        let mut status = String::new();
        self.stream.read_line(&mut status).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}
