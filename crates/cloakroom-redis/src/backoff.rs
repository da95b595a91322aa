//! How long to rest before trying again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::settings::Backoff;

impl Backoff {
    /// Between two tries of one call, inside its patience.
    pub(crate) const OF_A_CALL: Self =
        Self { first: Duration::from_millis(2), at_most: Duration::from_millis(40) };

    /// The rest after so many failures in a row.
    pub(crate) fn rest(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.first.saturating_mul(1 << doublings).min(self.at_most);
        longest.mul_f64(random())
    }
}

/// From 0 to 1. No secret hangs on it, and std's hasher is seeded anew each time.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves R66.
    #[test]
    fn rests_grow_to_their_limit_and_are_spread() {
        let backoff =
            Backoff { first: Duration::from_millis(10), at_most: Duration::from_millis(200) };
        for (failures, longest) in [(1, 10), (2, 20), (5, 160), (6, 200), (1000, 200)] {
            let rests: Vec<_> = (0..1000).map(|_| backoff.rest(failures)).collect();
            let longest = Duration::from_millis(longest);
            assert!(rests.iter().all(|rest| *rest <= longest));
            assert!(rests.iter().any(|rest| *rest > longest / 2));
            assert!(rests.iter().any(|rest| *rest < longest / 2));
        }
    }
}
