//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

/// What is measured, and for how long.
pub(crate) struct Settings {
    /// The program with our own variants.
    pub(crate) own: PathBuf,
    /// What was built of the peers, as JSON; see `xtask/src/peers.rs`.
    pub(crate) peers: Option<PathBuf>,
    /// Where the page and the pictures go.
    pub(crate) docs: PathBuf,
    /// Where the READMEs are whose table is to be written anew.
    pub(crate) readmes: Option<PathBuf>,
    /// Only variants with one of these words in their name; all, if there are none.
    pub(crate) only: Vec<String>,
    /// Only these parts; all, if there are none.
    pub(crate) parts: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
    pub(crate) quick: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own: PathBuf::new(),
            peers: None,
            docs: PathBuf::from("docs"),
            readmes: None,
            only: Vec::new(),
            parts: Vec::new(),
            // A machine that is shared changes from one second to the next: many short slices, of which
            // those that are compared lie close together.
            rounds: 60,
            slice: Duration::from_millis(300),
            quick: false,
        }
    }
}

impl Settings {
    pub(crate) fn read() -> Self {
        let mut settings = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut next =
                || words.next().unwrap_or_else(|| panic!("{word} wants a word behind it"));
            match word.as_str() {
                "--quick" => {
                    settings.quick = true;
                    settings.rounds = 6;
                }
                "--own" => settings.own = next().into(),
                "--peers" => settings.peers = Some(next().into()),
                "--docs" => settings.docs = next().into(),
                "--readmes" => settings.readmes = Some(next().into()),
                "--only" => settings.only.push(next()),
                "--part" => settings.parts.push(next()),
                "--rounds" => settings.rounds = next().parse().expect("a number of rounds"),
                _ => panic!("what is {word}?"),
            }
        }
        settings
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|one| one == part)
    }
}
