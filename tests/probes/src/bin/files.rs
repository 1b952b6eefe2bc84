//! Files, directories and links.

use probes::{Scratch, step};
use rustix::fs::{
    Access, AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps,
    accessat, fallocate, flock, openat, sendfile, utimensat,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;

fn main() -> io::Result<()> {
    let _scratch = Scratch::new("files")?;
    contents();
    metadata();
    names();
    links();
    directories();
    descriptors();
    errors();
    devices();
    Ok(())
}

fn open_new(path: &str) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
}

fn contents() {
    step("write, seek, read", || {
        let mut file = open_new("a")?;
        file.write_all(b"hello world")?;
        file.seek(SeekFrom::Start(6))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok((text, file.stream_position()?, file.seek(SeekFrom::End(-3))?))
    });
    step("read at the end", || open_new("b")?.read(&mut [0; 4]));
    step("pread and pwrite leave the position", || {
        let mut file = open_new("c")?;
        file.write_all_at(b"abcdef", 2)?;
        let mut bytes = [0xff; 4];
        let count = file.read_at(&mut bytes, 0)?;
        Ok((count, bytes, file.stream_position()?))
    });
    step("vectors", || {
        let mut file = open_new("d")?;
        let written = file.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")])?;
        file.rewind()?;
        let (mut first, mut second) = ([0; 1], [0; 9]);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let read = file.read_vectored(&mut parts)?;
        Ok((written, read, first, second))
    });
    step("append ignores the position", || {
        fs::write("e", "one")?;
        let mut file = OpenOptions::new().append(true).read(true).open("e")?;
        file.rewind()?;
        file.write_all(b"two")?;
        fs::read_to_string("e")
    });
    step("a hole reads as zeros", || {
        let mut file = open_new("f")?;
        file.seek(SeekFrom::Start(10_000))?;
        file.write_all(b"x")?;
        let content = fs::read("f")?;
        Ok((
            content.len(),
            content.iter().filter(|&&byte| byte != 0).count(),
        ))
    });
    step("truncate cuts and grows with zeros", || {
        let file = open_new("g")?;
        file.write_all_at(b"abcdef", 0)?;
        file.set_len(3)?;
        file.set_len(6)?;
        fs::read("g")
    });
    step("fallocate grows", || {
        let file = open_new("h")?;
        fallocate(&file, FallocateFlags::empty(), 0, 5000)?;
        Ok(file.metadata()?.len())
    });
    step("sendfile", || {
        fs::write("i", "sent by the kernel")?;
        let (from, to) = (File::open("i")?, open_new("j")?);
        let mut offset = 5;
        let count = sendfile(&to, &from, Some(&mut offset), 100)?;
        Ok((count, offset, fs::read_to_string("j")?))
    });
    step("sendfile to /dev/null", || {
        let (from, to) = (
            File::open("i")?,
            OpenOptions::new().write(true).open("/dev/null")?,
        );
        Ok(sendfile(&to, &from, None, 100)?)
    });
    step("fsync and fdatasync", || {
        let file = File::open("i")?;
        file.sync_all()?;
        file.sync_data()
    });
    step("one MiB comes back", || {
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| ((n * 7) >> 3) as u8).collect();
        fs::write("big", &bytes)?;
        Ok(fs::read("big")? == bytes)
    });
}

fn metadata() {
    step("size, mode, links, kind of a file", || {
        let file = open_new("m")?;
        file.write_all_at(&[0; 1234], 0)?;
        fs::set_permissions("m", fs::Permissions::from_mode(0o640))?;
        let data = file.metadata()?;
        Ok((data.len(), format!("{:o}", data.mode()), data.nlink()))
    });
    step("the mask of new files", || {
        let before = rustix::process::umask(Mode::from_raw_mode(0o027));
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let file = File::from(openat(CWD, "n", flags, Mode::from_raw_mode(0o777))?);
        rustix::process::umask(before);
        Ok(format!("{:o}", file.metadata()?.mode()))
    });
    step("times that were set", || {
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time(1_000_000_000, 123_456_789),
            last_modification: time(1_100_000_000, 987_654_321),
        };
        utimensat(CWD, "n", &times, AtFlags::empty())?;
        let data = fs::metadata("n")?;
        Ok([
            data.atime(),
            data.atime_nsec(),
            data.mtime(),
            data.mtime_nsec(),
        ])
    });
    step("writing changes the time", || {
        let before = fs::metadata("n")?.modified()?;
        fs::write("n", "now")?;
        Ok(fs::metadata("n")?.modified()? > before)
    });
    step("the same file has the same inode", || {
        let (first, second) = (fs::metadata("m")?, File::open("m")?.metadata()?);
        Ok((
            first.ino() == second.ino(),
            first.dev() == second.dev(),
            first.ino() == fs::metadata("n")?.ino(),
        ))
    });
    step("access", || {
        accessat(
            CWD,
            "m",
            Access::READ_OK | Access::WRITE_OK,
            AtFlags::empty(),
        )?;
        accessat(CWD, "m", Access::EXEC_OK, AtFlags::empty())
            .map_err(io::Error::from)
            .map(|()| "executable")
    });
}

fn names() {
    step("rename replaces", || {
        fs::write("old", "1")?;
        fs::write("new", "2")?;
        fs::rename("old", "new")?;
        Ok((fs::read_to_string("new")?, fs::exists("old")?))
    });
    step("rename moves a directory with its content", || {
        fs::create_dir_all("p/q")?;
        fs::write("p/q/r", "deep")?;
        fs::rename("p", "s")?;
        fs::read_to_string("s/q/r")
    });
    step("rename into itself", || fs::rename("s", "s/q/s"));
    step("rename over a full directory", || {
        fs::create_dir("empty")?;
        fs::rename("empty", "s")
    });
    step("an open file outlives its name", || {
        let file = open_new("gone")?;
        file.write_all_at(b"still here", 0)?;
        fs::remove_file("gone")?;
        let mut bytes = [0; 5];
        file.read_exact_at(&mut bytes, 0)?;
        Ok((
            String::from_utf8_lossy(&bytes).into_owned(),
            file.metadata()?.nlink(),
        ))
    });
}

fn links() {
    step("a hard link is the same file", || {
        fs::write("x", "before")?;
        fs::hard_link("x", "y")?;
        fs::write("x", "after")?;
        Ok((fs::read_to_string("y")?, fs::metadata("y")?.nlink()))
    });
    step("a hard link to a directory", || {
        fs::create_dir("dir-for-link")?;
        match fs::hard_link("dir-for-link", "z") {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok("refused"),
            other => other.map(|()| "made"),
        }
    });
    step("a symbolic link", || {
        symlink("x", "sym")?;
        let data = fs::symlink_metadata("sym")?;
        Ok((
            fs::read_link("sym")?,
            data.is_symlink(),
            data.len(),
            fs::read_to_string("sym")?,
        ))
    });
    step("links through directories", || {
        symlink("../x", "s/up")?;
        symlink("s", "t")?;
        fs::read_to_string("t/up")
    });
    step("a dangling link", || {
        symlink("nowhere", "dangling")?;
        fs::read("dangling")
    });
    step("a loop of links", || {
        symlink("loop-b", "loop-a")?;
        symlink("loop-a", "loop-b")?;
        fs::read("loop-a")
    });
    step("O_NOFOLLOW on a link", || {
        Ok(openat(CWD, "sym", OFlags::NOFOLLOW, Mode::empty()).map(drop)?)
    });
    step("readlink on a file", || fs::read_link("x"));
}

fn directories() {
    step("a listing", || {
        fs::create_dir("list")?;
        for name in ["c", "a", "b"] {
            fs::write(format!("list/{name}"), "")?;
        }
        fs::create_dir("list/d")?;
        let mut entries = Vec::new();
        for entry in fs::read_dir("list")? {
            let entry = entry?;
            entries.push((entry.file_name(), entry.file_type()?.is_dir()));
        }
        entries.sort();
        Ok(entries)
    });
    step("a long listing is complete", || {
        fs::create_dir("long")?;
        for number in 0..500 {
            fs::write(format!("long/a-rather-long-name-{number}"), "")?;
        }
        Ok(fs::read_dir("long")?.count())
    });
    step("the working directory", || {
        std::env::set_current_dir("list/d")?;
        let inside = std::env::current_dir()?;
        std::env::set_current_dir("../..")?;
        let up = std::env::current_dir()?;
        Ok(inside.strip_prefix(&up).map(|path| path.to_owned()).ok())
    });
    step("names relative to a directory", || {
        let directory = File::open("list")?;
        let file = openat(&directory, "b", OFlags::RDONLY, Mode::empty())?;
        Ok(File::from(file).metadata()?.len())
    });
    step("links of a directory", || {
        Ok(fs::metadata("list")?.nlink() >= 1)
    });
    step("remove a directory that is not empty", || {
        fs::remove_dir("list")
    });
    step("remove a directory", || {
        fs::remove_dir("list/d")?;
        fs::exists("list/d")
    });
}

fn descriptors() {
    step("a duplicate shares the position", || {
        let mut file = open_new("dup")?;
        let mut second = file.try_clone()?;
        file.write_all(b"12345")?;
        second.stream_position()
    });
    step("a second open does not", || {
        let mut file = File::open("dup")?;
        let mut second = File::open("dup")?;
        file.read_exact(&mut [0; 2])?;
        second.stream_position()
    });
    step("the lowest free number is taken", || {
        let first = File::open("dup")?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&first);
        drop(first);
        Ok(std::os::fd::AsRawFd::as_raw_fd(&File::open("x")?) == number)
    });
    step("flags of an open file", || {
        let file = OpenOptions::new().append(true).open("dup")?;
        let flags = rustix::fs::fcntl_getfl(&file)?;
        let close_on_exec = rustix::io::fcntl_getfd(&file)?;
        Ok((
            flags.contains(OFlags::APPEND),
            flags.contains(OFlags::WRONLY),
            close_on_exec,
        ))
    });
    step("flock between two opens", || {
        let (first, second) = (File::open("dup")?, File::open("dup")?);
        flock(&first, FlockOperation::LockExclusive)?;
        let refused = flock(&second, FlockOperation::NonBlockingLockShared).is_err();
        flock(&first, FlockOperation::Unlock)?;
        flock(&second, FlockOperation::NonBlockingLockShared)?;
        Ok(refused)
    });
}

fn errors() {
    step("open what is not there", || File::open("missing").map(drop));
    step("create what is there", || File::create_new("x").map(drop));
    step("go through a file", || File::open("x/y").map(drop));
    step("write to a directory", || {
        OpenOptions::new().write(true).open("s").map(drop)
    });
    step("read a directory", || File::open("s")?.read(&mut [0; 8]));
    step("unlink a directory", || fs::remove_file("s"));
    step("rmdir a file", || fs::remove_dir("x"));
    step("mkdir what is there", || fs::create_dir("s"));
    step("a slash after a file", || File::open("x/").map(drop));
    step("O_DIRECTORY on a file", || {
        Ok(openat(CWD, "x", OFlags::DIRECTORY, Mode::empty()).map(drop)?)
    });
    step("the empty name", || File::open("").map(drop));
    step("a name of 256 bytes", || {
        File::open("n".repeat(256)).map(drop)
    });
    step("a path of 5000 bytes", || {
        File::open("d/".repeat(2500)).map(drop)
    });
    step("write without the right", || File::open("x")?.write(b"x"));
    step("read without the right", || {
        OpenOptions::new().append(true).open("x")?.read(&mut [0; 1])
    });
    step("seek before the start", || {
        File::open("x")?.seek(SeekFrom::Current(-1))
    });
    step("seek on a socket", || {
        let (socket, _other) = UnixStream::pair()?;
        Ok(rustix::fs::seek(&socket, rustix::fs::SeekFrom::Start(0))?)
    });
}

fn devices() {
    step("/dev/null", || {
        let mut device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        Ok((device.write(b"gone")?, device.read(&mut [1; 4])?))
    });
    step("/dev/zero", || {
        let mut bytes = [1; 4];
        File::open("/dev/zero")?.read_exact(&mut bytes)?;
        Ok(bytes)
    });
    step("/dev/urandom gives different bytes", || {
        let mut device = File::open("/dev/urandom")?;
        let (mut first, mut second) = ([0; 16], [0; 16]);
        device.read_exact(&mut first)?;
        device.read_exact(&mut second)?;
        Ok(first != second)
    });
}
