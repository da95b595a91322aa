//! A short stretch of one scene at one server, and what it cost.

use std::time::Duration;

use bench::load::{Answers, Plan, Visitors};
use bench::system;
use testbed::Server;

use crate::variant::Running;

/// What the system had to say before or after.
struct Look {
    server: Duration,
    redis: Duration,
    us: Duration,
    busy: Vec<Duration>,
}

/// Where everything runs.
pub(crate) struct Stage {
    pub(crate) redis: Server,
    /// The server's core, and that of Redis and of who loads; `None` if processes can't be pinned.
    pub(crate) cores: Option<[usize; 2]>,
}

/// What a slice cost; times are for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// Processor time of the server, in microseconds.
    pub(crate) server: f64,
    /// Of Redis.
    pub(crate) redis: f64,
    /// Answers in a second.
    pub(crate) rate: f64,
    /// From request to answer, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Bytes of an answer.
    pub(crate) bytes: f64,
    /// The share of a core that strangers had, of the core where it was more.
    pub(crate) strangers: f64,
    /// Answers that were no success, such as 503.
    pub(crate) failures: usize,
}

/// A slice is noisy if strangers had more than this share of one of its cores, or an answer failed.
pub(crate) const NOISY: f64 = 0.1;

impl Slice {
    pub(crate) fn is_noisy(&self) -> bool {
        self.strangers > NOISY || self.failures > 0
    }
}

impl Stage {
    fn look(&self, at: &Running) -> Look {
        Look {
            server: system::ran(at.program.pid()),
            redis: system::ran(self.redis.pid()),
            us: system::ran_alone(std::process::id()),
            busy: self.cores.map_or(Vec::new(), |cores| system::busy(&cores)),
        }
    }

    /// Lets visitors send for a moment, so that connections are open and caches warm.
    pub(crate) fn warm(&self, at: &Running, visitors: &mut Visitors, requests: &[Vec<u8>]) {
        let plan = Plan::Own(Duration::from_millis(40));
        visitors.send(requests, plan).unwrap_or_else(|error| at.fail(error));
    }

    /// Lets visitors send, and says what that cost.
    pub(crate) fn slice(
        &self,
        at: &Running,
        visitors: &mut Visitors,
        requests: &[Vec<u8>],
        plan: Plan,
    ) -> (Slice, Answers) {
        let before = self.look(at);
        let answers = visitors.send(requests, plan).unwrap_or_else(|error| at.fail(error));
        let after = self.look(at);
        // On a machine that is too busy a store may run out of patience now and then.
        if answers.failures == answers.took.len() {
            at.fail(format_args!("{} of {} failed", answers.failures, answers.took.len()));
        }

        let count = answers.took.len() as f64;
        let (server, redis) = (after.server - before.server, after.redis - before.redis);
        let us = after.us - before.us;
        let wall = answers.wall.as_secs_f64();
        let busy = |core: usize| {
            let of = |look: &Look| look.busy.get(core).copied().unwrap_or_default();
            (of(&after) - of(&before)).as_secs_f64()
        };
        let strangers = [(0, server), (1, redis + us)]
            .map(|(core, ours)| ((busy(core) - ours.as_secs_f64()) / wall).max(0.0));
        let mut took = answers.took.clone();
        took.sort_unstable();
        let at = |share: f64| took[(took.len() as f64 * share) as usize] as f64 / 1e6;
        let slice = Slice {
            server: server.as_secs_f64() * 1e6 / count,
            redis: redis.as_secs_f64() * 1e6 / count,
            rate: count / wall,
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            bytes: answers.bytes as f64 / count,
            strangers: strangers[0].max(strangers[1]),
            failures: answers.failures,
        };
        (slice, answers)
    }
}
