//! No token, key, password or typed text in the log, the store or a page; and no lines of somebody
//! else's in the log.

use testbed::{Browser, Program, Request, Server};

use crate::demo::*;

const PASSWORD: &str = "hunter2-of-the-store";

// Proves R8, R56, R61, CVE-2019-16782, CVE-2016-11072, CVE-2023-20866.
#[test]
fn no_secret_reaches_the_log_the_store_or_a_page() {
    let server = Server::start();
    let rule = format!(">{PASSWORD}");
    server.command(&["ACL", "SETUSER", "demo", "on", &rule, "~*", "&*", "+@all"]);
    let url = format!("redis://demo:{PASSWORD}@127.0.0.1:{}", server.port());
    let keys = format!("{OTHER_KEY},{}", OTHER_KEY.replace('5', "6"));
    let env = [
        ("REDIS_URL", url.as_str()),
        ("SECRET_KEY", KEY),
        ("SECRET_KEY_FALLBACKS", &keys),
        ("RUST_LOG", "trace"),
    ];
    let demos = [serve(&[], &env), serve(&["--log-format", "json"], &env)];

    let mut tokens = Vec::new();
    let mut bodies = String::new();
    for demo in &demos {
        let mut browser = Browser::at(demo.addr());
        let mut keep = |response: testbed::Response| {
            tokens.extend(response.set_cookies().into_iter().map(|set| set.value));
            bodies.push_str(&String::from_utf8_lossy(&response.body));
        };
        for _ in 0..3 {
            keep(browser.post_form("/login", "username=alice&password=typed-by-hand"));
            keep(browser.get("/?query-of-alice"));
            keep(browser.get("/nothing?query-of-alice"));
            keep(browser.get("/devices?query-of-alice"));
            keep(browser.post_form("/devices/end", "id=typed-by-hand"));
        }
        keep(browser.clone().post_form("/login", &"username=typed-by-hand".repeat(4)));
        let planted =
            Request::get(demo.addr(), "/").header("Cookie", &format!("{COOKIE}=planted-by-eve"));
        keep(planted.header("Authorization", "Bearer planted-by-eve").send());
        let twice = format!("{COOKIE}=planted-by-eve; {COOKIE}=planted-by-eve");
        keep(Request::get(demo.addr(), "/").header("Cookie", &twice).send());
        server.stop();
        keep(browser.get("/"));
        keep(browser.clone().post_form("/login", "username=bob"));
        server.cont();
        keep(browser.get("/readyz"));
        keep(browser.post_form("/logout", ""));
    }
    tokens.retain(|token| !token.is_empty());
    assert!(tokens.len() >= 6, "{}", tokens.len());
    let dump = server.dump();
    assert!(!dump.is_empty());

    let mut secrets =
        vec![KEY, OTHER_KEY, PASSWORD, "typed-by-hand", "query-of-alice", "planted-by-eve"];
    // Any part of a token that is long enough to be one.
    secrets.extend(tokens.iter().flat_map(|token| [&token[..20], &token[43..63]]));
    for demo in &demos {
        demo.terminate();
        let log = demo.log();
        assert!(log.contains("TRACE") && log.contains("logged_in"), "{log}");
        // The questions to the store are among what was searched.
        assert!(log.contains("operation") && log.contains("log_in"), "{log}");
        for secret in &secrets {
            assert!(
                !log.contains(secret),
                "{secret}: {:?}",
                log.lines().find(|l| l.contains(secret))
            );
        }
    }
    for secret in &secrets {
        let bytes = secret.as_bytes();
        assert!(!dump.windows(bytes.len()).any(|window| window == bytes), "{secret} in the store");
        assert!(!bodies.contains(secret), "{secret} in a page");
        assert!(!server.log().contains(secret), "{secret} in the server's log");
    }
}

// Proves R61.
#[test]
fn every_question_to_the_store_is_a_span_with_the_session_and_nothing_else() {
    let server = Server::start();
    let env =
        [("SECRET_KEY", KEY), ("REDIS_URL", &server.url()), ("RUST_LOG", "warn,cloakroom=debug")];
    let demo = serve(&["--log-format", "json"], &env);
    let mut alice = logged_in_at(demo.addr(), "alice");
    visit(&mut alice);
    let sessions: Vec<_> =
        server.keys().into_iter().filter(|it| it.contains(":session:")).collect();
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    let session = session.rsplit(':').next().unwrap();
    alice.post_form("/logout", "");
    server.kill();
    alice.post_form("/login", &username("alice"));
    demo.terminate();

    let log = demo.log();
    let lines = log.lines().filter(|line| line.contains(r#""event":"operation""#));
    let mut seen = Vec::new();
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let span = line["span"].as_object().unwrap();
        let text = |name: &str| span.get(name).and_then(|it| it.as_str()).unwrap_or("");
        assert!(line["micros"].as_u64().is_some(), "{line}");
        for name in span.keys() {
            assert!(["name", "kind", "session", "outcome"].contains(&name.as_str()), "{line}");
        }
        assert_eq!(text("name"), "operation");
        let own = if text("session") == session { "hers" } else { "" };
        seen.push(format!("{} {} {own}", text("kind"), text("outcome")));
    }
    // The demo looks at its store when it starts, whenever that is.
    seen.retain(|it| !it.starts_with("check"));
    let expected = ["log_in done hers", "write done hers", "log_out done hers"];
    assert_eq!(seen[..3], expected, "{log}");
    assert_eq!(seen[3..], ["log_in unavailable "], "{log}");
    assert!(!log.contains("alice"), "{log}");
}

/// What a demo keeps, wherever that is.
enum Kept<'a> {
    Nowhere,
    In(&'a std::path::Path),
    At(&'a Server),
}

impl Kept<'_> {
    fn dump(&self) -> Vec<u8> {
        match self {
            Self::Nowhere => Vec::new(),
            Self::In(folder) => files_of(folder),
            Self::At(server) => [server.dump(), server.log().into_bytes()].concat(),
        }
    }
}

/// All that stands in the files of a folder.
pub(crate) fn files_of(folder: &std::path::Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.is_file());
    files.flat_map(|file| std::fs::read(file).unwrap()).collect()
}

pub(crate) fn holds(bytes: &[u8], what: &[u8]) -> bool {
    // Each byte as a character: text is searched quicker than windows of bytes.
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    text(bytes).contains(&text(what))
}

/// A token as somebody may have written it: as it is, a good part of it, percent-encoded, in hex and
/// base64, and the bytes that it stands for, likewise.
fn forms_of(token: &str) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let percent = |part: &str| part.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let bytes = crate::matrix::decoded(token);
    let (secret, seal) = bytes.split_at(32);
    let mut forms = vec![token[..20].into(), token[43..63].into(), secret.to_vec(), seal.to_vec()];
    for text in [
        percent(&token[..20]),
        percent(&token[..20]).to_lowercase(),
        hex(&token.as_bytes()[..20]),
        hex(&token.as_bytes()[..20]).to_uppercase(),
        hex(secret),
        hex(secret).to_uppercase(),
        token[..40].replace('-', "+").replace('_', "/"),
        token.chars().rev().take(20).collect(),
        format!("{:?}", &token.as_bytes()[..12]),
        format!("{:?}", &secret[..12]),
    ] {
        forms.push(text.trim_matches(['[', ']']).as_bytes().to_vec());
    }
    forms
}

/// Every kind of request that there is, and every `Set-Cookie` line that came of it; what else was
/// answered is added to `answered`.
fn a_full_run(demo: &Program, answered: &mut Vec<u8>) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut keep = |response: testbed::Response| {
        tokens.extend(response.set_cookies().into_iter().map(|set| set.value));
        answered.extend_from_slice(&response.body);
        let other = |name: &str| !name.eq_ignore_ascii_case("set-cookie");
        for (_, value) in response.headers.iter().filter(|(name, _)| other(name)) {
            answered.extend_from_slice(value);
        }
    };
    for name in ["alice", "bob"] {
        let mut browser = Browser::at(demo.addr());
        let mut phone = Browser::at(demo.addr());
        keep(phone.post_form("/login", &format!("username={name}&remember=on")));
        for _ in 0..3 {
            keep(browser.post_form("/login", &username(name)));
            for target in
                ["/", "/login", "/devices", "/about", "/logout?ask", "/nothing", "/metrics"]
            {
                keep(browser.get(target));
            }
        }
        let cookie = browser.jar.header("/").unwrap();
        let with_cookie = |request: Request| request.header("Cookie", &cookie).send();
        keep(with_cookie(Request::head(demo.addr(), "/")));
        keep(with_cookie(Request::new(demo.addr(), "DELETE", "/")));
        keep(with_cookie(Request::post(demo.addr(), "/login").form("username=")));
        keep(with_cookie(Request::post(demo.addr(), "/login").form(&"x".repeat(10_000))));
        keep(with_cookie(Request::post(demo.addr(), "/logout").header("Origin", "null")));
        keep(with_cookie(Request::get(demo.addr(), "/").header("X-Big", &"x".repeat(20_000))));
        // Twice is nobody, and says so in the log.
        keep(
            Request::get(demo.addr(), "/").header("Cookie", &format!("{cookie}; {cookie}")).send(),
        );
        // Where no token belongs.
        let token = token(&browser);
        keep(Request::get(demo.addr(), "/").header("Authorization", &token).send());
        keep(Request::get(demo.addr(), &format!("/?t={token}")).send());
        keep(browser.post_form("/language", "to=ja&back=/"));
        keep(browser.post_form("/devices/end-others", ""));
        keep(phone.get("/"));
        keep(phone.post_form("/login", &username(name)));
        let former = browser.clone();
        keep(browser.post_form("/logout", ""));
        keep(former.clone().get("/"));
        keep(former.clone().post_form("/logout", ""));
    }
    tokens.retain(|value| value.len() > 80);
    tokens
}

/// Every token that was issued, in every form, in all that a service leaves behind.
// Proves R8, R56, R61, CVE-2016-11072.
#[test]
fn of_every_token_that_was_issued_nothing_is_left_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let trace = ("RUST_LOG", "trace");
    for (kept, demo) in [
        (Kept::Nowhere, serve(&[], &[("SECRET_KEY", KEY), trace])),
        (Kept::In(folder.path()), in_folder(folder.path(), &[("SECRET_KEY", KEY), trace])),
        (
            Kept::At(&server),
            serve(
                &["--log-format", "json"],
                &[("SECRET_KEY", KEY), ("REDIS_URL", &server.url()), trace],
            ),
        ),
    ] {
        let mut answered = Vec::new();
        let tokens = a_full_run(&demo, &mut answered);
        assert!(tokens.len() >= 10, "{}", tokens.len());
        let process = |what: &str| std::fs::read(format!("/proc/{}/{what}", demo.pid())).unwrap();
        let arguments = [process("cmdline"), process("environ")].concat();
        let running = kept.dump();
        demo.terminate();
        let log = demo.log().into_bytes();
        assert!(holds(&log, b"logged_in") && holds(&log, b"logged_out"));
        let ended = kept.dump();
        for (place, bytes) in [
            ("an answer", &answered),
            ("the process", &arguments),
            ("the store", &running),
            ("the store afterwards", &ended),
            ("the log", &log),
        ] {
            // The address that held one was the test's own, and is in no line of the log.
            for (number, token) in tokens.iter().enumerate() {
                for (form, part) in forms_of(token).into_iter().enumerate() {
                    assert!(!holds(bytes, &part), "token {number} in {place}, form {form}");
                }
            }
        }
    }
}

// Proves R63.
#[test]
fn nobody_can_write_lines_of_the_log() {
    for format in ["text", "json"] {
        let demo = serve(&["--log-format", format], &[("SECRET_KEY", KEY), ("RUST_LOG", "trace")]);
        let evil = "\r\n2026-01-01T00:00:00Z INFO forged \u{1b}[31m\u{202e}\u{85}";
        let at = demo.addr();
        let encoded: String = evil.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Request::get(at, &format!("/{encoded}?{encoded}")).send();
        for part in ["\u{1b}[31m", "\u{202e}", "\u{85}", "\u{2028}", "\t"] {
            let _ = Request::new(at, "GET", &format!("/forged{part}x")).try_send();
        }
        Request::post(at, "/login").form(&username(evil)).send();
        Request::post(at, "/login").form(&username("forged \u{202e}\u{2028}")).send();
        for name in ["User-Agent", "Cookie", "Referer", "X-Request-Id", "X-Forwarded-For"] {
            let value = "forged \u{202e}\u{85}\u{2028}";
            let _ = Request::get(at, "/").header(name, value).try_send();
            let _ = Request::get(at, "/").header(name, "forged\u{1b}[31m").try_send();
        }
        let long = format!("/{}", "long".repeat(3_000));
        assert_eq!(Request::get(at, &long).send().status, 404);
        demo.terminate();
        for line in demo.log().lines() {
            let begins = match format {
                "text" => "20",
                _ => r#"{"timestamp":"20"#,
            };
            // The log, and what is said to whoever started it.
            let known = [begins, "Listening on ", "Sessions are kept "];
            assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
            // What others say at TRACE is theirs.
            assert!(line.len() < 2_000 || line.contains("tower_http"), "{line}");
            let bad = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
            assert!(!line.contains(bad), "{line:?}");
        }
    }
}

#[test]
fn each_request_is_one_line_with_an_id() {
    let demo = serve(&["--log-format", "json"], &[("SECRET_KEY", KEY)]);
    let response = logged_in_at(demo.addr(), "alice").get("/?x=y");
    let id = response.header("X-Request-Id").unwrap().to_owned();
    demo.terminate();
    let log = demo.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&id)).collect();
    let [line] = lines[..] else { panic!("{log}") };
    for part in [
        r#""event":"answered""#,
        r#""status":200"#,
        r#""millis":"#,
        r#""path":"/""#,
        r#""method":"GET""#,
    ] {
        assert!(line.contains(part), "{line}");
    }
    let login = log.lines().find(|line| line.contains(r#""event":"logged_in""#)).unwrap();
    assert!(login.contains(r#""path":"/login""#) && !login.contains("alice"), "{login}");
}
