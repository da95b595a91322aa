//! A disk that is full in earnest: a tmpfs of 2 MB, or what `CLOAKROOM_TEST_SMALL_DISK` names. (That a
//! disk can be full at any step is tested with a backend that fails.)

use std::path::Path;
use std::time::Duration;

use cloakroom::change::Fields;
use cloakroom::store::{Created, Store};
use cloakroom::{FieldName, Kept};
use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore};

use crate::disk::Disk;
use crate::house::*;

// Proves F40.
#[test]
fn a_full_disk_loses_nothing_and_is_survived() {
    let named = std::env::var_os("CLOAKROOM_TEST_SMALL_DISK").map(std::path::PathBuf::from);
    let mounted = if named.is_none() { Disk::mount(2) } else { None };
    let Some(disk) = named.as_deref().or(mounted.as_ref().map(Disk::path)) else {
        assert!(
            !is_root(),
            "root may mount no tmpfs here: name a disk of some 2 MB in CLOAKROOM_TEST_SMALL_DISK"
        );
        eprintln!(
            "NOT TESTED: only root may mount a small disk; CLOAKROOM_TEST_SMALL_DISK names one"
        );
        return;
    };
    let folder = tempfile::tempdir_in(disk).unwrap();
    let store = EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![7; 200_000]).unwrap();
    let large: Fields = [(FieldName::new("x"), Kept(vec![b'x'; 10_000]))].into_iter().collect();
    let mut made = Vec::new();
    let error = loop {
        let id = fresh(None);
        match pollster::block_on(create(&store, id, None, lifetime(), &large)) {
            Ok(Created::Done(..)) => made.push(id),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    eprintln!("full after {} sessions: {error}", made.len());
    let answers = || pollster::block_on(store.check(PATIENCE)).ok();
    let again = testbed::eventually(Duration::from_secs(5), answers);
    eprintln!("while the disk is full it answers again: {}", again.is_some());
    if again.is_some() {
        let ended = pollster::block_on(store.end(&made[0], PATIENCE));
        eprintln!("a logout on the full disk: {:?}", ended.map_err(|error| error.to_string()));
    }
    std::fs::remove_file(ballast).unwrap();
    testbed::eventually(Duration::from_secs(30), answers).unwrap();
    assert!(made[1..].iter().all(|id| count_of(&store, *id).is_some()));
    pollster::block_on(counted(&store, made[1])).unwrap();
    drop(store);
    let store = EmbeddedStore::open(Path::new(folder.path()), EmbeddedSettings::default()).unwrap();
    assert!(made[1..].iter().all(|id| count_of(&store, *id).is_some()));
    assert_eq!(count_of(&store, made[1]), Some(1));
}
