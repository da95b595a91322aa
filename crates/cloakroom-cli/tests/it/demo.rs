//! How a test starts the demo and reads its pages.

use std::net::SocketAddr;
use std::path::Path;

use testbed::{Browser, Program, Request, Response, Server};

pub(crate) const CLOAKROOM: &str = env!("CARGO_BIN_EXE_cloakroom");
pub(crate) const COOKIE: &str = "__Host-session";
pub(crate) const KEY: &str = "8d1f6c0b57e24a93b0c5d2e7f41a6893";
pub(crate) const OTHER_KEY: &str = "51c9e0a7d3b84f6288e1f07a9cb25d34";
/// What a logged-in visitor sees first.
pub(crate) const LOGGED_IN: &str = "Logged in as ";
pub(crate) const NOT_LOGGED_IN: &str = "You are not logged in.";

/// Starts the demo on a free port; in memory, unless the test says otherwise.
pub(crate) fn serve(args: &[&str], env: &[(&str, &str)]) -> Program {
    // The same variable further on counts, and a flag counts before it.
    let env = [&[("REDIS_URL", "memory")], env].concat();
    Program::start(CLOAKROOM, &[&["serve", "--port", "0"], args].concat(), &env)
}

/// For tests that are not about patience: a slow disk or a busy machine fails none of them.
const PATIENT: (&str, &str) = ("CLOAKROOM_PATIENCE", "8s");

/// Starts the demo on a free port, with its sessions in a folder.
pub(crate) fn in_folder(folder: &Path, env: &[(&str, &str)]) -> Program {
    let args = ["serve", "--port", "0", "--data", folder.to_str().unwrap()];
    Program::start(CLOAKROOM, &args, &[&[PATIENT], env].concat())
}

pub(crate) fn on_memory() -> Program {
    serve(&[], &[("SECRET_KEY", KEY)])
}

pub(crate) fn on(server: &Server) -> Program {
    at(&server.url())
}

pub(crate) fn at(url: &str) -> Program {
    serve(&[], &[("SECRET_KEY", KEY), ("REDIS_URL", url)])
}

/// The address of every page, as the program's own list has them.
pub(crate) fn pages() -> Vec<&'static str> {
    let routes = include_str!("../../src/app.rs").split(".route(\"").skip(1);
    let pages: Vec<_> = routes.filter_map(|rest| rest.split('"').next()).collect();
    assert!(pages.contains(&"/") && pages.contains(&"/language"), "{pages:?}");
    pages
}

/// Runs a test against the demo on memory, in a folder, and on a server.
pub(crate) fn on_every_store(test: impl Fn(&Program)) {
    test(&on_memory());
    let folder = tempfile::tempdir().unwrap();
    test(&in_folder(folder.path(), &[("SECRET_KEY", KEY)]));
    let server = Server::start();
    let on_server = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url()), PATIENT];
    test(&serve(&[], &on_server));
    assert_eq!(server.keys_without_ttl(), [""; 0]);
}

/// A browser whose user has logged in, and not looked at a page yet.
#[track_caller]
pub(crate) fn logged_in_at(addr: SocketAddr, name: &str) -> Browser {
    let mut browser = Browser::at(addr);
    log_in(&mut browser, name);
    browser
}

#[track_caller]
pub(crate) fn log_in(browser: &mut Browser, name: &str) {
    let response = browser.post_form("/login", &username(name));
    assert_eq!((response.status, response.header("Location")), (303, Some("/")), "{response:?}");
}

/// The body of the login form.
pub(crate) fn username(name: impl AsRef<[u8]>) -> String {
    let bytes = name.as_ref().iter();
    "username="
        .chars()
        .chain(bytes.flat_map(|b| format!("%{b:02X}").into_bytes()).map(char::from))
        .collect()
}

/// Looks at the page, which counts, and says what it shows: who, and how often.
#[track_caller]
pub(crate) fn visit(browser: &mut Browser) -> Option<(String, u64)> {
    seen(&browser.get("/"))
}

#[track_caller]
pub(crate) fn seen(response: &Response) -> Option<(String, u64)> {
    assert_eq!(response.status, 200, "{response:?}");
    let text = without_inline_tags(response.text());
    let between = |start: &str| Some(text.split_once(start)?.1.split_once("</p>")?.0);
    let visitor = between(LOGGED_IN).zip(between("Visits: "));
    assert_eq!(visitor.is_none(), text.contains(NOT_LOGGED_IN), "{text}");
    visitor.map(|(name, visits)| (name.to_owned(), visits.parse().unwrap()))
}

/// The page with its sentences in one piece.
pub(crate) fn without_inline_tags(page: &str) -> String {
    let mut text = page.to_owned();
    for tag in ["bdi", "strong", "time"] {
        while let Some(at) = text.find(&format!("<{tag}")) {
            let end = at + text[at..].find('>').expect("the end of the tag");
            text.replace_range(at..=end, "");
        }
        text = text.replace(&format!("</{tag}>"), "");
    }
    text
}

pub(crate) fn somebody(name: &str, visits: u64) -> Option<(String, u64)> {
    Some((name.to_owned(), visits))
}

/// The page as whoever has this token in his cookie sees it.
#[track_caller]
pub(crate) fn seen_with(addr: SocketAddr, token: &str) -> Option<(String, u64)> {
    seen(&Request::get(addr, "/").header("Cookie", &format!("{COOKIE}={token}")).send())
}

#[track_caller]
pub(crate) fn token(browser: &Browser) -> String {
    browser.jar.get(COOKIE).expect("a session cookie").to_owned()
}
