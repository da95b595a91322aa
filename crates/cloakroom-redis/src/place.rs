//! Where a call goes: to the one server, to a node of the cluster, or to the primary that the sentinels
//! name.

use redis::RedisError;

use crate::cluster::Cluster;
use crate::line::Line;
use crate::sentinel::Sentinels;

#[derive(Clone, Debug)]
pub(crate) enum Place {
    One(Line),
    Cluster(Cluster),
    Sentinels(Sentinels),
}

impl Place {
    /// The line on which calls of this slot are sent.
    pub(crate) async fn line(&self, slot: impl Fn() -> u16) -> Result<Line, RedisError> {
        match self {
            Self::One(line) => Ok(line.clone()),
            Self::Cluster(cluster) => Box::pin(cluster.line(slot())).await,
            Self::Sentinels(sentinels) => Box::pin(sentinels.line()).await,
        }
    }

    /// The nodes that keep sessions, and their names, in an order that stays.
    pub(crate) async fn nodes(&self) -> Result<Vec<(String, Line)>, RedisError> {
        let nodes = match self {
            Self::One(_) | Self::Sentinels(_) => vec![self.line(|| 0).await?],
            Self::Cluster(cluster) => cluster.primaries().await?,
        };
        let mut nodes: Vec<_> =
            nodes.into_iter().map(|line| (line.addr().to_string(), line)).collect();
        nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(nodes)
    }

    /// Something is wrong with it: whether there is another is found out in the background.
    pub(crate) fn doubt(&self) {
        match self {
            Self::One(_) => {}
            Self::Cluster(cluster) => cluster.doubt(),
            Self::Sentinels(sentinels) => sentinels.doubt(),
        }
    }

    /// Finds out, and waits until that is done.
    pub(crate) async fn find_anew(&self) {
        match self {
            Self::One(_) => {}
            Self::Cluster(cluster) => cluster.read_anew().await,
            Self::Sentinels(sentinels) => sentinels.ask_anew().await,
        }
    }
}
