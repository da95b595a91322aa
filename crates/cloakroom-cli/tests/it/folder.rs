//! Sessions in a folder, which is what `cloakroom serve` does by itself.

use std::fs;

use crate::demo::*;

#[test]
fn who_is_logged_in_stays_so_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sessions");
    let mut demo = in_folder(&folder, &[]);
    let mut browser = logged_in_at(demo.addr(), "alice");
    for visits in 1..=6 {
        assert_eq!(visit(&mut browser), somebody("alice", visits));
        // Killed, and asked to end, by turns.
        if visits % 2 == 0 {
            demo.kill();
        } else {
            assert_eq!(demo.terminate(), Some(0));
        }
        demo = in_folder(&folder, &[]);
        browser.move_to(demo.addr());
    }
    browser.post_form("/logout", "");
    demo.kill();
    let demo = in_folder(&folder, &[]);
    browser.move_to(demo.addr());
    assert_eq!(visit(&mut browser), None);
}

// Proves R30.
#[test]
fn a_logout_stays_one_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let demo = in_folder(folder.path(), &[]);
    let mut browser = logged_in_at(demo.addr(), "alice");
    let token = token(&browser);
    assert_eq!(browser.post_form("/logout", "").status, 303);
    demo.kill();
    let demo = in_folder(folder.path(), &[]);
    assert_eq!(seen_with(demo.addr(), &token), None);
}

#[test]
fn a_second_process_is_told_who_has_the_folder_and_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let first = in_folder(folder.path(), &[]);
    first.addr();
    let second = in_folder(folder.path(), &[]);
    assert_eq!(second.wait(), Some(1));
    let log = second.log();
    assert!(log.contains("is in use by process ") && log.contains("--data"), "{log}");
    assert!(log.contains("--store memory"), "{log}");
}

// Proves R61, CVE-2019-16354, CVE-2013-7222.
#[test]
fn a_key_that_is_damaged_or_open_to_others_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    in_folder(folder.path(), &[]).addr();
    let path = folder.path().join("secret-key");
    let secret = fs::read_to_string(&path).unwrap();

    fs::write(&path, &secret[..20]).unwrap();
    let demo = in_folder(folder.path(), &[]);
    assert_eq!(demo.wait(), Some(1));
    assert!(demo.log().contains("secret-key is damaged"), "{}", demo.log());
    assert!(!demo.log().contains(&secret[..20]), "{}", demo.log());

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&path, &secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let demo = in_folder(folder.path(), &[]);
        assert_eq!(demo.wait(), Some(1));
        assert!(demo.log().contains("chmod 600"), "{}", demo.log());
        // With a key of one's own it isn't looked at.
        in_folder(folder.path(), &[("SECRET_KEY", KEY)]).addr();
    }
}
