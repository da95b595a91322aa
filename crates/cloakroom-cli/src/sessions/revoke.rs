//! `cloakroom sessions revoke`: ends one session, those of a user, or all. Before more than one ends,
//! it asks.

use std::io::{self, IsTerminal, Write};

use cloakroom::records::{Record, Records};
use cloakroom::store::{EndOf, Ended, EndedOf, Patience, Which};
use cloakroom::{SessionId, StoreError, Timestamp, User};
use serde_json::json;
use std::time::Duration;

use super::Found;
use super::place::{PATIENCE, Stores, failed, now};
use super::walk::{Walk, progress_in};
use super::write::{self, Form, number_of, say};
use crate::args::Revoke;
use crate::store::Problem;

/// What any number of sessions held is removed before it answers.
const AT_LENGTH: Patience = Patience(Duration::from_secs(60));
/// How often all are walked over at most. A session that rotates during a walk can be missed by it,
/// so there is another, until one meets none.
const ROUNDS: u32 = 20;

pub(super) async fn run(stores: &Stores, revoke: &Revoke, form: Form) -> Result<Found, Problem> {
    let store = stores.records();
    let ended = match (&revoke.id, &revoke.user) {
        (Some(id), _) => one(store, id, revoke).await?,
        (None, Some(user)) => of_user(stores, user, revoke).await?,
        (None, None) => all(store, revoke).await?,
    };
    let Some(count) = ended else {
        return Err(Problem::Failed("nothing was ended: the answer was no".into()));
    };
    match (form, revoke.dry_run) {
        (Form::Json, dry_run) => say(json!({ "ended": count, "dry_run": dry_run })),
        (Form::Text, true) => say(format_args!("{} would end", number_of(count))),
        (Form::Text, false) => say(format_args!("{} ended", number_of(count))),
    }
    Ok(if count > 0 { Found::Something } else { Found::Nothing })
}

async fn one(store: &dyn Records, id: &SessionId, revoke: &Revoke) -> Result<Option<u64>, Problem> {
    // The id may be of the wrong kind, and ending is for ids that are right.
    let there = store.peek(id, PATIENCE).await.map_err(failed)?.is_some();
    if !there || revoke.dry_run {
        return Ok(Some(u64::from(there)));
    }
    let ended = store.end(id, PATIENCE).await.map_err(failed)?;
    Ok(Some(u64::from(ended == Ended::Now)))
}

async fn of_user(stores: &Stores, user: &User, revoke: &Revoke) -> Result<Option<u64>, Problem> {
    let store = stores.records();
    if let Some(kept) = &revoke.except {
        let kept = store.peek(kept, PATIENCE).await.map_err(failed)?;
        if kept.is_none_or(|kept| kept.user.as_ref() != Some(user)) {
            return Err(Problem::Wrong(format!(
                "--except names no live session of {user}, so nothing was ended: `cloakroom sessions \
                 list --user {user}` shows which there are"
            )));
        }
    }
    let count = store.count_of(user, PATIENCE).await.map_err(failed)?;
    let count = count.saturating_sub(u64::from(revoke.except.is_some()));
    if revoke.dry_run {
        return Ok(Some(count));
    }
    if count > 1
        && !may(revoke, &format!("{} of {}", number_of(count), write::harmless(user.as_str())))?
    {
        return Ok(None);
    }
    let Some(kept) = &revoke.except else {
        // They end in one step; what they held may take a while.
        let progress = progress_in("sessions to be removed");
        progress.set_position(count);
        progress.enable_steady_tick(Duration::from_millis(100));
        let ended = store.erase(user, AT_LENGTH).await;
        progress.finish_and_clear();
        return ended.map(Some).map_err(failed);
    };
    let end = EndOf { user, which: Which::AllBut(kept), asked_by: None };
    match store.end_of(end, PATIENCE).await.map_err(failed)? {
        EndedOf::Done(count) => {
            stores.remove_ended(user).await?;
            Ok(Some(count))
        }
        // Nobody's session asked for it.
        EndedOf::Unknown | EndedOf::Ended => Ok(Some(0)),
    }
}

/// Ends what exists now, by the store's clock: who logs in from now on stays.
async fn all(store: &dyn Records, revoke: &Revoke) -> Result<Option<u64>, Problem> {
    let started = now(store).await?;
    if revoke.dry_run {
        let mut met = std::collections::HashSet::new();
        let mut walk = Walk::over(store);
        while let Some(sessions) = walk.page().await? {
            met.extend(existed(&sessions, started).map(|session| session.id));
        }
        return Ok(Some(met.len() as u64));
    }
    if !may(
        revoke,
        &format!("every session of everybody under the prefix {}", store.prefix().as_str()),
    )? {
        return Ok(None);
    }
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let mut met = 0;
        let mut walk = Walk::over(store);
        while let Some(sessions) = walk.page().await.map_err(|problem| half_way(problem, ended))? {
            for session in existed(&sessions, started) {
                met += 1;
                let end = store.end(&session.id, PATIENCE).await;
                let end = end.map_err(|error: StoreError| half_way(failed(error), ended))?;
                ended += u64::from(end == Ended::Now);
            }
        }
        if met == 0 {
            return Ok(Some(ended));
        }
    }
    Err(half_way(Problem::Failed("sessions rotate faster than they can be met".into()), ended))
}

fn existed(sessions: &[Record], started: Timestamp) -> impl Iterator<Item = &Record> {
    sessions.iter().filter(move |session| session.life.created <= started)
}

fn half_way(problem: Problem, ended: u64) -> Problem {
    match problem {
        Problem::Wrong(problem) | Problem::Failed(problem) => Problem::Failed(format!(
            "stopped half way, when {} had ended: {problem}. Run it again to end the rest",
            number_of(ended)
        )),
    }
}

/// Whether it may be done: by `--yes`, or by who sits there.
fn may(revoke: &Revoke, what: &str) -> Result<bool, Problem> {
    if revoke.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Problem::Wrong(format!(
            "this ends {what}, and there is no terminal to ask at: nothing was ended. Add --yes to end \
             them, or --dry-run to see how many there are"
        )));
    }
    let _ = write!(io::stderr(), "End {what}? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|error| Problem::Failed(format!("the answer can't be read: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
