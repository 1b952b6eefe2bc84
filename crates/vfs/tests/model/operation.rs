//! The operations, their answers, and how both are drawn.

use proptest::prelude::{Just, Strategy, any, prop};
use proptest::prop_oneof;

/// Open files that a sequence can keep.
pub(crate) const SLOTS: usize = 3;

/// One system call on paths or kept files.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Open(usize, String, u32),
    Close(usize),
    Write(usize, u64, usize, u8),
    WriteHere(usize, usize, u8),
    Read(usize, u64, usize),
    Seek(usize, u32, i64),
    Truncate(usize, u64),
    StatOpen(usize),
    ReadDirectory(String),
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String, u32),
    Link(String, String, bool),
    Symlink(String, String),
    Readlink(String),
    Stat(String, bool),
    Chmod(String, u32),
    TruncatePath(String, u64),
}

/// What an operation answers besides an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Number(u64),
    Bytes(Vec<u8>),
    Names(Vec<String>),
    Stat {
        mode: u32,
        links: u64,
        /// Of anything but a directory.
        size: Option<u64>,
        /// Of a regular file.
        blocks: Option<u64>,
    },
}

/// The error number.
pub(crate) type Outcome = Result<Answer, u16>;

/// The bytes of a write.
pub(crate) fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| seed.wrapping_add(at as u8)).collect()
}

/// A few files, directories and links.
pub(crate) fn preparation() -> Vec<Operation> {
    let text = String::from;
    vec![
        Operation::Mkdir(text("va")),
        Operation::Mkdir(text("va/vb")),
        Operation::Open(0, text("vc"), 0o102),
        Operation::WriteHere(0, 5000, 1),
        Operation::Open(1, text("va/vc"), 0o102),
        Operation::Symlink(text("va/vb"), text("vd")),
    ]
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(vec!["va", "vb", "vc", "vd"]),
        1 => Just("."),
        1 => Just(".."),
        1 => Just("this-name-does-not-exist"),
    ]
    .prop_map(String::from)
}

fn path() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(component(), 1..4);
    let slashes = prop_oneof![9 => Just(""), 1 => Just("/"), 1 => Just("//")];
    let usual = (parts, slashes).prop_map(|(parts, slashes)| parts.join("/") + slashes);
    prop_oneof![
        40 => usual,
        1 => Just(String::new()),
        1 => Just("n".repeat(255)),
        1 => Just("n".repeat(256)),
        1 => Just("va/".repeat(1365)),
        1 => Just("va/".repeat(1366)),
    ]
}

/// Access mode and `O_CREAT`, `O_EXCL`, `O_TRUNC`, `O_APPEND`, `O_DIRECTORY`, `O_NOFOLLOW`,
/// `O_PATH`, or `O_TMPFILE`.
fn open_flags() -> impl Strategy<Value = u32> {
    let access = prop::sample::select(vec![0, 1, 2]);
    let flag = |bit: u32, weight| {
        prop::bool::weighted(weight).prop_map(move |set| if set { bit } else { 0 })
    };
    let usual = (
        access,
        flag(0o100, 0.5),
        flag(0o200, 0.2),
        flag(0o1000, 0.2),
        flag(0o2000, 0.2),
        flag(0o200_000, 0.1),
        flag(0o400_000, 0.2),
        flag(0o10_000_000, 0.1),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| a | b | c | d | e | f | g | h);
    prop_oneof![20 => usual, 1 => Just(0o20_200_002)]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_000_u64,
        prop::sample::select(vec![0, 4095, 4096, 4097, 8192, 1 << 40, i64::MAX as u64])
    ]
}

fn slot() -> impl Strategy<Value = usize> {
    0..SLOTS
}

fn on_files() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (slot(), path(), open_flags()).prop_map(|(a, b, c)| Operation::Open(a, b, c)),
        1 => slot().prop_map(Operation::Close),
        2 => (slot(), offset(), 1..6000_usize, any::<u8>())
            .prop_map(|(a, b, c, d)| Operation::Write(a, b, c, d)),
        2 => (slot(), 1..6000_usize, any::<u8>())
            .prop_map(|(a, b, c)| Operation::WriteHere(a, b, c)),
        2 => (slot(), offset(), 0..10_000_usize).prop_map(|(a, b, c)| Operation::Read(a, b, c)),
        2 => (slot(), 0..5_u32, -5000..20_000_i64).prop_map(|(a, b, c)| Operation::Seek(a, b, c)),
        2 => (slot(), offset()).prop_map(|(a, b)| Operation::Truncate(a, b)),
        2 => slot().prop_map(Operation::StatOpen),
    ]
}

fn on_names() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => path().prop_map(Operation::ReadDirectory),
        2 => path().prop_map(Operation::Mkdir),
        1 => path().prop_map(Operation::Rmdir),
        1 => path().prop_map(Operation::Unlink),
        3 => (path(), path(), 0..4_u32).prop_map(|(a, b, c)| Operation::Rename(a, b, c)),
        2 => (path(), path(), any::<bool>()).prop_map(|(a, b, c)| Operation::Link(a, b, c)),
        2 => (path(), path()).prop_map(|(a, b)| Operation::Symlink(a, b)),
        1 => path().prop_map(Operation::Readlink),
        2 => (path(), any::<bool>()).prop_map(|(a, b)| Operation::Stat(a, b)),
        1 => (path(), 0..0o1000_u32).prop_map(|(a, b)| Operation::Chmod(a, b)),
        1 => (path(), offset()).prop_map(|(a, b)| Operation::TruncatePath(a, b)),
    ]
}

/// Any operation.
pub(crate) fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![on_files(), on_names()]
}
