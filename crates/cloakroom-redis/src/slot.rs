//! Slots: the 16384 parts into which a cluster divides its keys.

use crc::{CRC_16_XMODEM, Crc};

/// How many there are.
pub(crate) const COUNT: u16 = 16384;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of a key of ours, which has its tag in braces.
pub(crate) fn of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let tag = tag.map_or(key, |(tag, _)| tag);
    CHECKSUM.checksum(tag.as_bytes()) % COUNT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_a_server() {
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(of("123456789"), 0x31c3);
        assert_eq!(of("foo"), 12182);
        assert_eq!(of("shop:{foo}:session:bar"), 12182);
        assert_eq!(of("shop:{user1000}:user"), 3443);
    }
}
