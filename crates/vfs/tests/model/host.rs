//! The operations on a folder of the host.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, SeekFrom, Stat};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::operation::{Answer, Operation, Outcome, SLOTS, content};

/// Directories between the folder and where paths start, so that `..` stays inside.
const DEPTH: &str = "x/x/x/x/x/x/x/x/x/x/x/x";

/// A folder of the host and the files kept open.
pub(crate) struct Host {
    folder: TempDir,
    base: OwnedFd,
    open: [Option<OwnedFd>; SLOTS],
}

impl Host {
    pub(crate) fn new() -> Self {
        // In memory, as the tree is, where the host has that.
        let shared = Path::new("/dev/shm");
        let folder = match shared.is_dir() {
            true => tempfile::tempdir_in(shared),
            false => tempfile::tempdir(),
        }
        .unwrap();
        let base: PathBuf = folder.path().join(DEPTH);
        std::fs::create_dir_all(&base).unwrap();
        let base = rustix::fs::open(&base, OFlags::PATH, Mode::empty()).unwrap();
        Self {
            folder,
            base,
            open: Default::default(),
        }
    }

    pub(crate) fn run(&mut self, operation: &Operation) -> Outcome {
        self.answer(operation)
            .map_err(|error| error.raw_os_error() as u16)
    }

    fn answer(&mut self, operation: &Operation) -> Result<Answer, Errno> {
        let base = &self.base;
        let done = |()| Answer::Done;
        match operation {
            Operation::Open(slot, path, flags) => {
                let flags = OFlags::from_bits_retain(*flags);
                let mode = Mode::from_bits_retain(0o644);
                self.open[*slot] = None;
                self.open[*slot] = Some(rustix::fs::openat(base, &**path, flags, mode)?);
                Ok(Answer::Done)
            }
            Operation::Close(slot) => {
                self.open[*slot] = None;
                Ok(Answer::Done)
            }
            Operation::ReadDirectory(path) => self.names(path),
            Operation::Mkdir(path) => {
                rustix::fs::mkdirat(base, &**path, Mode::from_bits_retain(0o755)).map(done)
            }
            Operation::Rmdir(path) => {
                rustix::fs::unlinkat(base, &**path, AtFlags::REMOVEDIR).map(done)
            }
            Operation::Unlink(path) => {
                rustix::fs::unlinkat(base, &**path, AtFlags::empty()).map(done)
            }
            Operation::Rename(old, new, flags) => {
                let flags = RenameFlags::from_bits_retain(*flags);
                rustix::fs::renameat_with(base, &**old, base, &**new, flags).map(done)
            }
            Operation::Link(old, new, follow) => {
                let flags = match follow {
                    true => AtFlags::SYMLINK_FOLLOW,
                    false => AtFlags::empty(),
                };
                rustix::fs::linkat(base, &**old, base, &**new, flags).map(done)
            }
            Operation::Symlink(target, path) => {
                rustix::fs::symlinkat(&**target, base, &**path).map(done)
            }
            Operation::Readlink(path) => {
                let target = rustix::fs::readlinkat(base, &**path, Vec::new())?;
                Ok(Answer::Bytes(target.into_bytes()))
            }
            Operation::Stat(path, follow) => {
                let flags = match follow {
                    true => AtFlags::empty(),
                    false => AtFlags::SYMLINK_NOFOLLOW,
                };
                rustix::fs::statat(base, &**path, flags).map(stat)
            }
            Operation::Chmod(path, mode) => {
                let mode = Mode::from_bits_retain(*mode);
                rustix::fs::chmodat(base, &**path, mode, AtFlags::empty()).map(done)
            }
            Operation::TruncatePath(path, size) => self.truncate_path(path, *size),
            other => self.on_open_file(other),
        }
    }

    fn on_open_file(&self, operation: &Operation) -> Result<Answer, Errno> {
        let file = |slot: &usize| self.open[*slot].as_ref().ok_or(Errno::BADF);
        let number = |count| Answer::Number(count as u64);
        match operation {
            Operation::Write(slot, offset, length, seed) => {
                rustix::io::pwrite(file(slot)?, &content(*length, *seed), *offset).map(number)
            }
            Operation::WriteHere(slot, length, seed) => {
                rustix::io::write(file(slot)?, &content(*length, *seed)).map(number)
            }
            Operation::Read(slot, offset, length) => {
                let mut bytes = vec![0; *length];
                let count = rustix::io::pread(file(slot)?, &mut bytes[..], *offset)?;
                bytes.truncate(count);
                Ok(Answer::Bytes(bytes))
            }
            Operation::Seek(slot, whence, offset) => {
                let from = match whence {
                    0 => SeekFrom::Start(*offset as u64),
                    1 => SeekFrom::Current(*offset),
                    2 => SeekFrom::End(*offset),
                    3 => SeekFrom::Data(*offset as u64),
                    _ => SeekFrom::Hole(*offset as u64),
                };
                rustix::fs::seek(file(slot)?, from).map(Answer::Number)
            }
            Operation::Truncate(slot, size) => {
                rustix::fs::ftruncate(file(slot)?, *size).map(|()| Answer::Done)
            }
            Operation::StatOpen(slot) => rustix::fs::fstat(file(slot)?).map(stat),
            _ => unreachable!("an operation on a path"),
        }
    }

    /// rustix has no truncate(2); opening for writing and ftruncate(2) differ only in the error
    /// for directories, which both call EISDIR.
    fn truncate_path(&self, path: &str, size: u64) -> Result<Answer, Errno> {
        let file = rustix::fs::openat(&self.base, path, OFlags::WRONLY, Mode::empty())?;
        rustix::fs::ftruncate(file, size).map(|()| Answer::Done)
    }

    fn names(&self, path: &str) -> Result<Answer, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let directory = rustix::fs::openat(&self.base, path, flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(Answer::Names(names))
    }

    /// Every file below the folder, with its attributes.
    pub(crate) fn snapshot(&self) -> Vec<(String, Outcome)> {
        let mut found = Vec::new();
        let mut open = vec![String::from(".")];
        let root = rustix::fs::openat(CWD, self.folder.path(), OFlags::PATH, Mode::empty());
        let root = root.unwrap();
        while let Some(path) = open.pop() {
            let stat = rustix::fs::statat(&root, &*path, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            if stat.st_mode & 0o170_000 == 0o040_000 {
                let names = std::fs::read_dir(self.folder.path().join(&path)).unwrap();
                open.extend(names.map(|entry| {
                    let name = entry.unwrap().file_name();
                    format!("{path}/{}", name.to_string_lossy())
                }));
            }
            // The folder itself was made with the permissions of temporary files.
            if path != "." {
                found.push((path, Ok(self::stat(stat))));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }
}

fn stat(stat: Stat) -> Answer {
    let kind = stat.st_mode & 0o170_000;
    let (size, blocks) = (stat.st_size as u64, stat.st_blocks as u64);
    Answer::Stat {
        mode: stat.st_mode,
        links: stat.st_nlink,
        size: (kind != 0o040_000).then_some(size),
        blocks: (kind == 0o100_000).then_some(blocks),
    }
}
