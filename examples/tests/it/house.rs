//! How a test starts a step and reads its pages.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use testbed::{Browser, Program, Response, Server};

pub(crate) const STEPS: [&str; 4] = [
    env!("CARGO_BIN_EXE_step1"),
    env!("CARGO_BIN_EXE_step2"),
    env!("CARGO_BIN_EXE_step3"),
    env!("CARGO_BIN_EXE_step4"),
];
pub(crate) const KEY: &str = "8d1f6c0b57e24a93b0c5d2e7f41a6893";

/// The steps that count in Redis.
pub(crate) const WITH_REDIS: RangeInclusive<usize> = 2..=4;
/// Those of them with holes.
pub(crate) const HOLES: RangeInclusive<usize> = 2..=3;

/// A step that runs.
pub(crate) struct Step {
    number: usize,
    pub(crate) program: Program,
}

/// Starts a step on a server of this URL.
pub(crate) fn step_at(number: usize, url: &str) -> Step {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", url)];
    Step { number, program: Program::start(STEPS[number - 1], &["--port", "0"], &env) }
}

pub(crate) fn step(number: usize, server: &Server) -> Step {
    step_at(number, &server.url())
}

/// The same with a server of its own.
pub(crate) fn alone(number: usize) -> (Server, Step) {
    let server = Server::start();
    let step = step(number, &server);
    (server, step)
}

impl Step {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.program.addr()
    }

    /// A browser whose user has logged in, and not looked at the page yet.
    #[track_caller]
    pub(crate) fn logged_in(&self, name: &str) -> Browser {
        let mut browser = Browser::at(self.addr());
        let answer = browser.post_form("/login", &format!("username={name}"));
        assert_eq!((answer.status, answer.header("Location")), (303, Some("/")), "{answer:?}");
        browser
    }

    /// Logs out the way this step offers.
    #[track_caller]
    pub(crate) fn log_out(&self, browser: &mut Browser) {
        let answer = match self.number {
            4 => browser.post_form("/logout", ""),
            _ => browser.get("/logout"),
        };
        assert_eq!((answer.status, answer.header("Location")), (303, Some("/")), "{answer:?}");
    }
}

/// Looks at the page, which counts, and says what it shows: who, and how often.
#[track_caller]
pub(crate) fn visit(browser: &mut Browser) -> Option<(String, u64)> {
    seen(&browser.get("/"))
}

#[track_caller]
pub(crate) fn seen(answer: &Response) -> Option<(String, u64)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    if text == "You are not logged in\n" {
        return None;
    }
    let page = text.strip_prefix("Logged in as ").and_then(|rest| rest.split_once("\nVisits: "));
    let (name, visits) = page.unwrap_or_else(|| panic!("{text}"));
    Some((name.to_owned(), visits.trim_end().parse().unwrap()))
}

pub(crate) fn somebody(name: &str, visits: u64) -> Option<(String, u64)> {
    Some((name.to_owned(), visits))
}

/// The keys that hold a session: in step 4 those of sessions that live.
pub(crate) fn sessions(server: &Server) -> Vec<String> {
    let is_hash = |key: &String| server.command(&["TYPE", key]).text() == "hash";
    server.keys().into_iter().filter(is_hash).collect()
}
