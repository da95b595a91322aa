//! The store's users and its writer under a model checker of threads: `cargo xtask models`. The database
//! is the real one, on a disk that keeps what was synced apart from what was only written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::change::{Change, Fields, Limits, Operation};
use cloakroom::engine::Record;
use cloakroom::store::{OnlyIf, Snapshot};
use cloakroom::{FieldName, Hands, Lifetime, Timestamp, TokenMint, Touch};
use shuttle::future::block_on;
use shuttle::sync::Mutex;
use tempfile::TempDir;
use testbed::schedules::in_many_schedules;

use super::*;
use crate::sync::thread;

/// For ever: a timer is not the model checker's.
const PATIENCE: Patience = Patience(Duration::MAX);
const COUNT: FieldName = FieldName::new("count");
static LIMITS: Limits = Limits { fields: 9, value_bytes: 99, session_bytes: 999 };

/// What a power cut would leave, and what the system shows until then.
#[derive(Debug)]
struct Disk {
    /// Never held while it is somebody else's turn.
    written: std::sync::Mutex<Vec<u8>>,
    synced: Mutex<Arc<[u8]>>,
    /// How many more syncs succeed.
    good_for: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Backend(Arc<Disk>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.written.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0.written.lock().unwrap()[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.written.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let fewer = |left: usize| left.checked_sub(1);
        if self.0.good_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_err() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.0.written.lock().unwrap().clone();
        // A disk takes its time.
        *self.0.synced.lock().unwrap() = written.into();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        self.0.written.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl Disk {
    fn holding(bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            written: std::sync::Mutex::new(bytes.to_vec()),
            synced: Mutex::new(bytes.into()),
            good_for: AtomicUsize::new(usize::MAX),
        })
    }
}

/// A file without sessions, made once.
fn empty_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    drop(Folder::hold(folder.path()).unwrap().open(|file| file).unwrap());
    std::fs::read(Folder::file_in(folder.path())).unwrap()
}

/// A folder with that file: the store finds one, and is given the disk instead.
fn folder_with(empty: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(Folder::file_in(folder.path()), empty).unwrap();
    folder
}

struct Scene {
    empty: Arc<[u8]>,
    disk: Arc<Disk>,
    /// `None` when it has ended.
    store: std::sync::Mutex<Option<EmbeddedStore>>,
    mint: TokenMint,
    hands: Hands,
    _folder: TempDir,
}

impl Scene {
    fn set(empty: &Arc<[u8]>) -> Arc<Self> {
        let (disk, folder) = (Disk::holding(empty), folder_with(empty));
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
        let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
        let backend = Backend(disk.clone());
        let store =
            EmbeddedStore::open_on(folder.path(), settings, move |_| backend.clone()).unwrap();
        let store = std::sync::Mutex::new(Some(store));
        let mint = TokenMint::new(Prefix::default(), "session", None);
        Arc::new(Self { empty: empty.clone(), disk, store, mint, hands, _folder: folder })
    }

    fn store(&self) -> EmbeddedStore {
        self.store.lock().unwrap().clone().unwrap()
    }

    /// Returns when everything is written.
    fn end_the_store(&self) {
        let store = self.store.lock().unwrap().take();
        drop(store);
    }

    fn create(&self) -> Result<SessionId, StoreError> {
        let id = self.mint.issue_anonymous().unwrap().id;
        let hour = Duration::from_secs(3600);
        let (lifetime, fields) = (Lifetime::new(hour, hour).unwrap(), &Fields::new());
        let new = Create { id: &id, lifetime, remembered: false, fields, login: None };
        block_on(self.store().create(new, PATIENCE)).map(|_| id)
    }

    fn apply(&self, id: &SessionId, change: &Change) -> Result<Snapshot, StoreError> {
        let (only_if, touch) = (OnlyIf::Alive, Touch::Exactly);
        let apply = Apply { id, change, only_if, touch, limits: &LIMITS, token: None };
        match block_on(self.store().apply(apply, PATIENCE))? {
            Applied::Done(snapshot, _) => Ok(snapshot),
            other => panic!("{other:?}"),
        }
    }

    fn count(&self, id: &SessionId) -> Result<Snapshot, StoreError> {
        let one = Operation::Increment { field: COUNT, by: 1, never_below_zero: true };
        self.apply(id, &Change::of(one))
    }

    fn end(&self, id: &SessionId) -> Result<Ended, StoreError> {
        block_on(self.store().end(id, PATIENCE))
    }

    /// What would be there of a session after a power cut now.
    fn after_a_power_cut(&self, id: &SessionId) -> Kept {
        let folder = folder_with(&self.empty);
        let synced = self.disk.synced.lock().unwrap().clone();
        let disk = Disk::holding(&synced);
        let mut sessions =
            Folder::hold(folder.path()).unwrap().open(|_| Backend(disk.clone())).unwrap();
        let record = sessions.take_records().into_iter().find(|(other, _)| other == id);
        record.map_or(Kept::Nothing, |(_, packed)| match packed.record() {
            Record { content: None, .. } => Kept::Marker,
            Record { content: Some(content), expires_at, .. } => {
                Kept::Session(count_of(&content.fields), expires_at)
            }
        })
    }
}

/// What the disk has of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// It has ended.
    Marker,
    /// What it counted to, and when it expires.
    Session(u64, Timestamp),
}

impl Kept {
    fn has_counted_to(self, least: u64) -> bool {
        matches!(self, Self::Session(count, _) if count >= least)
    }
}

fn count_of(fields: &Fields) -> u64 {
    fields.get(&COUNT).map_or(0, |kept| std::str::from_utf8(kept).unwrap().parse().unwrap())
}

/// In a thread of its own.
fn with<T: Send + 'static>(
    scene: &Arc<Scene>,
    does: impl FnOnce(&Scene) -> T + Send + 'static,
) -> JoinHandle<T> {
    let scene = scene.clone();
    thread::spawn(move || does(&scene))
}

fn in_many_schedules_on_a_disk(scene: impl Fn(Arc<Scene>) + Clone + Send + Sync + 'static) {
    let empty: Arc<[u8]> = empty_file().into();
    in_many_schedules(move || scene(Scene::set(&empty)));
}

// Proves R67.
#[test]
fn what_is_acknowledged_outlives_a_power_cut_however_many_write_at_once() {
    in_many_schedules_on_a_disk(|scene| {
        let shared = scene.create().unwrap();
        let writers: Vec<_> = (0..3)
            .map(|_| {
                with(&scene, move |scene| {
                    let own = scene.create().unwrap();
                    assert!(scene.after_a_power_cut(&own).has_counted_to(0), "a lost session");
                    let seen = count_of(&scene.count(&shared).unwrap().fields);
                    assert!(scene.after_a_power_cut(&shared).has_counted_to(seen), "a lost count");
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(count_of(&scene.apply(&shared, &Change::read()).unwrap().fields), 3);
    });
}

/// A logout that finds it done waits all the same, until that is safe.
// Proves R67.
#[test]
fn a_logout_is_acknowledged_to_everybody_when_it_outlives_a_power_cut() {
    in_many_schedules_on_a_disk(|scene| {
        let id = scene.create().unwrap();
        let logout = |_| {
            with(&scene, move |scene| {
                let ended = scene.end(&id).unwrap();
                assert_eq!(scene.after_a_power_cut(&id), Kept::Marker, "a logout came undone");
                ended == Ended::Now
            })
        };
        let logouts: Vec<_> = (0..3).map(logout).collect();
        let firsts: Vec<_> = logouts.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(firsts.into_iter().filter(|first| *first).count(), 1);
    });
}

/// Everybody who waits hears of it, nobody waits for ever, and what was acknowledged before is there.
// Proves R67.
#[test]
fn when_the_disk_fails_everybody_who_waits_hears_it() {
    for good_for in 0..3 {
        in_many_schedules_on_a_disk(move |scene| {
            scene.disk.good_for.store(good_for, Ordering::SeqCst);
            let writers: Vec<_> = (0..3)
                .map(|_| {
                    with(&scene, |scene| {
                        if let Ok(id) = scene.create() {
                            assert!(scene.after_a_power_cut(&id).has_counted_to(0), "it is lost");
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
        });
    }
}

/// What nobody waits for, a use that puts the end off, is written when the store ends, and never older
/// than what was written before it.
// Proves R67.
#[test]
fn the_last_of_each_session_is_on_the_disk_when_the_store_has_ended() {
    in_many_schedules_on_a_disk(|scene| {
        let id = scene.create().unwrap();
        let looks = with(&scene, move |scene| {
            scene.hands.advance(Duration::from_secs(1));
            scene.apply(&id, &Change::read()).unwrap().expires_at
        });
        let counts = with(&scene, move |scene| scene.count(&id).unwrap().expires_at);
        let last = looks.join().unwrap().max(counts.join().unwrap());
        scene.end_the_store();
        assert_eq!(scene.after_a_power_cut(&id), Kept::Session(1, last));
    });
}
