//! The peers that `cargo xtask bench` compares with: built below `target/peers`, outside of the
//! workspace, in the versions that their lock files name. One that can't be built here is left out, and
//! the page says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, ask, cargo, in_path, offline, root, run, say};

/// A peer in Rust, in a folder of this name, and which packages make it what it is.
const RUST: [(&str, &[&str]); 3] = [
    ("tower-sessions", &["tower-sessions", "tower-sessions-redis-store", "fred", "axum"]),
    ("actix-session", &["actix-session", "actix-web", "redis"]),
    ("axum_session", &["axum_session", "axum_session_redispool", "redis", "axum"]),
];

/// Where the public can read what becomes of a logout while another request of the session is under way.
/// Of a peer without such a page that race is not measured.
const RACES: [(&str, &str); 2] = [
    // Saves only what is still there.
    ("tower-sessions", "https://docs.rs/crate/tower-sessions-redis-store/0.16.0/source/src/lib.rs"),
    ("express", "https://github.com/expressjs/session/issues/632"),
];

/// As `bench/src/bin/pages/variant.rs` reads it.
#[derive(serde::Serialize)]
struct Peer {
    name: String,
    version: String,
    command: Vec<String>,
    skipped: Option<String>,
    race: Option<&'static str>,
}

/// How to start a peer, and which versions it has.
type Built = Result<(Vec<String>, String)>;

/// Builds what can be built, and returns the list of it.
pub(crate) fn build() -> Result<PathBuf> {
    let mut peers: Vec<Peer> =
        RUST.iter().map(|(name, packages)| peer(name, in_rust(name, packages))).collect();
    peers.push(peer("express", express()));
    peers.push(peer("flask", flask()));
    let list = folder().join("peers.json");
    let text = serde_json::to_string_pretty(&peers).map_err(|error| error.to_string())?;
    write(&list, &text)?;
    Ok(list)
}

fn peer(name: &str, built: Built) -> Peer {
    let race = RACES.iter().find(|(of, _)| *of == name).map(|(_, page)| *page);
    let (command, version, skipped) = match built {
        Ok((command, version)) => (command, version, None),
        Err(reason) => {
            say(format!("LEFT OUT: {name} ({reason})"));
            // The first line says what was tried; what a compiler has to say was on the screen.
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            (Vec::new(), String::new(), Some(reason))
        }
    };
    Peer { name: name.to_owned(), version, command, skipped, race }
}

fn folder() -> PathBuf {
    root().join("target/peers")
}

fn source(name: &str) -> PathBuf {
    root().join("bench/peers").join(name)
}

fn write(file: &Path, text: &str) -> Result {
    let shown = file.display();
    let made = file.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(file, text))
        .map_err(|error| format!("cannot write {shown}: {error}"))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn in_rust(name: &str, packages: &[&str]) -> Built {
    let target = folder().join("rust");
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
    build.arg(source(name).join("Cargo.toml")).arg("--target-dir").arg(&target);
    if offline() {
        build.arg("--offline");
    }
    run(&mut build)?;
    let program = target.join("release").join(format!("peer-{name}"));
    let lock = read(&source(name).join("Cargo.lock"))?;
    Ok((vec![program.display().to_string()], locked(&lock, packages)?))
}

/// `axum 0.8.9, redis 1.8.1`, out of a lock file.
fn locked(lock: &str, packages: &[&str]) -> Result<String> {
    let lock: toml::Table = lock.parse().map_err(|error| format!("no lock file: {error}"))?;
    let all = lock.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |package: &toml::Value, key: &str| {
        package.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let versions = packages.iter().map(|name| {
        let package = all.iter().find(|package| text(package, "name") == *name);
        let package = package.ok_or_else(|| format!("the lock file has no {name}"))?;
        Ok(format!("{name} {}", text(package, "version")))
    });
    versions.collect::<Result<Vec<_>>>().map(|versions| versions.join(", "))
}

fn found(program: &str) -> Result<PathBuf> {
    in_path(program).into_iter().next().ok_or_else(|| format!("there is no {program} in PATH"))
}

fn express() -> Built {
    let (node, npm) = (found("node")?, found("npm")?);
    let folder = folder().join("express");
    for file in ["package.json", "package-lock.json", "server.js"] {
        write(&folder.join(file), &read(&source("express").join(file))?)?;
    }
    let mut install = Command::new(npm);
    install.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--silent"]);
    if offline() {
        install.arg("--offline");
    }
    run(&mut install)?;
    let package: serde_json::Value = serde_json::from_str(&read(&folder.join("package.json"))?)
        .map_err(|error| format!("package.json: {error}"))?;
    let packages = package["dependencies"].as_object().into_iter().flatten();
    let mut versions: Vec<String> = packages
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or_default()))
        .collect();
    versions.push(format!("Node {}", ask(Command::new(&node).arg("--version"))?.trim()));
    // As its documentation asks for in production.
    let program = ["env", "NODE_ENV=production"].map(str::to_owned).into_iter();
    let script = [node, folder.join("server.js")].map(|path| path.display().to_string());
    Ok((program.chain(script).collect(), versions.join(", ")))
}

fn flask() -> Built {
    let (python, folder) = (found("python3")?, folder().join("flask"));
    let (gunicorn, inside) = (folder.join("bin/gunicorn"), folder.join("bin/python3"));
    let requirements = source("flask").join("requirements.txt");
    let list = read(&requirements)?;
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&list) {
        if offline() {
            return Err("not installed, and CLOAKROOM_OFFLINE is set".to_owned());
        }
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut install = Command::new(&inside);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(install.arg(&requirements))?;
        write(&stamp, &list)?;
    }
    let shown = ["Flask", "gunicorn", "redis"];
    let mut versions: Vec<String> = list
        .lines()
        .filter_map(|line| line.split_once("=="))
        .filter(|(name, _)| shown.contains(name))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    versions.push(ask(Command::new(&inside).arg("--version"))?.trim().to_owned());
    // Three workers on one core, as gunicorn's documentation counts them; with threads, so that
    // connections stay open.
    let workers = [
        "--workers",
        "3",
        "--threads",
        "4",
        // As behind a load balancer, which keeps connections open for a minute.
        "--keep-alive",
        "75",
        "--no-control-socket",
        "--bind",
        "127.0.0.1:0",
        "--chdir",
    ];
    let mut command = vec![gunicorn.display().to_string()];
    command.extend(workers.map(str::to_owned));
    command.extend([source("flask").display().to_string(), "app:app".to_owned()]);
    Ok((command, versions.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file_that_is_built_from() {
        for (name, packages) in RUST {
            let lock = read(&source(name).join("Cargo.lock")).unwrap();
            let versions = locked(&lock, packages).unwrap();
            assert_eq!(versions.split(", ").count(), packages.len(), "{name}: {versions}");
        }
        assert!(locked("", &["axum"]).unwrap_err().contains("no axum"));
    }

    #[test]
    fn one_that_was_not_built_is_listed_with_the_first_line_of_why() {
        let peer = peer("flask", Err("there is no python3 in PATH\nand more".to_owned()));
        assert_eq!(peer.skipped.as_deref(), Some("there is no python3 in PATH"));
        assert!(peer.command.is_empty());
    }
}
