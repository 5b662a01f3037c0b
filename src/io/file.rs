//! Files read whole and written whole, with words for whoever has to mend them.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The whole of a regular file; a pipe or a device would hold up the service or never end.
///
/// # Errors
/// Why it cannot be read, without its name.
pub(super) fn fetch(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| explain(&error))?;
    if metadata.is_dir() {
        return Err("is a folder; name the file in it".to_owned());
    }
    if !metadata.is_file() {
        return Err("is no regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| explain(&error))?;
    let mut bytes = Vec::new();
    // One more than allowed, whatever the size was a moment ago.
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| explain(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(format!(
            "is longer than {bytes_max} bytes; is it the right file?"
        ));
    }
    Ok(bytes)
}

/// The usual reasons in words that say what to do.
pub(super) fn explain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "no such file".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "may not be read by this user; check its owner and mode".to_owned()
    } else {
        error.to_string()
    }
}

/// Writes a file so that its name never stands for half of it.
///
/// # Errors
/// When it could not be written; nothing is left of it then.
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Removed when dropped before `persist`.
    let mut file = tempfile::Builder::new()
        .prefix(PART_PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Where a file that a user names is written in the end: what a link names, not the link.
/// `None` for a device or a pipe, which is no file to be replaced.
fn place(path: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() => path.canonicalize().map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(path.to_owned())),
        Err(error) => Err(error),
    }
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent();
    folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Whether [`replace`] may write here; touches nothing that is there.
///
/// # Errors
/// Why not.
pub fn try_place(path: &Path) -> io::Result<()> {
    match place(path)? {
        Some(file) => tempfile::Builder::new()
            .prefix(PART_PREFIX)
            .tempfile_in(folder(&file))
            .map(drop),
        None => File::options().write(true).open(path).map(drop),
    }
}

/// Writes what is the user's alone; what stood there stays until the new file is whole.
///
/// # Errors
/// When it could not be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match place(path)? {
        Some(file) => write_whole(&file, bytes, OWN),
        None => File::options().write(true).open(path)?.write_all(bytes),
    }
}

/// For the user of the service alone: addresses and sound of our calls.
pub(super) const OWN: u32 = 0o600;

/// For everybody to read; whoever learns an announcement is not the user of the service.
pub(super) const SHARED: u32 = 0o644;

/// What the name of a file begins with until it is whole; one that is found was left by a crash.
pub(super) const PART_PREFIX: &str = ".part-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_through_its_links_and_a_device_never() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("old"), "old").unwrap();
        std::os::unix::fs::symlink(at("old"), at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("nowhere")).unwrap();
        for name in ["old", "link", "new", "nowhere"] {
            try_place(&at(name)).unwrap();
        }
        assert_eq!(std::fs::read(at("old")).unwrap(), b"old", "only tried");
        assert!(!at("new").exists(), "only tried");
        for name in ["link", "new", "nowhere"] {
            replace(&at(name), b"sound").unwrap();
        }
        for name in ["old", "new"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), b"sound", "{name}");
            let mode = std::fs::metadata(at(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, OWN, "{name}");
        }
        for name in ["link", "nowhere"] {
            assert!(at(name).is_symlink(), "{name}");
        }
        assert!(try_place(folder.path()).is_err());
        assert!(try_place(&at("missing/file")).is_err());
    }
}
