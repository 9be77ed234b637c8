//! Where things lie in the data folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{db_url::DbUrl, private};

/// A data folder, made with private permissions.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes the folder unless it is there, and keeps it to its owner.
    pub fn open(path: &Path) -> io::Result<Self> {
        private::folder(path)?;
        #[cfg(unix)]
        if let Err(error) = close_to_others(path) {
            tracing::warn!(%error, "others than its owner can read the data folder {}", path.display());
        }
        Ok(Self(path.to_owned()))
    }

    /// The write side's database: the log, people, checkpoints.
    pub fn write_db(&self) -> PathBuf {
        self.0.join("write.sqlite")
    }

    /// [`Self::write_db`], unless it is said to be elsewhere.
    pub fn write_url(&self, elsewhere: Option<&DbUrl>) -> DbUrl {
        elsewhere.cloned().unwrap_or_else(|| DbUrl::Sqlite(self.write_db()))
    }

    /// The read side's database: can be deleted, is built again from the log.
    pub fn read_db(&self) -> PathBuf {
        self.0.join("read.sqlite")
    }

    /// [`Self::read_db`], unless it is said to be elsewhere.
    pub fn read_url(&self, elsewhere: Option<&DbUrl>) -> DbUrl {
        elsewhere.cloned().unwrap_or_else(|| DbUrl::Sqlite(self.read_db()))
    }

    pub fn signing_key(&self) -> PathBuf {
        self.0.join("signing.key")
    }

    /// Takes the folder for a server; `None` if one runs on it already. Held as long as the file is open, so a killed
    /// server leaves nothing behind that would have to be cleared away.
    pub fn lock(&self) -> io::Result<Option<fs::File>> {
        let file = private::file(&self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(unix)]
fn close_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(folder)?.permissions().mode();
    let owners = mode & 0o7700;
    if mode & 0o7777 == owners { Ok(()) } else { fs::set_permissions(folder, fs::Permissions::from_mode(owners)) }
}

impl std::fmt::Display for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_private_and_has_one_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/data");
        let data = DataDir::open(&path).expect("a data folder");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = || fs::metadata(&path).expect("a folder").permissions().mode() & 0o777;
            assert_eq!(mode(), 0o700);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("to be the owner");
            DataDir::open(&path).expect("the same folder");
            assert_eq!(mode(), 0o700);
        }
        let first = data.lock().expect("a lock");
        assert!(first.is_some() && data.lock().expect("a lock").is_none());
        drop(first);
        assert!(data.lock().expect("a lock").is_some());
    }
}
