//! HTTP/1.1 for tests that must send what no proper client would, and see what no proper client shows.
//!
//! A [`Request`] goes out as it is written: names and values are arbitrary bytes, nothing is checked,
//! nothing is followed. Each has a connection of its own. Added are only what the test did not set
//! itself: `Host`, `Connection: close`, and the `Content-Length` of a body.
//!
//! A [`Browser`] is the opposite: it does with cookies what RFC 6265bis demands of a browser, for one
//! host that it trusts as it would `https` (browsers trust loopback that far).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    addr: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    timeout: Duration,
}

impl Request {
    /// A request with any method, to any target.
    pub fn new(addr: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            addr,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// A GET.
    pub fn get(addr: SocketAddr, target: &str) -> Self {
        Self::new(addr, "GET", target)
    }

    /// A HEAD, whose response has no body whatever its headers say.
    pub fn head(addr: SocketAddr, target: &str) -> Self {
        Self::new(addr, "HEAD", target)
    }

    /// A POST.
    pub fn post(addr: SocketAddr, target: &str) -> Self {
        Self::new(addr, "POST", target)
    }

    /// One more header line; the same name may come again.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value)
    }

    /// One more header line, whatever it does to the request.
    pub fn header_bytes(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A body as a form sends it, such as `username=alice`.
    pub fn form(self, fields: &str) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded").body(fields)
    }

    /// A body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// How long all of it may take, instead of ten seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it and reads the whole response.
    ///
    /// # Panics
    /// If there is none, or not in time.
    #[track_caller]
    pub fn send(&self) -> Response {
        self.try_send().unwrap_or_else(|error| {
            panic!("{} {} from {}: {error}", self.method, self.target, self.addr)
        })
    }

    /// The same for a server that may break off, or never answer.
    pub fn try_send(&self) -> io::Result<Response> {
        let start = Instant::now();
        let stream = TcpStream::connect_timeout(&self.addr, self.timeout)?;
        let mut stream = Timed { stream, end: start + self.timeout };
        // A server may refuse a request before it has read all of it: then the response counts.
        let sent = stream.write_all(&self.wire());
        let read = Response::read(&mut BufReader::new(stream), self.method == "HEAD");
        let mut response = read.or_else(|error| sent.and(Err(error)))?;
        response.took = start.elapsed();
        Ok(response)
    }

    fn wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            wire.extend_from_slice(name.as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value);
            wire.extend_from_slice(b"\r\n");
        };
        let unset = |name| named(&self.headers, name).next().is_none();
        if unset("Host") {
            line("Host", self.addr.to_string().as_bytes());
        }
        if unset("Connection") {
            line("Connection", b"close");
        }
        if let Some(body) = &self.body
            && unset("Content-Length")
            && unset("Transfer-Encoding")
        {
            line("Content-Length", body.len().to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend(self.body.iter().flatten());
        wire
    }
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines in their order, names as they were sent.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, with its transfer encoding taken off.
    pub body: Vec<u8>,
    /// From connecting to the last byte.
    pub took: Duration,
}

impl Response {
    /// The first value of this header, in any case.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of this header.
    #[track_caller]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let text = |value| str::from_utf8(value).expect("a header in UTF-8");
        named(&self.headers, name).map(text).collect()
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The cookies it sets or removes, a line each.
    #[track_caller]
    pub fn set_cookies(&self) -> Vec<SetCookie> {
        self.headers("Set-Cookie").into_iter().map(SetCookie::parse).collect()
    }

    fn read(stream: &mut impl BufRead, to_head: bool) -> io::Result<Self> {
        let (status, headers) = loop {
            let start = line(stream)?;
            let status = start
                .strip_prefix(b"HTTP/1.1 ")
                .and_then(|rest| str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
                .ok_or_else(|| bad("no status line", &start))?;
            let headers = read_headers(stream)?;
            // Those below 200 only say that the response is still to come.
            if status >= 200 {
                break (status, headers);
            }
        };

        let last = |name| named(&headers, name).last();
        let mut body = Vec::new();
        if to_head || matches!(status, 204 | 304) {
            // Whatever its head says, there is none.
        } else if last("Transfer-Encoding").is_some_and(|value| value.ends_with(b"chunked")) {
            body = read_chunks(stream)?;
        } else if let Some(length) = last("Content-Length") {
            let number = str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            body.resize(number.ok_or_else(|| bad("no length", length))?, 0);
            stream.read_exact(&mut body)?;
        } else {
            stream.read_to_end(&mut body)?;
        }
        Ok(Self { status, headers, body, took: Duration::ZERO })
    }
}

/// One `Set-Cookie` line, taken apart as a browser does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    /// The name; empty if the line has no `=`.
    pub name: String,
    /// The value as it stands there.
    pub value: String,
    /// The attributes in their order, as they stand there; one without `=` has an empty value.
    pub attributes: Vec<(String, String)>,
}

impl SetCookie {
    /// Takes the value of a `Set-Cookie` header apart.
    pub fn parse(line: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        let mut parts = line.split(';');
        let first = parts.next().unwrap_or_default();
        let (name, value) = pair(first).unwrap_or_else(|| (String::new(), first.trim().to_owned()));
        let attributes =
            parts.map(|part| pair(part).unwrap_or_else(|| (part.trim().to_owned(), String::new())));
        Self { name, value, attributes: attributes.collect() }
    }

    /// The value of an attribute, in any case; of one given twice the last counts.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut of_name = self.attributes.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.next_back().map(|(_, value)| value.as_str())
    }

    /// The end of its life, if it has one: `Max-Age` counts before `Expires`.
    fn expires(&self) -> Option<SystemTime> {
        let digits = |text: &&str| {
            let unsigned = text.strip_prefix('-').unwrap_or(text);
            !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit())
        };
        if let Some(age) = self.attribute("Max-Age").filter(digits) {
            // Browsers allow 400 days; longer, or below zero, is no number here.
            let seconds = age.parse().unwrap_or(if age.starts_with('-') { 0 } else { u64::MAX });
            let life = Duration::from_secs(seconds.min(400 * 24 * 3600));
            return Some(if life.is_zero() { SystemTime::UNIX_EPOCH } else { now() + life });
        }
        self.attribute("Expires").and_then(cookie_date)
    }
}

/// The cookies of one host.
///
/// Left out of RFC 6265bis is what one host without scripts and other sites has no use for: `SameSite`
/// and `HttpOnly` change nothing here.
#[derive(Debug, Clone)]
pub struct Jar {
    host: String,
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    expires: Option<SystemTime>,
}

impl Jar {
    /// An empty jar for a host, such as `127.0.0.1`.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), cookies: Vec::new() }
    }

    /// Does what a browser does with this line in a response to `target`; whether it was accepted.
    pub fn store(&mut self, set: &SetCookie, target: &str) -> bool {
        if !self.accepts(set) {
            return false;
        }
        let path = match set.attribute("Path") {
            Some(path) if path.starts_with('/') => path,
            _ => default_path(target),
        };
        let cookie = Cookie {
            name: set.name.clone(),
            value: set.value.clone(),
            path: path.to_owned(),
            expires: set.expires(),
        };
        let same = |old: &Cookie| old.name == cookie.name && old.path == cookie.path;
        let old = self.cookies.iter().position(same);
        match (old, cookie.is_live()) {
            // In its place, because the order is that of creation.
            (Some(old), true) => self.cookies[old] = cookie,
            (Some(old), false) => {
                self.cookies.remove(old);
            }
            (None, true) => self.cookies.push(cookie),
            (None, false) => {}
        }
        true
    }

    /// The value of a cookie that is still alive.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut live = self.cookies.iter().filter(|cookie| cookie.is_live());
        live.find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// Plants a cookie for every path, as an attacker might.
    pub fn plant(&mut self, name: &str, value: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
        let (name, value, path) = (name.to_owned(), value.to_owned(), "/".to_owned());
        self.cookies.push(Cookie { name, value, path, expires: None });
    }

    /// Forgets all, as when a browser's data is cleared.
    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// The `Cookie` header for a request to `target`, if it has one.
    pub fn header(&self, target: &str) -> Option<String> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let mut fit: Vec<_> =
            self.cookies.iter().filter(|cookie| cookie.is_live() && cookie.fits(path)).collect();
        // Longer paths first; among equals the sort keeps the order of creation.
        fit.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = fit.iter().map(|cookie| match cookie.name.as_str() {
            "" => cookie.value.clone(),
            name => format!("{name}={}", cookie.value),
        });
        (!fit.is_empty()).then(|| pairs.collect::<Vec<_>>().join("; "))
    }

    fn accepts(&self, set: &SetCookie) -> bool {
        let control = |c: char| c.is_ascii_control() && c != '\t';
        if set.name.len() + set.value.len() > 4096
            || set.name.is_empty() && set.value.is_empty()
            || set.name.contains(control)
            || set.value.contains(control)
        {
            return false;
        }
        let domain = set.attribute("Domain");
        // A host that is an address has no subdomains, so it may name itself at most.
        if domain.is_some_and(|d| !d.is_empty() && !d.eq_ignore_ascii_case(&self.host)) {
            return false;
        }
        let secure = set.attribute("Secure").is_some();
        if set.attribute("SameSite").is_some_and(|s| s.eq_ignore_ascii_case("None")) && !secure {
            return false;
        }
        // A cookie without a name is sent as its value alone, which must not pass for a prefixed one.
        let nameless = set.name.is_empty();
        let prefixed = if nameless { &set.value } else { &set.name }.to_ascii_lowercase();
        if prefixed.starts_with("__host-") {
            !nameless && secure && domain.is_none() && set.attribute("Path") == Some("/")
        } else if prefixed.starts_with("__secure-") {
            !nameless && secure
        } else {
            true
        }
    }
}

impl Cookie {
    fn is_live(&self) -> bool {
        self.expires.is_none_or(|end| end > now())
    }

    fn fits(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        })
    }
}

/// A visitor with a cookie jar.
///
/// Clone it for another tab, or for whoever has stolen the cookies.
#[derive(Debug, Clone)]
pub struct Browser {
    addr: SocketAddr,
    /// The cookies it holds.
    pub jar: Jar,
}

impl Browser {
    /// A browser without cookies at this server.
    pub fn at(addr: SocketAddr) -> Self {
        Self { addr, jar: Jar::new(&addr.ip().to_string()) }
    }

    /// Goes on at another server of the same host. Cookies know no ports, so they go along.
    pub fn move_to(&mut self, addr: SocketAddr) {
        assert_eq!(addr.ip(), self.addr.ip(), "the cookies are another host's");
        self.addr = addr;
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Opens a page. A redirection is not followed: see [`follow`](Self::follow).
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send(Request::get(self.addr, target))
    }

    /// Sends a form from a page of the same origin, and says so in `Origin` and `Sec-Fetch-Site`.
    #[track_caller]
    pub fn post_form(&mut self, target: &str, fields: &str) -> Response {
        let request = Request::post(self.addr, target)
            .header("Origin", &format!("http://{}", self.addr))
            .header("Sec-Fetch-Site", "same-origin")
            .form(fields);
        self.send(request)
    }

    /// Follows a redirection within the origin with a GET.
    ///
    /// # Panics
    /// If it is none (301, 302 or 303), or leads elsewhere.
    #[track_caller]
    pub fn follow(&mut self, response: &Response) -> Response {
        assert!(matches!(response.status, 301..=303), "no redirection: {response:?}");
        let location = response.header("Location").expect("a Location");
        let origin = format!("http://{}", self.addr);
        let target = location.strip_prefix(&origin).unwrap_or(location);
        let within = target.starts_with('/') && !target.starts_with("//");
        assert!(within, "{location} leads elsewhere");
        self.get(target)
    }

    /// Sends any request with the cookies that belong to it, and keeps those of the response.
    #[track_caller]
    pub fn send(&mut self, request: Request) -> Response {
        let what = format!("{} {} from {}", request.method, request.target, request.addr);
        self.try_send(request).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The same for a server that may break off, or never answer.
    pub fn try_send(&mut self, mut request: Request) -> io::Result<Response> {
        if let Some(cookies) = self.jar.header(&request.target) {
            request = request.header("Cookie", &cookies);
        }
        let response = request.try_send()?;
        for set in response.set_cookies() {
            self.jar.store(&set, &request.target);
        }
        Ok(response)
    }
}

/// A stream whose every read and write ends at the same moment at the latest.
struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// What an elapsed timeout is called depends on the platform.
    fn named(error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        }
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes).map_err(Self::named)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(Self::named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[expect(clippy::disallowed_methods, reason = "a browser goes by its own clock, not the store's")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn named<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
}

fn bad(what: &str, bytes: &[u8]) -> io::Error {
    let found = String::from_utf8_lossy(bytes);
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {found:?}"))
}

/// A line without its end.
fn line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(line.to_vec()),
        None if line.ends_with(b"\n") => Err(bad("a bare line feed", &line)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Header lines until the empty one.
fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let colon = colon.ok_or_else(|| bad("no header", &line))?;
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let head = line(stream)?;
        let digits = head.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let length = str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok());
        let length = length.ok_or_else(|| bad("no length of a chunk", &head))?;
        if length == 0 {
            // What may stand behind the body is header lines too.
            read_headers(stream)?;
            return Ok(body);
        }
        let start = body.len();
        body.resize(start + length, 0);
        stream.read_exact(&mut body[start..])?;
        if !line(stream)?.is_empty() {
            return Err(bad("a chunk longer than it said", &head));
        }
    }
}

/// The folder of the page that set a cookie: where one without a path belongs.
fn default_path(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// A date as RFC 6265bis reads it, which is as anybody ever wrote one. Before 1970 is 1970: over.
fn cookie_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut clock, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':') {
        let month_of = |token: &str| {
            let name = token.get(..3)?.to_ascii_lowercase();
            (1..).zip(MONTHS).find(|(_, month)| *month == name).map(|(number, _)| number)
        };
        if token.contains(':') {
            let parts: Option<Vec<i64>> = token.split(':').map(|part| part.parse().ok()).collect();
            let [hour @ 0..=23, minute @ 0..=59, second @ 0..=59] = parts?[..] else { return None };
            clock = clock.or(Some((hour * 60 + minute) * 60 + second));
        } else if let Ok(number) = token.parse::<i64>() {
            *if day.is_none() { &mut day } else { &mut year } = Some(number);
        } else {
            month = month.or(month_of(token));
        }
    }
    let year = match year? {
        short @ 0..=69 => short + 2000,
        short @ 70..=99 => short + 1900,
        long => long,
    };
    if !(1601..=9999).contains(&year) || !(1..=31).contains(&day?) {
        return None;
    }
    // Days since 1970, with years that begin in March, so that the leap day is the last.
    let month: i64 = month?;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day?
        - 1
        - 719_468;
    let seconds = days * 86_400 + clock?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    /// A server that answers one request after the other with these bytes, and tells what it read.
    fn server(answers: &[&str]) -> (SocketAddr, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let answers: Vec<_> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for answer in answers {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let mut read = Vec::new();
                while !read.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_until(b'\n', &mut read).unwrap(), 0);
                }
                let text = String::from_utf8_lossy(&read).into_owned();
                let length = text
                    .split("Content-Length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                tell.send(text + str::from_utf8(&body).unwrap()).unwrap();
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        (addr, told)
    }

    fn read(wire: &str, to_head: bool) -> io::Result<Response> {
        Response::read(&mut wire.as_bytes(), to_head)
    }

    #[test]
    fn a_request_goes_out_as_it_is_written() {
        let (addr, told) = server(&["HTTP/1.1 200 OK\r\n\r\n"; 2]);
        Request::get(addr, "/a b")
            .header("Cookie", "a=1")
            .header_bytes("cookie", *b"\xff\0")
            .send();
        assert_eq!(
            told.recv().unwrap(),
            format!(
                "GET /a b HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
                 Cookie: a=1\r\ncookie: \u{fffd}\0\r\n\r\n"
            )
        );
        Request::post(addr, "/login").header("Host", "x").form("username=alice").send();
        assert_eq!(
            told.recv().unwrap(),
            "POST /login HTTP/1.1\r\nConnection: close\r\nContent-Length: 14\r\nHost: x\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\nusername=alice"
        );
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nredgreen";
        assert_eq!(read(length, false).unwrap().text(), "red");
        assert_eq!(read(length, true).unwrap().text(), "");
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                       3;x=y\r\nred\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nmore";
        assert_eq!(read(chunked, false).unwrap().text(), "red0123456789");
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nred", false).unwrap().text(), "red");
        let early =
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nmore";
        let response = read(early, false).unwrap();
        assert_eq!((response.status, response.text()), (204, ""));
        assert_eq!(response.header("Link"), None);
    }

    #[test]
    fn a_response_that_breaks_off_is_an_error() {
        let wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nred\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            assert!(read(&wire[..cut], false).is_err(), "cut at {cut}");
        }
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nre", false).is_err());
        assert!(read("HTTP/1.1 200 OK\nContent-Length: 3\n\nred", false).is_err());
    }

    #[test]
    fn a_server_that_never_answers_is_waited_for_no_longer_than_said() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let request = Request::get(silent.local_addr().unwrap(), "/");
        let start = Instant::now();
        let error = request.timeout(Duration::from_millis(50)).try_send().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((50..5000).contains(&start.elapsed().as_millis()));
    }

    #[test]
    fn a_browser_carries_cookies_from_one_page_to_the_next() {
        let (addr, told) = server(&[
            "HTTP/1.1 303 See Other\r\nLocation: /home\r\nSet-Cookie: __Host-id=t1; Path=/; Secure\r\n\
             Set-Cookie: theme=dark\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nSet-Cookie: __Host-id=; Path=/; Secure; Max-Age=0\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\n\r\n",
        ]);
        let mut browser = Browser::at(addr);
        let response = browser.post_form("/login", "username=alice");
        assert_eq!(response.set_cookies()[0].attribute("secure"), Some(""));
        let first = told.recv().unwrap();
        assert!(!first.contains("Cookie") && first.contains("Sec-Fetch-Site: same-origin\r\n"));
        assert_eq!(browser.jar.get("__Host-id"), Some("t1"));

        assert_eq!(browser.follow(&response).text(), "hello");
        assert!(told.recv().unwrap().contains("\r\nCookie: __Host-id=t1; theme=dark\r\n"));
        browser.get("/");
        assert!(told.recv().unwrap().contains("\r\nCookie: theme=dark\r\n"));
    }

    #[test]
    #[should_panic(expected = "leads elsewhere")]
    fn a_browser_does_not_follow_to_another_origin() {
        let response =
            read("HTTP/1.1 302 Found\r\nLocation: //evil.example/\r\n\r\n", false).unwrap();
        Browser::at("127.0.0.1:1".parse().unwrap()).follow(&response);
    }

    #[test]
    fn a_jar_refuses_what_browsers_refuse() {
        let accepted = |line: &str| Jar::new("127.0.0.1").store(&SetCookie::parse(line), "/");
        for line in [
            "id=1",
            "id",
            "id=1; Domain=127.0.0.1",
            "id=1; SameSite=None; Secure",
            "__Host-id=1; secure; path=/",
            "__Secure-id=1; Secure; Path=/a",
            "__%48ost-id=1",
        ] {
            assert!(accepted(line), "{line}");
        }
        for line in [
            "",
            "id=\x01",
            "id=1; Domain=0.0.1",
            "id=1; SameSite=None",
            "__Host-id=1; Path=/",
            "__Host-id=1; Secure",
            "__Host-id=1; Secure; Path=/a",
            "__Host-id=1; Secure; Path=/; Domain=127.0.0.1",
            "__hOST-id=1",
            "__Secure-id=1",
            "=__Host-id=1; Secure; Path=/",
        ] {
            assert!(!accepted(line), "{line}");
        }
        assert!(!accepted(&format!("id={}", "x".repeat(4095))));
    }

    #[test]
    fn a_cookie_is_removed_by_an_end_in_the_past_and_only_there() {
        let mut jar = Jar::new("127.0.0.1");
        let mut store = |line: &str| {
            assert!(jar.store(&SetCookie::parse(line), "/shop/cart?x=/"));
            jar.header("/shop/cart").unwrap_or_default()
        };
        assert_eq!(store("id=1; Path=/; Max-Age=60"), "id=1");
        assert_eq!(store("id=2; Max-Age=60"), "id=2; id=1");
        assert_eq!(store("id=; Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT"), "id=1");
        assert_eq!(store("id=3; Path=/; Max-Age=many"), "id=3");
        assert_eq!(store("id=4; Path=/; Max-Age=99999999999999999999"), "id=4");
        assert_eq!(store("id=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "");
        assert_eq!(store("id=5; Path=/; Max-Age=-99999999999999999999"), "");
        assert_eq!(store("id=6; Path=/; Expires=soon"), "id=6");
        assert_eq!(jar.get("id"), Some("6"));
    }

    #[test]
    fn a_cookie_goes_where_its_path_leads() {
        let mut jar = Jar::new("127.0.0.1");
        assert!(jar.store(&SetCookie::parse("a=1"), "/shop/cart"));
        for (target, header) in [
            ("/shop", Some("a=1")),
            ("/shop/", Some("a=1")),
            ("/shop?x", Some("a=1")),
            ("/shops", None),
            ("/", None),
        ] {
            assert_eq!(jar.header(target).as_deref(), header, "{target}");
        }
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        let seconds = |text| {
            cookie_date(text)
                .map(|date| date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480));
        assert_eq!(seconds("Thursday, 29-Feb-24 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(seconds("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        assert_eq!(seconds("Sun, 06 Nov 1960 08:49:37 GMT"), Some(0));
        for wrong in ["", "soon", "21 Oct 2015", "21 Oct 2015 24:00:00", "Oct 2015 07:28:00"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
