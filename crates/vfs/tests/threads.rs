//! Many threads on one tree: nothing hangs, and in the end everything is accounted for.

#![allow(clippy::unwrap_used, reason = "test support: a failure fails the test")]

mod common;

use std::sync::Arc;

use common::{list, tree_with};
use vfs::{Follow, OpenFlags, RenameFlags, SliceSource, Tree, VecSink};

const THREADS: usize = 4;
const ROUNDS: usize = 30_000;
const NAMES: [&[u8]; 6] = [b"a", b"b", b"a/b", b"b/a", b"a/b/c", b"b/b"];

/// A small generator of numbers (xorshift), for other steps in each thread.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn name(&mut self) -> &'static [u8] {
        NAMES[self.below(NAMES.len())]
    }
}

/// One step; most fail, as other threads do the opposite at the same time.
fn step(tree: &Tree, numbers: &mut Numbers) {
    let (root, name, other) = (tree.root(), numbers.name(), numbers.name());
    match numbers.below(7) {
        0 => drop(tree.mkdir(root, name, 0o755)),
        1 => drop(tree.rmdir(root, name)),
        2 => drop(tree.unlink(root, name)),
        3 => {
            let flags = [RenameFlags::empty(), RenameFlags::EXCHANGE][numbers.below(2)];
            let _ = tree.rename(root, name, root, other, flags);
        }
        4 => {
            let linked = tree.lookup(root, name, Follow::No);
            let _ = linked.and_then(|inode| tree.link(&inode, root, other));
        }
        5 => {
            let flags = OpenFlags::CREAT | OpenFlags::APPEND | OpenFlags::RDWR;
            if let Ok(file) = tree.open(root, name, flags, 0o644) {
                file.write(&mut SliceSource(&[7; 5000])).unwrap();
                file.read_at(0, &mut VecSink::new(5000)).unwrap();
                file.truncate(100).unwrap();
            }
        }
        _ => drop(
            tree.lookup(root, name, Follow::Yes)
                .map(|inode| inode.stat()),
        ),
    }
}

fn remove_all(tree: &Tree, path: &str) {
    for name in list(tree, path, 4096).unwrap() {
        let inner = format!("{path}/{name}");
        if name == "." || name == ".." {
            continue;
        }
        let inode = common::lookup(tree, &inner).unwrap();
        if inode.is_directory() {
            remove_all(tree, &inner);
            tree.rmdir(tree.root(), inner.as_bytes()).unwrap();
        } else {
            tree.unlink(tree.root(), inner.as_bytes()).unwrap();
        }
    }
}

#[test]
fn concurrent_changes_leave_a_sound_tree() {
    let tree = tree_with(10_000);
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let tree = Arc::clone(&tree);
            std::thread::spawn(move || {
                let mut numbers = Numbers(0x9e37_79b9 + index as u64);
                (0..ROUNDS).for_each(|_| step(&tree, &mut numbers));
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let directories = list(&tree, "/", 4096).unwrap().into_iter();
    let inner = directories
        .filter(|name| !name.starts_with('.'))
        .filter(|name| common::lookup(&tree, name).unwrap().is_directory());
    assert_eq!(tree.root().stat().links, 2 + inner.count() as u64);
    remove_all(&tree, ".");
    assert_eq!(tree.root().stat().links, 2);
    assert_eq!(tree.size().free_blocks, tree.size().blocks);
}

#[test]
fn concurrent_appends_stay_whole() {
    let tree = tree_with(10_000);
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let tree = Arc::clone(&tree);
            std::thread::spawn(move || {
                let flags = OpenFlags::CREAT | OpenFlags::APPEND | OpenFlags::WRONLY;
                let file = tree.open(tree.root(), b"log", flags, 0o644).unwrap();
                for _ in 0..200 {
                    file.write(&mut SliceSource(&[index as u8; 3000])).unwrap();
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let log = tree
        .open(tree.root(), b"log", OpenFlags::empty(), 0)
        .unwrap();
    let mut sink = VecSink::new(10_000_000);
    log.read(&mut sink).unwrap();
    let content = sink.into_bytes();
    assert_eq!(content.len(), THREADS * 200 * 3000);
    assert!(
        content
            .chunks(3000)
            .all(|record| record.iter().all(|byte| *byte == record[0]))
    );
}
