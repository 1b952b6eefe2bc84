//! Devices, generated files, FIFOs, locks and files without a name.

#![allow(clippy::unwrap_used, reason = "test support: a failure fails the test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{list, lookup, open, read, read_some, tree, tree_with, write};
use vfs::{
    DynamicDirectory, DynamicEntry, Errno, Events, Extent, FileKind, Follow, OpenFlags,
    SliceSource, Whence, device_number, pipe,
};

const RDWR: OpenFlags = OpenFlags::RDWR;

#[test]
fn memory_devices_behave_like_theirs() {
    let tree = tree();
    tree.add_memory_devices().unwrap();
    let [null, zero, full] =
        ["/dev/null", "/dev/zero", "/dev/full"].map(|path| open(&tree, path, RDWR).unwrap());
    assert_eq!(read_some(&null, 9).unwrap(), b"");
    assert_eq!(read_some(&zero, 9000).unwrap(), vec![0; 9000]);
    assert_eq!(null.write(&mut SliceSource(b"x")), Ok(1));
    assert_eq!(full.write(&mut SliceSource(b"x")), Err(Errno::ENOSPC));
    let stat = null.file().stat();
    assert_eq!((stat.kind, stat.rdev), (FileKind::CharDevice, 0x103));
    assert_eq!(null.file().path().unwrap(), b"/dev/null");
    assert_eq!(null.seek(5, Whence::Start), Ok(5));
    assert_eq!(null.truncate(0), Err(Errno::EINVAL));
}

#[test]
fn a_node_opens_its_device_by_number() {
    let tree = tree();
    tree.add_memory_devices().unwrap();
    let root = tree.root();
    tree.mknod(
        root,
        b"zero",
        FileKind::CharDevice,
        0o600,
        device_number(1, 5),
    )
    .unwrap();
    tree.mknod(
        root,
        b"none",
        FileKind::CharDevice,
        0o600,
        device_number(9, 9),
    )
    .unwrap();
    let zero = open(&tree, "zero", OpenFlags::empty()).unwrap();
    assert_eq!(read_some(&zero, 1).unwrap(), [0]);
    assert_eq!(open(&tree, "none", RDWR).err(), Some(Errno::ENXIO));
    assert_eq!(device_number(0x123, 0x4567), 0x0451_2367);
}

#[test]
fn generated_files_are_made_on_open() {
    let tree = tree();
    let opens = Arc::new(AtomicU32::new(0));
    let producer = {
        let opens = opens.clone();
        move || format!("open {}\n", opens.fetch_add(1, Ordering::Relaxed)).into_bytes()
    };
    tree.add_generated(b"/proc/sys/kernel/count", Arc::new(producer))
        .unwrap();
    let first = open(&tree, "/proc/sys/kernel/count", OpenFlags::empty()).unwrap();
    assert_eq!(read(&tree, "proc/sys/kernel/count").unwrap(), b"open 1\n");
    assert_eq!(read_some(&first, 4).unwrap(), b"open");
    assert_eq!(read_some(&first, 9).unwrap(), b" 0\n");
    assert_eq!(read_some(&first, 9).unwrap(), b"");
    assert_eq!(first.file().stat().size, 0);
    let written = open(&tree, "/proc/sys/kernel/count", OpenFlags::WRONLY);
    assert_eq!(written.err(), Some(Errno::EACCES));
}

#[test]
fn generated_nodes_take_the_place_of_empty_directories() {
    let tree = tree();
    tree.mkdir(tree.root(), b"proc", 0o755).unwrap();
    tree.mkdir(tree.root(), b"sys", 0o755).unwrap();
    write(&tree, "sys/kept", b"");
    let empty = || Arc::new(Vec::new);
    tree.add_generated(b"/proc", empty()).unwrap();
    assert_eq!(lookup(&tree, "/proc").unwrap().kind(), FileKind::Regular);
    let refused = tree.add_generated(b"/sys", empty());
    assert_eq!(refused.err(), Some(Errno::ENOTEMPTY));
}

#[test]
fn generated_links_are_followed() {
    let tree = tree();
    write(&tree, "program", b"elf");
    let target = Arc::new(|| b"/program".to_vec());
    tree.add_generated_symlink(b"/proc/self/exe", target)
        .unwrap();
    assert_eq!(read(&tree, "/proc/self/exe").unwrap(), b"elf");
    let link = tree.lookup(tree.root(), b"/proc/self/exe", Follow::No);
    assert_eq!(link.unwrap().readlink().unwrap(), b"/program");
}

#[test]
fn dynamic_directories_are_asked_each_time() {
    struct Numbers;
    impl DynamicDirectory for Numbers {
        fn entries(&self) -> Vec<(Vec<u8>, FileKind)> {
            ["0", "1"]
                .map(|name| (name.into(), FileKind::Symlink))
                .into()
        }
        fn lookup(&self, name: &[u8]) -> Option<DynamicEntry> {
            let (target, inner) = match name {
                b"0" => ("/file", None),
                b"1" => ("/", None),
                b"deeper" => ("", Some(Arc::new(Self))),
                _ => return None,
            };
            Some(match inner {
                Some(inner) => DynamicEntry::Directory(inner),
                None => DynamicEntry::Symlink(Arc::new(move || target.into())),
            })
        }
    }
    let tree = tree();
    write(&tree, "file", b"content");
    tree.add_dynamic_directory(b"/proc/self/fd", Arc::new(Numbers))
        .unwrap();
    assert_eq!(
        list(&tree, "/proc/self/fd", 64).unwrap(),
        [".", "..", "0", "1"]
    );
    assert_eq!(read(&tree, "/proc/self/fd/0").unwrap(), b"content");
    assert_eq!(
        read(&tree, "/proc/self/fd/deeper/1/file").unwrap(),
        b"content"
    );
    assert_eq!(lookup(&tree, "/proc/self/fd/2").err(), Some(Errno::ENOENT));
    let inner = open(&tree, "/proc/self/fd/deeper/deeper", OpenFlags::DIRECTORY).unwrap();
    let path = b"/proc/self/fd/deeper/deeper";
    assert_eq!(inner.file().path().unwrap(), path);
    let inode = inner.file().inode().unwrap();
    assert_eq!(inode.directory_path().unwrap(), path);
    let above = tree.lookup(inode, b"../../..", Follow::Yes).unwrap();
    assert_eq!(above.directory_path().unwrap(), b"/proc/self");
    let created = open(&tree, "/proc/self/fd/2", OpenFlags::CREAT | RDWR);
    assert_eq!(created.err(), Some(Errno::EACCES));
}

#[test]
fn fifo_ends_meet_by_name() {
    let tree = tree();
    tree.mknod(tree.root(), b"fifo", FileKind::Fifo, 0o600, 0)
        .unwrap();
    let impatient = OpenFlags::WRONLY | OpenFlags::NONBLOCK;
    assert_eq!(open(&tree, "fifo", impatient).err(), Some(Errno::ENXIO));
    let reader = open(&tree, "fifo", OpenFlags::empty()).unwrap();
    assert_eq!(
        read_some(&reader, 9),
        Err(Errno::EAGAIN),
        "waits for a writer"
    );
    let writer = open(&tree, "fifo", impatient).unwrap();
    writer.write(&mut SliceSource(b"hi")).unwrap();
    assert_eq!(reader.file().stat().kind, FileKind::Fifo);
    assert_eq!(reader.file().stat().permissions, 0o600);
    drop(writer);
    assert_eq!(reader.file().poll(), Events::IN | Events::HUP);
    assert_eq!(read_some(&reader, 9).unwrap(), b"hi");
    assert_eq!(read_some(&reader, 9).unwrap(), b"");
    assert_eq!(reader.seek(0, Whence::Current), Err(Errno::ESPIPE));
}

#[test]
fn locks_end_with_the_open_file() {
    let tree = tree();
    write(&tree, "file", b"");
    let [one, other] = [(); 2].map(|()| open(&tree, "file", RDWR).unwrap());
    let inode = lookup(&tree, "file").unwrap();
    inode.locks().lock_whole(one.lock_owner(), true).unwrap();
    let refused = inode.locks().lock_whole(other.lock_owner(), false);
    assert_eq!(refused, Err(Errno::EAGAIN));
    drop(one);
    assert!(inode.locks().lock_whole(other.lock_owner(), false).is_ok());
}

#[test]
fn memory_files_share_their_pages() {
    let tree = tree_with(10);
    let file = tree.create_memory_file();
    assert!(file.file().page(0, true).is_none(), "beyond the end");
    file.truncate(8192).unwrap();
    assert!(file.file().page(1, false).is_none(), "a hole");
    let page = file.file().page(1, true).unwrap();
    page.write(4, b"mapped");
    let mut sink = vfs::VecSink::new(6);
    file.read_at(4100, &mut sink).unwrap();
    assert_eq!(sink.into_bytes(), b"mapped");
    file.write_at(4100, &mut SliceSource(b"writes")).unwrap();
    let mut seen = [0; 6];
    page.read(4, &mut seen);
    assert_eq!(&seen, b"writes");
    assert_eq!(tree.size().free_blocks, 9);
    drop(file);
    assert_eq!(tree.size().free_blocks, 10);
}

#[test]
fn space_is_limited() {
    let tree = tree_with(3);
    let file = open(&tree, "file", OpenFlags::CREAT | RDWR).unwrap();
    assert_eq!(file.write(&mut SliceSource(&[1; 20_000])), Ok(12_288));
    assert_eq!(file.write(&mut SliceSource(b"x")), Err(Errno::ENOSPC));
    file.truncate(4096).unwrap();
    assert_eq!(tree.size().free_blocks, 2);
    tree.unlink(tree.root(), b"file").unwrap();
    assert_eq!(tree.size().free_blocks, 2, "still open");
    drop(file);
    assert_eq!(tree.size().free_blocks, 3);
}

#[test]
fn holes_and_data_are_found() {
    let tree = tree();
    let file = open(&tree, "file", OpenFlags::CREAT | RDWR).unwrap();
    file.write_at(8192, &mut SliceSource(b"data")).unwrap();
    file.truncate(100_000).unwrap();
    assert_eq!(file.seek(0, Whence::Data), Ok(8192));
    assert_eq!(file.seek(9000, Whence::Data), Ok(9000));
    assert_eq!(file.seek(8192, Whence::Hole), Ok(12_288));
    assert_eq!(file.seek(12_288, Whence::Data), Err(Errno::ENXIO));
    assert_eq!(file.seek(100_000, Whence::Hole), Err(Errno::ENXIO));
    assert_eq!(file.file().seek_data(99_999, Extent::Hole), Ok(99_999));
    assert_eq!(file.seek(-1, Whence::End), Ok(99_999));
    assert_eq!(file.seek(-1, Whence::Start), Err(Errno::EINVAL));
    assert_eq!(file.seek(i64::MAX, Whence::End), Err(Errno::EINVAL));
    assert_eq!(
        file.write_at(i64::MAX as u64 - 1, &mut SliceSource(b"xy")),
        Err(Errno::EINVAL)
    );
    let (reader, _writer) = pipe(OpenFlags::empty());
    assert_eq!(reader.seek(0, Whence::Start), Err(Errno::ESPIPE));
}
