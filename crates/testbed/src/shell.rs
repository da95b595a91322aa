//! As much of a shell as the papers show: `curl`, `redis-cli`, `grep` and `cp`, without needing any of
//! them on the machine.
//!
//! What is different each time (tokens, ids, instants) is taken off before what happens is compared
//! with what a paper shows.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::http::{Browser, Request, Response};
use crate::papers::{Block, stale};
use crate::resp::Reply;
use crate::server::Server;

/// A shell in which a program listens at `127.0.0.1:5000`.
#[derive(Debug)]
pub struct Shell<'a> {
    addr: SocketAddr,
    server: Option<&'a Server>,
    /// By the names of curl's files.
    jars: HashMap<String, Browser>,
    /// The key of the session that `--scan` showed.
    session: String,
}

impl<'a> Shell<'a> {
    /// A shell where `http://127.0.0.1:5000` is the program at this address.
    pub fn at(addr: SocketAddr) -> Self {
        Self { addr, server: None, jars: HashMap::new(), session: String::new() }
    }

    /// The same, with a server for `redis-cli`.
    #[must_use]
    pub fn with(self, server: &'a Server) -> Self {
        Self { server: Some(server), ..self }
    }

    /// Runs the commands of a block, one after the other, and compares what they print.
    ///
    /// # Panics
    /// If the paper shows anything else; see [`stale`].
    #[track_caller]
    pub fn play(&mut self, paper: &str, block: &Block) {
        let mut happens = String::new();
        let mut same = true;
        for part in block.text.split("$ ").skip(1) {
            let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
            // Between two commands there may be an empty line.
            let (shown, gap) = match shown.strip_suffix("\n\n") {
                Some(shown) => (format!("{shown}\n"), "\n"),
                None => (shown.to_owned(), ""),
            };
            let printed = self.run(command);
            same &= plain(&printed) == plain(&shown);
            // A head ends with one of its own.
            let gap = if printed.ends_with("\n\n") { "" } else { gap };
            happens += &format!("$ {command}\n{printed}{gap}");
        }
        if !same {
            stale(paper, &block.text, &happens);
        }
    }

    #[track_caller]
    fn run(&mut self, line: &str) -> String {
        let (command, filter) = match line.split_once(" | ") {
            Some((command, filter)) => (command, Some(words(filter))),
            None => (line, None),
        };
        let command = words(command);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let printed = match command[..] {
            ["curl", ref arguments @ ..] => self.curl(arguments),
            ["redis-cli", ref arguments @ ..] => self.redis_cli(arguments),
            ["cp", from, to] => {
                self.jars.insert(to.to_owned(), self.jars[from].clone());
                String::new()
            }
            _ => panic!("{line}: say in crates/testbed/src/shell.rs what it does"),
        };
        let filter = filter.unwrap_or_default();
        let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
        let patterns: Vec<&str> = match filter[..] {
            [] => return printed,
            ["grep", pattern] => vec![pattern],
            ["grep", "-E", patterns] => patterns.split('|').collect(),
            _ => panic!("{line}: say in crates/testbed/src/shell.rs what the filter does"),
        };
        let kept = |line: &&str| patterns.iter().any(|pattern| line.contains(pattern));
        printed.lines().filter(kept).map(|line| format!("{line}\n")).collect()
    }

    #[track_caller]
    fn curl(&mut self, arguments: &[&str]) -> String {
        let (mut head, mut method, mut form, mut url) = (false, None, None, None);
        let (mut reads, mut writes) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || *arguments.next().expect("a value");
            match *argument {
                "-i" | "-si" => head = true,
                "-s" => {}
                "-X" => method = Some(value()),
                "-d" => form = Some(value()),
                "-b" => reads = Some(value()),
                "-c" => writes = Some(value()),
                argument => url = argument.strip_prefix("http://127.0.0.1:5000"),
            }
        }
        let target = url.expect("an address: http://127.0.0.1:5000/...");
        let method = method.unwrap_or(if form.is_some() { "POST" } else { "GET" });
        // As curl does, which would be answered with its name.
        let request = Request::new(self.addr, method, target).header("Connection", "keep-alive");
        let request = match form {
            Some(form) => request.form(form),
            None => request,
        };
        let mut browser = match reads {
            Some(jar) => self.jars[jar].clone(),
            None => Browser::at(self.addr),
        };
        let response = browser.send(request);
        if let Some(jar) = writes {
            self.jars.insert(jar.to_owned(), browser);
        }
        if head {
            format!("{}{}", head_of(&response), response.text())
        } else {
            response.text().to_owned()
        }
    }

    #[track_caller]
    fn redis_cli(&mut self, arguments: &[&str]) -> String {
        let server = self.server.expect("a server");
        if let ["--scan"] = arguments {
            let is_hash = |key: &String| server.command(&["TYPE", key]).text() == "hash";
            self.session = server.keys().into_iter().find(is_hash).unwrap_or_default();
            return server.keys().iter().map(|key| format!("{key}\n")).collect();
        }
        let real = |word: &&str| match word.contains(":session:") {
            true => self.session.clone(),
            false => (*word).to_owned(),
        };
        let arguments: Vec<String> = arguments.iter().map(real).collect();
        as_redis_cli_shows(&server.command(&arguments))
    }
}

/// The words of a command line, as far as quotes go.
pub fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for sign in line.chars() {
        match (sign, quote, words.last_mut()) {
            ('\'' | '"', None, _) => quote = Some(sign),
            (sign, Some(open), _) if sign == open => quote = None,
            (' ', None, _) => words.push(String::new()),
            (sign, _, Some(word)) => word.push(sign),
            (_, _, None) => {}
        }
    }
    words
}

fn head_of(response: &Response) -> String {
    let reason = match response.status {
        200 => "OK",
        303 => "See Other",
        409 => "Conflict",
        503 => "Service Unavailable",
        status => panic!("say in crates/testbed/src/shell.rs what {status} is called"),
    };
    let mut head = format!("HTTP/1.1 {} {reason}\n", response.status);
    for (name, value) in &response.headers {
        head += &format!("{name}: {}\n", String::from_utf8_lossy(value));
    }
    head + "\n"
}

fn as_redis_cli_shows(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("{text}\n"),
        Reply::Int(int) => format!("(integer) {int}\n"),
        Reply::Array(Some(items)) => {
            let lines = (1..).zip(items);
            lines.map(|(number, item)| format!("{number}) {}", as_redis_cli_shows(item))).collect()
        }
        value => format!("{:?}\n", value.text()),
    }
}

/// Without what is different each time: signatures, tokens, ids, instants, and seconds gone by. The
/// lines of a scan come in any order.
fn plain(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.trim_end().lines().map(plain_line).collect();
    if lines.iter().all(|line| line.starts_with("tutorial:")) {
        lines.sort();
    }
    lines
}

fn plain_line(line: &str) -> String {
    match line {
        "(integer) 8" | "(integer) 9" | "(integer) 10" => return "(about ten seconds)".to_owned(),
        _ if line.starts_with("date: ") => return "date: NOW".to_owned(),
        _ => {}
    }
    let is_random = |word: &str| {
        // A UUID is 36 long, a hash 43; an instant in milliseconds has 13 digits.
        word.len() >= 36 || word.len() >= 13 && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_sign = |sign: char| !sign.is_ascii_alphanumeric() && !"-_".contains(sign);
    let parts = line.split_inclusive(is_sign).map(|part| {
        let word = part.trim_end_matches(is_sign);
        if is_random(word) { part.replace(word, "RANDOM") } else { part.to_owned() }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("grep -E 'a b|c' \"d e\""), ["grep", "-E", "a b|c", "d e"]);
    }

    #[test]
    fn only_what_is_random_is_taken_off() {
        let token = "20RONx2R3LDamHhhY8iQDVOsVRqE3yqq-cP7gyJINi0";
        assert_eq!(plain_line(&format!("a={token}; Path=/")), "a=RANDOM; Path=/");
        assert_eq!(plain_line("1 1795421650728 28800000"), "1 RANDOM 28800000");
        assert_eq!(plain_line("Visits: 12"), "Visits: 12");
        assert_eq!(plain_line("date: Mon"), "date: NOW");
    }
}
