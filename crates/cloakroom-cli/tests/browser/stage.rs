//! How a test starts the demo and uses it as a person does.

use std::path::Path;
use std::time::Duration;

use testbed::{Chromium, Program, Request, Server, eventually};

const CLOAKROOM: &str = env!("CARGO_BIN_EXE_cloakroom");
const KEY: &str = "8d1f6c0b57e24a93b0c5d2e7f41a6893";
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the demo for its store: what a person sees is no question of how busy this machine is.
const PATIENT: (&str, &str) = ("CLOAKROOM_PATIENCE", "3s");

/// The demo in memory.
pub(crate) fn on_memory(args: &[&str]) -> Program {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", "memory"), PATIENT];
    Program::start(CLOAKROOM, &[&["serve", "--port", "0"], args].concat(), &env)
}

pub(crate) fn on(server: &Server) -> Program {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url()), PATIENT];
    Program::start(CLOAKROOM, &["serve", "--port", "0"], &env)
}

/// The demo with its sessions in a folder, on this port, which stays the same over a restart: a
/// browser in a test knows no other name of it.
pub(crate) fn in_folder(folder: &Path, port: u16) -> Program {
    let args = ["serve", "--port", &port.to_string(), "--data", folder.to_str().unwrap()];
    Program::start(CLOAKROOM, &args, &[])
}

pub(crate) fn url(demo: &Program, path: &str) -> String {
    format!("http://{}{path}", demo.addr())
}

#[track_caller]
pub(crate) fn log_in(browser: &Chromium, demo: &Program, name: &str) {
    browser.open(&url(demo, "/login"));
    browser.type_into("#username", name);
    browser.follow("main button");
}

/// Logs in from elsewhere, with a browser that says of itself that it is this.
#[track_caller]
pub(crate) fn log_in_elsewhere(demo: &Program, name: &str, agent: &str) {
    let login = Request::post(demo.addr(), "/login")
        .header("User-Agent", agent)
        .header("Sec-Fetch-Site", "same-origin");
    assert_eq!(login.form(&format!("username={name}")).send().status, 303);
}

/// The text of the page, as far as it can be seen.
#[track_caller]
pub(crate) fn seen(browser: &Chromium) -> String {
    browser.text("main")
}

#[track_caller]
pub(crate) fn assert_seen(browser: &Chromium, part: &str) {
    let seen = seen(browser);
    assert!(seen.contains(part), "no {part:?} in:\n{seen}");
}

/// The number in the ticket.
#[track_caller]
pub(crate) fn visits(browser: &Chromium) -> u64 {
    browser.text(".ticket strong").parse().unwrap()
}

/// Reloads until the page has this text.
#[track_caller]
pub(crate) fn reload_until(browser: &Chromium, part: &str) {
    let there = eventually(PATIENCE, || {
        browser.reload();
        seen(browser).contains(part).then_some(())
    });
    assert!(there.is_some(), "no {part:?} in:\n{}", seen(browser));
}

/// Waits, without asking the demo anything, until the page has this text.
#[track_caller]
pub(crate) fn wait_until(browser: &Chromium, part: &str) {
    let there = eventually(PATIENCE, || seen(browser).contains(part).then_some(()));
    assert!(there.is_some(), "no {part:?} in:\n{}", seen(browser));
}

/// Waits for the page of an error.
#[track_caller]
pub(crate) fn wait_for_status(browser: &Chromium, status: u16) {
    let script = "return Number(document.querySelector('.status')?.textContent)";
    let there = || (browser.ask_page(script) == status).then_some(());
    assert!(eventually(PATIENCE, there).is_some(), "no {status}, but {}", browser.url());
}
