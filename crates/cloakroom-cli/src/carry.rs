//! Sessions on their way from one store to another, page by page: no more than a page is in hand at
//! any time.
//!
//! 1. A session is there when the store that it goes to has acknowledged it. What it is then is the
//!    store's decision, see [`cloakroom::records`]: nothing is overwritten, nothing comes back.
//! 2. After each page the place in the walk is written down beside the sessions, so that `--resume`
//!    can go on there. It isn't done unasked: if somebody served in the meantime, there may be new
//!    sessions in front of that place.
//! 3. Between two pages it rests as long as the page took, so that a server has time for others.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::records::{Cursor, Page, Record, Records, Restored};
use cloakroom::store::Patience;
use cloakroom::{Prefix, StoreError, Tag};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use crate::store::Problem;

const PAGE: u32 = 250;
/// No page waits for it; it is there so that a store that hangs is noticed.
const PATIENCE: Patience = Patience(Duration::from_secs(10));
/// How often a step is tried that can be repeated.
const TRIES: u32 = 5;
/// A line for those who have no terminal.
const SAID_EVERY: u64 = 10_000;

pub(crate) struct Trip {
    /// Of which a checkpoint is one.
    pub(crate) name: String,
    pub(crate) checkpoint: PathBuf,
    pub(crate) about_how_many: Option<u64>,
    /// Under which both stores keep their sessions.
    pub(crate) prefix: Prefix,
    pub(crate) resume: bool,
}

/// What became of the sessions, and how many of each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Carried {
    pub(crate) done: u64,
    pub(crate) there: u64,
    pub(crate) ended: u64,
    pub(crate) expired: u64,
}

impl Carried {
    fn count(&mut self, restored: Restored) {
        match restored {
            Restored::Done => self.done += 1,
            Restored::There => self.there += 1,
            Restored::Ended => self.ended += 1,
            Restored::Expired => self.expired += 1,
        }
    }

    fn all(&self) -> u64 {
        self.done + self.there + self.ended + self.expired
    }
}

pub(crate) async fn carry<F, T>(from: &F, to: &T, trip: &Trip) -> Result<Carried, Problem>
where
    F: Records,
    T: Records + Clone,
{
    let mut next = Some(begin(trip)?);
    let mut carried = Carried::default();
    let progress = Progress::new(trip.about_how_many);
    while let Some(place) = next {
        let begun = Instant::now();
        let page = again(|| from.walk(&place, PAGE, PATIENCE)).await;
        let Page { sessions, next: further } = page.map_err(|error| stopped(&error, trip))?;
        if let Some(record) = sessions.iter().find(|record| !is_of(&trip.prefix, record)) {
            return Err(Problem::Wrong(format!(
                "session {} was made under another prefix than {}: name the one of its services with \
                 --prefix; under another, no cookie would find it",
                record.id,
                trip.prefix.as_str()
            )));
        }
        let mut under_way = JoinSet::new();
        for record in sessions {
            let (to, record) = (to.clone(), Arc::new(record));
            under_way.spawn(async move { again(|| to.restore(&record, PATIENCE)).await });
        }
        while let Some(restored) = under_way.join_next().await {
            let restored = restored.map_err(|error| Problem::Failed(error.to_string()))?;
            carried.count(restored.map_err(|error| stopped(&error, trip))?);
        }
        progress.show(carried.all());
        if let Some(place) = &further {
            write_down(trip, place).map_err(|error| not_written(&trip.checkpoint, &error))?;
            // Others have the server for as long.
            tokio::time::sleep(begun.elapsed()).await;
        }
        next = further;
    }
    progress.finish();
    // One that stays is of a trip that is over, and does no harm.
    let _ = std::fs::remove_file(&trip.checkpoint);
    Ok(carried)
}

/// What a user's id is made from says whether the prefix is the right one; an anonymous id doesn't.
fn is_of(prefix: &Prefix, record: &Record) -> bool {
    record.user.as_ref().is_none_or(|user| record.id.tag() == Tag::of_user(prefix, user.as_str()))
}

/// Looking and restoring can be repeated, whatever became of the first try.
async fn again<T, A: Future<Output = Result<T, StoreError>>>(
    step: impl Fn() -> A,
) -> Result<T, StoreError> {
    let mut tries = 1;
    loop {
        match step().await {
            Err(_) if tries < TRIES => {
                // A server that was restarted takes a moment.
                tokio::time::sleep(Duration::from_millis(200) * tries).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

fn begin(trip: &Trip) -> Result<Cursor, Problem> {
    let text = std::fs::read_to_string(&trip.checkpoint).unwrap_or_default();
    let place =
        text.split_once('\n').filter(|(name, _)| *name == trip.name).map(|(_, place)| place);
    match place {
        Some(place) if trip.resume => Ok(Cursor::new(place)),
        Some(_) => {
            let _ = writeln!(
                io::stderr(),
                "An earlier run was interrupted. All is gone over again; --resume would go on from \
                 there"
            );
            Ok(Cursor::default())
        }
        None if trip.resume => Err(Problem::Wrong(format!(
            "there is nothing to resume: {} is of no run {} that was interrupted; leave --resume out",
            trip.checkpoint.display(),
            trip.name
        ))),
        None => Ok(Cursor::default()),
    }
}

/// Under another name first, so that a half written one is never read.
fn write_down(trip: &Trip, place: &Cursor) -> io::Result<()> {
    let unfinished = trip.checkpoint.with_extension("checkpoint.new");
    std::fs::write(&unfinished, format!("{}\n{place}", trip.name))?;
    std::fs::rename(unfinished, &trip.checkpoint)
}

fn not_written(path: &Path, error: &io::Error) -> Problem {
    Problem::Failed(format!("{} can't be written: {error}", path.display()))
}

fn stopped(error: &StoreError, trip: &Trip) -> Problem {
    let resumable = trip.checkpoint.exists();
    Problem::Failed(format!(
        "stopped half way: {error}. Nothing is lost and nothing will be doubled: run it again{}",
        if resumable { ", with --resume to go on from here" } else { "" }
    ))
}

/// A bar on a terminal, and lines elsewhere.
struct Progress {
    bar: ProgressBar,
    said: std::cell::Cell<u64>,
    on_terminal: bool,
}

impl Progress {
    fn new(about_how_many: Option<u64>) -> Self {
        let on_terminal = io::stderr().is_terminal();
        let bar = match about_how_many {
            Some(sessions) => ProgressBar::new(sessions),
            None => ProgressBar::no_length(),
        };
        if !on_terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let form = match about_how_many {
            Some(_) => "{bar:40} {human_pos} of {human_len} sessions, {per_sec}, {eta} left",
            None => "{spinner} {human_pos} sessions, {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        Self { bar, said: 0.into(), on_terminal }
    }

    fn show(&self, sessions: u64) {
        self.bar.set_position(sessions);
        if !self.on_terminal && sessions / SAID_EVERY > self.said.get() / SAID_EVERY {
            self.said.set(sessions);
            let _ = writeln!(io::stderr(), "{sessions} sessions");
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
