//! The network between a client and a server of Redis, with switches for what can go wrong in it.
//!
//! 1. A switch holds until the next one, for connections that exist and for new ones.
//! 2. What is forwarded are whole requests and whole replies, so that one of them can be lost. TLS
//!    can't be looked into, and does not pass.
//! 3. As in TCP, no connection ever goes on behind a gap: one that has lost a reply delivers nothing
//!    more, and is closed by the next switch. What a [`blackhole`](Proxy::blackhole) holds back does
//!    arrive later, as after a partition.
//! 4. Switches that count replies skip those to `HELLO`, `AUTH`, `SELECT` and `CLIENT`, with which
//!    clients open a connection, and what the server sends unasked.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::resp::{Reply, parse};

/// A proxy on a free port of 127.0.0.1. Dropping it closes every connection and ends its threads.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// # Where it is
impl Proxy {
    /// A proxy in front of this port of 127.0.0.1, passing everything.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: (Ipv4Addr::LOCALHOST, port).into(),
            state: Mutex::new(State {
                mode: Mode::Pass,
                ends: false,
                lines: Vec::new(),
                accepted: 0,
                replies: 0,
                lost: 0,
                holds: false,
            }),
            switched: Condvar::new(),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { addr, shared, acceptor: Some(acceptor) }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Its address as a client takes it: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// How many connections were accepted so far, refused ones not counted.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// How many replies were lost so far, each to a request that the server carried out. Not counted
    /// are other requests that were under way on a connection when it was closed: whether they were
    /// carried out nobody knows.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }
}

/// # Switches
impl Proxy {
    /// Everything goes through.
    pub fn pass(&self) {
        self.switch(Mode::Pass);
    }

    /// Requests go through, replies are lost.
    pub fn drop_replies(&self) {
        self.switch(Mode::DropReplies);
    }

    /// Nothing goes through in either direction; connections stay, and new ones are taken.
    pub fn blackhole(&self) {
        self.switch(Mode::Blackhole);
    }

    /// So many more requests go through, and their replies; what comes after them is held, as a client
    /// leaves it that dies between two of its steps.
    pub fn pass_requests(&self, count: u64) {
        self.switch(Mode::PassRequests { left: count });
    }

    /// Whether a request is held because those that were to pass have passed.
    pub fn holds_a_request(&self) -> bool {
        self.shared.lock().holds
    }

    /// Closes every connection, and each new one as soon as it is made. (A port where nobody listens is
    /// that of a server after [`Server::kill`](crate::Server::kill).)
    pub fn refuse(&self) {
        self.switch(Mode::Refuse);
    }

    /// Closes every connection once; new ones are treated as before.
    pub fn sever(&self) {
        self.shared.lock().lines.iter().for_each(|line| line.close());
    }

    /// Each reply comes this much later. The delays of replies under way together overlap, as on a long
    /// line.
    pub fn delay(&self, delay: Duration) {
        self.switch(Mode::Delay(delay));
    }

    /// Instead of forwarding every nth reply, closes its connection. Counted over all connections, from
    /// here on.
    pub fn lose_reply(&self, every_nth: u64) {
        assert_ne!(every_nth, 0, "there is no 0th reply");
        self.shared.lock().replies = 0;
        self.switch(Mode::LoseReply { every_nth });
    }

    /// Forwards only so many bytes of each reply, then closes its connection. A reply that is no longer
    /// goes through.
    pub fn cut_replies(&self, bytes: usize) {
        self.switch(Mode::CutReplies(bytes));
    }

    /// Sends replies byte by byte.
    pub fn slice_replies(&self) {
        self.switch(Mode::SliceReplies);
    }

    /// Sends these bytes in place of each reply, whatever they are.
    pub fn forge_replies(&self, bytes: impl Into<Vec<u8>>) {
        self.switch(Mode::ForgeReplies(bytes.into()));
    }

    fn switch(&self, mode: Mode) {
        let mut state = self.shared.lock();
        for line in &state.lines {
            if line.has_gap.load(Ordering::Relaxed) || matches!(mode, Mode::Refuse) {
                line.close();
            }
        }
        state.mode = mode;
        state.holds = false;
        self.shared.switched.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.switched.notify_all();
        self.sever();
        // Wakes the thread that waits for connections; it sees that all ends.
        if TcpStream::connect(self.addr).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            // It has panicked only if one of its threads has, and that one has said so.
            let _ = acceptor.join();
        }
    }
}

#[derive(Debug)]
enum Mode {
    Pass,
    DropReplies,
    Blackhole,
    PassRequests { left: u64 },
    Refuse,
    Delay(Duration),
    LoseReply { every_nth: u64 },
    CutReplies(usize),
    SliceReplies,
    ForgeReplies(Vec<u8>),
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    /// Told when the mode changes and when all ends.
    switched: Condvar,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    ends: bool,
    lines: Vec<Arc<Line>>,
    accepted: u64,
    replies: u64,
    lost: u64,
    holds: bool,
}

/// A client's connection and the one that stands for it at the server.
#[derive(Debug)]
struct Line {
    client: TcpStream,
    server: TcpStream,
    /// For each request under way, whether its reply counts.
    asked: Mutex<VecDeque<bool>>,
    has_gap: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `due`, and for the end of a blackhole; `None` if all ends before.
    fn passable(&self, due: Instant) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            if state.ends {
                return None;
            }
            let left = due.saturating_duration_since(Instant::now());
            state = if matches!(state.mode, Mode::Blackhole) {
                self.switched.wait(state).unwrap()
            } else if left.is_zero() {
                return Some(state);
            } else {
                self.switched.wait_timeout(state, left).unwrap().0
            };
        }
    }

    /// Waits while requests are held that count; `false` if all ends before.
    fn may_send(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.ends {
                return false;
            }
            match &mut state.mode {
                Mode::PassRequests { left: 0 } => state.holds = true,
                Mode::PassRequests { left } => {
                    *left -= 1;
                    return true;
                }
                _ => return true,
            }
            state = self.switched.wait(state).unwrap();
        }
    }

    /// Connects a client on; `None` if it is refused, or there is no server.
    fn open(&self, client: TcpStream) -> Option<Arc<Line>> {
        let takes = |state: &State| !state.ends && !matches!(state.mode, Mode::Refuse);
        if !takes(&self.lock()) {
            return None;
        }
        let server = TcpStream::connect(self.upstream).ok()?;
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;

        // Asked again under the lock with which lines are closed, or a switch could miss this one.
        let mut state = self.lock();
        if !takes(&state) {
            return None;
        }
        let line = Arc::new(Line {
            client,
            server,
            asked: Mutex::default(),
            has_gap: AtomicBool::new(false),
        });
        state.accepted += 1;
        state.lines.push(Arc::clone(&line));
        Some(line)
    }
}

impl Line {
    /// Ends whatever waits for one of its sockets, too.
    fn close(&self) {
        // One that the other side has closed may say that it is not connected.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<bool>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        for client in listener.incoming() {
            if shared.lock().ends {
                break;
            }
            let Some(line) = client.ok().and_then(|client| shared.open(client)) else { continue };
            // Deliveries have a thread of their own, so that a delayed one does not hold up the clock of
            // those behind it.
            let (deliveries, due) = mpsc::channel();
            let (requests_line, replies_line) = (Arc::clone(&line), Arc::clone(&line));
            scope.spawn(move || forward_requests(&requests_line, shared));
            scope.spawn(move || decide_replies(&replies_line, shared, &deliveries));
            scope.spawn(move || deliver_replies(&line, shared, due));
        }
    });
}

fn forward_requests(line: &Line, shared: &Shared) {
    each_frame(&line.client, |request, wire| {
        if shared.passable(Instant::now()).is_none() {
            return false;
        }
        let counts = !opens_connection(request);
        if counts && !shared.may_send() {
            return false;
        }
        // Before it is sent: its reply may come at once.
        line.asked().push_back(counts);
        (&line.server).write_all(&wire).is_ok()
    });
    // The client may have hung up without waiting for replies: the server should see the same.
    let _ = line.server.shutdown(Shutdown::Write);
}

type Delivery = (Instant, Vec<u8>);

/// Decides about each reply when it comes from the server. When this returns, what it has let through
/// is still delivered, and then the line is closed.
fn decide_replies(line: &Line, shared: &Shared, deliveries: &mpsc::Sender<Delivery>) {
    each_frame(&line.server, |_, wire| {
        let now = Instant::now();
        let Some(mut state) = shared.passable(now) else { return false };
        let unasked = wire[0] == b'>';
        let counts = !unasked && line.asked().pop_front().unwrap_or(false);
        state.replies += u64::from(counts);

        let deliver = |due, bytes| deliveries.send((due, bytes)).is_ok();
        match &state.mode {
            Mode::DropReplies => {
                line.has_gap.store(true, Ordering::Relaxed);
                state.lost += u64::from(counts);
                true
            }
            Mode::Delay(delay) => deliver(now + *delay, wire),
            Mode::LoseReply { every_nth } if counts && state.replies.is_multiple_of(*every_nth) => {
                state.lost += 1;
                false
            }
            Mode::CutReplies(bytes) if counts && wire.len() > *bytes => {
                let _ = deliver(now, wire[..*bytes].to_vec());
                false
            }
            Mode::ForgeReplies(bytes) if counts => deliver(now, bytes.clone()),
            Mode::SliceReplies => wire.iter().all(|&byte| deliver(now, vec![byte])),
            _ => deliver(now, wire),
        }
    });
}

fn deliver_replies(line: &Arc<Line>, shared: &Shared, due: mpsc::Receiver<Delivery>) {
    for (due, bytes) in due {
        if shared.passable(due).is_none() || (&line.client).write_all(&bytes).is_err() {
            break;
        }
    }
    line.close();
    shared.lock().lines.retain(|other| !Arc::ptr_eq(other, line));
}

/// Hands on each whole frame, read and as it came, until the stream ends or `handle` says no.
fn each_frame(mut stream: &TcpStream, mut handle: impl FnMut(&Reply, Vec<u8>) -> bool) {
    let mut unread = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => unread.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
        while let Some((frame, length)) = parse(&unread) {
            let rest = unread.split_off(length);
            if !handle(&frame, std::mem::replace(&mut unread, rest)) {
                return;
            }
        }
    }
}

fn opens_connection(request: &Reply) -> bool {
    let Reply::Array(Some(words)) = request else { return false };
    let Some(Reply::Bulk(Some(name))) = words.first() else { return false };
    ["HELLO", "AUTH", "SELECT", "CLIENT"].iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::eventually;
    use crate::resp::{Connection, encode};
    use crate::server::Server;

    const PATIENCE: Duration = Duration::from_secs(10);
    /// Long enough for a reply that comes, short enough to wait for one that does not.
    const MOMENT: Duration = Duration::from_millis(150);

    fn setup() -> (Server, Proxy) {
        let server = Server::start();
        let proxy = Proxy::to(server.port());
        (server, proxy)
    }

    fn client(proxy: &Proxy) -> Connection {
        let connection = Connection::open(proxy.addr()).unwrap();
        connection.set_patience(PATIENCE);
        connection
    }

    fn times_out(client: &mut Connection, args: &[&str]) {
        client.set_patience(MOMENT);
        assert_eq!(client.ask(args).unwrap_err().kind(), io::ErrorKind::TimedOut);
        client.set_patience(PATIENCE);
    }

    fn is_closed(client: &mut Connection) {
        // Which of the two errors depends on whether something was under way.
        let kind = client.ask(&["PING"]).unwrap_err().kind();
        assert_ne!(kind, io::ErrorKind::TimedOut);
    }

    #[test]
    fn it_holds_what_comes_after_so_many_requests() {
        let (server, proxy) = setup();
        let mut client = client(&proxy);
        proxy.pass_requests(2);
        assert_eq!(client.ask(&["CLIENT", "SETNAME", "coat"]).unwrap().text(), "OK");
        assert_eq!(client.ask(&["INCR", "coats"]).unwrap().int(), 1);
        assert_eq!(client.ask(&["INCR", "coats"]).unwrap().int(), 2);
        assert!(!proxy.holds_a_request());
        times_out(&mut client, &["INCR", "coats"]);
        assert!(proxy.holds_a_request());
        assert_eq!(server.command(&["GET", "coats"]).text(), "2");
        drop(proxy);
        assert_eq!(server.command(&["GET", "coats"]).text(), "2");
    }

    #[test]
    fn it_passes_what_it_is_not_told_to_hold() {
        let (server, proxy) = setup();
        let mut client = client(&proxy);
        let large = "x".repeat(1 << 20);
        client.ask(&["SET", "coat", &large]).unwrap();
        assert_eq!(client.ask(&["GET", "coat"]).unwrap().text(), large);
        assert_eq!(server.command(&["STRLEN", "coat"]).int(), 1 << 20);
        client.send(b"PING\r\nPING\r\n").unwrap();
        assert_eq!(client.receive().unwrap().text(), "PONG");
        assert_eq!(client.receive().unwrap().text(), "PONG");
        assert_eq!((proxy.accepted(), proxy.lost()), (1, 0));
    }

    #[test]
    fn a_dropped_reply_belongs_to_a_request_that_was_carried_out() {
        let (server, proxy) = setup();
        let mut client = client(&proxy);
        assert_eq!(client.ask(&["INCR", "count"]).unwrap().int(), 1);
        proxy.drop_replies();
        times_out(&mut client, &["INCR", "count"]);
        assert!(eventually(PATIENCE, || (proxy.lost() == 1).then_some(())).is_some());
        assert_eq!(server.command(&["GET", "count"]).int(), 2);
        // Behind the gap the client would take the reply to one request for that to another.
        proxy.pass();
        is_closed(&mut client);
        assert_eq!(self::client(&proxy).ask(&["GET", "count"]).unwrap().int(), 2);
    }

    #[test]
    fn a_blackhole_holds_both_directions_until_it_is_lifted() {
        let (server, proxy) = setup();
        let mut client = client(&proxy);
        client.ask(&["PING"]).unwrap();
        proxy.blackhole();
        times_out(&mut client, &["INCR", "count"]);
        times_out(&mut self::client(&proxy), &["INCR", "count"]);
        assert!(server.command(&["GET", "count"]).is_nil());
        proxy.pass();
        assert!((1..=2).contains(&client.receive().unwrap().int()));
        assert_eq!(client.ask(&["PING"]).unwrap().text(), "PONG");
    }

    #[test]
    fn refused_clients_come_back_when_it_passes_again() {
        let (_server, proxy) = setup();
        let mut client = client(&proxy);
        client.ask(&["PING"]).unwrap();
        proxy.refuse();
        is_closed(&mut client);
        is_closed(&mut self::client(&proxy));
        proxy.pass();
        is_closed(&mut client);
        self::client(&proxy).ask(&["PING"]).unwrap();
        assert_eq!(proxy.accepted(), 2);
    }

    #[test]
    fn severed_clients_may_connect_again() {
        let (_server, proxy) = setup();
        let mut client = client(&proxy);
        client.ask(&["PING"]).unwrap();
        proxy.sever();
        is_closed(&mut client);
        self::client(&proxy).ask(&["PING"]).unwrap();
    }

    #[test]
    fn delays_overlap() {
        let (_server, proxy) = setup();
        let mut client = client(&proxy);
        proxy.delay(MOMENT);
        let start = Instant::now();
        for _ in 0..20 {
            client.send(&encode(&["PING"])).unwrap();
        }
        for _ in 0..20 {
            client.receive().unwrap();
        }
        let took = start.elapsed();
        assert!(took >= MOMENT, "{took:?}");
        assert!(took < 10 * MOMENT, "{took:?}");
    }

    #[test]
    fn every_nth_reply_is_lost_and_its_request_carried_out() {
        let (server, proxy) = setup();
        proxy.lose_reply(3);
        let mut acknowledged = 0;
        let mut client = client(&proxy);
        for nth in 1..=9 {
            client.ask(&["CLIENT", "SETNAME", "test"]).unwrap();
            let answer = client.ask(&["INCR", "count"]);
            assert_eq!(answer.is_err(), nth % 3 == 0, "{nth}: {answer:?}");
            match answer {
                Ok(_) => acknowledged += 1,
                Err(_) => client = self::client(&proxy),
            }
        }
        assert_eq!((acknowledged, proxy.lost()), (6, 3));
        assert_eq!(server.command(&["GET", "count"]).int(), 9);
    }

    #[test]
    fn replies_before_a_lost_one_arrive() {
        let (_server, proxy) = setup();
        proxy.lose_reply(3);
        let mut client = client(&proxy);
        client.send(&encode(&["INCR", "count"]).repeat(4)).unwrap();
        assert_eq!(client.receive().unwrap().int(), 1);
        assert_eq!(client.receive().unwrap().int(), 2);
        assert!(client.receive().is_err());
    }

    #[test]
    fn replies_can_be_cut_sliced_and_forged() {
        let (server, proxy) = setup();
        server.command(&["SET", "coat", "red"]);
        let reply = b"$3\r\nred\r\n";
        for bytes in 0..reply.len() {
            proxy.cut_replies(bytes);
            let mut stream = TcpStream::connect(proxy.addr()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&encode(&["GET", "coat"])).unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            assert_eq!(got, reply[..bytes]);
        }
        let mut client = client(&proxy);
        proxy.slice_replies();
        assert_eq!(client.ask(&["GET", "coat"]).unwrap().text(), "red");
        proxy.forge_replies("-LOADING yes\r\n");
        assert_eq!(client.ask(&["GET", "coat"]).unwrap().error(), Some("LOADING yes"));
        assert_eq!(proxy.lost(), 0);
    }

    #[test]
    fn a_server_that_is_gone_closes_the_connection() {
        let (server, proxy) = setup();
        let mut client = client(&proxy);
        client.ask(&["PING"]).unwrap();
        server.kill();
        is_closed(&mut client);
        is_closed(&mut self::client(&proxy));
        server.restart();
        self::client(&proxy).ask(&["PING"]).unwrap();
    }

    #[test]
    fn dropping_it_ends_what_it_holds() {
        let (_server, proxy) = setup();
        let addr = proxy.addr();
        let mut idle = client(&proxy);
        idle.ask(&["PING"]).unwrap();
        proxy.delay(Duration::from_secs(3600));
        let mut delayed = client(&proxy);
        delayed.send(&encode(&["PING"])).unwrap();
        let delayed_one_waits = || (proxy.shared.lock().replies == 2).then_some(());
        assert!(eventually(PATIENCE, delayed_one_waits).is_some());
        proxy.blackhole();
        let mut held = client(&proxy);
        held.send(&encode(&["PING"])).unwrap();
        let shared = Arc::downgrade(&proxy.shared);

        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            drop(proxy);
            tell.send(()).unwrap();
        });
        told.recv_timeout(PATIENCE).expect("the end of all threads");
        assert!(shared.upgrade().is_none(), "a thread still runs");
        assert!([idle, delayed, held].iter_mut().all(|client| client.receive().is_err()));
        assert!(TcpStream::connect(addr).is_err());
    }
}
