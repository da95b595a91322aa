//! How the sessions lie in the file, layout 2: as a log. Numbers are little-endian.
//!
//! ```text
//! table "log": number of the piece, u64 -> entry*
//! entry = session id, 49 bytes ‖ length u32 ‖ bytes of the record; a length of 0 removes it
//! ```
//!
//! 1. Every transaction puts what changed at the end, in pieces that fill a page each. The latest
//!    entry of a session counts.
//! 2. So a transaction costs what it writes, however many sessions there are. In a table by id, 64
//!    sessions here and there are 64 pages and the way to each, all of them written anew.
//! 3. When less than half of the log counts, a transaction takes pieces from the front as well, twice
//!    as much as it writes: what counts goes to the end once more, the rest is gone. So the log stays
//!    within three times of what counts, and each byte that is written costs a few more at most.
//! 4. An entry that removes a session is dropped when it comes to the front: what it removed stood
//!    before it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use cloakroom::SessionId;
use cloakroom::engine::Packed;
use redb::{ReadableTable, Table};

/// The latest state of records; `None` removes one.
pub(crate) type Writes = HashMap<SessionId, Option<Packed>>;

/// The records of a log; `None` if an entry is none.
pub(crate) type Records = Option<Vec<(SessionId, Packed)>>;

/// What a piece may hold so that it fits a page of 4,096 bytes with what the database notes there. A
/// record that is longer is a piece alone.
const PIECE: usize = 4_000;
/// How much of the log need not count before that is worth a thought.
const SPARE: u64 = 256 * 1024;

/// What is in the log, and where. As large as the number of sessions, 35 to 70 bytes each.
#[derive(Default)]
pub(crate) struct Log {
    places: HashMap<Name, Place>,
    next: u64,
    bytes: u64,
    bytes_that_count: u64,
}

/// The first half of an id's hash: as unlikely to be met twice as any key of 128 bits.
type Name = [u8; 16];

/// Where the entry is that counts.
struct Place {
    piece: u64,
    /// Of the entry; 0 of one that removes.
    bytes: u32,
}

/// How much of the front a transaction takes.
#[derive(Clone, Copy)]
pub(crate) enum Tidy {
    /// Twice what it writes, if too little of the log counts.
    AsItGoes,
    /// So many bytes, if too little of the log counts.
    UpTo(u64),
    /// So many bytes, whatever counts.
    All(u64),
}

impl Log {
    /// Reads all of it, the latest first.
    pub(crate) fn read(
        table: &impl ReadableTable<u64, &'static [u8]>,
    ) -> Result<(Self, Records), redb::Error> {
        let mut log = Self::default();
        let mut records = Vec::new();
        for piece in table.iter()?.rev() {
            let (number, piece) = piece?;
            let number = number.value();
            log.next = log.next.max(number + 1);
            log.bytes += piece.value().len() as u64;
            for entry in entries(piece.value()) {
                let Some((id, record)) = entry else { return Ok((log, None)) };
                let Entry::Vacant(place) = log.places.entry(name(&id)) else { continue };
                let bytes = if record.is_empty() { 0 } else { length(record) };
                place.insert(Place { piece: number, bytes });
                log.bytes_that_count += u64::from(bytes);
                if !record.is_empty() {
                    let Some(packed) = Packed::from_bytes(record) else { return Ok((log, None)) };
                    records.push((id, packed));
                }
            }
        }
        Ok((log, Some(records)))
    }

    /// How long all of its pieces are, and the entries that count.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.bytes, self.bytes_that_count)
    }

    /// Whether so little of it counts that it is to be tidied.
    pub(crate) fn is_untidy(&self) -> bool {
        self.bytes > 2 * self.bytes_that_count + SPARE
    }

    /// Puts the writes at the end, and takes from the front; says how many bytes of that. If this
    /// fails, neither the transaction nor this log is any good.
    pub(crate) fn append(
        &mut self,
        table: &mut Table<'_, u64, &'static [u8]>,
        writes: &Writes,
        tidy: Tidy,
    ) -> Result<u64, redb::Error> {
        let mut end = End { first: self.next, pieces: Vec::new() };
        for (id, packed) in writes {
            self.put(&mut end, id, packed.as_ref().map_or(&[], Packed::bytes));
        }
        let written: usize = end.pieces.iter().map(Vec::len).sum();
        let at_most = match tidy {
            Tidy::AsItGoes => 2 * written as u64,
            Tidy::UpTo(bytes) | Tidy::All(bytes) => bytes,
        };
        let mut taken = 0;
        while taken < at_most && (matches!(tidy, Tidy::All(_)) || self.is_untidy()) {
            let Some((number, piece)) = table.pop_first()? else { break };
            let (number, piece) = (number.value(), piece.value());
            taken += piece.len() as u64;
            self.bytes -= piece.len() as u64;
            for (id, record) in entries(piece).flatten() {
                let counts = |place: &Place| place.piece == number;
                match record {
                    _ if !self.places.get(&name(&id)).is_some_and(counts) => {}
                    [] => {
                        self.places.remove(&name(&id));
                    }
                    record => self.put(&mut end, &id, record),
                }
            }
        }
        for piece in end.pieces {
            table.insert(self.next, &*piece)?;
            self.next += 1;
            self.bytes += piece.len() as u64;
        }
        Ok(taken)
    }

    fn put(&mut self, end: &mut End, id: &SessionId, record: &[u8]) {
        let piece = end.put(id, record);
        let bytes = if record.is_empty() { 0 } else { length(record) };
        self.bytes_that_count += u64::from(bytes);
        if let Some(before) = self.places.insert(name(id), Place { piece, bytes }) {
            self.bytes_that_count -= u64::from(before.bytes);
        }
    }
}

/// The pieces of a transaction.
struct End {
    /// The number of the first.
    first: u64,
    pieces: Vec<Vec<u8>>,
}

impl End {
    /// Puts an entry there, and says in which piece it is.
    fn put(&mut self, id: &SessionId, record: &[u8]) -> u64 {
        let fits = |piece: &Vec<u8>| piece.len() + length(record) as usize <= PIECE;
        let mut piece = self.pieces.pop_if(|piece| fits(piece)).unwrap_or_default();
        piece.extend_from_slice(&id.to_bytes());
        piece.extend_from_slice(&(record.len() as u32).to_le_bytes());
        piece.extend_from_slice(record);
        self.pieces.push(piece);
        self.first + self.pieces.len() as u64 - 1
    }
}

/// Of an entry with this record.
fn length(record: &[u8]) -> u32 {
    (SessionId::BYTES + 4 + record.len()) as u32
}

fn name(id: &SessionId) -> Name {
    let mut name = Name::default();
    let bytes = id.to_bytes();
    name.copy_from_slice(&bytes[SessionId::BYTES - 32..][..16]);
    name
}

/// The entries of a piece; a `None` is none, and the last.
fn entries(piece: &[u8]) -> impl Iterator<Item = Option<(SessionId, &[u8])>> {
    let mut rest = Some(piece).filter(|piece| !piece.is_empty());
    std::iter::from_fn(move || {
        let piece = rest.take()?;
        let entry = || {
            let (id, behind) = piece.split_at_checked(SessionId::BYTES)?;
            let (length, behind) = behind.split_first_chunk()?;
            let (record, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((SessionId::from_bytes(id)?, record, behind))
        };
        Some(entry().map(|(id, record, behind)| {
            rest = Some(behind).filter(|behind| !behind.is_empty());
            (id, record)
        }))
    })
}

#[cfg(test)]
mod tests;
