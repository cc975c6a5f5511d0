//! Folders that nobody but their owner may use, and files that appear in them whole.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the folder if it is not there, and refuses it when it is not ours or others may use it.
pub(super) fn open_folder(path: &Path) -> Result<(), String> {
    prepare(path).map_err(|error| error.to_string())?;
    check(path)
}

/// Writes a file of these parts aside and renames it, so that nobody reads half of it.
pub(super) fn write(folder: &Path, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
    let aside = folder.join(format!("{name}.{}.part", own_name()));
    let write = || -> std::io::Result<()> {
        let mut file = options().create(true).truncate(true).write(true).open(&aside)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        fs::rename(&aside, folder.join(name))
    };
    write().inspect_err(|_| {
        // Half a file helps nobody; that it cannot be deleted either is no other error.
        fs::remove_file(&aside).unwrap_or_default();
    })
}

/// Part of a file's name that nobody else uses, in this process or another.
fn own_name() -> String {
    static USED: AtomicU64 = AtomicU64::new(0);
    format!("{}.{}", std::process::id(), USED.fetch_add(1, Ordering::Relaxed))
}

#[cfg(unix)]
fn options() -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn options() -> fs::OpenOptions {
    fs::OpenOptions::new()
}

#[cfg(unix)]
fn prepare(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.exists() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn prepare(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

/// Whether the folder is ours and nobody else's.
#[cfg(unix)]
fn check(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !found.is_dir() {
        return Err(String::from("it is not a folder"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!("others may use it (mode {:o})", found.mode() & 0o777));
    }
    // A file that we make belongs to us: this is how the owner is known without asking the system for user ids.
    let probe = path.join(format!(".owner.{}", own_name()));
    let ours = options().create(true).truncate(true).write(true).open(&probe);
    let ours = ours.and_then(|file| file.metadata()).map_err(|error| error.to_string())?.uid();
    fs::remove_file(&probe).map_err(|error| error.to_string())?;
    if ours == found.uid() { Ok(()) } else { Err(String::from("it belongs to another user")) }
}

#[cfg(not(unix))]
fn check(_path: &Path) -> Result<(), String> {
    Err(String::from("on this system it cannot be told who may write it"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(open_folder(folder.path()), Ok(()));
        if chown(folder.path(), Some(12_345), None).is_err() {
            // Only the system's administrator can give a folder away; where tests do not run as such, this half is left out.
            return;
        }
        assert_eq!(open_folder(folder.path()), Err("it belongs to another user".to_owned()));
    }

    #[test]
    fn files_are_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", &[b"one", b" ", b"two"]).unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"one two");
        let mode = fs::metadata(folder.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("none"), "a", &[]).is_err());
    }
}
