//! How often strangers may make something: a bucket that fills with time and that each one takes from.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use crate::clock::Clock;
use crate::expiry::Timestamp;
use crate::sync::Mutex;

/// How much may happen: `at_once` at most, and then `per_second` for as long as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// After a rest that was long enough, at least `at_once / per_second` seconds.
    pub at_once: NonZeroU32,
}

/// One thousandth of a permission, so that a millisecond of `per_second` is a whole number.
const WHOLE: u64 = 1_000;

/// Permissions, given out at a [`Rate`].
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    clock: Clock,
    /// Held for a few additions, and over no await.
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    thousandths: u64,
    at: Timestamp,
    refusing: bool,
}

/// What came of asking for a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Given,
    /// The first one refused since the bucket was last full: worth a line of the log.
    RefusedFirst,
    Refused,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, clock: Clock) -> Self {
        let level = Level { thousandths: capacity(rate), at: clock.now(), refusing: false };
        Self { rate, clock, level: Mutex::new(level) }
    }

    pub(crate) fn take(&self) -> Permission {
        let now = self.clock.now();
        // Nothing panics while it holds this lock.
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = now.as_millis().saturating_sub(level.at.as_millis());
        let filled = millis.saturating_mul(u64::from(self.rate.per_second.get()));
        level.thousandths = level.thousandths.saturating_add(filled).min(capacity(self.rate));
        level.at = level.at.max(now);
        level.refusing &= level.thousandths < capacity(self.rate);
        if let Some(left) = level.thousandths.checked_sub(WHOLE) {
            level.thousandths = left;
            Permission::Given
        } else if std::mem::replace(&mut level.refusing, true) {
            Permission::Refused
        } else {
            Permission::RefusedFirst
        }
    }
}

fn capacity(rate: Rate) -> u64 {
    u64::from(rate.at_once.get()) * WHOLE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Proves R68.
    #[test]
    fn who_read_the_clock_first_and_comes_second_fills_nothing() {
        let number = |n| NonZeroU32::new(n).unwrap();
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000_000));
        let second = Duration::from_secs(1);
        let bucket =
            Bucket::full(Rate { per_second: number(1), at_once: number(1) }, clock.clone());
        assert_eq!(bucket.take(), Permission::Given);
        // Somebody else was here, a second later by the clock.
        bucket.level.lock().unwrap().at = clock.now() + second;
        assert_eq!(bucket.take(), Permission::RefusedFirst);
        hands.advance(second);
        assert_eq!(bucket.take(), Permission::Refused, "that second was counted already");
        hands.advance(second);
        assert_eq!(bucket.take(), Permission::Given);
    }

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let number = |n| NonZeroU32::new(n).unwrap();
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000_000));
        let rate = Rate { per_second: number(20), at_once: number(5) };
        let bucket = Bucket::full(rate, clock);
        let given = || std::iter::repeat_with(|| bucket.take()).take(100);
        let count = || given().filter(|it| *it == Permission::Given).count();
        assert_eq!(count(), 5);
        hands.advance(Duration::from_millis(49));
        assert_eq!(count(), 0);
        hands.advance(Duration::from_millis(1));
        assert_eq!(count(), 1);
        // A rest gives no more than may be had at once.
        hands.advance(Duration::from_secs(3600));
        let all: Vec<_> = given().collect();
        assert_eq!(
            all[..6],
            [[Permission::Given; 5].as_slice(), &[Permission::RefusedFirst]].concat()
        );
        assert!(all[6..].iter().all(|it| *it == Permission::Refused));
    }
}
