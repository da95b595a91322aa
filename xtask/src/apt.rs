//! Debian's and Ubuntu's packages, unpacked instead of installed. apt checks their signatures.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, ask, in_path, run};

/// Unpacks packages, and the libraries that they need, into the folder `root` of a folder.
pub(crate) fn unpack(packages: &[&str], folder: &Path) -> Result {
    if in_path("apt-get").is_empty() || in_path("dpkg").is_empty() {
        return Err("no apt-get here".to_owned());
    }
    let apt = Apt::new(packages, folder)?;
    let files = folder.join("packages");
    fs::create_dir(&files).map_err(|error| error.to_string())?;
    let mut download = apt.command("apt-get");
    download.args(["-qq", "download"]).args(packages).args(apt.libraries(packages)?);
    run(download.current_dir(&files))?;
    let downloaded = fs::read_dir(&files).map_err(|error| error.to_string())?;
    for package in downloaded.flatten() {
        ask(Command::new("dpkg").arg("-x").arg(package.path()).arg(folder.join("root")))?;
    }
    apt.clean_up()?;
    fs::remove_dir_all(&files).map_err(|error| error.to_string())
}

/// Unpacks packages, and puts the program `server` beside them, which runs `program` of theirs.
pub(crate) fn unpack_server(packages: &[&str], program: &str, folder: &Path) -> Result {
    unpack(packages, folder)?;
    write_wrapper(&folder.join("server"), program)
}

/// apt as an ordinary user: it may read the system's package lists and download, but where the
/// lists are missing, as in container images, or don't have the packages, they have to be fetched into
/// a folder of our own.
struct Apt {
    own_lists: Option<PathBuf>,
}

impl Apt {
    fn new(packages: &[&str], folder: &Path) -> Result<Apt> {
        let system = Apt { own_lists: None };
        if system.has(packages) {
            return Ok(system);
        }
        let lists = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(lists.join(part)).map_err(|error| error.to_string())?;
        }
        let sources = lists.join("sources");
        let own = Apt { own_lists: Some(lists) };
        run(own.command("apt-get").args(["-qq", "update"]))?;
        if own.has(packages) {
            return Ok(own);
        }
        // Beside the release there are its backports, which few machines take packages from.
        fs::write(&sources, system.release_and_backports()?).map_err(|error| error.to_string())?;
        run(own.command("apt-get").args(["-qq", "update"]))?;
        Ok(own)
    }

    fn has(&self, packages: &[&str]) -> bool {
        let mut probe = self.command("apt-get");
        ask(probe.args(["download", "--print-uris"]).args(packages)).is_ok()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Started by root, apt downloads as a user of its own, who may not write to our folders.
        command.args(["-o", "APT::Sandbox::User=root"]);
        if let Some(own) = &self.own_lists {
            let mut set = |name, path: PathBuf| {
                command.arg("-o").arg(format!("{name}={}", path.display()));
            };
            set("Dir::State::Lists", own.join("lists"));
            set("Dir::Cache", own.join("cache"));
            if own.join("sources").exists() {
                set("Dir::Etc::SourceList", own.join("sources"));
                set("Dir::Etc::SourceParts", "-".into());
            }
        }
        command
    }

    /// Where this machine has its release from, as two lines of a list of sources.
    fn release_and_backports(&self) -> Result<String> {
        let release = fs::read_to_string("/etc/os-release").map_err(|error| error.to_string())?;
        let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let codename = codename.ok_or("/etc/os-release names no release")?;
        let mut targets = self.command("apt-get");
        targets.args(["indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"]);
        let answer = ask(&mut targets)?;
        let begins = format!("{codename} main ");
        let place = answer.lines().find_map(|line| line.strip_prefix(&begins));
        let place = place.ok_or_else(|| format!("no source of {codename} here"))?;
        Ok(format!("deb {place} {codename} main\ndeb {place} {codename}-backports main\n"))
    }

    /// What the server links to, for not every machine has all of it. The C library is left alone:
    /// it has to be the machine's own.
    fn libraries(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut depends = self.command("apt-cache");
        let answer = ask(depends.args(["depends", "--important"]).args(packages))?;
        let names = answer.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let is_library = |name: &&str| name.starts_with("lib") && !name.starts_with("libjs-");
        let libraries = names.filter(is_library).filter(|name| *name != "libc6");
        Ok(libraries.map(str::to_owned).collect())
    }

    fn clean_up(&self) -> Result {
        match &self.own_lists {
            Some(lists) => fs::remove_dir_all(lists).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// `exec` keeps the process id, so that a test that kills or stops the server meets the server.
fn write_wrapper(file: &Path, program: &str) -> Result {
    let script = format!(
        r#"#!/bin/sh
# Written by `cargo xtask`: the unpacked server, with the libraries unpacked beside it.
root=$(dirname "$(readlink -f "$0")")/root
for folder in "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$folder${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/{program}" "$@"
"#
    );
    fs::write(file, script)
        .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}
