//! All that a run has found out.

use std::collections::BTreeMap;

use crate::kept::Kept;
use crate::pace::Pages;
use crate::scale::Scale;
use crate::sizes::Sizes;
use crate::variant::Variant;

/// All that a run has found out.
pub(crate) struct Run {
    /// The machine when it began.
    pub(crate) machine: String,
    /// What the server says that it is, such as "Redis 7.0.15".
    pub(crate) redis: String,
    /// The server's core, and that of Redis and of who loads.
    pub(crate) cores: Option<[usize; 2]>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) pages: Option<Pages>,
    pub(crate) kept: Option<BTreeMap<String, Kept>>,
    pub(crate) scale: Option<Scale>,
    pub(crate) sizes: Option<Sizes>,
}
