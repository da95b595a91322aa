//! What the library promises about bytes: tokens, values and changes, through its public face.

// Helpers of tests may be as blunt as tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod token;
mod field;
mod change;
mod device;
mod proxies;
mod papers;
#[cfg(feature = "testing")]
mod failing;
#[cfg(feature = "testing")]
mod memory;
#[cfg(feature = "testing")]
mod suite;
