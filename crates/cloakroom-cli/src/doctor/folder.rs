//! What is in the folder of the embedded store.

use std::path::Path;

use cloakroom_embedded::{EmbeddedSettings, EmbeddedStore, OpenError};

use crate::doctor::finding::Finding;

pub(crate) fn folder(path: &Path) -> Result<Finding, Finding> {
    let path = path.to_owned();
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Finding::FolderMissing { path })
        }
        Err(error) => Err(Finding::FolderNotAccessible { path, error: error.to_string() }),
        Ok(found) if !found.is_dir() => {
            Err(Finding::FolderNotAccessible { path, error: "not a folder".into() })
        }
        Ok(found) => Ok(match open_to_others(&found) {
            Some(mode) => Finding::FolderOpen { path, mode },
            None => Finding::FolderFound { path },
        }),
    }
}

pub(crate) fn key(folder: &Path) -> Result<Finding, Finding> {
    let path = folder.join("secret-key");
    match std::fs::metadata(&path) {
        Err(_) => Ok(Finding::KeyMissing { path }),
        Ok(found) => match open_to_others(&found) {
            Some(mode) => Err(Finding::KeyOpen { path, mode }),
            None => Ok(Finding::KeyKept { path }),
        },
    }
}

/// Opens the sessions as a service does, and lets go of them.
pub(crate) fn sessions(folder: &Path) -> Result<Finding, Finding> {
    match EmbeddedStore::open(folder, EmbeddedSettings::default()) {
        Ok(store) => Ok(Finding::SessionsOpened { records: store.len() }),
        Err(OpenError::InUse { holder, .. }) => Ok(Finding::SessionsInUse { holder }),
        Err(error) => {
            let text = error.to_string();
            Err(match error {
                OpenError::Newer { .. } => Finding::SessionsNewer { error: text },
                OpenError::Damaged { .. } => Finding::SessionsDamaged { error: text },
                _ => Finding::SessionsNotAccessible { error: text },
            })
        }
    }
}

/// The mode, if it lets anybody in but the owner.
fn open_to_others(found: &std::fs::Metadata) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = found.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| format!("{mode:o}"))
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        None
    }
}
