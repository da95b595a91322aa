//! Requirements of the security matrix that no other room is about: what a whole service shows from
//! outside, with two instances where that matters.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;

use testbed::{Browser, Program, Request, Response, Server};

use crate::demo::*;

fn two_on(server: &Server, args: &[&str]) -> [Program; 2] {
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    [serve(args, &env), serve(args, &env)]
}

/// The bytes of base64url without padding.
pub(crate) fn decoded(token: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for sign in token.chars() {
        bits = (bits << 6) | u32::try_from(alphabet.find(sign).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    bytes
}

// Proves R4.
#[test]
fn a_cookie_tells_neither_who_nor_when_nor_how_many() {
    let demo = on_memory();
    let names = ["alice-in-wonderland", "bob-the-builder-of-all"];
    let tokens: Vec<String> =
        (0..400).map(|n| token(&logged_in_at(demo.addr(), names[n % 2]))).collect();
    let bytes: Vec<Vec<u8>> = tokens.iter().map(|token| decoded(token)).collect();
    for (token, bytes) in tokens.iter().zip(&bytes) {
        for name in names {
            assert!(!token.contains(name), "{token}");
            assert!(!bytes.windows(5).any(|part| part == &name.as_bytes()[..5]), "{token}");
        }
    }
    for at in 0..bytes[0].len() {
        let column: Vec<f64> = bytes.iter().map(|bytes| f64::from(bytes[at])).collect();
        // Neither a mark of the kind, of the user or of this server...
        for half in [0, 1] {
            let of_user: BTreeSet<u8> =
                bytes.iter().skip(half).step_by(2).map(|bytes| bytes[at]).collect();
            assert!(of_user.len() > 64, "byte {at} takes {} values", of_user.len());
        }
        // ...nor anything that grows with time: 400 random bytes correlate with their order by more
        // than 0.3 once in 10^9 times.
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let order = |i: usize| i as f64 - (n - 1.0) / 2.0;
        let both: f64 = column.iter().enumerate().map(|(i, it)| (it - mean) * order(i)).sum();
        let of_column: f64 = column.iter().map(|it| (it - mean).powi(2)).sum();
        let of_order: f64 = (0..column.len()).map(|i| order(i).powi(2)).sum();
        let correlation = both / (of_column * of_order).sqrt();
        assert!(correlation.abs() < 0.3, "byte {at} follows the time: {correlation}");
    }
}

// Proves R5.
#[test]
fn nothing_says_with_what_the_service_was_made() {
    let demo = on_memory();
    let mut browser = Browser::at(demo.addr());
    for response in
        [browser.post_form("/login", "username=alice"), browser.get("/"), browser.get("/x")]
    {
        for cookie in response.set_cookies() {
            let name = cookie.name.to_ascii_lowercase();
            assert!(!["phpsessid", "jsessionid", "connect.sid", "id"].contains(&&*name), "{name}");
            assert!(!name.contains("cloakroom") && !name.contains("axum"), "{name}");
        }
        for name in ["Server", "X-Powered-By", "Via", "X-AspNet-Version"] {
            assert_eq!(response.header(name), None);
        }
    }
}

// Proves R16, CVE-2020-7070, cookie-rs.
#[test]
fn of_two_hundred_names_that_look_like_ours_none_counts() {
    let server = Server::start();
    let demo = on(&server);
    let token = token(&logged_in_at(demo.addr(), "alice"));
    let mut names = BTreeSet::new();
    for (at, sign) in COOKIE.char_indices() {
        let with = |new: &str| format!("{}{new}{}", &COOKIE[..at], &COOKIE[at + 1..]);
        let twin = if sign.is_ascii_lowercase() {
            sign.to_ascii_uppercase()
        } else {
            sign.to_ascii_lowercase()
        };
        let (code, inserted) = (u32::from(sign), format!("{sign}%00"));
        names.extend([
            with(&twin.to_string()),
            with(&format!("%{code:02X}")),
            with(&format!("%{code:02x}")),
            with(&format!("%25{code:02x}")),
            with(&format!("%u00{code:02x}")),
            with(&format!("&#{code}&")),
            with(&format!("\\x{code:02x}")),
            with("."),
            with(""),
            with("["),
            with("~"),
            with(&format!("{sign}{sign}")),
            with(&format!("{sign} ")),
            with(&format!(" {sign}")),
            with(&inserted),
            with(&format!("\"{sign}\"")),
            with(&format!("{sign}\u{301}")),
        ]);
    }
    names.extend(
        ["=__Host-session", "x__Host-session", "$__Host-session", "__Host-session\t"]
            .map(Into::into),
    );
    // The twin of what has no case is the name itself.
    names.remove(COOKIE);
    names.remove(" __Host-session");
    assert!(names.len() > 200, "{}", names.len());
    let mut visits = 0;
    for name in &names {
        for line in [format!("{name}={token}"), format!("a=b; {name}={token}; c=d")] {
            let page = Request::get(demo.addr(), "/").header("Cookie", &line).send();
            assert_eq!((seen(&page), page.set_cookies()), (None, vec![]), "{line}");
        }
        // Nor does one of them take the real one's place.
        let line = format!("{COOKIE}={token}; {name}=evil");
        let page = Request::get(demo.addr(), "/").header("Cookie", &line).send();
        visits += 1;
        assert_eq!(seen(&page), somebody("alice", visits), "{line}");
    }
}

// Proves R19.
#[test]
fn whichever_cookie_is_missing_no_page_fails() {
    let demo = on_memory();
    let mut browser = logged_in_at(demo.addr(), "alice");
    browser.post_form("/language", "to=ja&back=/");
    let line = browser.jar.header("/").unwrap();
    let cookies: Vec<&str> = line.split("; ").collect();
    assert_eq!(cookies.len(), 2, "{line}");
    assert!(line.len() < 200, "{line}");
    for kept in 0..4 {
        let some: Vec<&str> =
            (0..2).filter(|at| kept & (1 << at) != 0).map(|at| cookies[at]).collect();
        for target in ["/", "/login", "/logout?ask", "/devices", "/about"] {
            let page = Request::get(demo.addr(), target).header("Cookie", &some.join("; ")).send();
            assert!(page.status == 200 || page.status == 303, "{target}: {page:?}");
        }
    }
}

// Proves R21, R68, CVE-2024-38513, CVE-2018-1000519.
#[test]
fn ten_thousand_forged_ids_make_nothing_and_are_nobody() {
    let server = Server::start();
    let demo = on(&server);
    let mut alice = logged_in_at(demo.addr(), "alice");
    let real = token(&alice);
    let keys = server.keys();
    let scripts = server.scripts_run();
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (real, addr) = (real.as_bytes(), demo.addr());
            scope.spawn(move || {
                for n in 0..2_500 {
                    // Well-formed, one sign or more changed, so that no seal fits.
                    let mut forged = real.to_vec();
                    let at = (n * 7 + worker) % 86;
                    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                    forged[(at + n / 86) % 86] = b"CDEFGHIJ"[n % 8];
                    if forged == real {
                        continue;
                    }
                    let line = [COOKIE.as_bytes(), b"=", &forged].concat();
                    let request = if n % 2 == 0 { "/" } else { "/devices" };
                    let page = Request::get(addr, request).header_bytes("Cookie", line).send();
                    assert_eq!(page.headers("Set-Cookie"), [""; 0]);
                    assert!(page.status == 303 || seen(&page).is_none(), "{page:?}");
                }
            });
        }
    });
    assert_eq!(server.keys(), keys);
    assert_eq!(server.scripts_run(), scripts);
    assert_eq!(visit(&mut alice), somebody("alice", 1));
}

// Proves R23, CVE-2024-28197.
#[test]
fn a_cookie_forced_on_a_victim_opens_nothing_on_any_instance() {
    let server = Server::start();
    let [one, two] = two_on(&server, &[]);
    // As WSTG-SESS-03 says: a snapshot of the jar before, the login, and the snapshot again.
    let mut victim = logged_in_at(one.addr(), "mallory");
    let snapshot = victim.clone();
    log_in(&mut victim, "alice");
    assert_eq!(visit(&mut victim), somebody("alice", 1));
    for demo in [&one, &two] {
        let mut forced = snapshot.clone();
        forced.move_to(demo.addr());
        assert_eq!(visit(&mut forced), None);
        assert_eq!(forced.get("/devices").status, 303);
    }
    victim.move_to(two.addr());
    assert_eq!(visit(&mut victim), somebody("alice", 2));
}

// Proves R30, CVE-2023-20862, CVE-2026-44511.
#[test]
fn after_a_logout_the_store_no_longer_says_who_it_was() {
    let server = Server::start();
    let [one, two] = two_on(&server, &[]);
    let mut browser = logged_in_at(one.addr(), "alice-of-the-cloakroom");
    visit(&mut browser);
    let token = token(&browser);
    let holds = |what: &str| server.dump().windows(what.len()).any(|part| part == what.as_bytes());
    assert!(holds("alice-of-the-cloakroom") && holds("visits"));
    assert_eq!(browser.post_form("/logout", "").status, 303);
    assert!(!holds("alice-of-the-cloakroom") && !holds("visits"), "{:?}", server.keys());
    for demo in [&one, &two] {
        assert_eq!(seen_with(demo.addr(), &token), None);
        let cookie = format!("{COOKIE}={token}");
        for request in
            [Request::get(demo.addr(), "/devices"), Request::post(demo.addr(), "/devices/end-all")]
        {
            let led = request.header("Cookie", &cookie).send();
            assert_eq!((led.status, led.header("Location")), (303, Some("/login")), "{led:?}");
        }
    }
}

// Proves R31, CVE-2026-34454.
#[test]
fn a_logout_leaves_no_cookie_and_asks_the_browser_to_forget() {
    on_every_store(|demo| {
        let mut browser = logged_in_at(demo.addr(), "alice");
        let logout = browser.post_form("/logout", "");
        assert_eq!(logout.header("Clear-Site-Data"), Some("\"storage\""));
        assert_eq!(logout.header("Cache-Control"), Some("no-store"));
        assert_eq!(browser.jar.header("/"), None);
    });
}

// Proves R72.
#[test]
fn another_browser_or_network_is_told_and_ends_nothing() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                        Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0";
    let demo = serve(&["--trust-proxy", "127.0.0.1"], &[("SECRET_KEY", KEY)]);
    let mut browser = Browser::at(demo.addr());
    let by = |request: Request, agent: &str, from: &str| {
        request.header("User-Agent", agent).header("X-Forwarded-For", from)
    };
    let own = format!("http://{}", demo.addr());
    let login = Request::post(demo.addr(), "/login").header("Origin", &own).form("username=alice");
    assert_eq!(browser.send(by(login, FIREFOX, "203.0.113.7")).status, 303);
    for (visits, agent, from) in [
        (1, FIREFOX, "203.0.113.9"),
        (2, EDGE, "203.0.113.7"),
        (3, FIREFOX, "198.51.100.1"),
        (4, EDGE, "198.51.100.1"),
    ] {
        let page = browser.send(by(Request::get(demo.addr(), "/"), agent, from));
        assert_eq!(seen(&page), somebody("alice", visits), "{agent} {from}");
    }
    demo.terminate();
    let log = demo.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("client_changed")).collect();
    assert_eq!(told.len(), 3, "{log}");
    for (line, what) in
        told.iter().zip(["[Browser, System]", "[Network]", "[Browser, System, Network]"])
    {
        assert!(line.contains(what) && !line.contains("198.51"), "{line}");
    }
}

// Proves R34.
#[test]
fn every_page_that_knows_its_visitor_has_the_way_out() {
    let demo = on_memory();
    let mut browser = logged_in_at(demo.addr(), "alice");
    for target in ["/", "/devices"] {
        let page = browser.get(target);
        assert!(page.text().contains(">Log out</button>"), "{target}: {}", page.text());
    }
}

// Proves R44, R45, R47.
#[test]
fn of_four_hundred_requests_none_from_another_site_changes_anything() {
    let demo = on_memory();
    let own = format!("http://{}", demo.addr());
    let origins = [
        None,
        Some(own.clone()),
        Some("null".into()),
        Some("http://evil.example".into()),
        Some(format!("{own}.evil.example")),
        Some(format!("http://{}:1", demo.addr().ip())),
        Some(format!("http://evil.example/{own}")),
        Some(format!("{own}/")),
    ];
    let sites = [
        None,
        Some("same-origin"),
        Some("none"),
        Some("same-site"),
        Some("cross-site"),
        Some("?1"),
    ];
    let mut cases = 0;
    for (method, changes) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("TRACE", false),
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("DELETE", true),
        ("BREW", true),
    ] {
        for (site, origin) in sites.iter().flat_map(|s| origins.iter().map(move |o| (s, o))) {
            let mut request = Request::new(demo.addr(), method, "/login").form("username=eve");
            request = site.iter().fold(request, |r, site| r.header("Sec-Fetch-Site", site));
            request = origin.iter().fold(request, |r, origin| r.header("Origin", origin));
            let response = request.send();
            let from_here = match (site, origin.as_deref()) {
                (Some("same-origin" | "none"), _) => true,
                (Some("same-site" | "cross-site"), _) => false,
                (_, Some(origin)) => origin == own,
                // No browser.
                (None, None) => true,
                (Some(_), None) => false,
            };
            let refused = changes && !from_here;
            assert_eq!(response.status == 403, refused, "{method} {site:?} {origin:?}");
            let logged_in = method == "POST" && from_here;
            assert_eq!(
                !response.set_cookies().is_empty(),
                logged_in,
                "{method} {site:?} {origin:?}"
            );
            cases += 1;
        }
    }
    assert!(cases >= 400, "{cases}");
}

/// A cache as simple as RFC 9111 lets one be: it keeps what is not forbidden to be kept.
struct Cache {
    vary: Vary,
    demo: std::net::SocketAddr,
    kept: BTreeMap<(String, Vec<String>), (Vec<String>, Response)>,
    hits: usize,
}

/// Whether a cache parts what it keeps by the headers that `Vary` names. Some do not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vary {
    Honoured,
    Ignored,
}

impl Cache {
    fn get(&mut self, browser: &mut Browser, target: &str) -> Response {
        let cookie = browser.jar.header(target).unwrap_or_default();
        let sent = |vary: &[String]| -> Vec<String> {
            let value =
                |name: &String| if name == "cookie" { cookie.clone() } else { String::new() };
            vary.iter().map(value).collect()
        };
        let hit = self
            .kept
            .iter()
            .find(|((kept, vary), (values, _))| kept == target && *values == sent(vary));
        if let Some((_, (_, response))) = hit {
            self.hits += 1;
            return response.clone();
        }
        let request = Request::get(self.demo, target);
        let request = if cookie.is_empty() { request } else { request.header("Cookie", &cookie) };
        let response = request.send();
        let control = response.headers("Cache-Control").join(",");
        if !control.contains("no-store") && !control.contains("private") {
            let vary = response.headers("Vary").join(",").to_ascii_lowercase();
            let mut vary: Vec<String> =
                vary.split(',').map(|name| name.trim().to_owned()).collect();
            if self.vary == Vary::Ignored {
                vary.clear();
            }
            let values = sent(&vary);
            self.kept.insert((target.to_owned(), vary), (values, response.clone()));
        }
        response
    }
}

// Proves R51, CVE-2023-30861.
#[test]
fn behind_a_cache_that_keeps_all_it_may_nobody_sees_anybody_else() {
    for vary in [Vary::Honoured, Vary::Ignored] {
        behind_a_cache(vary);
    }
}

fn behind_a_cache(vary: Vary) {
    let demo = on_memory();
    let mut cache = Cache { vary, demo: demo.addr(), kept: BTreeMap::new(), hits: 0 };
    let mut alice = logged_in_at(demo.addr(), "alice-a");
    let mut bob = logged_in_at(demo.addr(), "bob-b");
    let mut nobody = Browser::at(demo.addr());
    for _ in 0..3 {
        for target in ["/", "/devices", "/about", "/login", "/logout?ask", "/nothing", "/style.css"]
        {
            for (browser, name, others) in [
                (&mut alice, "alice-a", &["bob-b"][..]),
                (&mut nobody, "nobody", &["alice-a", "bob-b"]),
                (&mut bob, "bob-b", &["alice-a"]),
            ] {
                let response = cache.get(browser, target);
                for other in others {
                    assert!(!response.text().contains(other), "{name} sees {other} at {target}");
                }
                assert_eq!(response.headers("Set-Cookie"), [""; 0], "{target}");
            }
        }
    }
    assert!(cache.hits > 0, "the cache keeps something");
}

// Proves R62.
#[test]
fn what_happens_to_a_session_is_one_line_each_that_programs_read() {
    let server = Server::start();
    let env = [("SECRET_KEY", KEY), ("REDIS_URL", &server.url())];
    let demo = serve(&["--log-format", "json"], &env);
    let mut browser = logged_in_at(demo.addr(), "alice");
    let other = logged_in_at(demo.addr(), "alice");
    browser.post_form("/devices/end-others", "");
    seen_with(demo.addr(), &token(&other));
    seen_with(demo.addr(), "nonsense");
    let twice = format!("{COOKIE}=a; {COOKIE}=b");
    Request::get(demo.addr(), "/").header("Cookie", &twice).send();
    Request::post(demo.addr(), "/login").header("Origin", "null").form("username=eve").send();
    let former = browser.clone();
    browser.post_form("/logout", "");
    seen_with(demo.addr(), &token(&former));
    server.command(&["FLUSHALL"]);
    let mut gone = logged_in_at(demo.addr(), "carol");
    server.command(&["FLUSHALL"]);
    seen_with(demo.addr(), &token(&gone));
    server.kill();
    gone.get("/");
    demo.terminate();
    let log = demo.log();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = line["timestamp"].as_str().unwrap();
        assert!(at.starts_with("20") && at.ends_with('Z'), "no time in UTC: {line}");
        assert!(line["level"].is_string() && line["target"].is_string(), "{line}");
        if let Some(event) = line["event"].as_str() {
            // Which request it was, and so when and where from.
            let of_a_request = line["target"].as_str().unwrap().contains("visit");
            assert!(!of_a_request || line["span"]["id"].is_string(), "{line}");
            *told.entry(event.to_owned()).or_default() += 1;
        }
    }
    for (event, times) in [
        ("logged_in", 3),
        ("logged_out", 1),
        ("not_ours", 1),
        ("sent_twice", 1),
        ("cross_site", 1),
        ("ended_before_use", 2),
    ] {
        assert_eq!(told.get(event), Some(&times), "{event}: {told:?}\n{log}");
    }
    for event in ["store_failed", "answered", "stopping"] {
        assert!(told.contains_key(event), "{event}: {told:?}");
    }
}

// Proves R64.
#[test]
fn many_unknown_ids_are_noticed_one_by_one_and_disturb_nobody() {
    let server = Server::start();
    let demo = on(&server);
    let mut alice = logged_in_at(demo.addr(), "alice");
    // The scripts are there now.
    visit(&mut alice);
    let scripts = server.scripts_run();
    for n in 0..500 {
        assert_eq!(seen_with(demo.addr(), &format!("guess-{n}")), None);
        if n % 100 == 0 {
            visit(&mut alice);
        }
    }
    assert_eq!(server.scripts_run(), scripts + 5);
    assert_eq!(visit(&mut alice), somebody("alice", 7));
    // Tokens of ours, of sessions that are not there any more.
    let forgotten: Vec<_> = (0..50).map(|_| token(&logged_in_at(demo.addr(), "bob"))).collect();
    let keys = server.keys().into_iter().filter(|key| key.contains(":session:"));
    for key in keys.filter(|key| server.command(&["HGET", key, "~user"]).text() == "bob") {
        server.command(&["DEL", &key]);
    }
    for (n, token) in forgotten.iter().enumerate() {
        let cookie = format!("{COOKIE}={token}");
        let request = match n % 2 {
            0 => Request::get(demo.addr(), "/"),
            _ => Request::post(demo.addr(), "/logout"),
        };
        assert_eq!(request.header("Cookie", &cookie).send().set_cookies(), vec![]);
    }
    assert_eq!(visit(&mut alice), somebody("alice", 8));
    demo.terminate();
    assert_eq!(demo.log().matches("a cookie held no token of ours").count(), 500);
    assert_eq!(demo.log().matches("no such session").count(), forgotten.len());
}

// Proves F35, R69, R70, CVE-2026-25899.
#[test]
fn a_body_of_a_hundred_megabytes_is_refused_and_costs_no_memory() {
    let demo = on_memory();
    let mut alice = logged_in_at(demo.addr(), "alice");
    let megabyte = vec![b'a'; 1 << 20];
    let before = resident(&demo);
    for head in ["Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(demo.addr()).unwrap();
        let head = format!(
            "POST /login HTTP/1.1\r\nHost: {}\r\n{head}Content-Type: \
             application/x-www-form-urlencoded\r\n\r\n",
            demo.addr()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The server may close before it has all of it: that is the point.
        let all = (0..100).try_for_each(|_| {
            if head.contains("chunked") {
                stream.write_all(b"100000\r\n")?;
            }
            stream.write_all(&megabyte)?;
            if head.contains("chunked") { stream.write_all(b"\r\n") } else { Ok(()) }
        });
        assert!(all.is_err(), "it read a hundred megabytes");
    }
    let name = format!("username={}", "x".repeat(1 << 20));
    assert_eq!(Request::post(demo.addr(), "/login").form(&name).send().status, 413);
    let grown = resident(&demo).saturating_sub(before);
    assert!(grown < 10_000, "{grown} kB more");
    assert_eq!(visit(&mut alice), somebody("alice", 1));
}

/// In kB, as the kernel counts it.
fn resident(demo: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", demo.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
