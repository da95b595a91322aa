//! Periodic rotation: the measure against a copied cookie. Every so often a session's token is
//! replaced, and whoever goes on using the old one gives themselves away.
//!
//! All tokens of a session have the same secret, and so name the same session; what distinguishes
//! them is a [`Generation`] in the seal, which only who has the key can make. The store keeps which
//! one is [`Current`], and decides, in the same step as the use that brought a token:
//!
//! 1. The current one is good. When it has been for [`Rotation::every`], its successor is issued: to
//!    exactly one of many parallel requests, for it is current from then on.
//! 2. Its predecessor is good for [`Rotation::grace`] more, for requests that were on their way.
//! 3. After that it is *stolen goods* if the current one was presented since: two hold the cookie, and
//!    nobody can say which is the thief. The session ends, for both.
//! 4. If the current one was never presented, its answer was lost on the way. It is issued once more,
//!    and the grace begins anew: a bad network logs nobody out.
//! 5. Older ones are stolen goods: the successor of each was presented, or it would have none.
//! 6. A later one than the current was issued by us all the same: the store lost what it knew, in a
//!    failover or a restore. It is current from then on.
//!
//! SMCS, "renewal timeout". The scripts of the Redis store say the same in `session.lua`; the
//! conformance suite holds both to it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::expiry::{Lifetime, Touch};

/// How often the token of a session is replaced, and how long its predecessor is good for.
/// See [`Keys::rotating`](crate::Keys::rotating).
///
/// ```
/// use std::time::Duration;
/// use cloakroom::Rotation;
///
/// assert_eq!(Rotation::default().every(), Duration::from_secs(15 * 60));
/// assert_eq!(Rotation::default().grace(), Duration::from_secs(60));
/// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
/// assert!(Rotation::new(hour, minute).is_ok());
/// assert!(Rotation::new(minute, hour).unwrap_err().to_string().contains("no longer than"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    every: Duration,
    grace: Duration,
}

impl Rotation {
    /// Both in whole milliseconds, from 1 ms to 400 days, the grace not longer than the time between
    /// two tokens. A grace shorter than your slowest request makes re-issues, and no logouts.
    pub const fn new(every: Duration, grace: Duration) -> Result<Self, InvalidRotation> {
        let (every_ms, grace_ms) = (every.as_millis(), grace.as_millis());
        if grace_ms < 1 || grace_ms > every_ms || every_ms > Lifetime::LONGEST.as_millis() {
            return Err(InvalidRotation { every, grace });
        }
        Ok(Self {
            every: Duration::from_millis(every_ms as u64),
            grace: Duration::from_millis(grace_ms as u64),
        })
    }

    /// How long a token is current.
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// How long it is good for after its successor was issued.
    pub const fn grace(&self) -> Duration {
        self.grace
    }
}

/// Every 15 minutes, with a grace of 60 seconds.
impl Default for Rotation {
    fn default() -> Self {
        Self { every: Duration::from_secs(15 * 60), grace: Duration::from_secs(60) }
    }
}

/// The two durations make no rotation.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "a new token every {every:?} with a grace of {grace:?} is no rotation: both take 1 ms to 400 \
     days, and the grace may be no longer than the time between two tokens"
)]
pub struct InvalidRotation {
    every: Duration,
    grace: Duration,
}

/// The how-manieth token of its session a token is; the first is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

/// A token as it was presented, where tokens are replaced periodically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which one it is.
    pub generation: Generation,
    /// How long ago it came: a slow upload asks for its session late.
    pub ago: Duration,
    /// How long a token is current; `None` where no response head can hand out another.
    pub every: Option<Duration>,
    /// How long it is good for after its successor was issued.
    pub grace: Duration,
}

/// Which token of a session is the current one, as a store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// The latest that was issued.
    pub generation: Generation,
    /// When it was issued, counted from the session's creation.
    pub since: Duration,
    /// Whether anybody has presented it.
    pub presented: bool,
}

/// A session whose token was never replaced. Stores need not write this down.
impl Default for Current {
    fn default() -> Self {
        Self { generation: Generation(0), since: Duration::ZERO, presented: true }
    }
}

/// The token that was presented is not good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superseded {
    /// Somebody else has its successor: the session must end.
    Stolen,
    /// It came before the last token was issued, and asks when it is two behind: nobody can judge
    /// it. It is refused, and nothing ends.
    TooLate,
}

impl Current {
    /// What a token comes to that is shown to a session of this age: what the store keeps from now
    /// on, and which token to hand out.
    pub fn meets(
        mut self,
        shown: &Shown,
        age: Duration,
        touch: Touch,
    ) -> Result<(Self, Option<Generation>), Superseded> {
        let came = age.saturating_sub(shown.ago);
        let behind = self.generation.0.checked_sub(shown.generation.0);
        let mut next = None;
        match behind {
            None => {
                self = Self { generation: shown.generation, since: age, presented: true };
            }
            Some(0) => {
                self.presented = true;
                let current_for = age.saturating_sub(self.since);
                // Polling keeps nobody's session alive, and replaces nobody's token.
                let due = touch != Touch::Never && shown.every.is_some_and(|it| current_for >= it);
                if let Some(following) = self.generation.0.checked_add(1).filter(|_| due) {
                    let generation = Generation(following);
                    self = Self { generation, since: age, presented: false };
                    next = Some(generation);
                }
            }
            Some(1) if came.saturating_sub(self.since) <= shown.grace => {}
            Some(1) if self.presented => return Err(Superseded::Stolen),
            Some(1) => {
                if shown.every.is_some() {
                    self.since = age;
                    next = Some(self.generation);
                }
            }
            Some(_) if came < self.since => return Err(Superseded::TooLate),
            Some(_) => return Err(Superseded::Stolen),
        }
        Ok((self, next))
    }
}

/// `GENERATION SINCE USED`: a number, milliseconds from the session's creation, `used` or `new`.
impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = if self.presented { "used" } else { "new" };
        write!(f, "{} {} {used}", self.generation.0, self.since.as_millis())
    }
}

impl FromStr for Current {
    type Err = NotACurrent;

    fn from_str(text: &str) -> Result<Self, NotACurrent> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (generation, since) = (number().ok_or(NotACurrent)?, number().ok_or(NotACurrent)?);
        let presented = match words.next() {
            Some("used") => true,
            Some("new") => false,
            _ => return Err(NotACurrent),
        };
        let generation = Generation(generation.try_into().map_err(|_| NotACurrent)?);
        Ok(Self { generation, since: Duration::from_millis(since), presented })
    }
}

/// The text doesn't say which token is current.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the text does not say which token of the session is current")]
pub struct NotACurrent;

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn shown(generation: u32) -> Shown {
        let (every, grace) = (Some(s(900)), s(60));
        Shown { generation: Generation(generation), ago: Duration::ZERO, every, grace }
    }

    fn current(generation: u32, since: u64, presented: bool) -> Current {
        Current { generation: Generation(generation), since: s(since), presented }
    }

    // Proves R29.
    #[test]
    fn a_token_is_replaced_when_it_is_due_and_not_before() {
        let first = Current::default();
        assert_eq!(first.meets(&shown(0), s(899), Touch::Exactly), Ok((first, None)));
        let second = current(1, 900, false);
        let issued = Ok((second, Some(Generation(1))));
        assert_eq!(first.meets(&shown(0), s(900), Touch::Exactly), issued);
        assert_eq!(first.meets(&shown(0), s(900), Touch::Never), Ok((first, None)));
        let after_the_head = Shown { every: None, ..shown(0) };
        assert_eq!(first.meets(&after_the_head, s(900), Touch::Exactly), Ok((first, None)));
        let presented = Ok((current(1, 900, true), None));
        assert_eq!(second.meets(&shown(1), s(901), Touch::Exactly), presented);
        assert_eq!(second.meets(&shown(1), s(901), Touch::Never), presented);
    }

    // Proves R29, CVE-2026-56750.
    #[test]
    fn an_old_token_is_good_then_lost_or_stolen() {
        let (unseen, seen) = (current(7, 900, false), current(7, 900, true));
        for current in [unseen, seen] {
            assert_eq!(current.meets(&shown(6), s(960), Touch::Exactly), Ok((current, None)));
            // It came in time, and waited.
            let waited = Shown { ago: s(40), ..shown(6) };
            assert_eq!(current.meets(&waited, s(1_000), Touch::Exactly), Ok((current, None)));
            let older = current.meets(&shown(5), s(901), Touch::Exactly);
            assert_eq!(older, Err(Superseded::Stolen));
            let waited = Shown { ago: s(40), ..shown(5) };
            let older = current.meets(&waited, s(901), Touch::Exactly);
            assert_eq!(older, Err(Superseded::TooLate));
            // In the instant in which the last token was issued it is judged.
            let waited = Shown { ago: s(1), ..shown(5) };
            let older = current.meets(&waited, s(901), Touch::Exactly);
            assert_eq!(older, Err(Superseded::Stolen));
        }
        assert_eq!(seen.meets(&shown(6), s(961), Touch::Never), Err(Superseded::Stolen));
        let again = current(7, 961, false);
        let reissued = Ok((again, Some(Generation(7))));
        assert_eq!(unseen.meets(&shown(6), s(961), Touch::Exactly), reissued);
        assert_eq!(again.meets(&shown(6), s(1_021), Touch::Exactly), Ok((again, None)));
        let after_the_head = Shown { every: None, ..shown(6) };
        assert_eq!(unseen.meets(&after_the_head, s(961), Touch::Exactly), Ok((unseen, None)));
    }

    // Proves R29.
    #[test]
    fn a_rotation_that_makes_no_sense_is_refused() {
        let (none, one, longest) = (Duration::ZERO, Duration::from_millis(1), Lifetime::LONGEST);
        for (every, grace) in [(one, one), (longest, one), (longest, longest)] {
            let rotation = Rotation::new(every, grace).unwrap();
            assert_eq!((rotation.every(), rotation.grace()), (every, grace));
        }
        for (every, grace) in [(one, none), (none, none), (one, 2 * one), (longest + one, one)] {
            assert!(Rotation::new(every, grace).is_err(), "{every:?} {grace:?}");
        }
    }

    // Proves R29.
    #[test]
    fn a_token_that_the_store_forgot_is_current_again() {
        let restored = Current::default();
        let adopted = Ok((current(9, 5, true), None));
        assert_eq!(restored.meets(&shown(9), s(5), Touch::Exactly), adopted);
        let last = current(u32::MAX, 0, true);
        assert_eq!(last.meets(&shown(u32::MAX), s(1_000), Touch::Exactly), Ok((last, None)));
    }

    #[test]
    fn the_written_form_never_changes() {
        for (written, current) in
            [("0 0 used", Current::default()), ("7 900000 new", current(7, 900, false))]
        {
            assert_eq!(current.to_string(), written);
            assert_eq!(written.parse::<Current>().unwrap(), current);
        }
        for other in ["", "7", "7 9", "7 9 x", "-1 9 new", "4294967296 0 new"] {
            assert!(other.parse::<Current>().is_err(), "{other}");
        }
    }
}
