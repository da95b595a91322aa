//! How many transactions were acknowledged, beside the file and not in it.
//!
//! The database gives up its last transaction when that is not whole, and can't tell one that a
//! power cut left half written, of which nobody was told, from one that was damaged later. This says
//! which it was. It is written after the transaction is on the disk, and not synced itself: a killed
//! process leaves it exact, a power cut leaves it behind, and it is never ahead.

use std::fs::File;
use std::io::{Read, Seek, Write};

/// The file that says so.
pub(crate) struct Witness(pub(crate) File);

impl Witness {
    /// A number and, so that garbage is not taken for one, its complement; 0 if it says nothing.
    pub(crate) fn acknowledged(&self) -> u64 {
        let mut bytes = [0; 16];
        let mut file = &self.0;
        if file.rewind().and_then(|()| file.read_exact(&mut bytes)).is_err() {
            return 0;
        }
        let bytes = u128::from_le_bytes(bytes);
        let (number, complement) = (bytes as u64, (bytes >> 64) as u64);
        if number == !complement { number } else { 0 }
    }

    pub(crate) fn acknowledge(&self, number: u64) {
        let bytes = u128::from(number) | u128::from(!number) << 64;
        let mut file = &self.0;
        // Without it, one more kind of damage goes unnoticed; nothing depends on it.
        let _ = file.rewind().and_then(|()| file.write_all(&bytes.to_le_bytes()));
    }
}
