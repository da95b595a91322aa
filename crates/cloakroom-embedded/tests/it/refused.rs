//! What is wrong with a folder is said, and nothing is lost in silence.

use std::fs;

use cloakroom_embedded::OpenError;
use redb::{Database, TableDefinition};

use crate::house::*;

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
fn a_later_layout_is_refused_with_both_versions_and_left_alone() {
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
    assert!(matches!(error, OpenError::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("layout 7"), "{error}");
    layout(1);
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
    let mut found = 0;
    // The header bit by bit, and the rest here and there.
    let places = (0..512).chain((512..whole.len()).step_by(whole.len() / 400 + 1));
    for (turn, at) in places.enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (turn % 8);
        fs::write(&path, &bytes).unwrap();
        let opened = cloakroom_embedded::EmbeddedStore::open(
            folder.path(),
            cloakroom_embedded::EmbeddedSettings::default(),
        );
        match opened {
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

#[cfg(unix)]
#[test]
fn folder_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let inner = folder.path().join("made/by/us");
    let settings = cloakroom_embedded::EmbeddedSettings::default();
    let _store = cloakroom_embedded::EmbeddedStore::open(&inner, settings).unwrap();
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
    let settings = cloakroom_embedded::EmbeddedSettings::default;
    for path in [file.clone(), file.join("below"), "/proc/nowhere".into()] {
        let error = cloakroom_embedded::EmbeddedStore::open(&path, settings()).unwrap_err();
        assert!(matches!(error, OpenError::NotAccessible { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
