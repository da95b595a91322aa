//! The servers of a deployment: those that the URL names, and those that they name in turn.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use cloakroom_redis::{Host, Kind, Named};
use redis::Value;

use crate::doctor::finding::Finding;
use crate::doctor::network::{self, Greeted, Place, Roots, Target};
use crate::doctor::server::{self, About, Patient};
use crate::doctor::wire::{self, error_in, text_in};

/// What a server does in its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It is the only one that the URL names.
    Alone,
    Primary,
    /// Of a cluster, or behind sentinels.
    Replica,
    /// The URL names it, and no other server of the cluster does.
    Seed,
    Sentinel,
}

/// A server, and how far the examination has come with it.
pub(crate) struct Node {
    /// `HOST:PORT`
    pub(crate) name: String,
    pub(crate) duty: Duty,
    pub(crate) target: Target,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) connected: Option<Connected>,
    pub(crate) greeted: Option<Greeted>,
    pub(crate) about: About,
}

pub(crate) enum Connected {
    Tcp(TcpStream),
    Socket(wire::Stream),
}

impl Connected {
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().ok(),
            Self::Socket(_) => None,
        }
    }
}

/// What everything waits for, and whom it trusts.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) timeout: Duration,
    pub(crate) roots: &'a Roots,
}

impl Node {
    fn new(duty: Duty, target: Target) -> Self {
        Self {
            name: target.server(),
            duty,
            target,
            addresses: Vec::new(),
            connected: None,
            greeted: None,
            about: About::default(),
        }
    }

    fn at(duty: Duty, host: &Host, named: &Named) -> Self {
        let mut target = Target::of(host, named);
        if let (Duty::Sentinel, Kind::Sentinels { user, password, .. }) = (duty, &named.kind) {
            target.user = user.clone();
            target.password = password.clone();
            target.database = 0;
        }
        Self::new(duty, target)
    }

    pub(crate) fn resolve(&mut self, timeout: Duration) -> Result<Finding, Finding> {
        let Place::Network { host, port, .. } = &self.target.place else {
            return Ok(Finding::NameNotNeeded);
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            self.addresses = vec![(ip, *port).into()];
            return Ok(Finding::NameNotNeeded);
        }
        self.addresses = network::resolve(host, *port, timeout, network::by_the_system)?;
        let addresses = self.addresses.iter().map(SocketAddr::ip).collect();
        Ok(Finding::NameFound { host: host.clone(), addresses })
    }

    pub(crate) fn connect(&mut self, timeout: Duration) -> Result<Finding, Finding> {
        let connected = match &self.target.place {
            Place::Network { .. } => Connected::Tcp(network::connect(&self.addresses, timeout)?),
            Place::Socket(path) => Connected::Socket(network::connect_socket(path)?),
        };
        let address = connected.peer().map_or(self.name.clone(), |peer| peer.to_string());
        self.connected = Some(connected);
        Ok(Finding::Connected { address })
    }

    pub(crate) fn greet(&mut self, terms: Terms<'_>) -> Result<Finding, Finding> {
        let Terms { timeout, roots } = terms;
        let Some(connected) = self.connected.take() else { return Err(Finding::Closed) };
        let peer = connected.peer().map(|peer| peer.ip());
        let again = || network::connect(&self.addresses, timeout).ok();
        let (greeted, finding) = match (connected, &self.target.place) {
            (Connected::Tcp(tcp), Place::Network { host, tls: true, .. }) => {
                network::greet_under_tls(tcp, host, timeout, roots, again)?
            }
            (connected, _) => {
                let stream = match connected {
                    Connected::Tcp(tcp) => wire::Stream::Tcp(tcp),
                    Connected::Socket(stream) => stream,
                };
                let greeted = network::greet_plainly(stream, timeout, again)?;
                (greeted, peer.map_or(Finding::StaysHere, network::plain))
            }
        };
        self.greeted = Some(Greeted { peer, ..greeted });
        Ok(finding)
    }

    pub(crate) fn log_in(&mut self, timeout: Duration) -> Result<Finding, Finding> {
        let Some(greeted) = &mut self.greeted else { return Err(Finding::Closed) };
        let (about, finding) = server::log_in(greeted, &self.target, timeout)?;
        self.about = about;
        Ok(finding)
    }

    /// Who is asked from here on, and what is known of it.
    pub(crate) fn server(
        &mut self,
        timeout: Duration,
    ) -> Result<(Patient<'_>, &mut About), Finding> {
        let Some(greeted) = &mut self.greeted else { return Err(Finding::Closed) };
        Ok((Patient { line: &mut greeted.line, timeout }, &mut self.about))
    }

    fn ask(&mut self, command: &[&str], timeout: Duration) -> Result<Value, Finding> {
        self.server(timeout)?.0.ask(command)
    }

    /// All of the way, in silence.
    fn reach(&mut self, terms: Terms<'_>) -> Result<(), Finding> {
        self.resolve(terms.timeout)?;
        self.connect(terms.timeout)?;
        self.greet(terms)?;
        self.log_in(terms.timeout).map(drop)
    }
}

/// All servers of the deployment, as far as one of those that the URL names tells of the others. Why
/// none does is for the examination to say.
pub(crate) fn of(named: &Named, terms: Terms<'_>) -> Vec<Node> {
    let at = |duty| named.hosts.iter().map(move |host| Node::at(duty, host, named));
    match &named.kind {
        Kind::One => at(Duty::Alone).collect(),
        Kind::Cluster => {
            let mut seeds: Vec<_> = at(Duty::Seed).collect();
            let nodes = seeds.iter_mut().find_map(|seed| cluster_of(seed, named, terms));
            let mut nodes = nodes.unwrap_or_default();
            let known: Vec<_> = nodes.iter().flat_map(addresses_of).collect();
            let is_new = |seed: &Node| !addresses_of(seed).iter().any(|it| known.contains(it));
            // Those that were asked have come somewhere; all begin anew.
            nodes.extend(at(Duty::Seed).filter(is_new));
            nodes
        }
        Kind::Sentinels { primary, .. } => {
            let mut sentinels: Vec<_> = at(Duty::Sentinel).collect();
            let servers = sentinels.iter_mut().find_map(|it| watched_by(it, primary, named, terms));
            at(Duty::Sentinel).chain(servers.unwrap_or_default()).collect()
        }
    }
}

/// Where a name leads, as far as that can be found out quickly.
fn addresses_of(node: &Node) -> Vec<SocketAddr> {
    match &node.target.place {
        Place::Network { host, port, .. } => {
            network::by_the_system(host, *port).unwrap_or_default()
        }
        Place::Socket(_) => Vec::new(),
    }
}

fn cluster_of(seed: &mut Node, named: &Named, terms: Terms<'_>) -> Option<Vec<Node>> {
    seed.reach(terms).ok()?;
    let map = seed.ask(&["CLUSTER", "SLOTS"], terms.timeout).ok()?;
    let asked = match &seed.target.place {
        Place::Network { host, .. } => host.clone(),
        Place::Socket(_) => return None,
    };
    let mut nodes: Vec<Node> = Vec::new();
    for (place, servers) in map_of(&map).into_iter().flat_map(|shard| (0..).zip(shard)) {
        let host = if servers.0.is_empty() { asked.clone() } else { servers.0 };
        let duty = if place == 0 { Duty::Primary } else { Duty::Replica };
        let node = Node::at(duty, &Host::Network(host, servers.1), named);
        if !nodes.iter().any(|known| known.name == node.name) {
            nodes.push(node);
        }
    }
    (!nodes.is_empty()).then_some(nodes)
}

/// The servers of each range of slots in an answer to `CLUSTER SLOTS`, the primary first.
pub(crate) fn map_of(map: &Value) -> Vec<Vec<(String, u16)>> {
    let Value::Array(ranges) = map else { return Vec::new() };
    let server = |value: &Value| {
        let Value::Array(words) = value else { return None };
        let port = words.get(1).and_then(text_in)?.parse().ok()?;
        // "?" where a name is preferred and the node has none.
        let host = words.first().and_then(text_in).filter(|host| host != "?");
        Some((host.unwrap_or_default(), port))
    };
    let servers = |range: &Value| match range {
        Value::Array(words) => words.iter().skip(2).filter_map(server).collect(),
        _ => Vec::new(),
    };
    ranges.iter().map(servers).collect()
}

/// The primary of this name and its replicas.
fn watched_by(
    sentinel: &mut Node,
    primary: &str,
    named: &Named,
    terms: Terms<'_>,
) -> Option<Vec<Node>> {
    sentinel.reach(terms).ok()?;
    let (host, port) = primary_of(sentinel, primary, terms.timeout).ok()??;
    let mut nodes = vec![Node::at(Duty::Primary, &Host::Network(host, port), named)];
    let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", primary], terms.timeout).ok()?;
    if let Value::Array(replicas) = replicas {
        for replica in replicas.iter().map(server::pairs) {
            let host = replica.get("ip").cloned();
            let port = replica.get("port").and_then(|port| port.parse().ok());
            let host = host.zip(port).map(|(host, port)| Host::Network(host, port));
            nodes.extend(host.map(|host| Node::at(Duty::Replica, &host, named)));
        }
    }
    Some(nodes)
}

/// Whom a sentinel takes for the primary of this name.
pub(crate) fn primary_of(
    sentinel: &mut Node,
    primary: &str,
    timeout: Duration,
) -> Result<Option<(String, u16)>, Finding> {
    let said = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary], timeout)?;
    if let Some(error) = error_in(&said) {
        return Err(Finding::LoginRefused { error });
    }
    let Value::Array(words) = said else { return Ok(None) };
    let word = |place: usize| words.get(place).and_then(text_in);
    Ok(word(0).zip(word(1).and_then(|port| port.parse().ok())))
}
