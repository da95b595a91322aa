//! Everything in here needs a browser. Whoever has none leaves out the tests of this name.

mod visit;
mod devices;
mod faults;
mod language;
mod looks;
mod screenshots;
