//! A connection of the doctor's own. The store's client hides at which stage it failed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use redis::{Cmd, Parser, RedisError, Value};
use rustls::{ClientConnection, StreamOwned};

/// What carries the bytes.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        // Zero would mean for ever.
        let time = Some(time.max(Duration::from_millis(1)));
        match self {
            Self::Tcp(tcp) => tcp.set_read_timeout(time).and(tcp.set_write_timeout(time)),
            #[cfg(unix)]
            Self::Unix(unix) => unix.set_read_timeout(time).and(unix.set_write_timeout(time)),
            Self::Tls(tls) => tls.sock.set_read_timeout(time).and(tls.sock.set_write_timeout(time)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buffer),
            #[cfg(unix)]
            Self::Unix(unix) => unix.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(buffer),
            #[cfg(unix)]
            Self::Unix(unix) => unix.write(buffer),
            Self::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            #[cfg(unix)]
            Self::Unix(unix) => unix.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// Reads until an instant, however the bytes trickle in.
struct Until<'a>(&'a mut Stream, Instant);

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.1.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.wait_at_most(left)?;
        self.0.read(buffer)
    }
}

/// Why there was no reply.
#[derive(Debug)]
pub(crate) enum Broken {
    Silent,
    Closed,
    /// Bytes that are no reply.
    Garbled,
    /// TLS ended it.
    Tls(rustls::Error),
}

impl Broken {
    pub(crate) fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(tls), _) => Self::Tls(tls.clone()),
            // What an elapsed timeout is called depends on the platform.
            (None, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => Self::Silent,
            (None, _) => Self::Closed,
        }
    }
}

/// A connection on which one asks and the server answers.
pub(crate) struct Line {
    stream: Stream,
    parser: Parser,
    timeout: Duration,
}

impl Line {
    pub(crate) fn new(stream: Stream, timeout: Duration) -> Self {
        Self { stream, parser: Parser::new(), timeout }
    }

    /// One round trip. An error that the server answers is a value.
    pub(crate) fn ask(&mut self, command: &[&str]) -> Result<Value, Broken> {
        let mut packed = Cmd::new();
        for word in command {
            packed.arg(*word);
        }
        self.ask_packed(&packed.get_packed_command())
    }

    fn ask_packed(&mut self, packed: &[u8]) -> Result<Value, Broken> {
        let until = Instant::now() + self.timeout;
        let sent = self.stream.wait_at_most(self.timeout).and_then(|()| {
            self.stream.write_all(packed)?;
            self.stream.flush()
        });
        // A server that says why and closes has said so before; read it in any case.
        let mut failed = None;
        let mut reader = Noting { from: Until(&mut self.stream, until), failed: &mut failed };
        let read = self.parser.parse_value(&mut reader);
        read.map_err(|error: RedisError| match (failed, sent) {
            (Some(error), _) | (None, Err(error)) => Broken::of(&error),
            (None, Ok(())) if error.is_unrecoverable_error() && error.is_io_error() => {
                Broken::Closed
            }
            (None, Ok(())) => Broken::Garbled,
        })
    }
}

/// Keeps the error that the client crate would make a text of.
struct Noting<'a, R> {
    from: R,
    failed: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer).map_err(|error| {
            let kind = error.kind();
            *self.failed = Some(error);
            kind.into()
        })
    }
}

/// The error that the server answered, in one line.
pub(crate) fn error_in(value: &Value) -> Option<String> {
    match value {
        Value::ServerError(error) => {
            Some(format!("{} {}", error.code(), error.details().unwrap_or_default()))
        }
        _ => None,
    }
}

/// A reply that is text.
pub(crate) fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".into()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}
