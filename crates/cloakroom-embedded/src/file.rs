//! The folder and the file: who may open it, in which layout it is, and its transactions. The
//! database's own types end here.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom::SessionId;
use cloakroom::engine::Packed;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition};

use crate::log::{Log, Tidy, Writes};
use crate::witness::Witness;

/// The layout that this version writes; the file says its own.
pub(crate) const LAYOUT: u64 = 2;
const FILE: &str = "sessions.redb";
const UNFINISHED: &str = "sessions.redb.new";
const LOCK: &str = "lock";
/// How long to wait for the process before.
const LOCKED_WITHIN: Duration = Duration::from_secs(1);

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const LAYOUT_KEY: &str = "layout";
/// How many transactions there were.
const COMMITS_KEY: &str = "commits";
/// The file beside it that says how many were acknowledged.
const WITNESS: &str = "acknowledged";

/// Everything live is in memory: the database's own cache serves its inner pages.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How much of the log is tidied in one transaction that does nothing else.
const TIDIED_AT_ONCE: u64 = 16 * 1024 * 1024;
/// A file below this is not worth compacting.
const WORTH_COMPACTING: u64 = 32 * 1024 * 1024;

/// The folder's sessions can't be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder can't be made or entered, or the file can't be read or written.
    #[error("{path} can't be used: {source}; it takes a folder that this user may write to", path = .path.display())]
    NotAccessible {
        /// What was to be used.
        path: PathBuf,
        /// Why it can't be.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "{path} is in use by {}: end it, or take another folder; a folder serves one process at a \
         time",
        .holder.map_or("another process".into(), |pid| format!("process {pid}")),
        path = .path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that has it, as far as it can be told.
        holder: Option<u32>,
    },
    /// A later version of Cloakroom wrote it.
    #[error(
        "{path} is in layout {found}, of a later version of Cloakroom; this version reads layout \
         {known}: start the later version again, or take another folder",
        path = .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The layout that it is in.
        found: u64,
        /// The latest layout that this version reads.
        known: u64,
    },
    /// An earlier version of Cloakroom wrote it, whose layout is not read any more.
    #[error(
        "{path} is in layout {found}, of before the first release of Cloakroom; this version reads \
         layout {known}: move the file away to begin without sessions, or take another folder",
        path = .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The layout that it is in.
        found: u64,
        /// The layout that this version reads.
        known: u64,
    },
    /// It is not as it was left: cut short, overwritten, or changed.
    #[error(
        "{path} is damaged ({what}): put a copy back, or move it away to begin without sessions",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}

/// A folder that this process holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it for this process.
    pub(crate) fn hold(path: &Path) -> Result<Self, OpenError> {
        let wrong = |source| OpenError::NotAccessible { path: path.to_owned(), source };
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(path).map_err(wrong)?;
        let mut lock = for_owner().create(true).open(path.join(LOCK)).map_err(wrong)?;
        match locked(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Where a locked file can't be read, the process stays unnamed.
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim().parse().ok();
                return Err(OpenError::InUse { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(wrong(source)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(wrong)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn file(&self) -> PathBuf {
        Self::file_in(&self.path)
    }

    pub(crate) fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Opens the file; makes it if it is not there.
    ///
    /// It is made under another name first, so that under its own it is never seen half made: an
    /// empty file there is one that lost its sessions.
    pub(crate) fn open<B: StorageBackend>(
        &self,
        with: impl Fn(FileBackend) -> B,
    ) -> Result<Sessions, OpenError> {
        let path = self.file();
        let wrong = |source| OpenError::NotAccessible { path: path.clone(), source };
        if !path.try_exists().map_err(wrong)? {
            let unfinished = self.path.join(UNFINISHED);
            let file = for_owner().create(true).truncate(true).open(&unfinished).map_err(wrong)?;
            not_panicking(&unfinished, || make(file))?;
            // What an earlier file had acknowledged, which somebody moved away, is not this one's.
            match std::fs::remove_file(self.path.join(WITNESS)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(wrong(error));
                }
                _ => {}
            }
            std::fs::rename(&unfinished, &path).map_err(wrong)?;
            #[cfg(unix)]
            File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(wrong)?;
        }
        let file = for_owner().open(&path).map_err(wrong)?;
        if file.metadata().map_err(wrong)?.len() == 0 {
            return Err(OpenError::Damaged { path, what: "it is empty".into() });
        }
        let rolled_back = Arc::<AtomicBool>::default();
        let database = not_panicking(&path, || {
            let backend = with(FileBackend::new(file).map_err(|error| error.to_string())?);
            let mut settings = settings();
            let noted = rolled_back.clone();
            settings.set_repair_callback(move |repair| {
                // The one step of a repair at which the last transaction is given up.
                if (0.25..0.35).contains(&repair.progress()) {
                    noted.store(true, Ordering::SeqCst);
                }
            });
            settings.create_with_backend(backend).map_err(|error| error.to_string())
        })?;
        let about = not_panicking(&path, || about(&database))?;
        let Some(found) = about.layout else {
            return Err(OpenError::Damaged { path, what: "it says no layout".into() });
        };
        if found > LAYOUT {
            return Err(OpenError::Newer { path, found, known: LAYOUT });
        }
        if found < LAYOUT {
            return Err(OpenError::Older { path, found, known: LAYOUT });
        }
        let witness = for_owner().create(true).open(self.path.join(WITNESS)).map_err(wrong)?;
        let witness = Witness(witness);
        let (held, acknowledged) = (about.commits, witness.acknowledged());
        if held < acknowledged {
            let shown = self.path.join(WITNESS);
            let what = format!(
                "it holds {held} transactions of {acknowledged} that were acknowledged; if it is an \
                 older copy, remove {} to go on from there",
                shown.display()
            );
            return Err(OpenError::Damaged { path, what });
        }
        if rolled_back.load(Ordering::SeqCst) {
            tracing::warn!(event = "rolled_back", path = %path.display(), "the last transaction was not whole, as a power cut leaves it: it had not been acknowledged, and was rolled back");
        }
        let (log, records) = not_panicking(&path, || read(&database))?;
        Ok(Sessions { database, log, records, path, commits: held, witness })
    }
}

/// Takes the lock, or waits for it a moment: at a deploy the process before may just be ending, and a
/// child that somebody starts holds its parent's files for an instant.
fn locked(lock: &File) -> Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_WITHIN => {
                // Nobody tells when a file is let go.
                std::thread::sleep(LOCKED_WITHIN / 50);
            }
            done => return done,
        }
    }
}

/// Readable and writable by this user alone. A file that is there already keeps who may read it.
fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn settings() -> redb::Builder {
    let mut builder = Database::builder();
    // Every record is read at the start in any case; so is every checksum, and what was changed
    // from outside is refused.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn make(file: File) -> Result<(), String> {
    let make = || -> Result<(), redb::Error> {
        let database = settings().create_with_backend(FileBackend::new(file)?)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert(LAYOUT_KEY, LAYOUT)?;
        transaction.open_table(LOG)?;
        transaction.commit()?;
        Ok(())
    };
    make().map_err(|error| error.to_string())
}

/// The database promises not to panic over a file that was changed from outside where it checks all
/// of it; a store must not die of one in any case.
fn not_panicking<T>(path: &Path, step: impl FnOnce() -> Result<T, String>) -> Result<T, OpenError> {
    let done = catch_unwind(AssertUnwindSafe(step));
    let done = done.unwrap_or_else(|_| Err("the database gave up on it".into()));
    done.map_err(|what| OpenError::Damaged { path: path.to_owned(), what })
}

fn read(database: &Database) -> Result<(Log, Vec<(SessionId, Packed)>), String> {
    let read = || -> Result<_, redb::Error> { Log::read(&database.begin_read()?.open_table(LOG)?) };
    let (log, records) = read().map_err(|error| error.to_string())?;
    Ok((log, records.ok_or("a record is none")?))
}

/// What the file says of itself.
struct About {
    layout: Option<u64>,
    commits: u64,
}

fn about(database: &Database) -> Result<About, String> {
    let about = || -> Result<_, redb::Error> {
        let about = database.begin_read()?.open_table(ABOUT)?;
        let number = |key| Ok::<_, redb::Error>(about.get(key)?.map(|number| number.value()));
        Ok(About { layout: number(LAYOUT_KEY)?, commits: number(COMMITS_KEY)?.unwrap_or_default() })
    };
    about().map_err(|error| error.to_string())
}

/// The open file.
pub(crate) struct Sessions {
    database: Database,
    log: Log,
    records: Vec<(SessionId, Packed)>,
    path: PathBuf,
    commits: u64,
    witness: Witness,
}

impl Sessions {
    /// Every record. Read once: it is handed out, and not kept.
    pub(crate) fn take_records(&mut self) -> Vec<(SessionId, Packed)> {
        std::mem::take(&mut self.records)
    }

    /// Writes all of it in one transaction, and returns when it is on the disk.
    pub(crate) fn write(&mut self, writes: &Writes) -> Result<(), String> {
        self.transact(writes, Tidy::AsItGoes).map(drop)
    }

    /// Takes a little of what doesn't count out of the file, if that has become too much. Nobody waits
    /// for it; what is written meanwhile does, for some milliseconds.
    pub(crate) fn tidy(&mut self) -> Result<(), String> {
        match self.log.is_untidy() {
            true => self.transact(&Writes::new(), Tidy::UpTo(TIDIED_AT_ONCE)).map(drop),
            false => Ok(()),
        }
    }

    /// Does so until there is no more than a little.
    pub(crate) fn tidy_all(&mut self) -> Result<(), OpenError> {
        while self.log.is_untidy() {
            self.tidy().map_err(|problem| self.not_written(problem))?;
        }
        Ok(())
    }

    fn transact(&mut self, writes: &Writes, tidy: Tidy) -> Result<u64, String> {
        let commits = self.commits + 1;
        let write = || -> Result<u64, redb::Error> {
            let transaction = self.database.begin_write()?;
            let taken = self.log.append(&mut transaction.open_table(LOG)?, writes, tidy)?;
            transaction.open_table(ABOUT)?.insert(COMMITS_KEY, commits)?;
            transaction.commit()?;
            Ok(taken)
        };
        let taken = match catch_unwind(AssertUnwindSafe(write)) {
            Ok(written) => written.map_err(|error| error.to_string())?,
            Err(_) => return Err("the database gave up on the file".into()),
        };
        self.commits = commits;
        self.witness.acknowledge(commits);
        Ok(taken)
    }

    /// Gives back to the system what has long been free, if that is most of the file.
    pub(crate) fn compact(&mut self) -> Result<(), OpenError> {
        let length = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let (_, that_count) = self.log.bytes();
        if length < WORTH_COMPACTING || length / 4 < that_count {
            return Ok(());
        }
        self.give_back()?;
        let now = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        tracing::info!(event = "compacted", path = %self.path.display(), before = length, now);
        Ok(())
    }

    /// Gives back to the system what doesn't count, and what is free.
    pub(crate) fn give_back(&mut self) -> Result<(), OpenError> {
        let (mut left, _) = self.log.bytes();
        while left > 0 {
            let some = Tidy::All(left.min(TIDIED_AT_ONCE));
            let taken = self.transact(&Writes::new(), some);
            left = left.saturating_sub(taken.map_err(|problem| self.not_written(problem))?.max(1));
        }
        let path = self.path.clone();
        not_panicking(&path, || self.database.compact().map_err(|error| error.to_string()))?;
        Ok(())
    }

    pub(crate) fn not_written(&self, problem: String) -> OpenError {
        let source = io::Error::other::<String>(problem);
        OpenError::NotAccessible { path: self.path.clone(), source }
    }
}
