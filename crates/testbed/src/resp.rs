//! RESP, the protocol of Redis and Valkey, as far as tests need it.
//!
//! Deliberately not the client that the code under test uses: what a test asserts should not pass
//! through the thing it tests.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What the server answered, in the kinds of RESP2; those of RESP3 become the nearest of these.
///
/// The accessors panic when the reply is of another kind, and show it. An error is a reply like any
/// other until an accessor meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Simple(String),
    /// An error, such as `WRONGTYPE ...`.
    Error(String),
    /// An integer.
    Int(i64),
    /// Bytes; `None` is the reply for "nothing there".
    Bulk(Option<Vec<u8>>),
    /// A list; `None` is the reply of a transaction that was called off.
    Array(Option<Vec<Reply>>),
}

impl Reply {
    /// The bytes of a status, an integer or a value.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Simple(text) => text.clone().into_bytes(),
            Self::Int(int) => int.to_string().into_bytes(),
            Self::Bulk(Some(bytes)) => bytes.clone(),
            other => panic!("expected a value, got {other:?}"),
        }
    }

    /// The same as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("a reply in UTF-8")
    }

    /// An integer, or a value that holds one in decimal.
    #[track_caller]
    pub fn int(&self) -> i64 {
        self.text().parse().unwrap_or_else(|_| panic!("expected an integer, got {self:?}"))
    }

    /// The items of a list.
    #[track_caller]
    pub fn list(&self) -> Vec<Reply> {
        match self {
            Self::Array(Some(items)) => items.clone(),
            other => panic!("expected a list, got {other:?}"),
        }
    }

    /// A list read as name, value, name, value, as `HGETALL` answers. Where the order matters, as in a
    /// sorted set, use [`list`](Self::list).
    #[track_caller]
    pub fn pairs(&self) -> BTreeMap<String, Vec<u8>> {
        self.list().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].bytes())).collect()
    }

    /// The message, if this is an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(message) => Some(message),
            _ => None,
        }
    }

    /// Whether this is the reply for "nothing there".
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Bulk(None) | Self::Array(None))
    }
}

/// A request as it goes over the wire.
pub(crate) fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args.iter().map(AsRef::as_ref) {
        wire.extend(format!("${}\r\n", arg.len()).bytes());
        wire.extend(arg);
        wire.extend(b"\r\n");
    }
    wire
}

/// The first whole frame in `wire` and its length; `None` while it is not complete.
///
/// Requests are frames too. A line that begins with no known sign is an inline command.
pub(crate) fn parse(wire: &[u8]) -> Option<(Reply, usize)> {
    let mut cursor = Cursor(wire);
    let reply = cursor.reply()?;
    Some((reply, wire.len() - cursor.0.len()))
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn reply(&mut self) -> Option<Reply> {
        let line = self.line()?;
        let text = line.get(1..).unwrap_or_default().to_owned();
        let length = || text.parse::<i64>().expect("a number after the sign of a frame");
        Some(match line.as_bytes().first() {
            Some(b'+' | b',' | b'(') => Reply::Simple(text),
            Some(b'-') => Reply::Error(text),
            Some(b':') => Reply::Int(length()),
            Some(b'#') => Reply::Int((text == "t").into()),
            Some(b'_') => Reply::Bulk(None),
            Some(b'$' | b'=') => Reply::Bulk(self.bulk(length())?),
            Some(b'!') => {
                Reply::Error(String::from_utf8_lossy(&self.bulk(length())?.unwrap()).into())
            }
            Some(b'*' | b'~' | b'>') => Reply::Array(self.items(length())?),
            Some(b'%') => Reply::Array(self.items(2 * length())?),
            // Attributes stand before the reply they belong to.
            Some(b'|') => {
                self.items(2 * length())?;
                self.reply()?
            }
            _ => Reply::Simple(line),
        })
    }

    fn line(&mut self) -> Option<String> {
        let end = self.0.windows(2).position(|two| two == b"\r\n")?;
        let line = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 2..];
        Some(line)
    }

    /// The outer `None` means "not complete", the inner one "nothing there".
    fn bulk(&mut self, length: i64) -> Option<Option<Vec<u8>>> {
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        let bytes = self.0.get(..length)?.to_vec();
        self.0 = self.0.get(length + 2..)?;
        Some(Some(bytes))
    }

    fn items(&mut self, count: i64) -> Option<Option<Vec<Reply>>> {
        if count < 0 {
            return Some(None);
        }
        (0..count).map(|_| self.reply()).collect::<Option<_>>().map(Some)
    }
}

/// One of the testbed's own connections to a server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Our end of it: the address under which the server sees us.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Whether it is open and nothing is left in it from an earlier request.
    pub(crate) fn is_fresh(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.unread.is_empty() && peeked.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Fails a read that waits longer than this, with [`io::ErrorKind::TimedOut`].
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    pub(crate) fn send(&mut self, wire: &[u8]) -> io::Result<()> {
        self.stream.write_all(wire)
    }

    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        loop {
            if let Some((reply, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Ok(reply);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.unread.extend(&chunk[..length]),
                // What an elapsed timeout is called depends on the platform.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(e) => return Err(e),
            }
        }
    }

    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        self.send(&encode(args))?;
        self.receive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_only_when_it_is_complete() {
        let wire = b"*3\r\n$3\r\na\r\n\r\n:-7\r\n*-1\r\n";
        for cut in 0..wire.len() {
            assert_eq!(parse(&wire[..cut]), None, "cut at {cut}");
        }
        let items = vec![Reply::Bulk(Some(b"a\r\n".to_vec())), Reply::Int(-7), Reply::Array(None)];
        assert_eq!(parse(wire), Some((Reply::Array(Some(items)), wire.len())));
    }

    #[test]
    fn the_length_of_every_kind_of_frame_is_known() {
        for wire in [
            "+OK\r\n",
            "-ERR no\r\n",
            "$-1\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123456789012345678901234567890\r\n",
            "!3\r\nERR\r\n",
            "=5\r\ntxt:a\r\n",
            "~1\r\n:1\r\n",
            "%1\r\n+a\r\n:1\r\n",
            ">1\r\n+invalidate\r\n",
            "|1\r\n+ttl\r\n:1\r\n+OK\r\n",
            "PING\r\n",
        ] {
            let mut more = wire.to_owned();
            more.push_str("+next\r\n");
            assert_eq!(parse(more.as_bytes()).unwrap().1, wire.len(), "{wire:?}");
        }
    }

    #[test]
    fn accessors_read_what_they_are_named_for() {
        let (reply, _) = parse(b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n\xff\r\n").unwrap();
        assert_eq!(reply.pairs()["b"], b"\xff");
        assert_eq!(reply.list()[1].int(), 1);
        assert_eq!(Reply::Error("ERR no".into()).error(), Some("ERR no"));
        assert!(Reply::Bulk(None).is_nil());
    }

    #[test]
    #[should_panic(expected = "WRONGTYPE")]
    fn an_accessor_shows_the_error_it_meets() {
        Reply::Error("WRONGTYPE".into()).text();
    }
}
