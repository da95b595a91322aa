//! Where time to live is decided. A session ends when nobody has used it for its idle timeout, and
//! at its absolute timeout whatever happens; the nearer of the two instants is when it expires.
//!
//! 1. `now` is always the store's clock: instances whose clocks disagree decide alike.
//! 2. Every use renews the idle timeout exactly, unless the application chose otherwise ([`Touch`]).
//! 3. Nothing moves the absolute deadline but a login.
//!
//! The scripts of the Redis store say the same in `session.lua`; the conformance suite holds both
//! to it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// An instant of the store's clock: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if it is the other way round.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(at.0)
    }
}

/// How long a session may live: unused (idle), and at all (absolute).
///
/// OWASP ASVS 5.0 7.3.1 and 7.3.2 ask for both; the defaults follow the Session Management Cheat
/// Sheet (30 minutes, 8 hours) and stay within NIST SP 800-63B-4's second level (1 hour, 24 hours).
///
/// ```
/// use std::time::Duration;
/// use cloakroom::Lifetime;
///
/// let lifetime = Lifetime::new(Duration::from_secs(10), Duration::from_secs(8 * 3600))?;
/// assert_eq!(lifetime.idle(), Duration::from_secs(10));
/// assert!(Lifetime::new(Duration::from_secs(10), Duration::from_secs(5)).is_err());
/// # Ok::<(), cloakroom::InvalidLifetime>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    idle: Duration,
    absolute: Duration,
}

impl Lifetime {
    /// The longest that anything may live: 400 days, the cap of RFC 6265bis on cookies.
    pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

    /// Both in whole milliseconds, from 1 ms to 400 days, idle not longer than absolute.
    pub const fn new(idle: Duration, absolute: Duration) -> Result<Self, InvalidLifetime> {
        let (idle_ms, absolute_ms) = (idle.as_millis(), absolute.as_millis());
        if idle_ms < 1 || absolute_ms > Self::LONGEST.as_millis() || idle_ms > absolute_ms {
            return Err(InvalidLifetime { idle, absolute });
        }
        // Whole milliseconds are all that a store keeps; what is read back must be what was given.
        Ok(Self {
            idle: Duration::from_millis(idle_ms as u64),
            absolute: Duration::from_millis(absolute_ms as u64),
        })
    }

    /// How long it lives unused.
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// How long it lives at all.
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    pub(crate) const fn from_minutes(idle: u64, absolute: u64) -> Self {
        Self { idle: Duration::from_secs(idle * 60), absolute: Duration::from_secs(absolute * 60) }
    }
}

/// The two durations make no lifetime.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "an idle timeout of {idle:?} and an absolute one of {absolute:?} make no lifetime: both take \
     1 ms to 400 days, and idle may not be longer than absolute"
)]
pub struct InvalidLifetime {
    idle: Duration,
    absolute: Duration,
}

/// How a use of a session renews its idle timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// Every operation renews it, exactly, in the same step. Costs no trip of its own.
    #[default]
    Exactly,
    /// It is renewed at most once in this time, for those who count replicated writes. The session
    /// is given that much more each time, so it never ends early and at most that much late.
    AtMostEvery(Duration),
    /// This use doesn't count, as for polling and prefetching.
    Never,
}

/// When a session began, how long it may live, and when it was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When the session was created; for a session with a user, when that user logged in.
    pub created: Timestamp,
    /// Its own lifetime, which a later change of the settings doesn't move.
    pub lifetime: Lifetime,
    /// When it was last used; up to [`Life::seen_every`] behind.
    pub last_seen: Timestamp,
    /// Whether the browser was asked to keep the cookie when it closes ("remember me").
    pub remembered: bool,
}

/// The number of the layout in which [`Life`] is written.
const LAYOUT: &str = "1";

impl Life {
    /// A life that begins now.
    pub fn beginning(now: Timestamp, lifetime: Lifetime, remembered: bool) -> Self {
        Self { created: now, lifetime, last_seen: now, remembered }
    }

    /// When it ends, however much it is used.
    pub fn deadline(&self) -> Timestamp {
        self.created + self.lifetime.absolute
    }

    /// When it expires if it is used now, `slack` later if its renewal may be put off that long.
    pub fn expires_at(&self, now: Timestamp, slack: Duration) -> Timestamp {
        (now + self.lifetime.idle + slack).min(self.deadline())
    }

    /// How exact `last_seen` and the user's index are: a minute, or a tenth of a short idle
    /// timeout. They follow a use at most that often, so that most uses write nothing but the
    /// time to live.
    pub fn seen_every(&self) -> Duration {
        Duration::from_millis((millis(self.lifetime.idle) / 10).min(60_000))
    }

    /// The last instant at which a session can still be alive that expires at `expires_at` and
    /// whose next uses may not reach the index: what the index keeps.
    pub fn indexed_until(&self, expires_at: Timestamp) -> Timestamp {
        (expires_at + self.seen_every()).min(self.deadline())
    }
}

/// As it is kept in the reserved field `~`: `1 CREATED ABSOLUTE IDLE SEEN COOKIE`, in milliseconds;
/// `SEEN` counts from `CREATED`; `COOKIE` is `s` (dropped when the browser closes) or `r`
/// (remembered). What may follow in later versions is left alone. Short of 64 bytes, above which
/// Redis would turn the whole hash into a bigger encoding.
impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{LAYOUT} {} {} {} {} {}",
            self.created.0,
            millis(self.lifetime.absolute),
            millis(self.lifetime.idle),
            millis(self.last_seen.since(self.created)),
            if self.remembered { "r" } else { "s" },
        )
    }
}

impl std::str::FromStr for Life {
    type Err = NotALife;

    fn from_str(text: &str) -> Result<Self, NotALife> {
        // Every request reads one, so it is read as bytes.
        let mut parts = text.as_bytes().split(|byte| *byte == b' ');
        if parts.next() != Some(LAYOUT.as_bytes()) {
            return Err(NotALife);
        }
        let mut number = || parts.next().and_then(digits);
        let mut duration = || number().map(Duration::from_millis);
        let (Some(created), Some(absolute), Some(idle), Some(seen)) =
            (duration(), duration(), duration(), duration())
        else {
            return Err(NotALife);
        };
        let remembered = match parts.next() {
            Some(b"r") => true,
            Some(b"s") => false,
            _ => return Err(NotALife),
        };
        let created = Timestamp::from_millis(millis(created));
        let lifetime = Lifetime::new(idle, absolute).map_err(|_| NotALife)?;
        Ok(Self { created, lifetime, last_seen: created + seen, remembered })
    }
}

/// A number in digits alone.
fn digits(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    rest.iter()
        .try_fold(digit(first)?, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

/// The text is not a [`Life`] in a layout that we know.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the reserved field ~ is not in a layout that this version knows")]
pub struct NotALife;

/// Whole milliseconds; more than 2^64 of them are as good as 2^64.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn life(idle_ms: u64, absolute_ms: u64) -> Life {
        let lifetime =
            Lifetime::new(Duration::from_millis(idle_ms), Duration::from_millis(absolute_ms));
        Life::beginning(Timestamp::from_millis(1_000_000), lifetime.unwrap(), false)
    }

    // Proves R26, R27.
    #[test]
    fn a_session_expires_at_the_nearer_of_idle_and_absolute() {
        let life = life(10_000, 60_000);
        for (used_at, slack, expires_at) in [
            (1_000_000, 0, 1_010_000),
            (1_049_999, 0, 1_059_999),
            (1_050_001, 0, 1_060_000),
            (1_000_000, 5_000, 1_015_000),
            (1_048_000, 5_000, 1_060_000),
        ] {
            assert_eq!(
                life.expires_at(Timestamp::from_millis(used_at), Duration::from_millis(slack)),
                Timestamp::from_millis(expires_at)
            );
        }
    }

    #[test]
    fn the_index_never_forgets_a_session_before_it_expires() {
        assert_eq!(life(10_000, 60_000).seen_every(), Duration::from_secs(1));
        let life = life(600_000, 6_000_000);
        assert_eq!(life.seen_every(), Duration::from_secs(60));
        let seen = Timestamp::from_millis(1_000_000);
        let until = life.indexed_until(life.expires_at(seen, Duration::ZERO));
        assert_eq!(life.indexed_until(life.deadline()), life.deadline());
        let just_before_the_index_follows = Timestamp::from_millis(1_059_999);
        assert!(life.expires_at(just_before_the_index_follows, Duration::ZERO) <= until);
    }

    #[test]
    fn an_instant_is_never_before_the_first_nor_after_the_last() {
        let (first, last) = (Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX));
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!(last + Duration::from_millis(1), last);
        let second = SystemTime::from(Timestamp::from_millis(1_500));
        assert_eq!(second.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(), 1_500);
    }

    // Proves R13, R25.
    #[test]
    fn a_lifetime_that_makes_no_sense_is_refused() {
        for (idle, absolute) in [
            (Duration::ZERO, DAY),
            (2 * DAY, DAY),
            (DAY, 401 * DAY),
            (Duration::from_nanos(1), DAY),
        ] {
            assert!(Lifetime::new(idle, absolute).is_err(), "{idle:?} {absolute:?}");
        }
        let (shortest, longest) = (Duration::from_millis(1), Lifetime::LONGEST);
        for (idle, absolute) in [(shortest, shortest), (shortest, longest), (longest, longest)] {
            assert!(Lifetime::new(idle, absolute).is_ok(), "{idle:?} {absolute:?}");
        }
    }

    #[test]
    fn the_written_form_never_changes_and_stays_short() {
        let written = "1 1763880000000 28800000 1800000 61000 s";
        let life: Life = written.parse().unwrap();
        assert_eq!(life.to_string(), written);
        assert_eq!(life.last_seen, Timestamp::from_millis(1_763_880_061_000));
        let lifetime = Lifetime::new(Lifetime::LONGEST, Lifetime::LONGEST).unwrap();
        let mut longest =
            Life::beginning(Timestamp::from_millis(1_763_880_000_000), lifetime, true);
        longest.last_seen = longest.deadline();
        assert!(longest.to_string().len() <= 64);
        assert_eq!(longest.to_string().parse::<Life>().unwrap(), longest);
        let later = written.replacen('1', "2", 1);
        assert!(later.parse::<Life>().is_err(), "of a later layout");
        assert!(written.replace(" 61000", " +61000").parse::<Life>().is_err());
        // Each differs from this one in what it is refused for.
        assert!("1 1 3 2 4 s".parse::<Life>().is_ok());
        for other in [
            "",
            "1",
            "1  3 2 4 s",
            "2 1 3 2 4 s",
            "1 1 3 2 4",
            "1 1 3 2 4 x",
            "1 1 3 2 -4 s",
            "1 1 3 2 18446744073709551616 s",
            "1 1 3 2 99999999999999999999 s",
            "1 1 2 3 4 s",
            "1 1 0 0 0 s",
        ] {
            assert!(other.parse::<Life>().is_err(), "{other}");
        }
    }
}
