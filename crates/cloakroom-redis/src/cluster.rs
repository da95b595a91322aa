//! A cluster: which node serves which slot, and the line to it.
//!
//! The map is read at the first use and after that once in a while, at a redirect, and when a node
//! fails; always by one task for all, from whichever node answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{ConnectionAddr, RedisError, Value};
use tokio::time::Instant;

use crate::asking::Round;
use crate::backoff::random;
use crate::flight::Flight;
use crate::line::{Dial, Line};
use crate::slot;

#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    dial: Arc<Dial>,
    /// Where to ask while nothing is known.
    seeds: Vec<(String, u16)>,
    every: Duration,
    within: Duration,
    map: Mutex<Map>,
    flight: Flight,
}

#[derive(Default)]
struct Map {
    lines: HashMap<(String, u16), Line>,
    /// By slot; empty before the first reading.
    owners: Vec<Option<Line>>,
    read_at: Option<Instant>,
    /// Why the last reading failed.
    failure: Option<RedisError>,
}

impl Cluster {
    pub(crate) fn new(
        dial: Dial,
        seeds: Vec<(String, u16)>,
        every: Duration,
        within: Duration,
    ) -> Self {
        let (dial, map) = (Arc::new(dial), Mutex::default());
        Self(Arc::new(Inner { dial, seeds, every, within, map, flight: Flight::new() }))
    }

    /// The line to the node that serves the slot, as far as is known.
    pub(crate) async fn line(&self, slot: u16) -> Result<Line, RedisError> {
        let is_due = {
            let map = self.lock();
            map.read_at.map(|read_at| read_at.elapsed() > self.0.every)
        };
        match is_due {
            None => self.read_anew().await,
            Some(true) => self.doubt(),
            Some(false) => {}
        }
        let map = self.lock();
        let owner = map.owners.get(usize::from(slot)).cloned().flatten();
        owner.ok_or_else(|| {
            let unserved = || std::io::Error::other(format!("no node serves slot {slot}")).into();
            map.failure.clone().unwrap_or_else(unserved)
        })
    }

    /// The nodes that serve slots, as far as is known.
    pub(crate) async fn primaries(&self) -> Result<Vec<Line>, RedisError> {
        self.line(0).await?;
        let mut primaries = Vec::<Line>::new();
        for owner in self.lock().owners.iter().flatten() {
            if !primaries.iter().any(|known| known.addr() == owner.addr()) {
                primaries.push(owner.clone());
            }
        }
        Ok(primaries)
    }

    /// A node to which another one sent us. Without a host it is where that other one is.
    pub(crate) fn at(&self, node: &str, from: &Line) -> Option<Line> {
        let (host, port) = node.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = if host.is_empty() { host_of(from.addr()) } else { host };
        Some(self.lock().line_to(&self.0.dial, host, port))
    }

    /// A node says that another serves the slot now.
    pub(crate) fn learn(&self, slot: u16, owner: Line) {
        if let Some(known) = self.lock().owners.get_mut(usize::from(slot)) {
            *known = Some(owner);
        }
        self.doubt();
    }

    /// The map may be out of date: it is read in the background.
    pub(crate) fn doubt(&self) {
        self.0.flight.begin(self.clone().read());
    }

    /// Reads the map, and waits until that was done.
    pub(crate) async fn read_anew(&self) {
        self.0.flight.join(self.clone().read()).await;
    }

    async fn read(self) {
        let mut question = redis::pipe();
        question.cmd("CLUSTER").arg("SLOTS");
        let mut round = Round::of(self.to_be_asked(), question, self.0.within);
        while let Some((asked, answer)) = round.next().await {
            let ranges = answer.and_then(|answer| {
                ranges(&answer, host_of(asked.addr())).ok_or_else(|| {
                    std::io::Error::other("CLUSTER SLOTS was answered in an unknown form").into()
                })
            });
            match ranges {
                Ok(ranges) => return self.lock().replace(&self.0.dial, &ranges),
                Err(error) => self.lock().failure = Some(error),
            }
        }
        tracing::warn!(
            event = "topology_unknown",
            cluster = ?self.0.seeds,
            "no node of the cluster says which serves what"
        );
    }

    /// The nodes that are known, begun at any of them, and then those in the URL.
    fn to_be_asked(&self) -> Vec<Line> {
        let mut map = self.lock();
        let mut lines: Vec<Line> = map.lines.values().cloned().collect();
        // Less than the length, for random() is less than 1; no precision is lost on a few nodes.
        let first = (random() * lines.len() as f64) as usize;
        lines.rotate_left(first);
        for (host, port) in &self.0.seeds {
            if !map.lines.contains_key(&(host.clone(), *port)) {
                lines.push(map.line_to(&self.0.dial, host, *port));
            }
        }
        lines
    }

    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Map> {
        self.0.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn line_to(&mut self, dial: &Arc<Dial>, host: &str, port: u16) -> Line {
        let key = (host.to_owned(), port);
        self.lines.entry(key).or_insert_with(|| dial.to(host, port)).clone()
    }

    fn replace(&mut self, dial: &Arc<Dial>, ranges: &[Range]) {
        let mut owners = vec![None; usize::from(slot::COUNT)];
        for Range { first, last, host, port } in ranges {
            let line = self.line_to(dial, host, *port);
            if let Some(slots) = owners.get_mut(usize::from(*first)..=usize::from(*last)) {
                slots.fill(Some(line));
            }
        }
        self.lines.retain(|(host, port), _| {
            ranges.iter().any(|range| range.host == *host && range.port == *port)
        });
        self.owners = owners;
        self.read_at = Some(Instant::now());
        self.failure = None;
    }
}

/// Slots that one node serves.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    host: String,
    port: u16,
}

/// The primaries in an answer to `CLUSTER SLOTS`. A node that knows no name or address of its own
/// leaves it empty: it is where it was `asked`.
fn ranges(answer: &Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let read = |range: &Value| {
        let Value::Array(words) = range else { return None };
        let [first, last, Value::Array(primary), ..] = words.as_slice() else { return None };
        let [host, port, ..] = primary.as_slice() else { return None };
        let host = match host {
            Value::BulkString(host) => std::str::from_utf8(host).ok()?,
            Value::SimpleString(host) => host,
            _ => "",
        };
        // "?" where a name is preferred and the node has none.
        let host = if matches!(host, "" | "?") { asked } else { host }.to_owned();
        let (first, last) = (number(first)?, number(last)?);
        let fits = first <= last && last < slot::COUNT;
        fits.then_some(Range { first, last, host, port: number(port)? })
    };
    ranges.iter().map(read).collect()
}

fn host_of(addr: &ConnectionAddr) -> &str {
    match addr {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "",
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("seeds", &self.0.seeds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(words.into_iter().collect())
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_map_names_the_primary_of_each_range() {
        let node = |host: Value, port| words([host, Value::Int(port), text("id"), words([])]);
        let range = |first, last, nodes: [Value; 2]| {
            words([Value::Int(first), Value::Int(last)].into_iter().chain(nodes))
        };
        let answer = words([
            range(0, 99, [node(text("10.0.0.1"), 1), node(text("10.0.0.2"), 2)]),
            range(100, 100, [node(text(""), 3), node(text("x"), 4)]),
            range(101, 200, [node(Value::Nil, 5), node(text("x"), 6)]),
            range(201, 16383, [node(text("?"), 7), node(text("x"), 8)]),
        ]);
        let read = |first, last, host: &str, port| Range { first, last, host: host.into(), port };
        assert_eq!(
            ranges(&answer, "asked").unwrap(),
            [
                read(0, 99, "10.0.0.1", 1),
                read(100, 100, "asked", 3),
                read(101, 200, "asked", 5),
                read(201, 16383, "asked", 7),
            ]
        );
        for (first, last) in [(2, 1), (0, 16384), (-1, 0)] {
            let node = || node(text("x"), 1);
            assert_eq!(ranges(&words([range(first, last, [node(), node()])]), "asked"), None);
        }
        assert_eq!(ranges(&Value::Okay, "asked"), None);
    }
}
