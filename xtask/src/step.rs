//! One step of work: said before it is done, and named in the error when it fails.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error here is read by a person and by nothing else, so it is a sentence.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

pub(crate) fn say(what: impl Display) {
    eprintln!("==> {what}");
}

/// Runs a command whose output belongs on the screen.
pub(crate) fn run(command: &mut Command) -> Result {
    let line = shown(command);
    say(&line);
    let status = command.status().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed: {status}")) }
}

/// Runs a command to learn something; its output is shown only as part of an error.
pub(crate) fn ask(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.output().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{line}` failed: {}\n{}", output.status, complaint.trim_end()))
}

/// The cargo that runs this program, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The workspace's root. Cargo sets the variable at run time as well, so a moved checkout is found;
/// the compiled-in path serves whoever starts the binary by hand.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var("CARGO_MANIFEST_DIR");
    let xtask = Path::new(manifest.as_deref().unwrap_or(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().unwrap_or(xtask).to_owned()
}

pub(crate) fn offline() -> bool {
    env::var_os("CLOAKROOM_OFFLINE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Every program of this name in PATH, in PATH's order.
pub(crate) fn in_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).filter(|file| file.is_file()).collect()
}

/// The command as one would type it, with the variables set for it, except ours: they are long, the
/// same for every command, and said once.
fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        if !name.starts_with("CLOAKROOM_") {
            let value = value.unwrap_or_default().to_string_lossy();
            words.push(format!("{name}={}", quoted(&value)));
        }
    }
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    words.push(program.to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| quoted(&word.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains([' ', '\n', ';']) { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.env("RUSTDOCFLAGS", "-D warnings").env("CLOAKROOM_TEST_SERVERS", "/a/server");
        command.args(["doc", "--no-deps"]);
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_failure_names_the_command_and_what_it_complained_about() {
        let error = ask(Command::new("sh").args(["-c", "echo no such suite >&2; exit 3"]));
        let error = error.unwrap_err();
        assert!(error.contains("sh -c") && error.contains("no such suite"), "{error}");
    }
}
