//! The clock of a store that has no server: one that never runs backwards, or one that a test
//! moves by hand.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::expiry::Timestamp;
use crate::sync::{AtomicU64, Ordering};

/// What a store without a server reads the time from.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's time when the clock was made, and what has passed since then: setting the
    /// system's clock back gives no session more life.
    System {
        began: Timestamp,
        ticking_since: Instant,
    },
    Manual(Arc<AtomicU64>),
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct Hands(Arc<AtomicU64>);

impl Clock {
    /// The system's clock, which from now on only runs forwards.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where the time enters")]
        let now = SystemTime::now();
        // A system set to before 1970 counts from there.
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = Timestamp::from_millis(0) + since_epoch;
        Self(Source::System { began, ticking_since: Instant::now() })
    }

    /// A clock that stands at `at` until its hands are moved.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cloakroom::{Clock, Timestamp};
    ///
    /// let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000));
    /// hands.advance(Duration::from_secs(2));
    /// assert_eq!(clock.now(), Timestamp::from_millis(3_000));
    /// ```
    #[must_use]
    pub fn manual(at: Timestamp) -> (Self, Hands) {
        let millis = Arc::new(AtomicU64::new(at.as_millis()));
        (Self(Source::Manual(millis.clone())), Hands(millis))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { began, ticking_since } => *began + ticking_since.elapsed(),
            Source::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }
}

impl Hands {
    /// Moves the clock forwards, in whole milliseconds.
    pub fn advance(&self, time: Duration) {
        let moved = Timestamp::from_millis(0) + time;
        self.0.fetch_add(moved.as_millis(), Ordering::SeqCst);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Source::System { .. } => "system",
            Source::Manual(_) => "manual",
        };
        write!(f, "Clock({name})")
    }
}
