//! `Cookie` lines, one a line of the input: which session a request comes with.

use cloakroom::store::Applied;
use cloakroom::{Field, SessionError};
use pollster::block_on;

use crate::house::{hostile, mint};

const NAME: &[u8] = b"__Host-session";
const VISITS: Field<u64> = Field::new("visits");

pub(crate) fn run(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let sent: Vec<&[u8]> = lines.iter().flat_map(|line| values(line)).collect();
    let (store, manager) = hostile();
    store.answer(Applied::Unknown);

    let visit = manager.open(lines.iter().copied());
    let session = visit.session();
    let id = block_on(session.id());
    let expected = match sent.as_slice() {
        [value] => mint().open(value).map(|issued| issued.id),
        _ => None,
    };
    assert!(matches!(id, Ok(None)), "a session that the store does not know: {id:?}");
    assert_eq!(store.asked(), Vec::from_iter(expected), "who was asked for");

    // Two of the same name are as one that was ended: nothing is made, nothing is taken away.
    let visited = block_on(session.increment(VISITS, 1));
    if sent.len() > 1 {
        assert!(matches!(visited, Err(SessionError::Ended)), "{visited:?}");
        assert_eq!(store.written(), 0);
    } else {
        // A newcomer, for whom this store makes nothing.
        assert!(matches!(visited, Err(SessionError::Unavailable(_))), "{visited:?}");
        assert_eq!(store.written(), 1);
    }
    assert!(block_on(visit.close(200)).set_cookie.is_none());
}

/// The values under our name in a line, byte by byte: RFC 6265bis 4.2.1, pairs parted by `; `, and
/// nothing is trimmed or decoded. A pair of a `;` alone is understood.
fn values(line: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        if at > 0 && line.get(at) == Some(&b' ') {
            at += 1;
        } else if at == 0 && line.first() == Some(&b' ') {
            at = 1;
        }
        let mut end = at;
        while end < line.len() && line[end] != b';' {
            end += 1;
        }
        let pair = &line[at..end];
        if let Some(equals) = pair.iter().position(|byte| *byte == b'=')
            && pair[..equals] == *NAME
        {
            found.push(&pair[equals + 1..]);
        }
        if end == line.len() {
            return found;
        }
        at = end + 1;
    }
}
