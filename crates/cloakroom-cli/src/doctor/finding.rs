//! What can be found, with a code that stays, and how bad it is. What a person reads of it stands in
//! `language/english.rs` and `language/japanese.rs`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A part of the examination, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Address,
    Name,
    Connection,
    Encryption,
    Login,
    Ping,
    Role,
    Cluster,
    Version,
    Memory,
    Persistence,
    Permissions,
    Rehearsal,
    Folder,
    Key,
    Sessions,
}

impl Part {
    /// What is looked at in a server.
    pub(crate) const OF_A_SERVER: [Self; 13] = [
        Self::Address,
        Self::Name,
        Self::Connection,
        Self::Encryption,
        Self::Login,
        Self::Ping,
        Self::Role,
        Self::Cluster,
        Self::Version,
        Self::Memory,
        Self::Persistence,
        Self::Permissions,
        Self::Rehearsal,
    ];

    /// What is looked at in a folder.
    pub(crate) const OF_A_FOLDER: [Self; 3] = [Self::Folder, Self::Key, Self::Sessions];

    /// Its name for programs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Encryption => "encryption",
            Self::Login => "login",
            Self::Ping => "ping",
            Self::Role => "role",
            Self::Cluster => "cluster",
            Self::Version => "version",
            Self::Memory => "memory",
            Self::Persistence => "persistence",
            Self::Permissions => "permissions",
            Self::Rehearsal => "rehearsal",
            Self::Folder => "folder",
            Self::Key => "key",
            Self::Sessions => "sessions",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and will hurt some day.
    Warning,
    /// It doesn't work. Nothing further is tried.
    Failure,
}

/// A length of time; milliseconds for programs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ms(pub(crate) Duration);

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Microseconds are as exact as it gets.
        serializer.serialize_f64(self.0.as_micros() as f64 / 1000.0)
    }
}

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1000.0;
        match ms {
            ms if ms < 0.995 => write!(f, "{ms:.2} ms"),
            ms if ms < 9.95 => write!(f, "{ms:.1} ms"),
            ms if ms < 9999.5 => write!(f, "{ms:.0} ms"),
            ms => write!(f, "{:.0} s", ms / 1000.0),
        }
    }
}

/// An action of the rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    Create,
    Count,
    LogIn,
    LogOut,
    Expire,
    TidyUp,
}

/// Several servers, and how they are spoken to.
#[derive(Debug, Serialize)]
pub(crate) struct Hosts {
    pub(crate) hosts: Vec<String>,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
}

/// What was found. The fields are the details that programs get.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Finding {
    // What was found of these servers of several.
    At { nodes: Vec<String>, all: bool, what: Box<Self> },
    // The others can do without this server, which is not looked at any further.
    LeftOut { why: Box<Self> },

    AddressRead { server: String, tls: bool, user: Option<String>, database: i64 },
    ClusterRead { at: Hosts, primaries: usize, replicas: usize },
    SentinelsRead { at: Hosts, primary: String, replicas: usize },
    PasswordVisible,

    NameFound { host: String, addresses: Vec<IpAddr> },
    NameNotNeeded,
    NameUnknown { host: String, error: String },
    NameSilent { host: String, within_ms: Ms },

    Connected { address: String },
    Refused { address: String },
    NoAnswer { address: String, port: u16, within_ms: Ms },
    Unreachable { address: String, error: String },
    NoSocket { path: PathBuf },
    ConnectFailed { address: String, error: String },

    Encrypted { protocol: String, cipher: String },
    StaysHere,
    Plain,
    TlsNeeded,
    TlsNotSpoken,
    UnknownIssuer,
    WrongName { host: String, presented: Vec<String> },
    Expired { since: String, now: String },
    NotYetValid { from: String, now: String },
    ClientCertificate,
    NoCommonProtocol { error: String },
    NoRoots { error: String },
    TlsFailed { error: String },

    Silent { within_ms: Ms },
    Closed,
    NotRedis,

    LoggedIn { user: String },
    NoPasswordNeeded,
    Open,
    PasswordMissing,
    PasswordWrong { user: String },
    IamExpired { ago_ms: Ms },
    IamRefused { user: String },
    ProtectedMode,
    TooManyClients,
    Loading,
    Busy,
    NoHello { error: String },
    NoDatabase { database: i64, error: String },
    LoginRefused { error: String },

    Quick { count: usize, p50_ms: Ms, p90_ms: Ms, p99_ms: Ms, max_ms: Ms },
    Slow { count: usize, p50_ms: Ms, p90_ms: Ms, p99_ms: Ms, max_ms: Ms },
    PingDenied { user: String },

    Primary { replicas: Option<u64> },
    Replica { primary: Option<String> },
    ReplicaBehind { replica: String, bytes: u64 },
    ReplicaOf { primary: Option<String> },
    ReplicaUnlinked { primary: Option<String> },
    Sentinel,
    NoSentinel,
    SentinelKnows { primary: String },
    SentinelKnowsNone { primary: String },
    SentinelsDisagree { primary: String },
    NoQuorum { error: String },
    InfoDenied { error: String },

    NoCluster,
    ClusterWhole { nodes: u64, shards: u64 },
    ClusterDown { slots_ok: u64 },
    SlotsMissing { assigned: u64 },
    ClusterUnseen { error: String },
    UrlOfOne { shards: u64 },
    NoNodeOfACluster,
    NodesDisagree,
    NoReplicaOf { primaries: Vec<String> },

    VersionTested { engine: String, version: String },
    VersionUntested { engine: String, version: String },
    VersionTooOld { engine: String, version: String },
    VersionUnknown,
    ClockDiffers { by_ms: Ms },

    MemoryGood { used: u64, limit: u64, policy: String },
    MemoryUnlimited { used: u64 },
    MemoryNearlyFull { used: u64, limit: u64, percent: u64 },
    MemoryFull { used: u64, limit: u64 },
    Evicts { policy: String },
    EvictsSoonest,
    MemoryUnseen,

    AppendOnly,
    Snapshots,
    NotPersisted { up_seconds: u64 },
    PersistenceFailing { what: String },
    PersistenceUnseen,

    AllPermitted { commands: usize },
    CommandsDenied { user: String, commands: Vec<String> },
    KeysDenied { user: String, prefix: String },
    PermissionsUnseen { error: String },

    Rehearsed { prefix: String },
    NoReplicas,
    Misconfigured,
    RehearsalFailed { action: Act, error: String },
    RehearsalWrong { action: Act, expected: String, found: String },
    LeftBehind { keys: Vec<String> },

    FolderFound { path: PathBuf },
    FolderMissing { path: PathBuf },
    FolderNotAccessible { path: PathBuf, error: String },
    FolderOpen { path: PathBuf, mode: String },
    KeyKept { path: PathBuf },
    KeyMissing { path: PathBuf },
    KeyOpen { path: PathBuf, mode: String },
    SessionsOpened { records: usize },
    SessionsInUse { holder: Option<u32> },
    SessionsNewer { error: String },
    SessionsDamaged { error: String },
    SessionsNotAccessible { error: String },
}

impl Finding {
    /// Its name for programs, which stays, and how bad it is.
    pub(crate) fn code(&self) -> (&'static str, Verdict) {
        use Verdict::{Failure, Note, Ok, Warning};
        match self {
            Self::At { what, .. } => what.code(),
            Self::LeftOut { .. } => ("node.left_out", Warning),

            Self::AddressRead { .. } => ("address.read", Ok),
            Self::ClusterRead { .. } => ("address.cluster", Ok),
            Self::SentinelsRead { .. } => ("address.sentinels", Ok),
            Self::PasswordVisible => ("address.password_visible", Warning),

            Self::NameFound { .. } => ("name.found", Ok),
            Self::NameNotNeeded => ("name.not_needed", Ok),
            Self::NameUnknown { .. } => ("name.unknown", Failure),
            Self::NameSilent { .. } => ("name.silent", Failure),

            Self::Connected { .. } => ("tcp.connected", Ok),
            Self::Refused { .. } => ("tcp.refused", Failure),
            Self::NoAnswer { .. } => ("tcp.no_answer", Failure),
            Self::Unreachable { .. } => ("tcp.unreachable", Failure),
            Self::NoSocket { .. } => ("tcp.no_socket", Failure),
            Self::ConnectFailed { .. } => ("tcp.failed", Failure),

            Self::Encrypted { .. } => ("tls.good", Ok),
            Self::StaysHere => ("tls.not_needed", Ok),
            Self::Plain => ("tls.missing", Note),
            Self::TlsNeeded => ("tls.needed", Failure),
            Self::TlsNotSpoken => ("tls.not_spoken", Failure),
            Self::UnknownIssuer => ("tls.unknown_issuer", Failure),
            Self::WrongName { .. } => ("tls.wrong_name", Failure),
            Self::Expired { .. } => ("tls.expired", Failure),
            Self::NotYetValid { .. } => ("tls.not_yet_valid", Failure),
            Self::ClientCertificate => ("tls.client_certificate", Failure),
            Self::NoCommonProtocol { .. } => ("tls.no_common_protocol", Failure),
            Self::NoRoots { .. } => ("tls.no_roots", Failure),
            Self::TlsFailed { .. } => ("tls.failed", Failure),

            Self::Silent { .. } => ("server.silent", Failure),
            Self::Closed => ("server.closed", Failure),
            Self::NotRedis => ("server.not_redis", Failure),

            Self::LoggedIn { .. } => ("login.done", Ok),
            Self::NoPasswordNeeded => ("login.not_needed", Ok),
            Self::Open => ("login.open", Warning),
            Self::PasswordMissing => ("login.missing", Failure),
            Self::PasswordWrong { .. } => ("login.wrong", Failure),
            Self::IamExpired { .. } => ("login.iam_expired", Failure),
            Self::IamRefused { .. } => ("login.iam_refused", Failure),
            Self::ProtectedMode => ("login.protected_mode", Failure),
            Self::TooManyClients => ("login.too_many_clients", Failure),
            Self::Loading => ("login.loading", Failure),
            Self::Busy => ("login.busy", Failure),
            Self::NoHello { .. } => ("login.no_hello", Failure),
            Self::NoDatabase { .. } => ("login.no_database", Failure),
            Self::LoginRefused { .. } => ("login.refused", Failure),

            Self::Quick { .. } => ("ping.quick", Ok),
            Self::Slow { .. } => ("ping.slow", Warning),
            Self::PingDenied { .. } => ("ping.denied", Failure),

            Self::Primary { .. } => ("role.primary", Ok),
            Self::Replica { .. } => ("role.replica", Failure),
            Self::ReplicaBehind { .. } => ("role.replica_behind", Warning),
            Self::ReplicaOf { .. } => ("role.copy", Ok),
            Self::ReplicaUnlinked { .. } => ("role.copy_unlinked", Warning),
            Self::Sentinel => ("role.sentinel", Failure),
            Self::NoSentinel => ("sentinel.none", Failure),
            Self::SentinelKnows { .. } => ("sentinel.knows", Ok),
            Self::SentinelKnowsNone { .. } => ("sentinel.knows_none", Failure),
            Self::SentinelsDisagree { .. } => ("sentinel.disagrees", Warning),
            Self::NoQuorum { .. } => ("sentinel.no_quorum", Warning),
            Self::InfoDenied { .. } => ("role.info_denied", Note),

            Self::NoCluster => ("cluster.none", Ok),
            Self::ClusterWhole { .. } => ("cluster.whole", Ok),
            Self::ClusterDown { .. } => ("cluster.down", Failure),
            Self::SlotsMissing { .. } => ("cluster.slots_missing", Failure),
            Self::ClusterUnseen { .. } => ("cluster.unseen", Note),
            Self::UrlOfOne { .. } => ("cluster.url_of_one", Failure),
            Self::NoNodeOfACluster => ("cluster.not_one", Failure),
            Self::NodesDisagree => ("cluster.disagrees", Warning),
            Self::NoReplicaOf { .. } => ("cluster.no_replica", Note),

            Self::VersionTested { .. } => ("version.tested", Ok),
            Self::VersionUntested { .. } => ("version.untested", Note),
            Self::VersionTooOld { .. } => ("version.too_old", Failure),
            Self::VersionUnknown => ("version.unknown", Note),
            Self::ClockDiffers { .. } => ("version.clock_differs", Note),

            Self::MemoryGood { .. } => ("memory.good", Ok),
            Self::MemoryUnlimited { .. } => ("memory.unlimited", Note),
            Self::MemoryNearlyFull { .. } => ("memory.nearly_full", Warning),
            Self::MemoryFull { .. } => ("memory.full", Failure),
            Self::Evicts { .. } => ("memory.evicts", Warning),
            Self::EvictsSoonest => ("memory.evicts_soonest", Note),
            Self::MemoryUnseen => ("memory.unseen", Note),

            Self::AppendOnly => ("persistence.append_only", Ok),
            Self::Snapshots => ("persistence.snapshots", Note),
            Self::NotPersisted { .. } => ("persistence.none", Warning),
            Self::PersistenceFailing { .. } => ("persistence.failing", Warning),
            Self::PersistenceUnseen => ("persistence.unseen", Note),

            Self::AllPermitted { .. } => ("permissions.all", Ok),
            Self::CommandsDenied { .. } => ("permissions.commands_denied", Failure),
            Self::KeysDenied { .. } => ("permissions.keys_denied", Failure),
            Self::PermissionsUnseen { .. } => ("permissions.unseen", Note),

            Self::Rehearsed { .. } => ("rehearsal.done", Ok),
            Self::NoReplicas => ("rehearsal.no_replicas", Failure),
            Self::Misconfigured => ("server.not_saving", Failure),
            Self::RehearsalFailed { .. } => ("rehearsal.failed", Failure),
            Self::RehearsalWrong { .. } => ("rehearsal.wrong", Failure),
            Self::LeftBehind { .. } => ("rehearsal.left_behind", Warning),

            Self::FolderFound { .. } => ("folder.found", Ok),
            Self::FolderMissing { .. } => ("folder.missing", Note),
            Self::FolderNotAccessible { .. } => ("folder.not_accessible", Failure),
            Self::FolderOpen { .. } => ("folder.open_to_others", Warning),
            Self::KeyKept { .. } => ("key.kept", Ok),
            Self::KeyMissing { .. } => ("key.missing", Note),
            Self::KeyOpen { .. } => ("key.open_to_others", Failure),
            Self::SessionsOpened { .. } => ("sessions.opened", Ok),
            Self::SessionsInUse { .. } => ("sessions.in_use", Note),
            Self::SessionsNewer { .. } => ("sessions.newer", Failure),
            Self::SessionsDamaged { .. } => ("sessions.damaged", Failure),
            Self::SessionsNotAccessible { .. } => ("sessions.not_accessible", Failure),
        }
    }

    /// How bad it is.
    pub(crate) fn verdict(&self) -> Verdict {
        self.code().1
    }
}

/// A part that was looked at, or, without findings, was not.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) part: Part,
    pub(crate) took: Ms,
    pub(crate) findings: Vec<Finding>,
}

impl Step {
    /// The worst of what was found; none if it was not tried.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.findings.iter().map(Finding::verdict).max()
    }
}
