//! The folder of the embedded store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testbed::Program;

use crate::run::*;

#[track_caller]
fn look(folder: &Path, code: &str) -> Report {
    let args = ["--data", folder.to_str().unwrap()];
    holds(code, doctor(&args, &[]), doctor(&[&args[..], &["--lang", "ja"]].concat(), &[]))
}

fn serve(folder: &Path) -> Program {
    let args = ["serve", "--port", "0", "--data", folder.to_str().unwrap()];
    let demo = Program::start(CLOAKROOM, &args, &[]);
    demo.addr();
    demo
}

#[test]
fn a_folder_in_use_and_one_at_rest_are_in_order() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions");
    look(&folder, "folder.missing");
    assert!(!folder.exists());
    let demo = serve(&folder);
    look(&folder, "sessions.in_use");
    demo.terminate();
    let report = look(&folder, "sessions.opened");
    assert_eq!(report.codes(), ["folder.found", "key.kept", "sessions.opened"]);
}

// Proves CVE-2019-16354.
#[test]
fn a_folder_open_to_others_is_warned_of_and_an_open_key_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions");
    serve(&folder).terminate();
    let key = folder.join("secret-key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    look(&folder, "key.open_to_others");
    fs::remove_file(&key).unwrap();
    look(&folder, "key.missing");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    look(&folder, "folder.open_to_others");
}

#[test]
fn sessions_that_can_not_be_read_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions");
    serve(&folder).terminate();
    let file = folder.join("sessions.redb");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    look(&folder, "sessions.damaged");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    look(&folder, "sessions.not_accessible");
    look(&file.join("below"), "folder.missing");
    look(Path::new("/dev/null"), "folder.not_accessible");
}
