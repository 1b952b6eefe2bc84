//! A stand-in for a program that rumprun-bake made: a Multiboot program of the same shape that prints on COM1
//! what it was handed and how its configuration reads, then ends the machine.
#![no_std]
#![no_main]

#[allow(dead_code, reason = "the other side uses the rest")]
#[path = "../../../crates/boot-contract/src/multiboot.rs"]
mod multiboot;

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};

use multiboot::{
    ADDRESSES, HEADER_MAGIC, Info, LOADER_MAGIC, MEMORY_INFO, MemoryRange, Module, PAGE_ALIGN,
};

global_asm!(
    include_str!("entry.s"),
    MAGIC = const HEADER_MAGIC,
    FLAGS = const PAGE_ALIGN | MEMORY_INFO | ADDRESSES,
);

/// Data that has to arrive whole, and memory that has to be zero.
const PATTERN: u32 = 0x600d_f00d;
static mut DATA: [u32; 50_000] = [PATTERN; 50_000];
static mut ZEROS: [u32; 50_000] = [0; 50_000];

const COM1: u16 = 0x3f8;
const DEBUG: u16 = 0xe9;
const EXIT: u16 = 0xf4;

fn out(port: u16, value: u8) {
    // SAFETY: the ports of COM1 and of QEMU's devices do nothing to memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value) };
}

/// A port as a place for text.
struct Port(u16);

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| out(self.0, byte));
        Ok(())
    }
}

macro_rules! say {
    ($($words:tt)*) => {
        let _ = writeln!(Port(COM1), $($words)*);
    };
}

/// Something that the loader put into memory.
fn loaded<T: Copy>(address: u32) -> T {
    // SAFETY: all memory is mapped, and what is read may have any value.
    unsafe { core::ptr::read_unaligned(address as *const T) }
}

/// Bytes that the loader put into memory.
fn bytes(start: u32, end: u32) -> &'static [u8] {
    // SAFETY: all memory is mapped, and nobody writes there.
    unsafe { core::slice::from_raw_parts(start as *const u8, (end - start) as usize) }
}

/// A string up to its NUL.
fn string(start: u32) -> &'static str {
    let mut end = start;
    while loaded::<u8>(end) != 0 {
        end += 1;
    }
    text(bytes(start, end))
}

fn text(bytes: &'static [u8]) -> &'static str {
    core::str::from_utf8(bytes).unwrap_or("not UTF-8")
}

#[unsafe(no_mangle)]
extern "sysv64" fn main(magic: u32, address: u32) -> ! {
    let info: Info = loaded(address);
    say!("magic={}", magic == LOADER_MAGIC);
    say!("loader={}", string(info.boot_loader_name));
    say!("flags={:#x}", info.flags);
    say!("data={}", all(&raw const DATA, PATTERN));
    say!("zeros={}", all(&raw const ZEROS, 0));
    say!("lower={} upper={}", info.mem_lower, info.mem_upper);
    ranges(&info);
    say!("modules={}", info.mods_count);
    let module: Module = loaded(info.mods_addr);
    say!(
        "aligned={} size={}",
        module.start % 4096 == 0,
        module.end - module.start
    );
    let mut walker = Walker(text(bytes(module.start, module.end)));
    say!(
        "whole={}",
        walker.value(&Path(None, "")).is_some() && walker.0.is_empty()
    );
    let _ = write!(Port(DEBUG), "@unibeam 1 exit kind=success status=0\n");
    out(EXIT, 0x10);
    loop {}
}

/// Whether all words are this one, as they are in memory and not as the compiler knows them.
fn all(words: *const [u32; 50_000], expected: u32) -> bool {
    let first = words.cast::<u32>();
    // SAFETY: in the array.
    (0..50_000).all(|at| unsafe { first.add(at).read_volatile() } == expected)
}

fn ranges(info: &Info) {
    let (mut at, end) = (info.mmap_addr, info.mmap_addr + info.mmap_length);
    while at < end {
        let range: MemoryRange = loaded(at);
        let [low, high] = range.addr.map(u64::from);
        let [length, length_high] = range.length.map(u64::from);
        let (start, size) = (low | high << 32, length | length_high << 32);
        say!("range={start:#x} size={size:#x} kind={}", range.kind);
        at += range.size + 4;
    }
}

/// The keys that lead to a value.
struct Path<'a>(Option<&'a Path<'a>>, &'a str);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.0 {
            write!(f, "{above}/{}", self.1)?;
        }
        Ok(())
    }
}

/// The rest of JSON that is being read, as rumprun reads it: escapes stay.
struct Walker(&'static str);

impl Walker {
    /// Prints the strings in a value with their paths.
    fn value(&mut self, path: &Path<'_>) -> Option<()> {
        match self.0.as_bytes().first()? {
            b'{' => self.items(path, '}'),
            b'[' => self.items(path, ']'),
            _ => {
                say!("config{path}={}", self.string()?);
                Some(())
            }
        }
    }

    fn items(&mut self, path: &Path<'_>, end: char) -> Option<()> {
        self.0 = self.0.get(1..)?;
        loop {
            if let Some(rest) = self.0.strip_prefix(end) {
                self.0 = rest;
                return Some(());
            }
            let key = if end == '}' { self.string()? } else { "-" };
            self.0 = self.0.strip_prefix(':').unwrap_or(self.0);
            self.value(&Path(Some(path), key))?;
            self.0 = self.0.strip_prefix(',').unwrap_or(self.0);
        }
    }

    fn string(&mut self) -> Option<&'static str> {
        let text = self.0.strip_prefix('"')?;
        let mut escaped = false;
        let end = text.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        self.0 = text.get(end + 1..)?;
        text.get(..end)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    say!("panic");
    out(EXIT, 0x13);
    loop {}
}
