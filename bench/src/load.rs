//! Visitors at a server: HTTP/1.1 on connections that stay open, each with one request at a time, from
//! one thread. Costs as little as it can, because it shares a core with Redis.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// How long a server may say nothing at all before it is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// Which request is sent when.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    /// Connection `n` sends request `n` again and again, for so long.
    Own(Duration),
    /// Each connection sends any of the requests, for so long.
    Any(Duration),
    /// Every request is sent once, by whichever connection is free; given up after so long.
    Once(Duration),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Answers {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// How long each took, in nanoseconds, in no order.
    pub took: Vec<u64>,
    /// The cookies that were set, as a `Cookie` header takes them, in the order of the requests.
    pub cookies: Vec<Option<String>>,
    /// How many answers were no success (2xx or 3xx).
    pub failures: usize,
    /// Bytes of all answers.
    pub bytes: usize,
}

/// Connections to one server.
#[derive(Debug)]
pub struct Visitors {
    addr: SocketAddr,
    poll: Poll,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// Which request waits for its answer, and since when.
    waits: Option<(usize, Instant)>,
}

/// The head of an answer, as far as it matters here.
struct Head {
    status: u16,
    /// Head and body together.
    length: usize,
    cookie: Option<String>,
    closes: bool,
}

impl Visitors {
    /// So many, all connected.
    pub fn at(addr: SocketAddr, how_many: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let open = |at| Connection::open(addr, &poll, Token(at));
        let connections = (0..how_many).map(open).collect::<io::Result<_>>()?;
        Ok(Self { addr, poll, connections })
    }

    /// Sends and takes the answers; those that are on their way at the end are waited for.
    ///
    /// # Errors
    /// If the server refuses, breaks off, says nothing for 20 s, or answers what is no HTTP.
    pub fn send(&mut self, requests: &[Vec<u8>], plan: Plan) -> io::Result<Answers> {
        let mut answers = Answers::default();
        let mut course = Course::new(plan, requests.len());
        if let Plan::Once(_) = plan {
            answers.cookies = vec![None; requests.len()];
        }
        let mut open = 0;
        for (at, connection) in self.connections.iter_mut().enumerate() {
            if let Some(number) = course.next(at) {
                connection.ask(requests, number)?;
                open += 1;
            }
        }
        let mut events = Events::with_capacity(self.connections.len().max(1));
        while open > 0 {
            self.poll.poll(&mut events, Some(SILENCE))?;
            if events.is_empty() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer for 20 s"));
            }
            for Token(at) in events.iter().map(Event::token) {
                let connection = &mut self.connections[at];
                let Some(head) = connection.answer()? else { continue };
                let Some((number, since)) = connection.waits.take() else { continue };
                answers.took.push(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
                answers.bytes += head.length;
                answers.failures += usize::from(!(200..400).contains(&head.status));
                if let Some(cookie) = answers.cookies.get_mut(number) {
                    *cookie = head.cookie;
                }
                if head.closes {
                    *connection = Connection::open(self.addr, &self.poll, Token(at))?;
                }
                match course.next(at) {
                    Some(number) => connection.ask(requests, number)?,
                    None => open -= 1,
                }
            }
        }
        answers.wall = course.begun.elapsed();
        Ok(answers)
    }
}

/// Who sends what next.
struct Course {
    plan: Plan,
    begun: Instant,
    requests: usize,
    sent: usize,
    random: u64,
}

impl Course {
    fn new(plan: Plan, requests: usize) -> Self {
        Self { plan, begun: Instant::now(), requests, sent: 0, random: 0x9e37_79b9_7f4a_7c15 }
    }

    fn next(&mut self, connection: usize) -> Option<usize> {
        let (Plan::Own(length) | Plan::Any(length) | Plan::Once(length)) = self.plan;
        if self.begun.elapsed() >= length || self.requests == 0 {
            return None;
        }
        let sent = self.sent;
        self.sent += 1;
        match self.plan {
            Plan::Own(_) => Some(connection % self.requests),
            Plan::Any(_) => {
                self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                Some((self.random >> 33) as usize % self.requests)
            }
            Plan::Once(_) => (sent < self.requests).then_some(sent),
        }
    }
}

impl Connection {
    fn open(addr: SocketAddr, poll: &Poll, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&addr, SILENCE)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        Ok(Self { stream, read: Vec::with_capacity(4096), waits: None })
    }

    fn ask(&mut self, requests: &[Vec<u8>], number: usize) -> io::Result<()> {
        self.waits = Some((number, Instant::now()));
        // A few hundred bytes always fit into the kernel's buffer of a connection that is idle.
        self.stream.write_all(&requests[number])
    }

    /// Takes what has come; the head once all of the answer is here.
    fn answer(&mut self) -> io::Result<Option<Head>> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.waits.is_none() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Some(head) = head(&self.read)? {
                self.read.clear();
                return Ok(Some(head));
            }
        }
    }
}

fn bad(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// The head of the answer that stands here, if it is whole.
fn head(read: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let begins = match response.parse(read).map_err(bad)? {
        httparse::Status::Complete(begins) => begins,
        httparse::Status::Partial => return Ok(None),
    };
    let (mut body, mut cookie, mut closes, mut known) = (0, None, false, false);
    for header in response.headers.iter() {
        let value = || str::from_utf8(header.value).map_err(bad);
        if header.name.eq_ignore_ascii_case("content-length") {
            body = value()?.parse().map_err(bad)?;
            known = true;
        } else if header.name.eq_ignore_ascii_case("set-cookie") {
            let pair = value()?.split(';').next().unwrap_or_default();
            let all = cookie.take().map_or(pair.to_owned(), |more| format!("{more}; {pair}"));
            cookie = Some(all);
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if !known {
        return Err(bad("an answer that does not say its length"));
    }
    let status = response.code.ok_or_else(|| bad("no status"))?;
    let length = begins + body;
    Ok((read.len() >= length).then_some(Head { status, length, cookie, closes }))
}

/// A page, with the cookies of a visitor.
pub fn get(path: &str, cookie: Option<&str>) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", line(cookie)).into_bytes()
}

/// A form.
pub fn post(path: &str, cookie: Option<&str>, form: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n{}\r\n{form}",
        form.len(),
        line(cookie),
    )
    .into_bytes()
}

fn line(cookie: Option<&str>) -> String {
    cookie.map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nset-cookie: a=1; Path=/\r\n\
                     Set-Cookie: b=2\r\n\r\nred";
        for cut in 0..wire.len() {
            assert!(head(&wire[..cut]).unwrap().is_none(), "{cut}");
        }
        let head = head(wire).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.closes), (200, wire.len(), false));
        assert_eq!(head.cookie.as_deref(), Some("a=1; b=2"));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
