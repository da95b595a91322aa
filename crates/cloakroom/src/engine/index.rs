//! The index of a user: the sessions with an entry, the one with the least life left first.
//!
//! Most users have one session or two, and an ordered map takes 700 bytes for the first; a program
//! that logs in without end may have a hundred thousand.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::expiry::Timestamp;
use crate::token::SessionId;

/// The last instant at which a session can still be alive, and the session.
pub(super) type Entry = (Timestamp, SessionId);

/// Up to so many are a list in order.
const FEW: usize = 16;

pub(super) enum Index {
    Few(Vec<Entry>),
    Many(BTreeSet<Entry>),
}

impl Index {
    pub(super) fn of(entry: Entry) -> Self {
        Self::Few(vec![entry])
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        match self {
            Self::Few(few) => match few.binary_search(&entry) {
                Ok(_) => {}
                Err(at) if few.len() < FEW => few.insert(at, entry),
                Err(_) => {
                    let all = std::mem::take(few).into_iter().chain([entry]);
                    *self = Self::Many(all.collect());
                }
            },
            Self::Many(many) => {
                many.insert(entry);
            }
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        match self {
            Self::Few(few) => {
                if let Ok(at) = few.binary_search(entry) {
                    few.remove(at);
                }
            }
            Self::Many(many) => {
                many.remove(entry);
            }
        }
    }

    pub(super) fn contains(&self, entry: &Entry) -> bool {
        match self {
            Self::Few(few) => few.binary_search(entry).is_ok(),
            Self::Many(many) => many.contains(entry),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// In order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.before(None)
    }

    /// Those before this one, in order; all without one.
    pub(super) fn before(&self, before: Option<&Entry>) -> impl DoubleEndedIterator<Item = &Entry> {
        let (few, many) = match self {
            Self::Few(few) => {
                let end = before.map_or(few.len(), |end| few.partition_point(|it| it < end));
                (&few[..end], None)
            }
            Self::Many(many) => {
                let end = before.map_or(Bound::Unbounded, Bound::Excluded);
                (&[][..], Some(many.range((Bound::Unbounded, end))))
            }
        };
        few.iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use crate::token::{Prefix, TokenMint};

    use super::*;

    #[test]
    fn it_is_an_ordered_set_whether_it_holds_few_or_many() {
        let mint = TokenMint::new(Prefix::default(), "session", None);
        let entry = |at| (Timestamp::from_millis(at), mint.issue_for("alice").unwrap().id);
        let mut order: Vec<Entry> = (0..40).map(|number| entry(number * 7 % 40)).collect();
        let mut index = Index::of(order[0]);
        let mut expected = BTreeSet::from([order[0]]);
        let all = order.clone();
        // In, and out again in another order.
        for turn in 0..2 {
            for entry in &order {
                match turn {
                    0 => {
                        index.insert(*entry);
                        expected.insert(*entry);
                    }
                    _ => {
                        index.remove(entry);
                        expected.remove(entry);
                    }
                }
                assert!(index.iter().eq(&expected));
                assert_eq!(index.len(), expected.len());
                for one in &all {
                    assert_eq!(index.contains(one), expected.contains(one));
                    assert!(index.before(Some(one)).rev().eq(expected.range(..one).rev()));
                }
            }
            order.sort_unstable_by_key(|(_, id)| *id);
        }
        assert!(matches!(index, Index::Many(_)) && index.len() == 0);
    }
}
