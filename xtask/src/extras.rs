//! What a few tests need besides servers, and are left out without: from Debian's packages, unpacked into
//! `target/test-extras/<package>`.

use std::fs;
use std::path::PathBuf;

use crate::apt;
use crate::servers::Servers;
use crate::step::{Result, in_path, offline, root, say};

/// A package, and what is looked for in it.
struct Extra {
    packages: &'static [&'static str],
    /// A file in `usr`. Whatever folder of this machine's kind it lies in, `*` stands for it.
    file: &'static str,
    /// Tells the tests where it is.
    variable: &'static str,
    /// In the names of the tests that need it.
    tests: &'static str,
    /// What these test.
    what: &'static str,
}

const EXTRAS: [Extra; 2] = [
    Extra {
        packages: &["prometheus"],
        file: "bin/promtool",
        variable: "CLOAKROOM_TEST_PROMTOOL",
        tests: "in_prometheus",
        what: "the dashboard and the alerts in Prometheus",
    },
    Extra {
        packages: &["libfaketime"],
        file: "lib/*/faketime/libfaketimeMT.so.1",
        variable: "CLOAKROOM_TEST_FAKETIME",
        tests: "by_another_clock",
        what: "a server whose clock steps",
    },
];

/// Adds them to what the tests are told, or to what is left out.
pub(crate) fn find_or_fetch(servers: &mut Servers) {
    for extra in EXTRAS {
        match extra.find_or_fetch() {
            Ok(file) => servers.variables.push((extra.variable, file.display().to_string())),
            Err(reason) => {
                let left_out = format!("{} ({reason})", extra.what);
                say(format!("LEFT OUT: {left_out}"));
                servers.without.push(extra.tests);
                servers.left_out.push(left_out);
            }
        }
    }
}

impl Extra {
    fn find_or_fetch(&self) -> Result<PathBuf> {
        let program = self.file.strip_prefix("bin/").map(in_path);
        if let Some(installed) = program.into_iter().flatten().next() {
            return Ok(installed);
        }
        let name = self.packages.first().copied().unwrap_or_default();
        let home = root().join("target/test-extras").join(name);
        if let Some(file) = self.unpacked(&home) {
            return Ok(file);
        }
        if offline() {
            return Err("not here, and CLOAKROOM_OFFLINE is set".to_owned());
        }
        say(format!("unpacking Debian's {name} into target/test-extras"));
        // What an interrupted run left.
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        apt::unpack(self.packages, &home)?;
        self.unpacked(&home).ok_or_else(|| format!("no {} in it", self.file))
    }

    fn unpacked(&self, home: &std::path::Path) -> Option<PathBuf> {
        let usr = home.join("root/usr");
        let file = match self.file.split_once("/*/") {
            None => usr.join(self.file),
            Some((before, after)) => {
                let folders = fs::read_dir(usr.join(before)).ok()?.flatten();
                folders.map(|folder| folder.path().join(after)).find(|file| file.exists())?
            }
        };
        file.exists().then_some(file)
    }
}
