//! `cloakroom sessions watch`: walks over all sessions again and again, and tells the differences.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use cloakroom::records::Records;
use cloakroom::{SessionId, Tag, Timestamp};
use serde_json::json;

use super::Found;
use super::count::Counted;
use super::place::now;
use super::walk::Walk;
use super::write::{self, Form, say};
use crate::store::Problem;

/// A session by what a rotation keeps: whose it is, and when it began. The id is another after it.
type Live = HashMap<(Tag, Timestamp), u64>;

pub(super) async fn run(
    store: &dyn Records,
    every: Duration,
    times: Option<NonZeroU64>,
    form: Form,
) -> Result<Found, Problem> {
    let mut before: Option<Live> = None;
    let mut round = 0;
    loop {
        let at = now(store).await?;
        // The first walk says how far it is; after that there is a line that says more.
        let walk = if before.is_none() { Walk::over(store) } else { Walk::in_silence(store) };
        let live = live(walk).await?;
        let counted = Counted::of(live.iter().flat_map(|((tag, _), count)| {
            std::iter::repeat_n(tag, usize::try_from(*count).unwrap_or(usize::MAX))
        }));
        let earlier = before.as_ref().unwrap_or(&live);
        let (logins, ends) =
            (logged_in(more(&live, earlier)), more(earlier, &live).map(|(_, n)| n).sum::<u64>());
        match form {
            Form::Json => say(json!({
                "at": at.as_millis(),
                "sessions": counted.all(),
                "logged_in": counted.logged_in,
                "users": counted.users,
                "anonymous": counted.anonymous,
                "logins": logins,
                "ends": ends,
            })),
            Form::Text => line(&format!(
                "{} {}; {logins} logged in, {ends} ended",
                write::date(at),
                counted.in_words()
            )),
        }
        before = Some(live);
        round += 1;
        if times.is_some_and(|times| round >= times.get()) {
            if form == Form::Text && io::stdout().is_terminal() {
                say("");
            }
            return Ok(Found::Something);
        }
        // The rest between two walks that was asked for.
        tokio::time::sleep(every).await;
    }
}

async fn live(mut walk: Walk<'_>) -> Result<Live, Problem> {
    let mut met: HashMap<SessionId, Timestamp> = HashMap::new();
    while let Some(sessions) = walk.page().await? {
        met.extend(sessions.iter().map(|session| (session.id, session.life.created)));
    }
    let mut live = Live::new();
    for (id, created) in met {
        *live.entry((id.tag(), created)).or_default() += 1;
    }
    Ok(live)
}

/// What there is more of in the one than in the other.
fn more<'a>(one: &'a Live, other: &'a Live) -> impl Iterator<Item = (Tag, u64)> + 'a {
    one.iter().filter_map(|(key, count)| {
        let there = other.get(key).copied().unwrap_or_default();
        let more = count.saturating_sub(there);
        (more > 0).then_some((key.0, more))
    })
}

fn logged_in(begun: impl Iterator<Item = (Tag, u64)>) -> u64 {
    begun.filter(|(tag, _)| matches!(tag, Tag::User(_))).map(|(_, count)| count).sum()
}

/// A line of its own where it is read later, and always the same one on a terminal.
fn line(text: &str) {
    if io::stdout().is_terminal() {
        let _ = write!(io::stdout(), "\r\x1b[2K{text}");
        let _ = io::stdout().flush();
    } else {
        say(text);
    }
}
