//! What an operator does to a folder while no process serves from it. Each takes the folder for
//! itself, and is refused while another process has it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use cloakroom::Clock;
use redb::backends::FileBackend;

use crate::file::{Folder, LAYOUT, OpenError, Sessions};

/// What a folder holds, as [`check`] found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// The layout of the file.
    pub layout: u64,
    /// Sessions that are alive.
    pub live: u64,
    /// Those among them that have a user.
    pub logged_in: u64,
    /// Different users among them.
    pub users: u64,
    /// What is over and waits to be removed: sessions that expired or were revoked, and markers that
    /// have done their time.
    pub over: u64,
    /// Markers of sessions that ended, and notes of those that were restored.
    pub markers: u64,
    /// The length of the file.
    pub bytes: u64,
}

/// Reads all of a folder's sessions, checks every checksum, and counts. Removes nothing. Costs as
/// much as opening the store.
pub fn check(folder: impl AsRef<Path>) -> Result<Contents, OpenError> {
    let (folder, mut sessions) = take(folder.as_ref())?;
    let now = Clock::system().now();
    let mut found = Contents { layout: LAYOUT, bytes: length(&folder), ..Contents::default() };
    let mut users = HashSet::new();
    for (id, packed) in sessions.take_records() {
        let record = packed.record();
        match &record.content {
            _ if record.expires_at <= now => found.over += 1,
            None => found.markers += 1,
            Some(content) if content.user.is_none() => found.live += 1,
            Some(_) if record.indexed_until.is_none() => found.over += 1,
            Some(_) => {
                found.live += 1;
                found.logged_in += 1;
                users.insert(id.tag());
            }
        }
    }
    found.users = users.len() as u64;
    Ok(found)
}

/// Removes from a folder's file what has expired, and gives its room back to the system. Answers how
/// many bytes the file had, and has.
pub fn compact(folder: impl AsRef<Path>) -> Result<(u64, u64), OpenError> {
    let (folder, mut sessions) = take(folder.as_ref())?;
    let before = length(&folder);
    let now = Clock::system().now();
    let records = sessions.take_records().into_iter();
    let over = records.filter(|(_, packed)| packed.expires_at() <= now).map(|(id, _)| (id, None));
    sessions.write(&over.collect()).map_err(|problem| sessions.not_written(problem))?;
    sessions.give_back()?;
    drop(sessions);
    Ok((before, length(&folder)))
}

/// Renames a folder's file, so that nothing is served from it any more, and answers its new name. Its
/// sessions live elsewhere now: served from here, those that ended there would be alive again.
pub fn set_aside(folder: impl AsRef<Path>) -> Result<PathBuf, OpenError> {
    let folder = existing(folder.as_ref())?;
    let file = folder.file();
    let wrong = |source| OpenError::NotAccessible { path: file.clone(), source };
    let names = (1..).map(|number| file.with_extension(format!("redb.moved-{number}")));
    for name in names {
        if !name.try_exists().map_err(wrong)? {
            std::fs::rename(&file, &name).map_err(wrong)?;
            return Ok(name);
        }
    }
    unreachable!("there is always a next number")
}

fn take(folder: &Path) -> Result<(Folder, Sessions), OpenError> {
    let folder = existing(folder)?;
    let sessions = folder.open(|file: FileBackend| file)?;
    Ok((folder, sessions))
}

/// A folder with a file in it; none is made.
fn existing(path: &Path) -> Result<Folder, OpenError> {
    let file = Folder::file_in(path);
    match file.try_exists() {
        Ok(true) => Folder::hold(path),
        Ok(false) => {
            let source = io::Error::new(io::ErrorKind::NotFound, "there are no sessions");
            Err(OpenError::NotAccessible { path: file, source })
        }
        Err(source) => Err(OpenError::NotAccessible { path: file, source }),
    }
}

fn length(folder: &Folder) -> u64 {
    std::fs::metadata(folder.file()).map_or(0, |file| file.len())
}
