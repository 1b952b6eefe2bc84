//! The operations on the tree.

use std::sync::Arc;

use vfs::{
    Errno, FileKind, Follow, Inode, OpenFile, OpenFlags, RenameFlags, SliceSource, Stat, Tree,
    VecSink, Whence,
};

use crate::common;
use crate::operation::{Answer, Operation, Outcome, SLOTS, content};

/// A tree and the files kept open.
pub(crate) struct Ours {
    tree: Arc<Tree>,
    base: Arc<Inode>,
    open: [Option<Arc<OpenFile>>; SLOTS],
}

impl Ours {
    pub(crate) fn new() -> Self {
        let tree = common::tree();
        let mut base = tree.root().clone();
        for _ in 0..12 {
            base = tree.mkdir(&base, b"x", 0o755).unwrap();
        }
        Self {
            tree,
            base,
            open: Default::default(),
        }
    }

    pub(crate) fn run(&mut self, operation: &Operation) -> Outcome {
        self.answer(operation).map_err(Errno::number)
    }

    fn answer(&mut self, operation: &Operation) -> Result<Answer, Errno> {
        let (tree, base) = (&self.tree, &self.base);
        let made = |_: Arc<Inode>| Answer::Done;
        let done = |()| Answer::Done;
        match operation {
            Operation::Open(slot, path, flags) => {
                let flags = OpenFlags::from_bits_retain(*flags);
                self.open[*slot] = None;
                self.open[*slot] = Some(tree.open(base, path.as_bytes(), flags, 0o644)?);
                Ok(Answer::Done)
            }
            Operation::Close(slot) => {
                self.open[*slot] = None;
                Ok(Answer::Done)
            }
            Operation::ReadDirectory(path) => self.names(path),
            Operation::Mkdir(path) => tree.mkdir(base, path.as_bytes(), 0o755).map(made),
            Operation::Rmdir(path) => tree.rmdir(base, path.as_bytes()).map(done),
            Operation::Unlink(path) => tree.unlink(base, path.as_bytes()).map(done),
            Operation::Rename(old, new, flags) => {
                let flags = RenameFlags::from_bits_retain(*flags);
                tree.rename(base, old.as_bytes(), base, new.as_bytes(), flags)
                    .map(done)
            }
            Operation::Link(old, new, follow) => {
                let old = self.lookup(old, *follow)?;
                tree.link(&old, base, new.as_bytes()).map(done)
            }
            Operation::Symlink(target, path) => tree
                .symlink(target.as_bytes(), base, path.as_bytes())
                .map(made),
            Operation::Readlink(path) => self.lookup(path, false)?.readlink().map(Answer::Bytes),
            Operation::Stat(path, follow) => Ok(stat(&self.lookup(path, *follow)?.stat())),
            Operation::Chmod(path, mode) => {
                tree.set_permissions(&*self.lookup(path, true)?, *mode);
                Ok(Answer::Done)
            }
            Operation::TruncatePath(path, size) => {
                let size = i64::try_from(*size).map_err(|_| Errno::EINVAL)?;
                tree.truncate(&self.lookup(path, true)?, size).map(done)
            }
            other => self.on_open_file(other),
        }
    }

    fn on_open_file(&self, operation: &Operation) -> Result<Answer, Errno> {
        let file = |slot: &usize| self.open[*slot].as_ref().ok_or(Errno::EBADF);
        let number = |count| Answer::Number(count as u64);
        match operation {
            Operation::Write(slot, offset, length, seed) => {
                let bytes = content(*length, *seed);
                file(slot)?
                    .write_at(*offset, &mut SliceSource(&bytes))
                    .map(number)
            }
            Operation::WriteHere(slot, length, seed) => {
                let bytes = content(*length, *seed);
                file(slot)?.write(&mut SliceSource(&bytes)).map(number)
            }
            Operation::Read(slot, offset, length) => {
                let mut sink = VecSink::new(*length);
                file(slot)?.read_at(*offset, &mut sink)?;
                Ok(Answer::Bytes(sink.into_bytes()))
            }
            Operation::Seek(slot, whence, offset) => {
                let whence = Whence::from_raw(*whence)?;
                file(slot)?.seek(*offset, whence).map(Answer::Number)
            }
            Operation::Truncate(slot, size) => {
                let size = i64::try_from(*size).map_err(|_| Errno::EINVAL)?;
                file(slot)?.truncate(size).map(|()| Answer::Done)
            }
            Operation::StatOpen(slot) => Ok(stat(&file(slot)?.file().stat())),
            _ => unreachable!("an operation on a path"),
        }
    }

    fn lookup(&self, path: &str, follow: bool) -> Result<Arc<Inode>, Errno> {
        let follow = match follow {
            true => Follow::Yes,
            false => Follow::No,
        };
        self.tree.lookup(&self.base, path.as_bytes(), follow)
    }

    fn names(&self, path: &str) -> Result<Answer, Errno> {
        let flags = OpenFlags::DIRECTORY;
        let directory = self.tree.open(&self.base, path.as_bytes(), flags, 0)?;
        let mut names = read_names(&directory)?;
        names.sort();
        Ok(Answer::Names(names))
    }

    /// Every file of the tree, with its attributes.
    pub(crate) fn snapshot(&self) -> Vec<(String, Outcome)> {
        let mut found = Vec::new();
        let mut open = vec![String::from(".")];
        let root = self.tree.root();
        while let Some(path) = open.pop() {
            let inode = self.tree.lookup(root, path.as_bytes(), Follow::No).unwrap();
            if inode.is_directory() {
                let directory = self.tree.open_inode(&inode, OpenFlags::DIRECTORY).unwrap();
                let names = read_names(&directory).unwrap().into_iter();
                open.extend(
                    names
                        .filter(|name| name != "." && name != "..")
                        .map(|name| format!("{path}/{name}")),
                );
            }
            if path != "." {
                found.push((path, Ok(stat(&inode.stat()))));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }
}

fn read_names(directory: &OpenFile) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    loop {
        let mut sink = VecSink::new(300);
        if directory.read_directory(&mut sink)? == 0 {
            return Ok(names);
        }
        let entries = common::entries(&sink.into_bytes());
        names.extend(entries.into_iter().map(|(name, _)| name));
    }
}

fn stat(stat: &Stat) -> Answer {
    Answer::Stat {
        mode: stat.kind.mode_bits() | stat.permissions,
        links: stat.links,
        size: (stat.kind != FileKind::Directory).then_some(stat.size),
        blocks: (stat.kind == FileKind::Regular).then_some(stat.blocks),
    }
}
