//! What only its owner can read: databases, keys, and the folders that they lie in.

use std::{fs, io, path::Path};

/// Makes the folder, and those above it, unless they are there.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// [`folder`], for the one that a file is to lie in.
pub fn folder_of(file: &Path) -> io::Result<()> {
    file.parent().filter(|above| !above.as_os_str().is_empty()).map_or(Ok(()), folder)
}

/// Makes an empty file unless it is there. SQLite takes an empty file for a new database, and gives the files beside it
/// the same permissions.
pub fn file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
