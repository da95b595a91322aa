//! How a test runs the doctor and reads what it says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use serde_json::Value;
use testbed::{Program, Server};

pub(crate) const CLOAKROOM: &str = env!("CARGO_BIN_EXE_cloakroom");

/// What it said as JSON, and its exit code.
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) said: Value,
}

impl Report {
    pub(crate) fn findings(&self) -> Vec<&Value> {
        let steps = self.said["steps"].as_array().unwrap().iter();
        steps.flat_map(|step| step["findings"].as_array().unwrap()).collect()
    }

    pub(crate) fn codes(&self) -> Vec<&str> {
        self.findings().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn find(&self, code: &str) -> &Value {
        let found = self.findings().into_iter().find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} but {:#?}", self.findings().last()))
    }
}

/// Runs it with much patience, for few tests are about that.
pub(crate) fn doctor(args: &[&str], env: &[(&str, &str)]) -> Report {
    let patience: &[&str] = if args.contains(&"--timeout") { &[] } else { &["--timeout", "30s"] };
    let args = [&["doctor", "--json"], patience, args].concat();
    let program = Program::start(CLOAKROOM, &args, env);
    let code = program.wait();
    let log = program.log();
    let said = serde_json::from_str(&log).unwrap_or_else(|error| panic!("{error}: {log}"));
    Report { code, said }
}

/// Examines what `REDIS_URL` names, in both languages, and holds what is true of every report.
#[track_caller]
pub(crate) fn examine(url: &str, code: &str) -> Report {
    examine_with(url, code, &[], &[])
}

#[track_caller]
pub(crate) fn examine_with(url: &str, code: &str, args: &[&str], env: &[(&str, &str)]) -> Report {
    let env = [&[("REDIS_URL", url)], env].concat();
    holds(code, doctor(args, &env), doctor(&[args, &["--lang", "ja"]].concat(), &env))
}

#[track_caller]
pub(crate) fn holds(code: &str, english: Report, japanese: Report) -> Report {
    let found = english.find(code);
    let other = japanese.find(code);
    let verdict = found["verdict"].as_str().unwrap();
    for said in ["reason", "next"] {
        let (en, ja) = (found[said].as_str().unwrap_or(""), other[said].as_str().unwrap_or(""));
        assert!(en.is_ascii(), "{code}: {en}");
        assert_eq!(en.is_empty(), ja.is_empty(), "{code}");
        // A bare command, or the names of a protocol, are the same in both.
        assert!(ja.is_empty() || !ja.is_ascii() || en == ja, "{code}: {ja}");
    }
    let needs_somebody = ["failure", "warning"].contains(&verdict);
    assert!(!needs_somebody || !found["next"].is_null(), "{code} says nothing to do");
    let worst = english.said["verdict"].as_str();
    let exit = match worst {
        Some("failure") => 1,
        Some("warning") => 3,
        _ => 0,
    };
    assert_eq!((english.code, japanese.code), (Some(exit), Some(exit)), "{:#}", english.said);
    let steps = english.said["steps"].as_array().unwrap();
    let failed = steps.iter().position(|step| step["verdict"] == "failure");
    for step in &steps[failed.map_or(steps.len(), |at| at + 1)..] {
        assert!(step["verdict"].is_null() && step["findings"] == serde_json::json!([]), "{step:#}");
    }
    assert_eq!(verdict == "failure", failed.is_some(), "{code} and {:?}", english.codes());
    english
}

/// An address of this machine that is not its loopback.
pub(crate) fn own_address() -> std::net::IpAddr {
    // Nothing is sent: the kernel only chooses which address it would send from.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).expect("a network besides the loopback");
    socket.local_addr().unwrap().ip()
}

/// A network that changes what a server says, by as many bytes as there were.
pub(crate) fn rewritten(
    server: &Server,
    from: impl AsRef<[u8]>,
    to: impl AsRef<[u8]>,
) -> SocketAddr {
    let (from, to) = (from.as_ref().to_vec(), to.as_ref().to_vec());
    assert_eq!(from.len(), to.len());
    changed(server, move |bytes| {
        for at in 0..bytes.len().saturating_sub(from.len() - 1) {
            if bytes[at..].starts_with(&from) {
                bytes[at..at + to.len()].copy_from_slice(&to);
            }
        }
    })
}

/// The same, as a test likes: each piece as it arrives.
pub(crate) fn changed(
    server: &Server,
    change: impl Fn(&mut [u8]) + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, port) = (listener.local_addr().unwrap(), server.port());
    // The threads end with the test's process, or with their connections.
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            let (up, down) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            thread::spawn(move || pass(up, upstream, |_| {}));
            let change = change.clone();
            thread::spawn(move || pass(down, client, change));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
