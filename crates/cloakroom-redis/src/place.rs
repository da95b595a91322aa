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
    pub(crate) async fn line(&self, slot: u16) -> Result<Line, RedisError> {
        match self {
            Self::One(line) => Ok(line.clone()),
            Self::Cluster(cluster) => cluster.line(slot).await,
            Self::Sentinels(sentinels) => sentinels.line().await,
        }
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
