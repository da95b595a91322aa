//! A test with an `/etc/hosts` of its own, so that a name leads where the test says, and elsewhere when
//! it says so: the test runs once more, in a mount namespace where a file of its own lies over that one.
//!
//! It takes `unshare` of util-linux, and root with CAP_SYS_ADMIN or a kernel that lets users make
//! namespaces.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::NamedTempFile;

/// Tells the test that it is inside, and which file it is.
const INSIDE: &str = "CLOAKROOM_TEST_HOSTS";
/// What the shell in the namespace does: `$0` is the file, `$@` the program.
const BEHIND: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// A name that leads where the test says, for the test itself and for all that it starts.
#[derive(Debug)]
pub struct Hosts {
    file: PathBuf,
    name: String,
}

impl Hosts {
    /// A test begins with this, and ends at `None`: then it has run, inside. `test` is its full name, as
    /// `--list` shows it. The name leads to 127.0.0.1 first.
    ///
    /// # Panics
    /// If no namespace can be had, or the test failed there.
    #[track_caller]
    pub fn around(test: &str, name: &str) -> Option<Self> {
        if let Some(file) = env::var_os(INSIDE) {
            return Some(Self { file: file.into(), name: name.to_owned() });
        }
        let mut file = NamedTempFile::with_prefix("testbed-hosts-").unwrap();
        writeln!(file, "{} {name}", Ipv4Addr::LOCALHOST).unwrap();
        let probe = run(file.path(), &["true"]);
        assert!(
            probe.status.success(),
            "this test needs a mount namespace with an /etc/hosts of its own: run it as root with \
             CAP_SYS_ADMIN, or let users make namespaces (sysctl kernel.unprivileged_userns_clone=1; \
             on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0): {probe:?}"
        );
        let this = env::current_exe().unwrap();
        let this = this.to_str().expect("a path in UTF-8");
        let output = run(file.path(), &[this, "--exact", test, "--nocapture"]);
        let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
        // A name that no test has would pass as well.
        assert!(output.status.success() && said.contains(" 1 passed"), "{test}, inside:\n{said}");
        None
    }

    /// From now on the name leads there. Any two addresses have to be of the same length.
    pub fn lead(&self, to: Ipv4Addr) {
        let line = format!("{to} {}\n", self.name);
        assert_eq!(fs::metadata(&self.file).unwrap().len(), line.len() as u64, "{line}");
        let file = File::options().write(true).open(&self.file).unwrap();
        // In place, because the namespace holds the file and not its path; and in one write, so that
        // nobody reads half of it.
        file.write_all_at(line.as_bytes(), 0).unwrap();
        assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), line);
    }
}

/// Runs a program in a namespace where this file lies over `/etc/hosts`.
fn run(file: &Path, program: &[&str]) -> Output {
    let unshare: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-root-user", "--mount"]
    };
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", BEHIND]).arg(file).args(program).env(INSIDE, file);
    command.output().unwrap_or_else(|error| panic!("unshare of util-linux can't be run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_where_the_test_says_and_only_inside() {
        let this = "hosts::tests::a_name_leads_where_the_test_says_and_only_inside";
        let Some(hosts) = Hosts::around(this, "cloak.test") else {
            assert!(!fs::read_to_string("/etc/hosts").unwrap().contains("cloak.test"));
            return;
        };
        let found = || {
            let output = Command::new("getent").args(["hosts", "cloak.test"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(found().starts_with("127.0.0.1 "), "{}", found());
        hosts.lead(Ipv4Addr::new(127, 0, 0, 2));
        assert!(found().starts_with("127.0.0.2 "), "{}", found());
    }
}
