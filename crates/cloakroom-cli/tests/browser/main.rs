//! The demo as a person meets it: the whole binary, in headless Chromium.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod in_a_browser;
