//! libFuzzer makes inputs, and the target that `CLOAKROOM_FUZZ_TARGET` names reads them.

#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn target() -> &'static Target {
    let name = std::env::var("CLOAKROOM_FUZZ_TARGET").unwrap_or_default();
    fuzz::target(&name).unwrap_or_else(|| {
        let names: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
        panic!("CLOAKROOM_FUZZ_TARGET is {name:?}, and no target; they are {}", names.join(", "))
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.get_or_init(target).run)(input));
