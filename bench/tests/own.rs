//! What is measured is the page: each of our own variants answers as the tutorial's does.

use bench::load::{self, Plan, Visitors};
use std::time::Duration;
use testbed::{Program, Request, Server};

const OWN: &str = env!("CARGO_BIN_EXE_own");

fn start(variant: &str, redis: &Server, folder: &str) -> Program {
    Program::start(OWN, &[variant], &[("REDIS_URL", &redis.url()), ("FOLDER", folder)])
}

#[test]
fn every_variant_counts_reads_sets_and_logs_out() {
    let redis = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for variant in ["pipeline", "script", "memory", "embedded", "redis"] {
        let program = start(variant, &redis, path);
        let addr = program.addr();
        let mut visitors = Visitors::at(addr, 2).unwrap();
        let mut send = |requests: &[Vec<u8>]| {
            visitors.send(requests, Plan::Once(Duration::from_secs(60))).unwrap()
        };
        let logins = ["alice", "bob"]
            .map(|user| load::post("/login", None, &format!("username={user}&fields=2")));
        let cookies = send(&logins).cookies;
        let alice = cookies[0].as_deref().unwrap();
        let page =
            |path: &str| Request::get(addr, path).header("Cookie", alice).send().text().to_owned();
        assert_eq!(page("/"), "Logged in as alice, visits: 1\n", "{variant}");
        assert_eq!(page("/"), "Logged in as alice, visits: 2\n", "{variant}");
        assert_eq!(page("/read"), "Logged in as alice, visits: 2\n", "{variant}");
        assert_eq!(page("/untouched"), "Welcome\n", "{variant}");
        let both = ["/set/a", "/set/b"].map(|path| load::post(path, Some(alice), ""));
        assert_eq!(send(&both).failures, 0, "{variant}");
        assert_eq!(page("/fields"), "set,set", "{variant}");
        assert_eq!(send(&[load::post("/logout", Some(alice), "")]).failures, 0, "{variant}");
        assert_eq!(page("/read"), "You are not logged in\n", "{variant}");
        let bob = Request::get(addr, "/").header("Cookie", cookies[1].as_deref().unwrap()).send();
        assert_eq!(bob.text(), "Logged in as bob, visits: 1\n", "{variant}");
    }
}

#[test]
fn a_load_ends_in_time_and_counts_what_failed() {
    let redis = Server::start();
    let program = start("static", &redis, "");
    let mut visitors = Visitors::at(program.addr(), 8).unwrap();
    let pages = [load::get("/", None), load::get("/nowhere", None)];
    let answers = visitors.send(&pages, Plan::Own(Duration::from_millis(50))).unwrap();
    assert!(answers.wall >= Duration::from_millis(50) && answers.wall < Duration::from_secs(20));
    assert!(answers.failures > 0 && answers.failures < answers.took.len());
    let once = visitors.send(&pages, Plan::Once(Duration::from_secs(20))).unwrap();
    assert_eq!((once.took.len(), once.failures), (2, 1));
}
