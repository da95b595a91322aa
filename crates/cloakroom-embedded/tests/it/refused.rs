//! What is wrong with a folder is said, and nothing is lost in silence.

use std::fs;

use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore, OpenError};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

#[cfg(unix)]
use crate::disk::Disk;
use crate::house::*;

fn open_in(folder: &TempDir) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(folder.path(), EmbeddedSettings::default())
}

#[test]
fn a_second_store_is_refused_with_the_process_that_has_the_folder() {
    let folder = folder();
    let store = open(&folder);
    let message = refused(&folder).to_string();
    assert!(message.contains(&format!("in use by process {}", std::process::id())), "{message}");
    assert!(message.contains("take another folder"), "{message}");
    drop(store);
    open(&folder);
}

#[test]
fn another_layout_is_refused_with_both_versions_and_left_alone() {
    let folder = folder();
    let id = created(&open(&folder), None);
    let layout = |layout: u64| {
        let database = Database::open(folder.path().join("sessions.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let about: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
        transaction.open_table(about).unwrap().insert("layout", layout).unwrap();
        transaction.commit().unwrap();
    };
    layout(7);
    let error = refused(&folder);
    assert!(matches!(error, OpenError::Newer { found: 7, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("layout 7"), "{error}");
    layout(1);
    let error = refused(&folder);
    assert!(matches!(error, OpenError::Older { found: 1, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("layout 1, of before the first release"), "{error}");
    layout(2);
    assert_eq!(count_of(&open(&folder), id), Some(0));
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let folder = folder();
    let store = open(&folder);
    for _ in 0..200 {
        created(&store, Some("alice"));
    }
    drop(store);
    let path = folder.path().join("sessions.redb");
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 100, 4096, whole.len() / 3, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&folder);
        assert!(matches!(error, OpenError::Damaged { .. }), "{length}: {error}");
        assert!(error.to_string().contains("put a copy back"), "{error}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&folder).len(), 200);
}

/// Every bit that matters is under a checksum; the others change nothing.
// Proves F40.
#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let folder = folder();
    let store = open(&folder);
    let ids: Vec<_> = (0..50).map(|_| created(&store, Some("alice"))).collect();
    for id in &ids {
        pollster::block_on(counted(&store, *id)).unwrap();
    }
    drop(store);
    let path = folder.path().join("sessions.redb");
    let whole = fs::read(&path).unwrap();
    // Every opening is a transaction, so it is put back as well.
    let beside = folder.path().join("acknowledged");
    let witness = fs::read(&beside).unwrap();
    let mut found = 0;
    // The header bit by bit, and the rest here and there.
    let places = (0..512).chain((512..whole.len()).step_by(whole.len() / 400 + 1));
    for (turn, at) in places.enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (turn % 8);
        fs::write(&path, &bytes).unwrap();
        fs::write(&beside, &witness).unwrap();
        match open_in(&folder) {
            Ok(store) => {
                let same = ids.iter().all(|id| count_of(&store, *id) == Some(1));
                assert!(
                    same && store.len() == 50,
                    "byte {at} of {} made another store",
                    whole.len()
                );
            }
            Err(OpenError::Damaged { .. } | OpenError::NotAccessible { .. }) => found += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(found > 10, "only {found} found");
    eprintln!("{found} flipped bits refused");
}

/// A file that nobody closed, as a kill leaves it: here the database would give up a damaged
/// transaction as one that a power cut left half written.
#[test]
fn a_flipped_bit_in_a_file_that_nobody_closed_is_refused_or_changes_nothing() {
    let folder = folder();
    let store = open(&folder);
    let ids: Vec<_> = (0..50).map(|_| created(&store, Some("alice"))).collect();
    for id in &ids {
        pollster::block_on(counted(&store, *id)).unwrap();
    }
    let left = fs::read(folder.path().join("sessions.redb")).unwrap();
    let witness = fs::read(folder.path().join("acknowledged")).unwrap();
    let other = self::folder();
    let (file, beside) = (other.path().join("sessions.redb"), other.path().join("acknowledged"));
    let (mut same, mut found, mut older) = (0, 0, 0);
    for at in (0..left.len()).step_by(left.len() / 200 + 1).chain(0..320) {
        let mut bytes = left.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        fs::write(&beside, &witness).unwrap();
        match open_in(&other) {
            Ok(store) => {
                assert!(ids.iter().all(|id| count_of(&store, *id) == Some(1)), "byte {at}");
                same += 1;
            }
            Err(error @ OpenError::Damaged { .. }) => {
                found += 1;
                if error.to_string().contains("that were acknowledged") {
                    // Whoever has decided so goes on without it.
                    fs::remove_file(&beside).unwrap();
                    let store = open_in(&other).unwrap();
                    assert!(ids[..49].iter().all(|id| count_of(&store, *id) == Some(1)));
                    older += 1;
                }
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(same > 0 && older > 0, "{same} {older}");
    eprintln!("{same} changed nothing, {found} refused, {older} of them could be gone back from");
}

// Proves CVE-2019-16354.
#[cfg(unix)]
#[test]
fn folder_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let inner = folder.path().join("made/by/us");
    let settings = EmbeddedSettings::default();
    let _store = EmbeddedStore::open(&inner, settings).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for entry in fs::read_dir(&inner).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
}

#[test]
fn a_folder_that_can_not_be_written_to_is_named() {
    let folder = folder();
    let file = folder.path().join("a file");
    fs::write(&file, "").unwrap();
    let settings = EmbeddedSettings::default;
    for path in [file.clone(), file.join("below"), "/proc/nowhere".into()] {
        let error = EmbeddedStore::open(&path, settings()).unwrap_err();
        assert!(matches!(error, OpenError::NotAccessible { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// By permissions where they bind this user, else on a disk that is mounted read-only.
#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_is_refused_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let (disk, folder) = if is_root() {
        let disk = Disk::mount(8).expect("root may mount no tmpfs here: run it as another user");
        eprintln!("on a tmpfs mounted read-only");
        let folder = disk.path().join("sessions");
        (Some(disk), folder)
    } else {
        eprintln!("by permissions");
        (None, tempfile::tempdir().unwrap().keep())
    };
    let open = || EmbeddedStore::open(&folder, EmbeddedSettings::default());
    let store = open().unwrap();
    let id = created(&store, Some("alice"));
    drop(store);
    let allow = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    let files = ["sessions.redb", "acknowledged", "lock"].map(|name| folder.join(name));
    let closed = |mode: u32| {
        for file in &files {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    match &disk {
        Some(disk) => disk.make_read_only(),
        None => (closed(0o400), allow(0o500)).1,
    }
    let before = fs::read(&files[0]).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, OpenError::NotAccessible { .. }), "{error}");
    assert!(error.to_string().contains("that this user may write to"), "{error}");
    let missing = folder.join("new");
    let error = EmbeddedStore::open(&missing, EmbeddedSettings::default()).unwrap_err();
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    assert!(fs::read(&files[0]).unwrap() == before);
    match &disk {
        Some(disk) => disk.make_writable(),
        None => (allow(0o700), closed(0o600)).1,
    }
    let store = open().unwrap();
    assert_eq!(count_of(&store, id), Some(0));
    drop(store);
    if disk.is_none() {
        fs::remove_dir_all(&folder).unwrap();
    }
}
