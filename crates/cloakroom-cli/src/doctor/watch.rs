//! What only several servers can tell: whom sentinels watch over, and whether the nodes of a cluster
//! agree on who serves what.

use std::time::Duration;

use redis::Value;

use crate::doctor::finding::Finding;
use crate::doctor::nodes::{Node, map_of, primary_of};
use crate::doctor::server::{self, About, Patient};
use crate::doctor::wire::error_in;

/// What a sentinel says of the primary of this name; `primaries` are those that others named.
pub(crate) fn over(
    sentinel: &mut Node,
    primary: &str,
    timeout: Duration,
    primaries: &mut Vec<String>,
) -> Result<Vec<Finding>, Finding> {
    if !sentinel.about.is_sentinel() {
        return Err(Finding::NoSentinel);
    }
    let Some((host, port)) = primary_of(sentinel, primary, timeout)? else {
        return Err(Finding::SentinelKnowsNone { primary: primary.to_owned() });
    };
    let named = format!("{host}:{port}");
    let mut findings = Vec::new();
    let agrees = primaries.first().is_none_or(|first| *first == named);
    primaries.push(named.clone());
    if !agrees {
        findings.push(Finding::SentinelsDisagree { primary: named });
    } else {
        findings.push(Finding::SentinelKnows { primary: named });
    }
    let said = sentinel.server(timeout)?.0.ask(&["SENTINEL", "CKQUORUM", primary])?;
    if let Some(error) = error_in(&said) {
        findings.push(Finding::NoQuorum { error });
    }
    Ok(findings)
}

/// What a node says of its cluster; `maps` are what others said about who serves what.
pub(crate) fn cluster(
    server: &mut Patient<'_>,
    about: &About,
    host: &str,
    maps: &mut Vec<Vec<Vec<(String, u16)>>>,
) -> Result<Vec<Finding>, Finding> {
    if !about.is_cluster() {
        return Err(Finding::NoNodeOfACluster);
    }
    let mut findings = vec![server::cluster_state(server)?];
    let said = server.ask(&["CLUSTER", "SLOTS"])?;
    if error_in(&said).is_some() || !matches!(said, Value::Array(_)) {
        return Ok(findings);
    }
    let mut map = map_of(&said);
    for shard in &mut map {
        // One that knows no name of its own is where it was asked.
        shard.iter_mut().filter(|(named, _)| named.is_empty()).for_each(|it| it.0 = host.into());
        shard.get_mut(1..).unwrap_or_default().sort();
    }
    map.sort();
    let first = maps.is_empty();
    if !first && !maps.contains(&map) {
        findings.push(Finding::NodesDisagree);
    }
    if first {
        let alone = map.iter().filter(|shard| shard.len() == 1);
        let mut alone: Vec<_> =
            alone.map(|shard| format!("{}:{}", shard[0].0, shard[0].1)).collect();
        alone.dedup();
        if !alone.is_empty() {
            findings.push(Finding::NoReplicaOf { primaries: alone });
        }
    }
    maps.push(map);
    Ok(findings)
}
