//! `cloakroom doctor`: the way from here to a store, step by step, each timed and judged. What comes
//! after a failure is not tried.
//!
//! Nothing that is printed holds a password; what is changed stands under the prefix of the
//! rehearsal, and is removed.

mod finding;
mod language;
mod wire;
mod network;
mod server;
mod permissions;
mod rehearsal;
mod folder;
mod report;

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use cloakroom::{Prefix, TokenMint};

use crate::args::Doctor;
use crate::doctor::finding::{Finding, Ms, Part, Step, Verdict};
use crate::doctor::language::Phrases;
use crate::doctor::network::{Place, Target};
use crate::doctor::report::Page;
use crate::doctor::server::Patient;
use crate::store;

const URL: &str = "REDIS_URL";
const ROOTS: &str = "SSL_CERT_FILE";

/// Examines what the arguments name, and says what it found by the exit code too.
pub(crate) fn examine(args: &Doctor) -> ExitCode {
    let phrases = language::chosen(args.lang);
    // The store's client reads its roots from there, so what is found here holds for a service.
    if let Some(ca) = &args.ca
        && env::var_os(ROOTS).as_deref() != Some(ca.as_os_str())
    {
        return again_with(ca.as_os_str());
    }
    let url = args.url.clone().or_else(|| env::var(URL).ok());
    let (target, steps) = match url {
        Some(url) => match Target::read(&url) {
            Ok(target) => {
                let mut book = Book::open(args, phrases, &Part::OF_A_SERVER);
                let _ = server_at(&url, &target, args, &mut book);
                (target.server(), book.close())
            }
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "error: {}", (phrases.unreadable)(&why));
                return ExitCode::from(2);
            }
        },
        None => match store::folder(args.data.as_deref()) {
            Ok(path) => {
                let mut book = Book::open(args, phrases, &Part::OF_A_FOLDER);
                let _ = folder_at(&path, &mut book);
                (path.display().to_string(), book.close())
            }
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "error: {why}");
                return ExitCode::from(2);
            }
        },
    };
    if args.json {
        let _ = writeln!(std::io::stdout(), "{:#}", report::json(&target, &steps, phrases));
    }
    match steps.iter().filter_map(Step::verdict).max() {
        Some(Verdict::Failure) => ExitCode::from(1),
        Some(Verdict::Warning) => ExitCode::from(3),
        _ => ExitCode::SUCCESS,
    }
}

/// Runs the same once more, in an environment with these roots.
fn again_with(ca: &OsStr) -> ExitCode {
    let program = env::current_exe();
    let status = program.and_then(|program| {
        Command::new(program)
            .args(env::args_os().skip(1))
            .env(ROOTS, ca)
            .env_remove("SSL_CERT_DIR")
            .status()
    });
    match status {
        Ok(status) => {
            ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: can't start again with --ca: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the steps are written down.
struct Book {
    parts: &'static [Part],
    steps: Vec<Step>,
    /// None for programs, who get all of it at the end.
    page: Option<Page>,
}

impl Book {
    fn open(args: &Doctor, phrases: &'static Phrases, parts: &'static [Part]) -> Self {
        let page = (!args.json).then(|| Page::new(phrases, parts));
        Self { parts, steps: Vec::new(), page }
    }

    /// Takes the next step. `None` if it failed: then none follows.
    fn step<T>(&mut self, look: impl FnOnce(&mut Vec<Finding>) -> Result<T, Finding>) -> Option<T> {
        let begin = Instant::now();
        let mut findings = Vec::new();
        let looked = look(&mut findings).map_err(|failure| findings.push(failure)).ok();
        self.write(begin.elapsed(), findings);
        looked
    }

    fn write(&mut self, took: Duration, findings: Vec<Finding>) {
        let Some(part) = self.parts.get(self.steps.len()) else { return };
        let step = Step { part: *part, took: Ms(took), findings };
        self.steps.push(step);
        if let (Some(page), Some(step)) = (&self.page, self.steps.last()) {
            page.step(self.steps.len(), step);
        }
    }

    fn close(mut self) -> Vec<Step> {
        while self.steps.len() < self.parts.len() {
            self.write(Duration::ZERO, Vec::new());
        }
        if let Some(page) = &self.page {
            page.summary(report::tally(&self.steps));
        }
        self.steps
    }
}

fn server_at(url: &str, target: &Target, args: &Doctor, book: &mut Book) -> Option<()> {
    let timeout = args.timeout;
    book.step(|findings| {
        findings.push(Finding::AddressRead {
            server: target.server(),
            tls: target.tls(),
            user: target.password.as_ref().map(|_| target.user().to_owned()),
            database: target.database,
        });
        if args.url.is_some() && target.password.is_some() {
            findings.push(Finding::PasswordVisible);
        }
        Ok(())
    })?;
    let addresses = book.step(|findings| match &target.place {
        Place::Network { host, port, .. } if host.parse::<IpAddr>().is_err() => {
            let found = network::resolve(host, *port, timeout, network::by_the_system)?;
            let addresses = found.iter().map(|address| address.ip()).collect();
            findings.push(Finding::NameFound { host: host.clone(), addresses });
            Ok(found)
        }
        place => {
            findings.push(Finding::NameNotNeeded);
            Ok(match place {
                Place::Network { host, port, .. } => {
                    host.parse::<IpAddr>().map(|ip| (ip, *port).into()).into_iter().collect()
                }
                Place::Socket(_) => Vec::new(),
            })
        }
    })?;
    let connected = book.step(|findings| {
        let connected = match &target.place {
            Place::Network { .. } => Connected::Tcp(network::connect(&addresses, timeout)?),
            Place::Socket(path) => Connected::Socket(network::connect_socket(path)?),
        };
        let address = connected.peer().map_or(target.server(), |peer| peer.to_string());
        findings.push(Finding::Connected { address });
        Ok(connected)
    })?;
    let peer = connected.peer().map(|peer| peer.ip());
    let again = || network::connect(&addresses, timeout).ok();
    let mut greeted = book.step(|findings| match (connected, &target.place) {
        (Connected::Tcp(tcp), Place::Network { host, tls: true, .. }) => {
            let (greeted, good) = network::greet_under_tls(tcp, host, timeout, again)?;
            findings.push(good);
            Ok(greeted)
        }
        (connected, _) => {
            let stream = match connected {
                Connected::Tcp(tcp) => wire::Stream::Tcp(tcp),
                Connected::Socket(stream) => stream,
            };
            let greeted = network::greet_plainly(stream, timeout, again)?;
            findings.push(peer.map_or(Finding::StaysHere, network::plain));
            Ok(greeted)
        }
    })?;
    let mut about = book.step(|findings| {
        let (about, finding) = server::log_in(&mut greeted, target, peer, timeout)?;
        findings.push(finding);
        Ok(about)
    })?;
    let mut server = Patient { line: &mut greeted.line, timeout };
    let server = &mut server;
    book.step(|found| server::ping(server, target).map(|finding| found.push(finding)))?;
    book.step(|found| server::role(server, &mut about).map(|findings| found.extend(findings)))?;
    book.step(|found| server::cluster(server, &about).map(|finding| found.push(finding)))?;
    book.step(|found| server::version(server, &about).map(|findings| found.extend(findings)))?;
    book.step(|found| server::memory(&about).map(|findings| found.extend(findings)))?;
    book.step(|found| {
        found.extend(server::persistence(&about));
        Ok(())
    })?;
    let (prefix, name, key) = names(args.prefix.clone());
    book.step(|found| {
        let tried = permissions::permissions(server, target, prefix.as_str(), &key)?;
        found.push(tried);
        Ok(())
    })?;
    book.step(|found| {
        let rehearsed = rehearsal::rehearse(url, &prefix, &name, server)?;
        found.push(rehearsed);
        Ok(())
    })
}

enum Connected {
    Tcp(TcpStream),
    Socket(wire::Stream),
}

impl Connected {
    fn peer(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().ok(),
            Self::Socket(_) => None,
        }
    }
}

/// The prefix of the rehearsal, and a user and a key that are nobody else's.
fn names(asked: Option<Prefix>) -> (Prefix, String, String) {
    let mint = TokenMint::new(Prefix::default(), "doctor", None);
    // Without randomness the rehearsal says so.
    let id = mint.issue_anonymous().ok().map(|issued| issued.id);
    let hash = id.map_or(String::new(), |id| id.hash().to_lowercase());
    let some: String = hash.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let prefix = asked.or_else(|| Prefix::new(format!("doctor-{some}")).ok()).unwrap_or_default();
    let keys = id.map_or(Vec::new(), |id| rehearsal::keys(&prefix, &id));
    let key = keys.into_iter().next().unwrap_or_else(|| format!("{}:doctor", prefix.as_str()));
    (prefix, format!("doctor-{some}"), key)
}

fn folder_at(path: &Path, book: &mut Book) -> Option<()> {
    let there = book.step(|found| {
        let finding = folder::folder(path)?;
        let there = !matches!(finding, Finding::FolderMissing { .. });
        found.push(finding);
        Ok(there)
    })?;
    if !there {
        return None;
    }
    book.step(|found| folder::key(path).map(|finding| found.push(finding)))?;
    book.step(|found| folder::sessions(path).map(|finding| found.push(finding)))
}
