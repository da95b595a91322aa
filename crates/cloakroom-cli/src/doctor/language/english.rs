//! What the doctor says in English.

use super::{Phrases, Tally, Words};
use crate::doctor::finding::{Act, Finding, Hosts, Part, Verdict};

pub(crate) static PHRASES: Phrases =
    Phrases { title, verdict, next: "Next: ", words, summary, unreadable };

fn title(part: Part) -> &'static str {
    match part {
        Part::Address => "Address",
        Part::Name => "Name",
        Part::Connection => "Connection",
        Part::Encryption => "Encryption",
        Part::Login => "Login",
        Part::Ping => "Ping",
        Part::Role => "Role",
        Part::Cluster => "Cluster",
        Part::Version => "Version",
        Part::Memory => "Memory",
        Part::Persistence => "Persistence",
        Part::Permissions => "Permissions",
        Part::Rehearsal => "Rehearsal",
        Part::Folder => "Folder",
        Part::Key => "Key",
        Part::Sessions => "Sessions",
    }
}

fn verdict(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Ok) => "ok",
        Some(Verdict::Note) => "note",
        Some(Verdict::Warning) => "WARNING",
        Some(Verdict::Failure) => "FAILED",
        None => "not tried",
    }
}

fn act(act: Act) -> &'static str {
    match act {
        Act::Create => "creating a session",
        Act::Count => "counting in it",
        Act::LogIn => "logging in",
        Act::LogOut => "logging out",
        Act::Expire => "letting a session expire",
        Act::TidyUp => "tidying up",
    }
}

fn summary(tally: Tally) -> String {
    let Tally { failures, warnings, notes, first } = tally;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match first {
        Some(step) if failures > 0 => format!(
            "It can't be used as it is: {}, {}. Begin with step {step}.",
            count(failures, "failure"),
            count(warnings, "warning")
        ),
        Some(step) => {
            format!("It works, with {}. Begin with step {step}.", count(warnings, "warning"))
        }
        None if notes > 0 => format!("Everything works; {}.", count(notes, "note")),
        None => "Everything is in order.".into(),
    }
}

fn unreadable(why: &str) -> String {
    format!(
        "the URL can't be read ({why}): it takes redis://HOST:PORT, rediss://HOST:PORT (TLS), \
         redis+cluster://HOST:PORT,HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY or \
         unix:///PATH, with USER:PASSWORD@ before the hosts and /DATABASE at the end if need be"
    )
}

fn with_tls(tls: bool) -> &'static str {
    if tls { "with TLS" } else { "without TLS" }
}

fn as_user(user: Option<&str>) -> String {
    user.map_or("no credentials".into(), |user| format!("as user {user}"))
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1048576.0)
}

const ACL: &str = "docs/operations.md has the whole ACL";

fn words(finding: &Finding) -> Words {
    use Finding::*;
    use Words as W;
    match finding {
        At { nodes, all, what } => {
            let Words { reason, next } = words(what);
            let who = if *all { format!("All {}", nodes.len()) } else { nodes.join(", ") };
            // Some say it themselves.
            let said = reason.starts_with(&who);
            Words { reason: if said { reason } else { format!("{who}: {reason}") }, next }
        }
        LeftOut { why } => {
            let Words { reason, next } = words(why);
            let next = next.unwrap_or_default();
            W::act(format!("Left out from here on: {reason}"), format!("The others work without it, with one less to fall back on. {next}"))
        }

        AddressRead { server, tls, user, database } => W::fine(format!(
            "{server}, {}, {}, database {database}", with_tls(*tls), as_user(user.as_deref()),
        )),
        ClusterRead { at: Hosts { hosts, tls, user }, primaries: 0, .. } => W::fine(format!(
            "A cluster at {}, {}, {}; none of these says yet who belongs to it", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        ClusterRead { at: Hosts { hosts, tls, user }, primaries, replicas } => W::fine(format!(
            "A cluster at {}, {}, {}: {primaries} primaries and {replicas} replicas", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        SentinelsRead { at: Hosts { hosts, tls, user }, primary, replicas } => W::fine(format!(
            "The primary {primary} and {replicas} replicas, known to the sentinels at {}, {}, {}", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        PasswordVisible => W::act(
            "The password stands in the arguments, where every user of this machine can see it (ps).",
            "Put the URL into the variable REDIS_URL and type `cloakroom doctor`. If others use this machine, change the password.",
        ),

        NameFound { host, addresses } => W::fine(format!(
            "{host} is {}",
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
        NameNotNeeded => W::fine("No name to look up"),
        NameUnknown { host, error } => W::act(
            format!("No address is known for {host} ({error})."),
            "Look for a typing error. Names of ElastiCache and of private zones are known inside their VPC or cluster only: run this where the service runs.",
        ),
        NameSilent { host, within_ms } => W::act(
            format!("No name server has answered for {host} within {within_ms}."),
            "See which name servers this machine asks (/etc/resolv.conf), and whether it reaches them (port 53).",
        ),

        Connected { address } => W::fine(format!("{address} takes connections")),
        Refused { address } => W::act(
            format!("{address} refuses the connection: the machine is there, and nothing listens on that port."),
            "Is the server running (`systemctl status redis-server` or `valkey-server`), and is this its port? If it runs elsewhere, does it listen on more than 127.0.0.1 (`bind` in its configuration)?",
        ),
        NoAnswer { address, port, within_ms } => W::act(
            format!("{address} has not answered within {within_ms}: something drops the packets."),
            format!("Most often it is a security group: that of the cache needs an inbound rule for TCP port {port} (Serverless: 6379 and 6380) from the group of the machine that runs this; a group made for the web server alone does not open the cache, which is where the ElastiCache tutorial stumbles. Then the network ACLs (both directions), the routes, and whether both are in one VPC: a cache is rarely reachable from outside of its own."),
        ),
        Unreachable { address, error } => W::act(
            format!("There is no way to {address} ({error})."),
            "Look at the routes of this machine (`ip route get ADDRESS`), at the VPC peering, and whether it has IPv6 at all if the address is one.",
        ),
        NoSocket { path } => W::act(
            format!("There is no socket {}.", path.display()),
            "Is the server running, and is this the path of `unixsocket` in its configuration?",
        ),
        ConnectFailed { address, error } => W::act(
            format!("{address} can't be connected to: {error}."),
            "For a socket: may this user write to it (`unixsocketperm` and the server's group)?",
        ),

        Encrypted { protocol, cipher } => W::fine(format!("{protocol}, {cipher}, certificate accepted")),
        StaysHere => W::fine("Not encrypted, and the data does not leave this machine"),
        Plain => W::act(
            "Not encrypted: who can listen on the way reads the password and every session.",
            "Turn on TLS (ElastiCache: encryption in transit) and write rediss:// in the URL.",
        ),
        TlsNeeded => W::act(
            "The server speaks TLS, and the URL says redis://, which is without.",
            "Write rediss:// in the URL.",
        ),
        TlsNotSpoken => W::act(
            "The URL says rediss://, and the server does not speak TLS on this port.",
            "Take the server's TLS port (`tls-port`; ElastiCache: turn on encryption in transit), or write redis:// if nobody can listen on the way.",
        ),
        UnknownIssuer => W::act(
            "The server's certificate was issued by somebody whom this machine does not trust.",
            "If the certificate authority is your own, name its certificate with `--ca FILE`; for the service itself set SSL_CERT_FILE to that file. If it is not, somebody may stand between.",
        ),
        WrongName { host, presented } => W::act(
            format!("The server's certificate is not for {host}; it is for {}.", if presented.is_empty() { "no name".into() } else { presented.join(", ") }),
            "Use one of those names in the URL, or have a certificate issued with this name among its subject alternative names.",
        ),
        Expired { since, now } => W::act(
            format!("The server's certificate expired at {since}; this machine's clock says {now}."),
            "Renew the certificate. If the clock is wrong, set it (`timedatectl`).",
        ),
        NotYetValid { from, now } => W::act(
            format!("The server's certificate is valid from {from}; this machine's clock says {now}."),
            "The clock of this machine is probably slow: set it (`timedatectl`). Else wait, or issue the certificate anew.",
        ),
        ClientCertificate => W::act(
            "The server asks for a certificate of the client, and there is none to show.",
            "Set `tls-auth-clients no` on the server and let users log in with a password.",
        ),
        NoCommonProtocol { error } => W::act(
            format!("Server and client have no version or cipher of TLS in common ({error})."),
            "Let the server speak TLS 1.2 or 1.3 with an AEAD cipher (`tls-protocols`, `tls-ciphers`).",
        ),
        NoRoots { error } => W::act(
            format!("There are no certificates of authorities to trust ({error})."),
            "Install them (Debian: ca-certificates), or name a file with `--ca FILE` or SSL_CERT_FILE.",
        ),
        TlsFailed { error } => W::act(
            format!("TLS could not be agreed on: {error}."),
            "See the log of the server for its side of it, and what stands between: a proxy, a load balancer.",
        ),

        Silent { within_ms } => W::act(
            format!("It takes connections, and has answered nothing within {within_ms}."),
            "The server hangs, swaps or is stopped; or a proxy in between has lost it. See its load and its log; a longer `--timeout` shows whether it is only slow.",
        ),
        Closed => W::act(
            "It takes connections, and closes them without a word.",
            "Something between may have no server behind it (a load balancer, a tunnel), or the server is just stopping. See its log.",
        ),
        NotRedis => W::act(
            "What answers does not speak the protocol of Redis.",
            "Another service has this port: check host and port.",
        ),

        LoggedIn { user } => W::fine(format!("Logged in as {user}")),
        NoPasswordNeeded => W::fine("No password asked, on this machine only"),
        Open => W::act(
            "No password is asked: everybody who reaches this address can read and end every session.",
            "Give the service a user of its own (docs/operations.md has the ACL), and the default user a password.",
        ),
        PasswordMissing => W::act(
            "The server wants a password, and the URL has none.",
            "Write redis://USER:PASSWORD@HOST:PORT (with `:PASSWORD@` for the default user) into REDIS_URL; encode special characters as %XX.",
        ),
        PasswordWrong { user } => W::act(
            format!("The server knows no user {user} with this password."),
            "Check both. In a URL @ : / ? # % are written %40 %3A %2F %3F %23 %25. `ACL LIST` on the server shows who there is and who is off.",
        ),
        IamExpired { ago_ms } => W::act(
            format!("The password is an IAM token, and by this machine's clock it expired {ago_ms} ago."),
            "A token lives 15 minutes: make a new one for each connection. If it is new, the clock of the machine that made it is wrong.",
        ),
        IamRefused { user } => W::act(
            format!("The password is an IAM token, and the server refuses it for {user}."),
            "The policy must allow elasticache:Connect on both ARNs, the cache's and the user's; user name and user id must be equal, and authentication mode IAM; the token must be for this cache's name in lower case, not for its endpoint; this machine's clock must be right.",
        ),
        ProtectedMode => W::act(
            "The server is in protected mode: it has no password, and takes nobody from another machine.",
            "Give it a password (`requirepass`, or users in its ACL). Don't turn protected mode off.",
        ),
        TooManyClients => W::act(
            "The server has as many clients as it takes.",
            "Raise `maxclients`, or find who keeps so many (`CLIENT LIST`): a service needs one connection a process.",
        ),
        Loading => W::act("The server is loading its data.", "Wait until it has, and come again."),
        Busy => W::act(
            "A script has kept the server busy for longer than it allows.",
            "`SCRIPT KILL` ends one that has not written yet. Ours take microseconds: look for another's.",
        ),
        NoHello { error } => W::act(
            format!("It does not know HELLO 3, with which our connections begin ({error})."),
            "It takes Redis 6.2 or Valkey 7.2 at least, and a proxy in between must pass RESP3.",
        ),
        NoDatabase { database, error } => W::act(
            format!("Database {database} can't be used ({error})."),
            "Leave the number out of the URL: with a prefix of their own sessions need no database of their own.",
        ),
        LoginRefused { error } => W::act(
            format!("The server refuses: {error}"),
            "See what this error means in the documentation of your server or proxy.",
        ),

        Quick { count, p50_ms, p90_ms, p99_ms, max_ms } => W::fine(format!(
            "{count} round trips: half within {p50_ms}, 90 % {p90_ms}, 99 % {p99_ms}, the longest {max_ms}"
        )),
        Slow { count, p50_ms, p90_ms, p99_ms, max_ms } => W::act(
            format!("{count} round trips: half within {p50_ms}, 90 % {p90_ms}, 99 % {p99_ms}, the longest {max_ms}. A request waits 250 ms for its store, all trips together."),
            "Run the service nearer to the server (same region, same zone). If it is near: `SLOWLOG GET`, `LATENCY DOCTOR`, CPU.",
        ),
        PingDenied { user } => W::act(
            format!("The user {user} may not PING, with which readiness is checked."),
            format!("On the server: `ACL SETUSER {user} +ping`; {ACL}."),
        ),

        Primary { replicas: None } => W::fine("A primary"),
        Primary { replicas: Some(0) } => W::fine("A primary without replicas"),
        Primary { replicas: Some(1) } => W::fine("A primary with 1 replica, up to date"),
        Primary { replicas: Some(n) } => W::fine(format!("A primary with {n} replicas, up to date")),
        Replica { primary } => W::act(
            "This is a replica: it takes no writes, so nobody could log in or be counted.",
            match primary {
                Some(primary) => format!("Take the primary's address, at present {primary}; on ElastiCache the primary endpoint, which follows a failover."),
                None => "Take the primary's address; on ElastiCache the primary endpoint, which follows a failover.".into(),
            },
        ),
        ReplicaBehind { replica, bytes } => W::act(
            format!("The replica {replica} is {} behind: after a failover those logins and logouts would be undone.", mib(*bytes)),
            "See its load, its network and whether it is still copying everything (`INFO replication`).",
        ),
        ReplicaOf { primary } => W::fine(match primary {
            Some(primary) => format!("A replica of {primary}"),
            None => "A replica".into(),
        }),
        ReplicaUnlinked { primary } => W::act(
            format!("A replica without a link to its primary {}: what happens now would be missing after a failover to it.", primary.as_deref().unwrap_or_default()),
            "See its log: the network between the two, `masterauth`, TLS (`tls-replication`), or a primary too busy to copy everything.",
        ),
        Sentinel => W::act(
            "This is a Sentinel, which keeps no data.",
            "Write redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY, with all sentinels and the name of the primary; `SENTINEL MASTERS` says it.",
        ),
        NoSentinel => W::act(
            "The URL says sentinels, and this is none.",
            "Name the sentinels (port 26379 as a rule), or write redis://HOST:PORT for the server itself.",
        ),
        SentinelKnows { primary } => W::fine(format!("A sentinel; the primary is {primary}")),
        SentinelKnowsNone { primary } => W::act(
            format!("The sentinel knows no primary named {primary}."),
            "`SENTINEL MASTERS` says the names: the one in the URL must be the same, in upper and lower case too.",
        ),
        SentinelsDisagree { primary } => W::act(
            format!("The sentinel takes {primary} for the primary, and others don't."),
            "During a failover that passes. If it stays, see whether the sentinels reach each other (`SENTINEL SENTINELS`).",
        ),
        NoQuorum { error } => W::act(
            format!("The sentinels could not fail over now ({error})."),
            "Start those that are away; it takes a majority of them, and the quorum of `SENTINEL MONITOR`.",
        ),
        InfoDenied { error } => W::act(
            format!("This user may not ask for INFO ({error}): replicas, memory and persistence are not examined."),
            "Let it, with `+info`, or run this once more as another user.",
        ),

        NoCluster => W::fine("Not a cluster"),
        ClusterWhole { nodes, shards } => W::fine(format!(
            "A cluster in order: all 16384 slots served, {shards} shards, {nodes} nodes"
        )),
        ClusterDown { slots_ok } => W::act(
            format!("The cluster is down: this node counts {slots_ok} of 16384 slots as served."),
            "See which nodes are lost (`CLUSTER NODES`), bring them back, or fail over to their replicas.",
        ),
        SlotsMissing { assigned } => W::act(
            format!("Only {assigned} of 16384 slots have a node: the sessions of the others have no place."),
            "`redis-cli --cluster check HOST:PORT`, then `--cluster fix`.",
        ),
        UrlOfOne { shards } => W::act(
            format!("This is a node of a cluster of {shards} shards, and the URL names one server: most sessions would be refused with MOVED."),
            "Write redis+cluster://HOST:PORT,HOST:PORT (rediss+cluster:// with TLS) and name some of the nodes, or the configuration endpoint.",
        ),
        NoNodeOfACluster => W::act(
            "The URL says cluster, and this server is no node of one.",
            "Write redis://HOST:PORT (rediss:// with TLS) for one server.",
        ),
        NodesDisagree => W::act(
            "The node takes other servers for those that serve the slots than others do.",
            "During a failover or while slots move that passes. If it stays: `redis-cli --cluster check HOST:PORT`.",
        ),
        NoReplicaOf { primaries } => W::act(
            format!("There is no replica of {}: while it is away, so are its sessions, and without a file they are lost.", primaries.join(", ")),
            "Add replicas (`redis-cli --cluster add-node .. --cluster-slave`; ElastiCache: replicas per shard).",
        ),
        ClusterUnseen { error } => W::act(
            format!("This user may not ask for the state of the cluster ({error})."),
            "Let it, with `+cluster|info`, or run this once more as another user.",
        ),

        VersionTested { engine, version } => W::fine(format!("{engine} {version}")),
        VersionUntested { engine, version } => W::fine(format!(
            "{engine} {version}: should work, and is not among those that we test (Redis 6.2 and 7.0, Valkey 8.0 and 9.1)"
        )),
        VersionTooOld { engine, version } => W::act(
            format!("{engine} {version} is too old."),
            "It takes Redis 6.2 or Valkey 7.2 at least.",
        ),
        VersionUnknown => W::fine("It does not say which version it is; it takes Redis 6.2 or Valkey 7.2 at least"),
        ClockDiffers { by_ms } => W::act(
            format!("The clocks of the server and of this machine differ by {by_ms}. Sessions go by the server's alone; certificates and IAM tokens go by this machine's."),
            "Set the one that is wrong (`timedatectl`).",
        ),

        MemoryGood { used, limit, policy } => W::fine(format!("{} of {} used, {policy}", mib(*used), mib(*limit))),
        MemoryUnlimited { used } => W::act(
            format!("{} used, without a limit: a server that grows beyond its machine is killed.", mib(*used)),
            "Set `maxmemory` to what the machine can spare, with `maxmemory-policy noeviction`.",
        ),
        MemoryNearlyFull { used, limit, percent } => W::act(
            format!("{percent} % of the memory is used, {} of {}. Once it is full, nobody can log in.", mib(*used), mib(*limit)),
            "Raise `maxmemory`, or shorten the idle timeout of anonymous sessions.",
        ),
        MemoryFull { used, limit } => W::act(
            format!("The memory is full, {} of {}: reads and logouts go on, logins and writes are refused.", mib(*used), mib(*limit)),
            "Raise `maxmemory`, or make room: `redis-cli --bigkeys` shows what takes it.",
        ),
        Evicts { policy } => W::act(
            format!("The policy {policy} removes sessions at random when memory runs out, for every session has a time to live: people are logged out, and an index that goes ends all sessions of its user."),
            "Set `maxmemory-policy noeviction` (ElastiCache: in the parameter group) on a server for sessions alone, and alarm on its memory. Where it must evict, volatile-ttl is the lesser evil.",
        ),
        EvictsSoonest => W::act(
            "The policy volatile-ttl ends the sessions with the least life left when memory runs out.",
            "That is the lesser evil where a server must evict. Better: `maxmemory-policy noeviction`, and an alarm on memory.",
        ),
        MemoryUnseen => W::fine("Not examined: INFO is not permitted. Make sure of `maxmemory-policy noeviction`"),

        AppendOnly => W::fine("The append-only file is on"),
        Snapshots => W::act(
            "Snapshots only: after a crash the state is that of the last one. Logins since then are lost, and logouts are undone.",
            "Turn on the append-only file (`appendonly yes`), or have replicas and fail over.",
        ),
        NotPersisted { up_seconds } => W::act(
            format!("The append-only file is off, and no snapshot was written since the start {up_seconds} s ago: a restart logs everybody out."),
            "Turn on the append-only file (`appendonly yes`). On ElastiCache: replicas in several zones, with automatic failover.",
        ),
        PersistenceFailing { what } => W::act(
            format!("The last write to the disk failed ({what}): soon the server refuses writes."),
            "See its log, and the space and permissions of its folder.",
        ),
        PersistenceUnseen => W::fine("Not examined: INFO is not permitted"),

        AllPermitted { commands } => W::fine(format!("All {commands} commands that we use are permitted")),
        CommandsDenied { user, commands } => W::act(
            format!("The user {user} may not use {}.", commands.join(", ")),
            format!("On the server: `ACL SETUSER {user} {}`; {ACL}.", commands.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ")),
        ),
        KeysDenied { user, prefix } => W::act(
            format!("The user {user} may not touch keys that begin with {prefix}:"),
            format!("Name the prefix of your application with `--prefix`, or on the server: `ACL SETUSER {user} ~{prefix}:*`."),
        ),
        PermissionsUnseen { error } => W::fine(format!("Not examined: {error}")),

        Rehearsed { prefix } => W::fine(format!(
            "Under the prefix {prefix} a session was created, counted in, logged in, logged out, and one expired; nothing is left"
        )),
        NoReplicas => W::act(
            "The server refuses writes: it has fewer replicas in sight than it wants.",
            "Bring the replicas back, or lower `min-replicas-to-write`.",
        ),
        Misconfigured => W::act(
            "The server refuses writes, because it can't write its snapshot.",
            "See its log, and the space and permissions of its folder.",
        ),
        RehearsalFailed { action, error } => W::act(
            format!("It failed at {}: {error}", act(*action)),
            "What the rehearsal made expires within a minute. See the log of the server; if this says nothing to you, report it.",
        ),
        RehearsalWrong { action, expected, found } => W::act(
            format!("Wrong at {}: expected {expected}, found {found}.", act(*action)),
            "Something between changes commands or answers, or the server is not what it says. Please report it.",
        ),
        LeftBehind { keys } => W::act(
            format!("These keys are left: {}.", keys.join(" ")),
            "They expire within two minutes by themselves.",
        ),

        FolderFound { path } => W::fine(format!("{}, for its owner alone", path.display())),
        FolderMissing { path } => W::act(
            format!("{} is not there: nobody has started `cloakroom serve` with it yet.", path.display()),
            "Start it; or name another folder with `--data DIR`, or a server as in `cloakroom doctor redis://HOST:PORT`.",
        ),
        FolderNotAccessible { path, error } => W::act(
            format!("{} can't be used: {error}.", path.display()),
            "It takes a folder that this user may write to.",
        ),
        FolderOpen { path, mode } => W::act(
            format!("Other users of this machine may enter {} (mode {mode}).", path.display()),
            format!("`chmod 700 {}`", path.display()),
        ),
        KeyKept { path } => W::fine(format!("{}, for its owner alone", path.display())),
        KeyMissing { path } => W::fine(format!(
            "{} is not there: it is made at the start, or SECRET_KEY is used", path.display()
        )),
        KeyOpen { path, mode } => W::act(
            format!("Other users of this machine can read the key {} (mode {mode}): they can make a cookie for anybody.", path.display()),
            format!("`chmod 600 {0}`; if somebody may have read it, move it away: everybody logs in once more.", path.display()),
        ),
        SessionsOpened { records } => W::fine(format!("Whole, with {records} records")),
        SessionsInUse { holder } => W::fine(format!(
            "In use by {}, as it should be while a service runs",
            holder.map_or("another process".into(), |pid| format!("process {pid}"))
        )),
        SessionsNewer { error } => W::act(
            format!("{error}."),
            "Start the later version, or take another folder.",
        ),
        SessionsDamaged { error } => W::act(
            format!("{error}."),
            "Put a copy back, or move the file away to begin without sessions.",
        ),
        SessionsNotAccessible { error } => W::act(
            format!("{error}."),
            "See the owner and the permissions of what is in the folder.",
        ),
    }
}
