//! `cloakroom sessions`: looks at the sessions of any store, and ends them.

mod place;
mod write;
mod walk;
mod list;
mod show;
mod revoke;
mod count;
mod watch;
mod orphans;

use crate::args::{Sessions, SessionsCommand};
use crate::store::Problem;

use cloakroom_redis::orphans::Endless;
use place::Stores;
use write::Form;

/// Whether there was anything of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Something,
    Nothing,
    /// What should not be there, and still is.
    Amiss,
}

pub(crate) async fn run(Sessions { command, place }: Sessions) -> Result<Found, Problem> {
    let form = if place.json { Form::Json } else { Form::Text };
    let stores = Stores::open(&place)?;
    let store = stores.records();
    match command {
        SessionsCommand::List { user } => list::run(store, &user, form).await,
        SessionsCommand::Show { id, values } => {
            let values = if values { show::Values::Shown } else { show::Values::Hidden };
            show::run(store, &id, values, form).await
        }
        SessionsCommand::Revoke(revoke) => revoke::run(&stores, &revoke, form).await,
        SessionsCommand::Count { user: Some(user) } => count::of_user(store, &user, form).await,
        SessionsCommand::Count { user: None } => count::of_all(store, form).await,
        SessionsCommand::Orphans { fix } => {
            let endless = if fix { Endless::Fix } else { Endless::Tell };
            orphans::run(&stores, endless, form).await
        }
        SessionsCommand::Watch { every, times } => watch::run(store, every, times, form).await,
    }
}
