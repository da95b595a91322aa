//! All that a hash holds, in one piece: an array of strings in MessagePack, as `cmsgpack.pack` makes it
//! of what `HGETALL` answers. As an array of the server's protocol each string would be read and kept by
//! itself, which took a tenth of all that a page costs.

use super::Garbled;

/// Its strings, one after the other.
pub(super) struct Packed<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Garbled> {
        let mut packed = Self { left: 0, rest: bytes };
        packed.left = match packed.byte()? {
            short @ 0x90..=0x9f => usize::from(short & 0x0f),
            0xdc => packed.number::<2>()?,
            0xdd => packed.number::<4>()?,
            _ => return Err(Garbled("no fields")),
        };
        Ok(packed)
    }

    /// `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&'a [u8]>, Garbled> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let length = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => self.number::<1>()?,
            0xda => self.number::<2>()?,
            0xdb => self.number::<4>()?,
            _ => return Err(Garbled("a field that is no string")),
        };
        self.take(length).map(Some)
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        Ok(self.take(1)?[0])
    }

    fn number<const BYTES: usize>(&mut self) -> Result<usize, Garbled> {
        Ok(self.take(BYTES)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Garbled("too short"))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Garbled> {
        let mut packed = Packed::of(bytes)?;
        let mut strings = Vec::new();
        while let Some(string) = packed.next()? {
            strings.push(string.to_vec());
        }
        Ok(strings)
    }

    #[test]
    fn strings_of_every_length_are_read() {
        let long = |head: &[u8], length: usize| [head, &vec![b'x'; length][..]].concat();
        let strings = [
            long(b"\xa0", 0),
            long(b"\xbf", 31),
            long(b"\xd9\x20", 32),
            long(b"\xd9\xff", 255),
            long(b"\xda\x01\x00", 256),
            long(b"\xdb\x00\x01\x00\x00", 65_536),
        ];
        for head in [&b"\x96"[..], b"\xdc\x00\x06", b"\xdd\x00\x00\x00\x06"] {
            let read = read(&[head, &strings.concat()].concat()).unwrap();
            let lengths: Vec<_> = read.iter().map(Vec::len).collect();
            assert_eq!(lengths, [0, 31, 32, 255, 256, 65_536]);
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let whole = b"\xdc\x00\x02\xd9\x02ab\xda\x00\x01c";
        assert_eq!(read(whole).unwrap(), [&b"ab"[..], b"c"]);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        for other in [&b"\x81\xa1a\xa1b"[..], b"\xa1a", b"\x91\x01", b"\x91\xc0", b"\x91\x91\xa1a"]
        {
            assert!(read(other).is_err(), "{other:?}");
        }
    }
}
