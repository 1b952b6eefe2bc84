//! Path resolution, as path_resolution(7) describes it.
//!
//! A [`Walk`] goes along a path without recursion: a symbolic link on the way is replaced by its
//! target in the path that is left.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Tree;
use super::directory::Name;
use super::inode::{Inode, Node};
use crate::Errno;

/// Symbolic links followed in one resolution (Linux `MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;
/// Longest file name in bytes (`NAME_MAX`).
const NAME_MAX: usize = 255;
/// Longest path in bytes with its NUL (`PATH_MAX`).
const PATH_MAX: usize = 4096;

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The link's target is meant.
    Yes,
    /// The link itself is meant, unless a slash follows.
    No,
}

/// Whether the last component is to be created if it does not exist (`O_CREAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creates {
    /// It is, as a file: no slash may follow.
    Yes,
    /// It is not.
    No,
}

/// The last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last<'p> {
    /// A name.
    Name(&'p [u8]),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// There is none: the path is `/`.
    Root,
}

/// Where a path led.
pub(super) struct Found {
    pub(super) inode: Arc<Inode>,
    /// The name it was found by; `None` for `/`, `.` and `..`.
    pub(super) site: Option<Site>,
}

/// A name in a directory, there or not. Unlike a [`Place`](super::directory::Place) it keeps the
/// directory.
pub(super) struct Site {
    pub(super) directory: Arc<Inode>,
    pub(super) name: Name,
}

/// Where a path led, or where its last component would have to be created.
pub(super) enum Outcome {
    Found(Found),
    Missing(Site),
}

/// A resolution under way: standing in a directory, with a path left to go.
pub(super) struct Walk<'p> {
    root: &'p Arc<Inode>,
    /// Where the walk stands.
    pub(super) directory: Arc<Inode>,
    path: Cow<'p, [u8]>,
    /// Where in `path` the next component starts.
    at: usize,
    links: u32,
}

impl Tree {
    /// The file that `path` names, relative to the directory `base`.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG` as path_resolution(7).
    pub fn lookup(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        follow: Follow,
    ) -> Result<Arc<Inode>, Errno> {
        match self.resolve(base, path, follow, Creates::No)? {
            Outcome::Found(found) => Ok(found.inode),
            Outcome::Missing(_) => Err(Errno::ENOENT),
        }
    }

    /// Follows `path` to its end; a last component that does not exist is no error.
    pub(super) fn resolve(
        &self,
        base: &Arc<Inode>,
        path: &[u8],
        follow: Follow,
        creates: Creates,
    ) -> Result<Outcome, Errno> {
        let mut walk = Walk::start(&self.root, base, path)?;
        loop {
            walk.go_to_last()?;
            let named_directory = walk.has_slash() && matches!(walk.last(), Last::Name(_));
            if named_directory && creates == Creates::Yes {
                return Err(Errno::EISDIR);
            }
            let found = match walk.child() {
                Ok(found) => found,
                Err(Errno::ENOENT) => return walk.missing(),
                Err(error) => return Err(error),
            };
            let slash = walk.has_slash();
            if !is_symlink(&found.inode) || follow == Follow::No && !slash {
                if slash && !found.inode.is_directory() {
                    return Err(Errno::ENOTDIR);
                }
                return Ok(Outcome::Found(found));
            }
            walk.at = walk.last_end();
            walk.splice(&found.inode)?;
        }
    }

    /// Follows `path` up to its last component.
    pub(super) fn parent<'p>(
        &'p self,
        base: &Arc<Inode>,
        path: &'p [u8],
    ) -> Result<Walk<'p>, Errno> {
        let mut walk = Walk::start(&self.root, base, path)?;
        walk.go_to_last()?;
        Ok(walk)
    }
}

impl<'p> Walk<'p> {
    fn start(root: &'p Arc<Inode>, base: &Arc<Inode>, path: &'p [u8]) -> Result<Self, Errno> {
        let start = match path {
            [] => return Err(Errno::ENOENT),
            path if path.len() >= PATH_MAX => return Err(Errno::ENAMETOOLONG),
            [b'/', ..] => root,
            _ => base,
        };
        Ok(Self {
            root,
            directory: start.clone(),
            path: Cow::Borrowed(path),
            at: 0,
            links: 0,
        })
    }

    /// Goes on until only the last component is left; the walk then stands in a directory.
    fn go_to_last(&mut self) -> Result<(), Errno> {
        loop {
            self.at = self.skip(self.at, |byte| byte == b'/');
            let end = self.last_end();
            if self.skip(end, |byte| byte == b'/') == self.path.len() {
                break;
            }
            self.enter(end)?;
        }
        match self.directory.is_directory() {
            true => Ok(()),
            false => Err(Errno::ENOTDIR),
        }
    }

    /// Takes the component that ends at `end`.
    fn enter(&mut self, end: usize) -> Result<(), Errno> {
        let inode = match classify(&self.path[self.at..end]) {
            Last::Dot | Last::Root => None,
            Last::DotDot => Some(above(&self.directory)?),
            Last::Name(name) => Some(child(&self.directory, name)?),
        };
        self.at = end;
        match inode {
            None if !self.directory.is_directory() => Err(Errno::ENOTDIR),
            None => Ok(()),
            Some(inode) if is_symlink(&inode) => self.splice(&inode),
            Some(inode) => {
                self.directory = inode;
                Ok(())
            }
        }
    }

    /// Puts the target of `link` before the rest of the path.
    fn splice(&mut self, link: &Inode) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let mut path: Vec<u8> = link.readlink()?;
        match path.first() {
            None => return Err(Errno::ENOENT),
            Some(b'/') => self.directory = self.root.clone(),
            Some(_) => {}
        }
        path.extend_from_slice(&self.path[self.at..]);
        self.path = Cow::Owned(path);
        self.at = 0;
        Ok(())
    }

    fn skip(&self, from: usize, skipped: impl Fn(u8) -> bool) -> usize {
        let rest = self.path[from..].iter().position(|byte| !skipped(*byte));
        rest.map_or(self.path.len(), |count| from + count)
    }

    /// Where the component that starts at `at` ends.
    fn last_end(&self) -> usize {
        self.skip(self.at, |byte| byte != b'/')
    }

    /// The last component.
    pub(super) fn last(&self) -> Last<'_> {
        classify(&self.path[self.at..self.last_end()])
    }

    /// Whether slashes follow the last component.
    pub(super) fn has_slash(&self) -> bool {
        self.last_end() < self.path.len()
    }

    /// What the last component stands for, links not followed.
    pub(super) fn child(&self) -> Result<Found, Errno> {
        let (inode, name) = match self.last() {
            Last::Root | Last::Dot => (self.directory.clone(), None),
            Last::DotDot => (above(&self.directory)?, None),
            Last::Name(name) => {
                let (name, inode) = named_child(&self.directory, name)?;
                (inode, Some(name))
            }
        };
        let site = name.map(|name| self.site(name));
        Ok(Found { inode, site })
    }

    fn site(&self, name: Name) -> Site {
        Site {
            directory: self.directory.clone(),
            name,
        }
    }

    fn missing(&self) -> Result<Outcome, Errno> {
        match self.last() {
            Last::Name(_) if self.has_slash() => Err(Errno::ENOENT),
            Last::Name(name) => Ok(Outcome::Missing(self.site(name.into()))),
            _ => Err(Errno::ENOENT),
        }
    }

    /// The last component as the name of something new.
    ///
    /// # Errors
    /// `EEXIST` for `/`, `.` and `..`, and for a name that exists.
    pub(super) fn new_name(&self) -> Result<Name, Errno> {
        let Last::Name(name) = self.last() else {
            return Err(Errno::EEXIST);
        };
        match child(&self.directory, name) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => Ok(name.into()),
            Err(error) => Err(error),
        }
    }
}

fn classify(name: &[u8]) -> Last<'_> {
    match name {
        b"" => Last::Root,
        b"." => Last::Dot,
        b".." => Last::DotDot,
        name => Last::Name(name),
    }
}

fn is_symlink(inode: &Inode) -> bool {
    matches!(inode.node, Node::Symlink(_) | Node::GeneratedSymlink(_))
}

/// The entry `name` of `directory`.
pub(super) fn child(directory: &Arc<Inode>, name: &[u8]) -> Result<Arc<Inode>, Errno> {
    match &directory.node {
        Node::Directory(_) if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        Node::Directory(entries) => entries.read().get(name).cloned().ok_or(Errno::ENOENT),
        Node::Dynamic(dynamic) => dynamic.child(directory, name),
        _ => Err(Errno::ENOTDIR),
    }
}

/// As [`child`], with the name as the directory holds it.
fn named_child(directory: &Arc<Inode>, name: &[u8]) -> Result<(Name, Arc<Inode>), Errno> {
    if let Node::Directory(entries) = &directory.node
        && let Some((name, inode)) = entries.read().get_named(name)
    {
        return Ok((name.clone(), inode.clone()));
    }
    child(directory, name).map(|inode| (name.into(), inode))
}

/// `..` of `directory`; the root is above itself.
pub(super) fn above(directory: &Arc<Inode>) -> Result<Arc<Inode>, Errno> {
    match &directory.node {
        Node::Directory(entries) => match &entries.read().place {
            Some(place) => place.parent.upgrade().ok_or(Errno::ENOENT),
            None => Ok(directory.clone()),
        },
        Node::Dynamic(dynamic) => dynamic.place.parent.upgrade().ok_or(Errno::ENOENT),
        _ => Err(Errno::ENOTDIR),
    }
}
