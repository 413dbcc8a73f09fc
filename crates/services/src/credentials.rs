//! The program's credentials in a file, as NATS clients read them.
//!
//! Owns: where it is, who may read it, and that it is whole whenever it is read. Never: logs what is in it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use nex_api::NatsConnectionData;
use nex_nexlet::creds_file;

/// In the workload's folder; no program is called so: names have no dots.
const FOLDER: &str = "nex.credentials";
const FILE: &str = "nats.creds";
const TEMPORARY: &str = "nats.creds.new";
/// Where a box shows the folder.
const IN_THE_BOX: &str = "/run/nex";

/// The folder that a box shows.
pub(crate) fn folder(workload: &Path) -> PathBuf {
    workload.join(FOLDER)
}

/// Where the program finds the file, if these credentials are such as it can hold.
pub(crate) fn path(
    workload: &Path,
    is_boxed: bool,
    connection: &NatsConnectionData,
) -> Option<PathBuf> {
    let shown = if is_boxed { PathBuf::from(IN_THE_BOX) } else { folder(workload) };
    creds_file(connection).map(|_| shown.join(FILE))
}

/// Writes it whole, then gives it its name: the first one, or in place of the one before. `uid` is the
/// program's own on the host, if it has one. Blocks on the disk.
pub(crate) fn write(
    workload: &Path,
    uid: Option<u32>,
    connection: &NatsConnectionData,
) -> io::Result<()> {
    let folder = folder(workload);
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(&folder)?;
        if uid.is_some() {
            chown(&folder, uid, uid)?;
        }
    }
    let Some(text) = creds_file(connection) else { return Ok(()) };
    let temporary = folder.join(TEMPORARY);
    // Without a box the folder is the program's own: what it put there is removed, and no link of its is
    // followed.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    if uid.is_some() {
        fchown(&file, uid, uid)?;
    }
    file.write_all(text.as_bytes())?;
    fs::rename(&temporary, folder.join(FILE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn minted(jwt: &str) -> NatsConnectionData {
        NatsConnectionData {
            nats_user_jwt: jwt.to_owned(),
            nats_user_seed: "SUX".to_owned(),
            ..NatsConnectionData::default()
        }
    }

    #[test]
    fn the_file_is_private_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), false, &minted("one")).unwrap();
        write(folder.path(), None, &minted("one")).unwrap();
        let stranger = folder.path().join("stranger");
        fs::write(&stranger, "kept").unwrap();
        symlink(&stranger, path.with_file_name(TEMPORARY)).unwrap();
        write(folder.path(), None, &minted("two")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("two") && text.contains("SUX"), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(stranger).unwrap(), "kept");
        assert!(!path.with_file_name(TEMPORARY).exists());
    }

    #[test]
    fn credentials_that_no_such_file_can_hold_have_none() {
        let folder = tempfile::tempdir().unwrap();
        for connection in [NatsConnectionData::default(), minted("")] {
            write(folder.path(), None, &connection).unwrap();
            assert_eq!(path(folder.path(), true, &connection), None);
        }
        assert_eq!(fs::read_dir(super::folder(folder.path())).unwrap().count(), 0);
    }
}
