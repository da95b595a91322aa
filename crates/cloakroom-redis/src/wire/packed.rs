//! A session in one piece: MessagePack, as `cmsgpack.pack` makes it. As an array of the server's protocol
//! each string would be read and kept by itself, which took a tenth of all that a page costs.

use super::Garbled;

/// Its items, one after the other.
pub(super) struct Packed<'a> {
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The beginning of an array: how many items follow.
    pub(super) fn array(&mut self) -> Result<usize, Garbled> {
        match self.byte()? {
            short @ 0x90..=0x9f => Ok(usize::from(short & 0x0f)),
            0xdc => self.length::<2>(),
            0xdd => self.length::<4>(),
            _ => Err(Garbled("no array")),
        }
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Garbled> {
        self.string_if_any()?.ok_or(Garbled("no string"))
    }

    /// `None` where it says `false`.
    pub(super) fn string_if_any(&mut self) -> Result<Option<&'a [u8]>, Garbled> {
        let length = match self.byte()? {
            0xc2 => return Ok(None),
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => self.length::<1>()?,
            0xda => self.length::<2>()?,
            0xdb => self.length::<4>()?,
            _ => return Err(Garbled("no string")),
        };
        self.take(length).map(Some)
    }

    /// Not below 0.
    pub(super) fn number(&mut self) -> Result<u64, Garbled> {
        match self.byte()? {
            small @ 0..=0x7f => Ok(small.into()),
            0xcc => self.unsigned::<1>(),
            0xcd => self.unsigned::<2>(),
            0xce => self.unsigned::<4>(),
            0xcf => self.unsigned::<8>(),
            _ => Err(Garbled("no number")),
        }
    }

    fn length<const BYTES: usize>(&mut self) -> Result<usize, Garbled> {
        // Of four bytes at most.
        self.unsigned::<BYTES>().map(|length| length as usize)
    }

    fn unsigned<const BYTES: usize>(&mut self) -> Result<u64, Garbled> {
        Ok(self.take(BYTES)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        Ok(self.take(1)?[0])
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
        let mut packed = Packed::of(bytes);
        (0..packed.array()?).map(|_| packed.string().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn numbers_of_every_length_are_read() {
        for (bytes, expected) in [
            (&b"\x00"[..], 0),
            (b"\x7f", 127),
            (b"\xcc\x80", 128),
            (b"\xcd\x01\x00", 256),
            (b"\xce\x00\x01\x00\x00", 65_536),
            (b"\xcf\x00\x00\x01\x9a\xaf\x1b\x6c\x00", 0x0000_019a_af1b_6c00),
        ] {
            assert_eq!(Packed::of(bytes).number().unwrap(), expected);
            assert!(Packed::of(&bytes[..bytes.len() - 1]).number().is_err(), "{bytes:?}");
        }
        for other in [&b"\xff"[..], b"\xd0\x01", b"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", b"\xa0"] {
            assert!(Packed::of(other).number().is_err(), "{other:?}");
        }
    }

    #[test]
    fn no_string_is_told_from_an_empty_one() {
        assert_eq!(Packed::of(b"\xc2").string_if_any().unwrap(), None);
        assert_eq!(Packed::of(b"\xa0").string_if_any().unwrap(), Some(&b""[..]));
        assert!(Packed::of(b"\xc2").string().is_err());
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
