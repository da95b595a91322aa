//! The steps from a URL to a rehearsal, each taken with every server of the deployment.

use std::time::Duration;

use cloakroom::{Prefix, SessionId, TokenMint};
use cloakroom_redis::{Kind, Named, RedisSettings, Tls};

use crate::args::Doctor;
use crate::doctor::Book;
use crate::doctor::finding::{Finding, Hosts};
use crate::doctor::nodes::{self, Duty, Node, Terms};
use crate::doctor::{permissions, rehearsal, server, watch};

/// How many names are tried for a key that lies on a certain node of a cluster.
const TRIES: usize = 64;

pub(crate) fn examine(
    url: &str,
    named: &Named,
    args: &Doctor,
    terms: Terms<'_>,
    book: &mut Book,
) -> Option<()> {
    let timeout = terms.timeout;
    let mut nodes = Vec::new();
    book.step(|findings| {
        nodes = nodes::of(named, terms);
        findings.push(address_of(named, &nodes));
        if args.url.is_some() && named.password.is_some() {
            findings.push(Finding::PasswordVisible);
        }
        Ok(())
    })?;
    book.each(&mut nodes, |node, found| node.resolve(timeout).map(|it| found.push(it)))?;
    book.each(&mut nodes, |node, found| node.connect(timeout).map(|it| found.push(it)))?;
    book.each(&mut nodes, |node, found| node.greet(terms).map(|it| found.push(it)))?;
    book.each(&mut nodes, |node, found| node.log_in(timeout).map(|it| found.push(it)))?;
    book.each(&mut nodes, |node, found| {
        let user = node.target.user().to_owned();
        found.push(server::ping(&mut node.server(timeout)?.0, &user)?);
        Ok(())
    })?;
    let mut primaries = Vec::new();
    book.each(&mut nodes, |node, found| {
        if let (Duty::Sentinel, Kind::Sentinels { primary, .. }) = (node.duty, &named.kind) {
            found.extend(watch::over(node, primary, timeout, &mut primaries)?);
            return Ok(());
        }
        let may_be_replica = matches!(node.duty, Duty::Replica | Duty::Seed);
        let (mut server, about) = node.server(timeout)?;
        found.extend(server::role(&mut server, about, may_be_replica)?);
        Ok(())
    })?;
    // They have said what they know.
    nodes.retain(|node| node.duty != Duty::Sentinel);

    let mut maps = Vec::new();
    book.each(&mut nodes, |node, found| {
        let host = node.target.host();
        let (mut server, about) = node.server(timeout)?;
        if named.kind == Kind::Cluster {
            found.extend(watch::cluster(&mut server, about, &host, &mut maps)?);
        } else {
            found.push(server::cluster(&mut server, about)?);
        }
        Ok(())
    })?;
    book.each(&mut nodes, |node, found| {
        let (mut server, about) = node.server(timeout)?;
        found.extend(server::version(&mut server, about)?);
        Ok(())
    })?;
    book.each(&mut nodes, |node, found| {
        found.extend(server::memory(&node.about)?);
        Ok(())
    })?;
    book.each(&mut nodes, |node, found| {
        found.extend(server::persistence(&node.about));
        Ok(())
    })?;
    let (prefix, name) = names(args.prefix.clone());
    // A replica of a cluster sends away whoever names a key.
    nodes.retain(|node| named.kind != Kind::Cluster || node.duty != Duty::Replica);
    book.each(&mut nodes, |node, found| {
        found.push(may_do_all(node, &prefix, &named.kind, timeout)?);
        Ok(())
    })?;
    book.step(|found| {
        let tls = Tls { ca: terms.roots.pem().filter(|_| named.tls), client: None };
        let settings = RedisSettings { tls, ..RedisSettings::default() };
        found.push(rehearsal::rehearse(url, &settings, &prefix, &name, &mut nodes, timeout)?);
        Ok(())
    })
}

fn address_of(named: &Named, nodes: &[Node]) -> Finding {
    let user = named.password.as_ref().map(|_| named.user.as_deref().unwrap_or("default"));
    let (user, tls) = (user.map(ToOwned::to_owned), named.tls);
    let hosts: Vec<_> = named.hosts.iter().map(ToString::to_string).collect();
    let count = |duty| nodes.iter().filter(|node| node.duty == duty).count();
    let (primaries, replicas) = (count(Duty::Primary), count(Duty::Replica));
    match &named.kind {
        Kind::One => {
            Finding::AddressRead { server: hosts.join(","), tls, user, database: named.database }
        }
        Kind::Cluster => {
            Finding::ClusterRead { at: Hosts { hosts, tls, user }, primaries, replicas }
        }
        Kind::Sentinels { primary, .. } => {
            let primary = primary.clone();
            Finding::SentinelsRead { at: Hosts { hosts, tls, user }, primary, replicas }
        }
    }
}

/// The prefix of the rehearsal, and the name of a user who is nobody else's.
fn names(asked: Option<Prefix>) -> (Prefix, String) {
    let hash = fresh_id().map_or(String::new(), |id| id.hash().to_lowercase());
    let some: String = hash.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let prefix = asked.or_else(|| Prefix::new(format!("doctor-{some}")).ok()).unwrap_or_default();
    (prefix, format!("doctor-{some}"))
}

/// Without randomness the rehearsal says so.
fn fresh_id() -> Option<SessionId> {
    let mint = TokenMint::new(Prefix::default(), "doctor", None);
    mint.issue_anonymous().ok().map(|issued| issued.id)
}

fn may_do_all(
    node: &mut Node,
    prefix: &Prefix,
    kind: &Kind,
    timeout: Duration,
) -> Result<Finding, Finding> {
    let beside = match kind {
        Kind::One => &[],
        Kind::Cluster => permissions::ON_A_CLUSTER,
        Kind::Sentinels { .. } => permissions::BEHIND_SENTINELS,
    };
    let user = node.target.user().to_owned();
    let in_cluster = node.duty != Duty::Alone && node.about.is_cluster();
    let mut server = node.server(timeout)?.0;
    for left in (0..if in_cluster { TRIES } else { 1 }).rev() {
        let keys = fresh_id().map_or(Vec::new(), |id| rehearsal::keys(prefix, &id));
        let key = keys.into_iter().next().unwrap_or_else(|| format!("{}:doctor", prefix.as_str()));
        match permissions::permissions(&mut server, &user, prefix.as_str(), &key, beside)? {
            Finding::PermissionsUnseen { .. } if left > 0 => {}
            tried => return Ok(tried),
        }
    }
    Err(Finding::Closed)
}
