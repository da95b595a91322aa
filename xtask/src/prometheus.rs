//! Prometheus, against which the dashboard and the alerts are tried: this machine's, or Debian's,
//! unpacked into `target/test-prometheus`. Without it those tests are left out.

use std::fs;
use std::path::PathBuf;

use crate::apt;
use crate::step::{in_path, offline, root, say};

/// In the names of the tests that need it.
pub(crate) const TESTS: &str = "in_prometheus";

/// For the tests' environment.
pub(crate) type Variables = [(&'static str, String); 1];

/// The folder that has `prometheus` and `promtool`, or why there is none.
pub(crate) fn find_or_fetch() -> Result<Variables, String> {
    let variables = |folder: PathBuf| [("CLOAKROOM_TEST_PROMETHEUS", folder.display().to_string())];
    let beside =
        in_path("prometheus").into_iter().find(|it| it.with_file_name("promtool").exists());
    if let Some(folder) = beside.as_deref().and_then(std::path::Path::parent) {
        return Ok(variables(folder.to_owned()));
    }
    let home = root().join("target/test-prometheus");
    let programs = home.join("root/usr/bin");
    if programs.join("promtool").exists() {
        return Ok(variables(programs));
    }
    if offline() {
        return Err("not here, and CLOAKROOM_OFFLINE is set".to_owned());
    }
    say("unpacking Debian's prometheus into target/test-prometheus");
    // What an interrupted run left.
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    apt::unpack(&["prometheus"], &home)?;
    Ok(variables(programs))
}
