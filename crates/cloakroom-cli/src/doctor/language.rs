//! The languages in which the doctor speaks. Each has one file with all it says; a text that is
//! missing in one does not compile.

mod english;
mod japanese;

use std::env;

use crate::args::Lang;
use crate::doctor::finding::{Finding, Part, Verdict};

/// What a person reads of a finding.
pub(crate) struct Words {
    /// What was found, and what it means.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) next: Option<String>,
}

impl Words {
    /// Nothing to do.
    pub(crate) fn fine(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: None }
    }

    /// Something to do.
    pub(crate) fn act(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: Some(next.into()) }
    }
}

/// How many of each verdict there were, and where to begin.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) failures: usize,
    pub(crate) warnings: usize,
    pub(crate) notes: usize,
    /// The number of the first step that needs somebody.
    pub(crate) first: Option<usize>,
}

/// All that is said in one language.
pub(crate) struct Phrases {
    pub(crate) title: fn(Part) -> &'static str,
    /// `None`: not tried.
    pub(crate) verdict: fn(Option<Verdict>) -> &'static str,
    pub(crate) next: &'static str,
    pub(crate) words: fn(&Finding) -> Words,
    pub(crate) summary: fn(Tally) -> String,
    /// The URL names nothing that can be examined.
    pub(crate) unreadable: fn(&str) -> String,
}

/// The language that was asked for, or that the environment names.
pub(crate) fn chosen(asked: Option<Lang>) -> &'static Phrases {
    let set = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    // The first that is set decides, as POSIX has it.
    let named = || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
    match asked {
        Some(Lang::En) => &english::PHRASES,
        Some(Lang::Ja) => &japanese::PHRASES,
        None if named().is_some_and(|locale| locale.starts_with("ja")) => &japanese::PHRASES,
        None => &english::PHRASES,
    }
}
