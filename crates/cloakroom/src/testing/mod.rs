//! What a test needs to trust a store: the conformance suite of the contract
//! [`Store`](crate::Store), and a store that fails on purpose.
//!
//! A new store's test file is a few lines: say how to reach the store and how time passes on its
//! clock, and every check of [`conformance`] becomes a test of its own.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use cloakroom::testing::Harness;
//! use cloakroom::{Clock, Hands, MemoryStore, Store, Timestamp};
//!
//! struct Memory {
//!     store: MemoryStore,
//!     hands: Hands,
//! }
//!
//! impl Memory {
//!     fn start() -> Self {
//!         let (clock, hands) = Clock::manual(Timestamp::from_millis(1_763_880_000_000));
//!         Self { store: MemoryStore::with_clock(clock), hands }
//!     }
//! }
//!
//! impl Harness for Memory {
//!     fn store(&self) -> Arc<dyn Store> {
//!         Arc::new(self.store.clone())
//!     }
//!
//!     fn pass(&self, time: Duration) {
//!         self.hands.advance(time);
//!     }
//! }
//!
//! cloakroom::conformance_suite!(Memory::start);
//! # fn main() {}
//! ```

// A panic is how a check reports: there is no caller who could do better with an error.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check reports by panicking")]

mod harness;
mod failing;
mod visitor;
mod together;
pub mod conformance;
pub mod promises;

pub use failing::{FailingStore, Failure};
pub use harness::Harness;
#[doc(hidden)]
pub use together::run_together;
pub use visitor::Visitor;
