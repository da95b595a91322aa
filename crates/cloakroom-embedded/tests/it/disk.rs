//! A small disk of its own for a test: a tmpfs, which root may mount.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Unmounted when it is dropped.
pub(crate) struct Disk(TempDir);

impl Disk {
    /// Of so many megabytes; `None` if this user may not mount one.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let disk = ran("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], folder.path());
        disk.then(|| Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn make_read_only(&self) {
        assert!(ran("mount", &["-o", "remount,ro"], self.path()));
    }

    pub(crate) fn make_writable(&self) {
        assert!(ran("mount", &["-o", "remount,rw"], self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        ran("umount", &[], self.0.path());
    }
}

fn ran(program: &str, args: &[&str], path: &Path) -> bool {
    Command::new(program).args(args).arg(path).output().is_ok_and(|ran| ran.status.success())
}
