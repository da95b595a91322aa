//! One visitor: logs in, is counted, logs out, and remembers what they were told.

use std::time::Duration;

use testbed::{Browser, Request, Response};

use crate::stage::{Kept, Stage};

const COOKIE: &str = "__Host-session";
/// How often a session is counted before its visitor leaves, or logs out.
const VISITS: u64 = 4;
/// Far more than the 250 ms that a request waits for the store, for the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

/// A session as its visitor knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    token: String,
    name: String,
    /// Visits that were shown, and those of which nobody knows.
    acknowledged: u64,
    unknown: u64,
    /// The last number that was shown.
    shown: u64,
}

/// What one visitor was told in all their sessions.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Neither ended nor lost.
    pub(crate) kept: Vec<Known>,
    /// The tokens of sessions whose logout was acknowledged.
    pub(crate) ended: Vec<String>,
    pub(crate) acknowledged: u64,
    pub(crate) unavailable: u64,
    /// Requests that an instance broke off.
    pub(crate) broken: u64,
    /// Sessions that were gone without a logout.
    pub(crate) lost: u64,
}

/// What a page says about its visitor.
enum Seen {
    Somebody { name: String, visits: u64 },
    Nobody,
    Unavailable,
}

pub(crate) struct Visitor<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: String,
    pub(crate) told: Told,
    turn: usize,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(stage: &'a Stage, number: usize) -> Self {
        let name = format!("visitor {number}");
        Self { stage, name, told: Told::default(), turn: number }
    }

    /// A whole stay: a login, some visits, and of three stays two logouts. Says whether all of it was
    /// acknowledged.
    pub(crate) fn stay(&mut self) -> bool {
        let failed = |told: &Told| told.unavailable + told.broken + told.lost;
        let before = failed(&self.told);
        self.turn += 1;
        if let Some(mut session) = self.log_in() {
            let visits = (0..VISITS).all(|_| self.visit(&mut session));
            if visits && self.turn.is_multiple_of(3) {
                self.told.kept.push(session);
            } else if visits {
                self.log_out(session);
            }
        }
        failed(&self.told) == before
    }

    fn log_in(&mut self) -> Option<Known> {
        let mut browser = Browser::at(self.stage.addr(self.turn));
        let form = format!("username={}", self.name.replace(' ', "+"));
        let response = self.post(&mut browser, "/login", &form)?;
        if self.is_unavailable(&response) {
            return None;
        }
        assert_eq!(response.status, 303, "{response:?}");
        self.told.acknowledged += 1;
        let token = browser.jar.get(COOKIE).expect("a session cookie").to_owned();
        let name = self.name.clone();
        Some(Known { token, name, acknowledged: 0, unknown: 0, shown: 0 })
    }

    /// Says whether the session is still there, as far as anybody knows.
    fn visit(&mut self, session: &mut Known) -> bool {
        self.turn += 1;
        let Some(response) = self.page(&session.token) else {
            session.unknown += 1;
            return true;
        };
        match self.seen(&response) {
            Seen::Unavailable => session.unknown += 1,
            Seen::Nobody => {
                assert_ne!(self.stage.kept(), Kept::All, "{session:?} is gone: {response:?}");
                self.told.lost += 1;
                return false;
            }
            Seen::Somebody { name, visits } => {
                session.acknowledged += 1;
                self.told.acknowledged += 1;
                assert_eq!(name, session.name, "another visitor's page");
                if self.stage.kept() != Kept::Replicated {
                    session.may_have(visits);
                    assert!(visits > session.shown, "{visits}: {session:?}");
                }
                session.shown = visits;
            }
        }
        true
    }

    fn log_out(&mut self, session: Known) {
        self.turn += 1;
        let mut browser = Browser::at(self.stage.addr(self.turn));
        assert!(browser.jar.get(COOKIE).is_none());
        browser.jar.plant(COOKIE, &session.token);
        let Some(response) = self.post(&mut browser, "/logout", "") else { return };
        if self.is_unavailable(&response) {
            // Nobody knows whether it lives.
            return;
        }
        assert_eq!(response.status, 303, "{response:?}");
        self.told.acknowledged += 1;
        // At the other instance, at once.
        self.turn += 1;
        if let Some(page) = self.page(&session.token) {
            let seen = self.seen(&page);
            let undone = matches!(seen, Seen::Somebody { .. });
            assert!(!undone || self.stage.kept() == Kept::Replicated, "{session:?}: {page:?}");
        }
        self.told.ended.push(session.token);
    }

    /// Compares what is stored with what was said. Everything works by now.
    pub(crate) fn compare(mut self) -> Told {
        for session in self.told.kept.clone() {
            let stored = self.settled(&session.token);
            match (stored, self.stage.kept()) {
                (Some((name, visits)), kept) => {
                    assert_eq!(name, session.name, "another visitor's session");
                    if kept != Kept::Replicated {
                        session.may_have(visits - 1);
                    }
                }
                (None, Kept::All) => panic!("{session:?} is gone"),
                (None, Kept::SomeSessions | Kept::Replicated) => self.told.lost += 1,
            }
        }
        for token in self.told.ended.clone() {
            let stored = self.settled(&token);
            assert!(
                stored.is_none() || self.stage.kept() == Kept::Replicated,
                "{stored:?} is logged in after the logout"
            );
        }
        self.told
    }

    /// What is stored, asked until it is answered.
    fn settled(&mut self, token: &str) -> Option<(String, u64)> {
        for _ in 0..100 {
            self.turn += 1;
            let Some(page) = self.page(token) else { continue };
            match self.seen(&page) {
                Seen::Somebody { name, visits } => return Some((name, visits)),
                Seen::Nobody => return None,
                Seen::Unavailable => {}
            }
        }
        panic!("a hundred pages were unavailable after all was healed")
    }

    fn page(&mut self, token: &str) -> Option<Response> {
        let addr = self.stage.addr(self.turn);
        let cookie = format!("{COOKIE}={token}");
        let answer = Request::get(addr, "/").header("Cookie", &cookie).try_send();
        self.stage.answered();
        self.unbroken(answer)
    }

    fn post(&mut self, browser: &mut Browser, target: &str, form: &str) -> Option<Response> {
        let addr = browser.addr();
        let request = Request::post(addr, target)
            .header("Origin", &format!("http://{addr}"))
            .header("Sec-Fetch-Site", "same-origin")
            .form(form);
        let answer = browser.try_send(request);
        self.stage.answered();
        self.unbroken(answer)
    }

    fn unbroken(&mut self, answer: std::io::Result<Response>) -> Option<Response> {
        self.told.broken += u64::from(answer.is_err());
        let response = answer.ok()?;
        assert!(response.took < SOON, "{response:?}");
        Some(response)
    }

    /// 503 is the one refusal there is, and it takes nothing away and hands nothing out.
    fn is_unavailable(&mut self, response: &Response) -> bool {
        if response.status != 503 {
            return false;
        }
        assert_eq!(response.set_cookies(), vec![], "{response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
        self.told.unavailable += 1;
        true
    }

    fn seen(&mut self, response: &Response) -> Seen {
        if self.is_unavailable(response) {
            return Seen::Unavailable;
        }
        assert_eq!((response.status, response.set_cookies()), (200, vec![]), "{response:?}");
        let text = response.text();
        let between =
            |start: &str, end: &str| Some(text.split_once(start)?.1.split_once(end)?.0.to_owned());
        match between("Logged in as <bdi>", "</bdi>").zip(between("Visits: <strong>", "</strong>"))
        {
            Some((name, visits)) => Seen::Somebody { name, visits: visits.parse().unwrap() },
            None => {
                assert!(text.contains("You are not logged in."), "{text}");
                Seen::Nobody
            }
        }
    }
}

impl Known {
    /// Acknowledged ≤ stored ≤ acknowledged + unknown.
    #[track_caller]
    fn may_have(&self, visits: u64) {
        let most = self.acknowledged + self.unknown;
        assert!((self.acknowledged..=most).contains(&visits), "{visits} are stored: {self:?}");
    }
}
