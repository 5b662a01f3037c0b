//! Files read whole and written whole, with words for whoever has to mend them.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Removed when dropped before `persist`.
    let mut file = tempfile::Builder::new()
        .prefix(PART_PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// For the user of the service alone: addresses and sound of our calls.
pub(super) const OWN: u32 = 0o600;

/// For everybody to read; whoever learns an announcement is not the user of the service.
pub(super) const SHARED: u32 = 0o644;

/// What the name of a file begins with until it is whole; one that is found was left by a crash.
pub(super) const PART_PREFIX: &str = ".part-";
