//! What a file can hold, without a file: for the targets in `fuzz`. No part of the API.

use cloakroom::engine::Record;

use crate::record;

/// The record whose bytes these are; `None` if they are none.
pub fn decode(bytes: &[u8]) -> Option<Record> {
    record::decode(bytes)
}

/// The bytes of a record.
pub fn encode(record: &Record) -> Vec<u8> {
    record::encode(record)
}
