//! The browser that the demo is tested in: found on this machine, or installed by apt.
//!
//! Unlike a server it can't be unpacked into `target/`: it needs some hundred libraries. So it is the
//! one thing that is installed, said before it is done, and only where there are root and apt.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, ask, in_path, offline, run, say};

/// The names of the tests that need it.
pub(crate) const TESTS: &str = "in_a_browser";

const BROWSER: &str = "CLOAKROOM_TEST_BROWSER";
const DRIVER: &str = "CLOAKROOM_TEST_BROWSER_DRIVER";

/// What to install, as Debian names it. Ubuntu has it as a snap only; its CI machines come with Chrome.
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
const TO_TYPE: &str = "as root: apt-get install chromium chromium-driver";

/// A browser and its driver, as variables for the tests; or why they are left out.
pub(crate) type Found = std::result::Result<Vec<(&'static str, String)>, String>;

/// # Errors
/// If there is none and none can be installed, unless that is what `CLOAKROOM_OFFLINE` asks for.
pub(crate) fn find_or_install() -> Result<Found> {
    if let Some(found) = find()? {
        return Ok(Ok(found));
    }
    if offline() {
        return Ok(Err("not here, and CLOAKROOM_OFFLINE is set".to_owned()));
    }
    let missing = |why: &str| {
        format!(
            "there is no chromium with its chromedriver to test the demo in, and {why}. Type, \
             {TO_TYPE}; or name them in {BROWSER} and {DRIVER}; or leave those tests out with \
             CLOAKROOM_OFFLINE=1"
        )
    };
    if in_path("apt-get").is_empty() {
        return Err(missing("there is no apt-get to install it with"));
    }
    if !is_root() {
        return Err(missing("only root can install it"));
    }
    say("no chromium and chromedriver in PATH: installing Debian's (half a minute)");
    install(&PACKAGES)?;
    find()?.map(Ok).ok_or_else(|| missing("what apt-get installed is no chromedriver in PATH"))
}

/// Fonts with Japanese letters, for pictures; without them there are boxes in their place.
pub(crate) fn find_or_install_fonts() -> Result {
    let has_japanese =
        || ask(Command::new("fc-list").arg(":lang=ja")).is_ok_and(|list| !list.is_empty());
    if has_japanese() {
        return Ok(());
    }
    if offline() || in_path("apt-get").is_empty() || !is_root() {
        return Err("there is no font with Japanese letters: as root, apt-get install \
                    fonts-noto-cjk fontconfig"
            .to_owned());
    }
    say("no font with Japanese letters: installing Debian's fonts-noto-cjk");
    install(&["fonts-noto-cjk", "fontconfig"])
}

fn find() -> Result<Option<Vec<(&'static str, String)>>> {
    let browser = program(BROWSER, &["chromium", "google-chrome", "chromium-browser"])?;
    let driver = program(DRIVER, &["chromedriver"])?;
    let Some((browser, driver)) = browser.zip(driver) else { return Ok(None) };
    Ok(Some(vec![(BROWSER, browser.display().to_string()), (DRIVER, driver.display().to_string())]))
}

/// The one that is named, else the first in PATH that runs: Ubuntu's `chromium-browser` may be a note
/// that there is none.
fn program(variable: &str, names: &[&str]) -> Result<Option<PathBuf>> {
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let wrong = || format!("{variable}={} does not run", path.display());
        return if runs(&path) { Ok(Some(path)) } else { Err(wrong()) };
    }
    Ok(names.iter().flat_map(|name| in_path(name)).find(|path| runs(path)))
}

fn runs(program: &Path) -> bool {
    ask(Command::new(program).arg("--version")).is_ok()
}

fn is_root() -> bool {
    ask(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn install(packages: &[&str]) -> Result {
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        apt
    };
    // A fresh machine has no lists, and old lists name packages that are gone. Where one of several
    // sources can't be reached, those that are there may do.
    if let Err(problem) = run(apt().arg("update")) {
        say(problem);
    }
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_run_is_no_browser() {
        assert!(!runs(Path::new("/nowhere/chromium")));
        assert!(!runs(Path::new("false")));
        assert!(runs(Path::new("true")));
    }
}
