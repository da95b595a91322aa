//! What a visit asks and does of all sessions of its user.

use std::num::NonZeroU32;

use super::{CookieChange, Standing, Visit};
use crate::events::Event;
use crate::meters::Kind;
use crate::outcome::SessionError;
use crate::store::{Cursor, EndOf, EndedOf, ListOf, Page, User, Which};
use crate::token::SessionId;

/// Which sessions a visitor ends.
#[derive(Clone, Copy)]
pub(crate) enum Ends<'a> {
    /// The one with this hash.
    One(&'a str),
    Others,
    All,
}

impl Visit {
    /// `None` for who isn't logged in.
    pub(crate) async fn sessions_of_user(
        &self,
        after: Option<&str>,
        at_most: NonZeroU32,
    ) -> Result<Option<(User, Page)>, SessionError> {
        self.learn().await?;
        let Some((own, user)) = self.own() else { return Ok(None) };
        // What is no cursor begins anew.
        let after = after.and_then(|text| Cursor::parse(own.tag(), text));
        let list = ListOf { user: &user, after, at_most };
        let page = self.ask(Kind::List, Some(&own), |s, p| s.sessions_of(list, p)).await?;
        Ok(Some((user, page)))
    }

    /// Answers how many were ended; `None` for who isn't logged in, or not any more.
    pub(crate) async fn end_of_user(
        &self,
        ends: Ends<'_>,
    ) -> Result<Option<(User, u64)>, SessionError> {
        self.learn().await?;
        let _turn = self.turn.lock().await;
        let Some((own, user)) = self.own() else { return Ok(None) };
        let named = match ends {
            // The hash alone: with the own tag it names one's own sessions, and nobody else's.
            Ends::One(hash) => match SessionId::parse(own.tag(), hash) {
                None => return Ok(Some((user, 0))),
                named => named,
            },
            Ends::Others | Ends::All => None,
        };
        let which = match (&named, ends) {
            (Some(named), _) => Which::One(named),
            (None, Ends::Others) => Which::AllBut(&own),
            (None, _) => Which::All,
        };
        let end = EndOf { user: &user, which, asked_by: Some(&own) };
        let ended = self.ask(Kind::Revoke, Some(&own), |s, p| s.end_of(end, p)).await?;
        let mut state = self.used();
        match ended {
            EndedOf::Done(count) => {
                tracing::info!(event = "revoked", session = %own, count, "ended sessions of its user");
                self.desk.meters.revoked.increment(count);
                self.desk.tell(|| Event::Revoked { user: user.clone(), by: Some(own), count });
                if which == Which::All || which == Which::One(&own) {
                    state.drop_what_waits();
                    state.cookie = CookieChange::Remove;
                    state.standing = Standing::Newcomer;
                }
                Ok(Some((user, count)))
            }
            EndedOf::Unknown | EndedOf::Ended => {
                state.standing = Standing::Gone;
                Ok(None)
            }
        }
    }

    fn own(&self) -> Option<(SessionId, User)> {
        match &self.used().standing {
            Standing::Live(live) => Some((live.id, live.snapshot.user.clone()?)),
            _ => None,
        }
    }
}
