//! What programs that keep data in files rely on: replacing, appending, holes, locks, times.
//!
//! Run with an argument this program is a process that wants a lock of the first one's.

use probes::{Scratch, step};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FlockOperation, OFlags, RenameFlags, Timespec, Timestamps,
    fallocate, fcntl_lock, linkat, renameat_with, utimensat,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Longer than a tick of any clock that stamps files.
const TICK: Duration = Duration::from_millis(20);

fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(file), Some(kind)) = (arguments.next(), arguments.next()) {
        return Ok(ExitCode::from(u8::from(!gets_lock(&file, &kind)?)));
    }
    let _scratch = Scratch::new("stores")?;
    replacing();
    removing();
    appending();
    holes();
    limits();
    locks();
    times();
    Ok(ExitCode::SUCCESS)
}

fn open_new(path: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.open(path)
}

fn content(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn replacing() {
    step("both files of a rename stay open", || {
        fs::write("old", "old")?;
        fs::write("new", "new")?;
        let (old, new) = (File::open("old")?, File::open("new")?);
        fs::rename("old", "new")?;
        let links = (old.metadata()?.nlink(), new.metadata()?.nlink());
        Ok((
            content(&old)?,
            content(&new)?,
            fs::read_to_string("new")?,
            links,
        ))
    });
    step(
        "a rename between two names of one file does nothing",
        || {
            fs::write("a", "same")?;
            fs::hard_link("a", "b")?;
            fs::rename("a", "b")?;
            Ok((fs::exists("a")?, fs::exists("b")?))
        },
    );
    step("a rename replaces a link, not its target", || {
        fs::write("target", "target")?;
        symlink("target", "link")?;
        fs::write("file", "file")?;
        fs::rename("file", "link")?;
        Ok((fs::read_to_string("target")?, fs::read_to_string("link")?))
    });
    step("a rename over an empty directory", || {
        fs::create_dir_all("full/inner")?;
        fs::create_dir("empty")?;
        fs::rename("full", "empty")?;
        Ok((fs::exists("full")?, fs::exists("empty/inner")?))
    });
    step("a rename of a file over a directory", || {
        fs::rename("b", "empty")
    });
    step("a rename of a directory over a file", || {
        fs::rename("empty", "b")
    });
    step("RENAME_NOREPLACE", || {
        let refused = renameat_with(CWD, "a", CWD, "b", RenameFlags::NOREPLACE).is_err();
        renameat_with(CWD, "a", CWD, "free", RenameFlags::NOREPLACE)?;
        Ok((refused, fs::exists("free")?))
    });
    step("RENAME_EXCHANGE", || {
        fs::write("one", "1")?;
        fs::create_dir("two")?;
        renameat_with(CWD, "one", CWD, "two", RenameFlags::EXCHANGE)?;
        Ok((fs::read_to_string("two")?, fs::metadata("one")?.is_dir()))
    });
    step("O_CREAT through a dangling link makes the target", || {
        symlink("made", "to-make")?;
        fs::write("to-make", "x")?;
        fs::read_to_string("made")
    });
    step("O_EXCL at a dangling link", || {
        symlink("nothing", "dangling")?;
        File::create_new("dangling").map(drop)
    });
}

fn removing() {
    step("a removed directory takes nothing", || {
        let home = std::env::current_dir()?;
        fs::create_dir("gone")?;
        std::env::set_current_dir("gone")?;
        fs::remove_dir("../gone")?;
        let made = fs::write("file", "x").map_err(|error| error.kind());
        let here = std::env::current_dir().map_err(|error| error.kind());
        std::env::set_current_dir(home)?;
        Ok((made, here.is_err()))
    });
    step("files are removed while they are listed", || {
        fs::create_dir("many")?;
        for number in 0..1000 {
            fs::write(format!("many/{number}"), "")?;
        }
        let mut seen = 0;
        for entry in fs::read_dir("many")? {
            fs::remove_file(entry?.path())?;
            seen += 1;
        }
        Ok((seen, fs::read_dir("many")?.count()))
    });
    step("a file without a name gets one", || {
        let mut options = OpenOptions::new();
        let flags = OFlags::TMPFILE.bits().cast_signed();
        let file = options
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(".")?;
        file.write_all_at(b"hidden", 0)?;
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        linkat(CWD, path, CWD, "named", AtFlags::SYMLINK_FOLLOW)?;
        fs::read_to_string("named")
    });
}

fn appending() {
    step("two appenders do not overwrite each other", || {
        let open = || OpenOptions::new().append(true).create(true).open("log");
        let (mut first, mut second) = (open()?, open()?);
        for _ in 0..3 {
            first.write_all(b"a")?;
            second.write_all(b"b")?;
        }
        fs::read_to_string("log")
    });
    step("threads that append do not tear lines", || {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                thread::spawn(move || -> io::Result<()> {
                    let mut file = OpenOptions::new().append(true).create(true).open("lines")?;
                    for _ in 0..50 {
                        file.write_all(format!("{}\n", number.to_string().repeat(99)).as_bytes())?;
                    }
                    Ok(())
                })
            })
            .collect();
        for writer in writers {
            writer.join().map_err(|_| io::Error::other("panicked"))??;
        }
        let text = fs::read_to_string("lines")?;
        let whole =
            |line: &&str| line.len() == 99 && line.bytes().all(|byte| line.as_bytes()[0] == byte);
        Ok(text.lines().filter(whole).count())
    });
    // pwrite(2), "BUGS".
    step("pwrite to an appending file appends", || {
        fs::write("p", "123")?;
        let file = OpenOptions::new().append(true).open("p")?;
        file.write_all_at(b"x", 0)?;
        fs::read_to_string("p")
    });
    step("the position after appending is the end", || {
        let mut file = OpenOptions::new().append(true).read(true).open("p")?;
        file.write_all(b"yz")?;
        file.stream_position()
    });
    step("truncation under a writer leaves a hole", || {
        let mut file = open_new("cut")?;
        file.write_all(b"12345678")?;
        OpenOptions::new().write(true).truncate(true).open("cut")?;
        file.write_all(b"9")?;
        fs::read("cut")
    });
}

fn holes() {
    const FAR: u64 = 1 << 32;
    step("a hole takes no room", || {
        let file = open_new("sparse")?;
        file.write_all_at(b"end", FAR)?;
        let data = file.metadata()?;
        let mut bytes = [1; 3];
        file.read_exact_at(&mut bytes, FAR / 2)?;
        Ok((data.len() - FAR, data.blocks() < 1000, bytes))
    });
    step("data and holes are found", || {
        let file = open_new("found")?;
        file.write_all_at(&[1; 1 << 16], 1 << 20)?;
        file.set_len(1 << 22)?;
        let seek = |from| rustix::fs::seek(&file, from).map_err(|error| error.raw_os_error());
        use rustix::fs::SeekFrom::{Data, Hole};
        Ok([
            Data(0),
            Hole(0),
            Hole(1 << 20),
            Data(1 << 21),
            Hole(1 << 23),
        ]
        .map(seek))
    });
    step("a hole that is filled", || {
        let file = OpenOptions::new().read(true).write(true).open("sparse")?;
        file.write_all_at(b"middle", FAR / 2)?;
        let mut bytes = [1; 10];
        file.read_exact_at(&mut bytes, FAR / 2 - 2)?;
        Ok(bytes)
    });
    step(
        "bytes beyond a cut are zeros when the file grows again",
        || {
            let file = open_new("regrown")?;
            file.write_all_at(&[1; 10_000], 0)?;
            file.set_len(5000)?;
            file.set_len(10_000)?;
            let mut bytes = [1; 10_000];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes.iter().filter(|&&byte| byte == 1).count())
        },
    );
    step("fallocate keeps content, and the size if asked to", || {
        let file = open_new("allocated")?;
        file.write_all_at(b"abc", 0)?;
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 100_000)?;
        let kept = file.metadata()?.len();
        fallocate(&file, FallocateFlags::empty(), 10, 20)?;
        Ok((
            kept,
            content(&file)?.trim_end_matches('\0').len(),
            file.metadata()?.len(),
        ))
    });
    step("fallocate of nothing", || {
        Ok(fallocate(open_new("none")?, FallocateFlags::empty(), 0, 0)?)
    });
    step("fallocate for a reader", || {
        Ok(fallocate(
            File::open("none")?,
            FallocateFlags::empty(),
            0,
            10,
        )?)
    });
    step("fallocate takes room", || {
        let file = open_new("room")?;
        fallocate(&file, FallocateFlags::empty(), 0, 1 << 20)?;
        Ok(file.metadata()?.blocks() >= 2048)
    });
}

fn limits() {
    step("the last byte of the largest file", || {
        open_new("large")?.write_all_at(b"x", i64::MAX as u64)
    });
    step("truncate beyond the largest size", || {
        open_new("large")?.set_len(u64::MAX)
    });
    step("truncate for a reader", || File::open("large")?.set_len(0));
    step("/dev/full", || {
        let mut device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/full")?;
        let mut bytes = [1; 3];
        device.read_exact(&mut bytes)?;
        Ok((
            bytes,
            device
                .write(b"x")
                .map_err(|error| probes::error_name(&error)),
        ))
    });
    step("seek to the end and beyond", || {
        let mut file = open_new("seek")?;
        file.write_all(b"123")?;
        let end = file.seek(SeekFrom::End(100))?;
        Ok((end, file.read(&mut [0; 1])?, file.metadata()?.len()))
    });
}

/// Whether this process gets a lock on the first byte of `file`.
fn gets_lock(file: &str, kind: &str) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    let operation = match kind {
        "shared" => FlockOperation::NonBlockingLockShared,
        _ => FlockOperation::NonBlockingLockExclusive,
    };
    match fcntl_lock(&file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether another process gets a lock.
fn another_gets(kind: &str) -> io::Result<bool> {
    let program = std::env::args_os().next().unwrap_or_default();
    Ok(Command::new(program)
        .args(["locked", kind])
        .status()?
        .success())
}

fn locks() {
    step("a record lock keeps another process out", || {
        let file = open_new("locked")?;
        fcntl_lock(&file, FlockOperation::LockExclusive)?;
        let locked = (another_gets("shared")?, another_gets("exclusive")?);
        fcntl_lock(&file, FlockOperation::LockShared)?;
        let shared = (another_gets("shared")?, another_gets("exclusive")?);
        fcntl_lock(&file, FlockOperation::Unlock)?;
        Ok((locked, shared, another_gets("exclusive")?))
    });
    step("a process does not lock itself out", || {
        let (first, second) = (open_new("locked")?, open_new("locked")?);
        fcntl_lock(&first, FlockOperation::LockExclusive)?;
        Ok(fcntl_lock(
            &second,
            FlockOperation::NonBlockingLockExclusive,
        )?)
    });
    // fcntl_locking(2): one close is enough.
    step("closing any descriptor gives the locks up", || {
        let first = open_new("locked")?;
        fcntl_lock(&first, FlockOperation::LockExclusive)?;
        let before = another_gets("exclusive")?;
        drop(File::open("locked")?);
        Ok((before, another_gets("exclusive")?))
    });
    step("a write lock through a reader", || {
        Ok(fcntl_lock(
            File::open("locked")?,
            FlockOperation::LockExclusive,
        )?)
    });
}

/// Whether the time of modification and that of change are later than before. Whether that of
/// access is depends on how a file system is mounted.
fn moved(path: &str, change: impl FnOnce() -> io::Result<()>) -> io::Result<[bool; 2]> {
    let times = || -> io::Result<[(i64, i64); 2]> {
        let data = fs::symlink_metadata(path)?;
        Ok([
            (data.mtime(), data.mtime_nsec()),
            (data.ctime(), data.ctime_nsec()),
        ])
    };
    let before = times()?;
    thread::sleep(TICK);
    change()?;
    let after = times()?;
    Ok(std::array::from_fn(|index| after[index] > before[index]))
}

fn times() {
    let new = |path: &'static str| fs::write(path, "content").map(|()| path);
    step("writing", || {
        let path = new("t")?;
        moved(path, || {
            OpenOptions::new().write(true).open(path)?.write_all(b"x")
        })
    });
    step("writing nothing", || {
        moved(new("t")?, || {
            OpenOptions::new().write(true).open("t")?.write_all(b"")
        })
    });
    step("truncating", || {
        moved(new("t")?, || {
            OpenOptions::new().write(true).open("t")?.set_len(2)
        })
    });
    step("O_TRUNC", || moved(new("t")?, || open_new("t").map(drop)));
    step("renaming", || {
        moved(new("t")?, || {
            fs::rename("t", "u")?;
            fs::rename("u", "t")
        })
    });
    step("linking", || {
        moved(new("t")?, || fs::hard_link("t", "linked"))
    });
    step("changing the mode", || {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        moved(new("t")?, || fs::set_permissions("t", mode))
    });
    step("setting the times", || {
        let past = Timespec {
            tv_sec: 1,
            tv_nsec: 2,
        };
        let times = Timestamps {
            last_access: past,
            last_modification: past,
        };
        moved(new("t")?, || {
            Ok(utimensat(CWD, "t", &times, AtFlags::empty())?)
        })
    });
    step("leaving one of the times", || {
        let omitted = Timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_OMIT,
        };
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_NOW,
        };
        let times = Timestamps {
            last_access: omitted,
            last_modification: now,
        };
        moved(new("t")?, || {
            Ok(utimensat(CWD, "t", &times, AtFlags::empty())?)
        })
    });
    step("a directory in which a file is made", || {
        fs::create_dir("d")?;
        moved("d", || fs::write("d/file", "x"))
    });
    step("a directory in which a file is written", || {
        moved("d", || fs::write("d/file", "more"))
    });
    step("a directory in which a file is renamed", || {
        moved("d", || fs::rename("d/file", "d/other"))
    });
    step("a directory in which a file is removed", || {
        moved("d", || fs::remove_file("d/other"))
    });
    step("a link whose target is written", || {
        symlink("t", "to-t")?;
        moved("to-t", || fs::write("to-t", "x"))
    });
    step("reading", || moved(new("t")?, || fs::read("t").map(drop)));
}
