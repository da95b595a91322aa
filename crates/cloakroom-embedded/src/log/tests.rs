//! The log beside a map that is written the same.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom::engine::Record;
use cloakroom::{Prefix, Timestamp, TokenMint};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::*;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

struct Beside {
    database: Database,
    log: Log,
    map: HashMap<SessionId, Packed>,
    seed: u64,
}

impl Beside {
    fn new() -> Self {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let this = Self { database, log: Log::default(), map: HashMap::new(), seed: 7 };
        this.append(&mut Log::default(), &Writes::new(), Tidy::AsItGoes);
        this
    }

    fn append(&self, log: &mut Log, writes: &Writes, tidy: Tidy) -> u64 {
        let transaction = self.database.begin_write().unwrap();
        let mut table = transaction.open_table(LOG).unwrap();
        let taken = log.append(&mut table, writes, tidy).unwrap();
        drop(table);
        transaction.commit().unwrap();
        taken
    }

    fn write(&mut self, writes: &[(SessionId, Option<Packed>)], tidy: Tidy) -> u64 {
        for (id, packed) in writes {
            match packed.clone() {
                Some(packed) => self.map.insert(*id, packed),
                None => self.map.remove(id),
            };
        }
        let mut log = std::mem::take(&mut self.log);
        let taken = self.append(&mut log, &writes.iter().cloned().collect(), tidy);
        self.log = log;
        taken
    }

    /// What is read is what was written; what the log believes of itself is what it finds there.
    fn compare(&self) {
        let table = self.database.begin_read().unwrap().open_table(LOG).unwrap();
        let (log, records) = Log::read(&table).unwrap();
        let records = records.unwrap();
        assert_eq!(records.len(), records.iter().map(|(id, _)| id).collect::<HashSet<_>>().len());
        assert_eq!(HashMap::from_iter(records), self.map);
        assert_eq!(log.bytes(), self.log.bytes());
        assert_eq!(log.next, self.log.next);
        let places = |log: &Log| -> HashMap<Name, (u64, u32)> {
            log.places.iter().map(|(name, place)| (*name, (place.piece, place.bytes))).collect()
        };
        assert_eq!(places(&log), places(&self.log));
    }

    fn below(&mut self, end: u64) -> u64 {
        let seed = self.seed.wrapping_mul(6_364_136_223_846_793_005);
        self.seed = seed.wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % end
    }
}

fn ids(how_many: usize) -> Vec<SessionId> {
    let mint = TokenMint::new(Prefix::default(), "session", None);
    (0..how_many).map(|_| mint.issue_anonymous().unwrap().id).collect()
}

/// Markers are enough: to the log a record is bytes.
fn packed(number: u64) -> Option<Packed> {
    let expires_at = Timestamp::from_millis(number) + Duration::from_secs(1);
    Some(Packed::of(&Record { content: None, expires_at, indexed_until: None }))
}

#[test]
fn what_is_read_is_the_latest_of_what_was_written() {
    let mut beside = Beside::new();
    let ids = ids(2_000);
    for number in 0..400 {
        let mut writes = Writes::new();
        for _ in 0..beside.below(150) {
            let id = ids[beside.below(2_000) as usize];
            // Now and then most of them go.
            let goes = beside.below(10) < if number % 100 > 80 { 9 } else { 2 };
            writes.insert(id, if goes { None } else { packed(number) });
        }
        let writes: Vec<_> = writes.into_iter().collect();
        let tidy = [Tidy::AsItGoes, Tidy::AsItGoes, Tidy::UpTo(10_000), Tidy::All(10_000)];
        beside.write(&writes, tidy[number as usize % 4]);
        if number % 20 == 0 {
            beside.compare();
        }
    }
    beside.compare();
    let (bytes, that_count) = beside.log.bytes();
    beside.write(&[], Tidy::All(bytes));
    beside.compare();
    assert_eq!(beside.log.bytes(), (that_count, that_count));
}

/// Whatever is written, and however long what counts has lain there untouched.
#[test]
fn the_log_stays_within_three_times_of_what_counts() {
    let mut beside = Beside::new();
    let ids = ids(2_000);
    let all: Vec<_> = ids.iter().map(|id| (*id, packed(0))).collect();
    for some in all.chunks(500) {
        beside.write(some, Tidy::AsItGoes);
    }
    let mut longest = 0;
    for number in 1..400 {
        // A few that are hot; the others stay.
        let at = beside.below(20) as usize * 64;
        let some: Vec<_> = ids[at..at + 64].iter().map(|id| (*id, packed(number))).collect();
        let taken = beside.write(&some, Tidy::AsItGoes);
        assert!(taken <= 2 * 64 * 62 + PIECE as u64, "{taken} bytes for 64 writes");
        let (bytes, that_count) = beside.log.bytes();
        assert!(bytes <= 3 * that_count + SPARE, "{bytes} for {that_count}");
        longest = longest.max(bytes);
    }
    beside.compare();
    assert!(longest > 2 * beside.log.bytes().1, "it was never tidied: {longest}");
}

#[test]
fn a_log_that_nobody_needs_any_more_goes_by_and_by() {
    let mut beside = Beside::new();
    let ids = ids(20_000);
    let all: Vec<_> = ids.iter().map(|id| (*id, packed(0))).collect();
    beside.write(&all, Tidy::AsItGoes);
    let gone: Vec<_> = ids.iter().map(|id| (*id, None)).collect();
    beside.write(&gone, Tidy::AsItGoes);
    assert!(beside.log.is_untidy());
    while beside.log.is_untidy() {
        assert!(beside.write(&[], Tidy::UpTo(100_000)) <= 100_000 + PIECE as u64);
    }
    beside.compare();
    assert!(beside.log.bytes().0 <= SPARE);
    let (bytes, _) = beside.log.bytes();
    beside.write(&[], Tidy::All(bytes));
    assert!(beside.log.places.is_empty() && beside.log.bytes() == (0, 0));
}

#[test]
fn what_is_no_entry_is_no_record() {
    let id = ids(1)[0];
    let record = packed(1).unwrap();
    let mut end = End { first: 0, pieces: Vec::new() };
    end.put(&id, record.bytes());
    let piece = end.pieces.remove(0);
    assert_eq!(entries(&piece).collect::<Vec<_>>(), [Some((id, record.bytes()))]);
    for cut in 1..piece.len() {
        assert_eq!(entries(&piece[..cut]).last(), Some(None), "cut at {cut}");
    }
}
