//! A disk that fails on purpose.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom::change::{Change, Fields, Limits, Operation};
use cloakroom::store::OnlyIf;
use cloakroom::{FieldName, Lifetime, Settings, TokenMint, Touch};
use tempfile::TempDir;

use super::*;

const PATIENCE: Patience = Patience(Duration::from_secs(30));

/// What is wrong with the disk, if anything.
#[derive(Debug, Default)]
struct Faults {
    full: AtomicBool,
    /// Held by a test for as long as the disk hangs.
    hangs: Mutex<()>,
}

#[derive(Debug)]
struct Faulty {
    file: FileBackend,
    faults: Arc<Faults>,
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        drop(self.faults.hangs.lock().unwrap());
        self.writable()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

impl Faulty {
    fn writable(&self) -> io::Result<()> {
        match self.faults.full.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

struct Here {
    store: EmbeddedStore,
    faults: Arc<Faults>,
    folder: TempDir,
}

fn start() -> Here {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let settings = EmbeddedSettings::default();
    let shared = faults.clone();
    let store = EmbeddedStore::open_on(folder.path(), settings, move |file| Faulty {
        file,
        faults: shared.clone(),
    });
    Here { store: store.unwrap(), faults, folder }
}

fn created(store: &EmbeddedStore, patience: Patience) -> Result<SessionId, StoreError> {
    created_with(store, &Fields::new(), patience)
}

fn created_with(
    store: &EmbeddedStore,
    fields: &Fields,
    patience: Patience,
) -> Result<SessionId, StoreError> {
    let id = TokenMint::new(Prefix::default(), "session", None).issue_anonymous().unwrap().id;
    let lifetime = Lifetime::new(Duration::from_secs(3600), Duration::from_secs(3600)).unwrap();
    let new = Create { id: &id, lifetime, remembered: false, fields, login: None };
    pollster::block_on(store.create(new, patience)).map(|_| id)
}

fn apply(
    store: &EmbeddedStore,
    id: SessionId,
    change: &Change,
    patience: Patience,
) -> Result<Option<u64>, StoreError> {
    let limits: &Limits = &Settings::default().limits;
    let only_if = OnlyIf::Alive;
    let touch = Touch::Exactly;
    let apply = Apply { id: &id, change, only_if, touch, limits, token: None };
    let field = FieldName::new("count");
    let count = |kept: &cloakroom::Kept| std::str::from_utf8(kept).unwrap().parse().unwrap();
    Ok(match pollster::block_on(store.apply(apply, patience))? {
        Applied::Done(session, _) => Some(session.fields.get(&field).map_or(0, count)),
        _ => None,
    })
}

fn one_more() -> Change {
    let field = FieldName::new("count");
    Change::of(Operation::Increment { field, by: 1, never_below_zero: true })
}

fn eventually<T>(look: impl Fn() -> Result<T, StoreError>) -> T {
    testbed::eventually(Duration::from_secs(30), || look().ok()).unwrap()
}

#[test]
fn what_could_not_be_written_is_not_shown_and_the_store_comes_back() {
    let Here { store, faults, folder } = start();
    let id = created(&store, PATIENCE).unwrap();
    assert_eq!(apply(&store, id, &one_more(), PATIENCE).unwrap(), Some(1));

    faults.full.store(true, Ordering::SeqCst);
    let error = apply(&store, id, &one_more(), PATIENCE).unwrap_err();
    assert_eq!(error.happened, Happened::Perhaps, "{error}");
    // Fails closed: not even a read answers from a memory that is ahead of the file.
    for error in [
        apply(&store, id, &Change::read(), PATIENCE).unwrap_err(),
        created(&store, PATIENCE).unwrap_err(),
        pollster::block_on(store.end(&id, PATIENCE)).map(drop).unwrap_err(),
        pollster::block_on(store.check(PATIENCE)).unwrap_err(),
    ] {
        assert_eq!(error.happened, Happened::No, "{error}");
        assert!(error.to_string().contains("sessions.redb"), "{error}");
    }

    faults.full.store(false, Ordering::SeqCst);
    eventually(|| pollster::block_on(store.check(PATIENCE)));
    let count = apply(&store, id, &one_more(), PATIENCE).unwrap().unwrap();
    // One is what was acknowledged; the one whose outcome was unknown may be among them.
    assert!((2..=3).contains(&count), "{count}");
    drop(store);
    let store = EmbeddedStore::open(folder.path(), EmbeddedSettings::default()).unwrap();
    assert_eq!(apply(&store, id, &Change::read(), PATIENCE).unwrap(), Some(count));
}

#[test]
fn a_disk_that_hangs_is_waited_for_no_longer_than_patience_lasts() {
    let Here { store, faults, .. } = start();
    let id = created(&store, PATIENCE).unwrap();
    let hangs = faults.hangs.lock().unwrap();
    let short = Patience(Duration::from_millis(50));
    for _ in 0..2 {
        let error = apply(&store, id, &one_more(), short).unwrap_err();
        assert_eq!(error.happened, Happened::Perhaps, "{error}");
        assert!(error.to_string().contains("within 50ms"), "{error}");
    }
    assert!(pollster::block_on(store.check(short)).is_err());
    // Reads don't wait for the disk.
    assert_eq!(apply(&store, id, &Change::read(), short).unwrap(), Some(2));
    drop(hangs);
    assert_eq!(apply(&store, id, &one_more(), PATIENCE).unwrap(), Some(3));
}

#[test]
fn when_too_much_waits_more_is_refused_before_it_happens() {
    let Here { store, faults, .. } = start();
    let id = created(&store, PATIENCE).unwrap();
    let hangs = faults.hangs.lock().unwrap();
    let short = Patience(Duration::from_millis(1));
    let refused = (0..2_000).find_map(|_| {
        let large = [(FieldName::new("large"), cloakroom::Kept(vec![b'x'; 60_000]))];
        let error = created_with(&store, &large.into_iter().collect(), short).unwrap_err();
        (error.happened == Happened::No).then_some(error)
    });
    drop(hangs);
    assert!(refused.unwrap().to_string().contains("nothing was changed"));
    eventually(|| apply(&store, id, &one_more(), PATIENCE));
}
