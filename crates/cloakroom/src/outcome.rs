//! What an operation on a session came to, and why it failed.

use crate::change::Refusal;
use crate::field::{FieldName, Kept, NotDecodable, NotEncodable};
use crate::store::{InvalidUser, StoreError};
use crate::token::NoRandomness;

/// Why an operation on a session failed. Each kind has the status that answers it best.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not do it, or could not say in time whether it did. 503.
    #[error("the session store is unavailable: {0}")]
    Unavailable(#[source] StoreError),
    /// The store has already kept this request waiting for as long as it may. Not asked again. 503.
    #[error("the session store kept this request waiting too long, so it was not asked again")]
    OutOfPatience,
    /// More new anonymous sessions were asked for than
    /// [`Settings::newcomers`](crate::Settings::newcomers) allows. The store was not asked. 503.
    #[error("more new sessions are asked for than this instance makes")]
    TooManyNewcomers,
    /// Others changed the field each time before we could. 503.
    #[error("{field} was changed by others {tries} times in a row")]
    Contended {
        /// The field.
        field: FieldName,
        /// How often it was tried.
        tries: u32,
    },
    /// No token could be made. 503.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The session was logged out, revoked, rotated away, or expired during the request: nothing
    /// was written. 409.
    #[error("the session was ended while the request was on its way, so nothing was written")]
    Ended,
    /// It would break a limit, or can't be done to what is kept. Nothing was written. 422.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The user's name can't be one. 422.
    #[error(transparent)]
    InvalidUser(#[from] InvalidUser),
    /// What is kept is not of the type of the field. It stays as it is. 422.
    #[error("{field}: {reason}")]
    NotDecodable {
        /// The field.
        field: FieldName,
        /// What was expected.
        reason: NotDecodable,
    },
    /// The value has no text form. A mistake of the application. 500.
    #[error("{field}: {reason}")]
    NotEncodable {
        /// The field.
        field: FieldName,
        /// What is wrong with the value.
        reason: NotEncodable,
    },
    /// The field is [`Sealed`](crate::Sealed), and there is no key for that. A mistake of the
    /// application. 500.
    #[error(
        "{field} is sealed, and Settings::field_keys has no key: give it one with FieldKeys::new"
    )]
    NoFieldKeys {
        /// The field.
        field: FieldName,
    },
    /// The response head has left: no cookie can be set any more, and no write can wait for it. A
    /// mistake of the application. 500.
    #[error("the response head has left: {0}")]
    HeadHasLeft(&'static str),
}

impl SessionError {
    /// The status code that answers it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unavailable(_)
            | Self::OutOfPatience
            | Self::TooManyNewcomers
            | Self::Contended { .. }
            | Self::NoRandomness(_) => 503,
            Self::Ended => 409,
            Self::Refused(_) | Self::InvalidUser(_) | Self::NotDecodable { .. } => 422,
            Self::NotEncodable { .. } | Self::NoFieldKeys { .. } | Self::HeadHasLeft(_) => 500,
        }
    }

    /// The seconds for `Retry-After`, where trying again may help.
    pub fn retry_after(&self) -> Option<u32> {
        (self.status() == 503).then_some(1)
    }
}

/// What a login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a login can be refused"]
pub enum LogIn {
    /// The user is logged in, under a new token.
    Done,
    /// The user has as many sessions as allowed; nothing was changed.
    Full,
}

/// What an operation came to, if nothing went wrong.
pub(crate) enum Performed {
    Done(Option<Kept>),
    /// There is no session, or none with somebody logged in, and that was asked for.
    Nobody,
    Conflict(Option<Kept>),
}
